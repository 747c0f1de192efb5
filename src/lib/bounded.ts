import { invariant } from './invariant.ts';

/** A map that a peer may fill: it holds at most `limit` entries, and a new key beyond that is refused. */
export class BoundedMap<K, V> {
  readonly limit: number;
  readonly #entries = new Map<K, V>();

  constructor(limit: number) {
    invariant(limit > 0, 'a bounded map has room for something');
    this.limit = limit;
  }

  get size(): number {
    return this.#entries.size;
  }

  get isFull(): boolean {
    return this.#entries.size >= this.limit;
  }

  has(key: K): boolean {
    return this.#entries.has(key);
  }

  get(key: K): V | undefined {
    return this.#entries.get(key);
  }

  /** Stores the value; `false` (and nothing changed) if the key is new and the map is full. */
  set(key: K, value: V): boolean {
    if (this.isFull && !this.#entries.has(key)) return false;
    this.#entries.set(key, value);
    return true;
  }

  delete(key: K): boolean {
    return this.#entries.delete(key);
  }

  clear(): void {
    this.#entries.clear();
  }

  values(): IterableIterator<V> {
    return this.#entries.values();
  }

  keys(): IterableIterator<K> {
    return this.#entries.keys();
  }

  [Symbol.iterator](): IterableIterator<[K, V]> {
    return this.#entries[Symbol.iterator]();
  }
}

/** A queue that holds the newest `limit` values: when full, the oldest goes, since a late one is worth least. */
export class BoundedQueue<T> {
  readonly limit: number;
  #items: T[] = [];
  #droppedCount = 0;

  constructor(limit: number) {
    invariant(limit > 0, 'a bounded queue has room for something');
    this.limit = limit;
  }

  get size(): number {
    return this.#items.length;
  }

  get droppedCount(): number {
    return this.#droppedCount;
  }

  push(item: T): void {
    if (this.#items.length >= this.limit) {
      this.#items.shift();
      this.#droppedCount++;
    }
    this.#items.push(item);
  }

  shift(): T | undefined {
    return this.#items.shift();
  }

  /** Everything queued, oldest first; the queue is empty afterwards. */
  drain(): readonly T[] {
    const items = this.#items;
    this.#items = [];
    return items;
  }

  [Symbol.iterator](): IterableIterator<T> {
    return this.#items[Symbol.iterator]();
  }
}

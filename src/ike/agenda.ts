import { type Instant, NEVER } from '../lib/time.ts';

interface Entry<T> {
  readonly at: Instant;
  readonly item: T;
}

/** When each of many items wants to be woken: a binary heap in which outdated entries are skipped when they surface. */
export class Agenda<T> {
  readonly #dueAt = new Map<T, Instant>();
  #heap: Entry<T>[] = [];

  /** Moves the item to `at`, or takes it out if that is never. */
  set(item: T, at: Instant): void {
    if (at === NEVER) {
      this.#dueAt.delete(item);
      return;
    }
    if (this.#dueAt.get(item) === at) return;
    this.#dueAt.set(item, at);
    this.#push({ at, item });
    // Outdated entries may outnumber the live ones only so far.
    if (this.#heap.length > 64 + this.#dueAt.size * 4) this.#rebuild();
  }

  delete(item: T): void {
    this.#dueAt.delete(item);
  }

  nextTimeout(): Instant {
    this.#dropOutdated();
    return this.#heap[0]?.at ?? NEVER;
  }

  /** Takes out one item that is due at `now`. */
  takeDue(now: Instant): T | undefined {
    this.#dropOutdated();
    const first = this.#heap[0];
    if (first === undefined || first.at > now) return undefined;
    this.#pop();
    this.#dueAt.delete(first.item);
    return first.item;
  }

  #dropOutdated(): void {
    for (let first = this.#heap[0]; first !== undefined; first = this.#heap[0]) {
      if (this.#dueAt.get(first.item) === first.at) return;
      this.#pop();
    }
  }

  #rebuild(): void {
    const entries = Array.from(this.#dueAt, ([item, at]) => ({ at, item }));
    this.#heap = [];
    for (const entry of entries) this.#push(entry);
  }

  #push(entry: Entry<T>): void {
    const heap = this.#heap;
    let index = heap.length;
    heap.push(entry);
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = heap[parentIndex];
      if (parent === undefined || parent.at <= entry.at) break;
      heap[index] = parent;
      index = parentIndex;
    }
    heap[index] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let index = 0;
    for (;;) {
      let childIndex = 2 * index + 1;
      const left = heap[childIndex];
      if (left === undefined) break;
      const right = heap[childIndex + 1];
      const child = right !== undefined && right.at < left.at ? right : left;
      if (child === right) childIndex++;
      if (child.at >= last.at) break;
      heap[index] = child;
      index = childIndex;
    }
    heap[index] = last;
  }
}

// Virtual time. Nothing waits: the scheduler jumps to the next thing that is due, so a simulated day takes seconds, and what is due
// at the same moment happens in the order in which it was asked for, so the same seed gives the same run.

import { invariant } from '../lib/invariant.ts';
import { after, type Instant, instant, type Milliseconds } from '../lib/time.ts';

interface Entry {
  readonly at: Instant;
  readonly sequence: number;
  readonly action: () => void;
}

/** A clock and everything that will happen. */
export class Scheduler {
  // A binary heap: the entry at `index` is not later than those at 2 x index + 1 and 2 x index + 2.
  readonly #heap: Entry[] = [];
  #now: Instant = instant(0);
  #sequence = 0;
  #stepCount = 0;

  get now(): Instant {
    return this.#now;
  }

  /** How many actions have run. */
  get stepCount(): number {
    return this.#stepCount;
  }

  /** Runs `action` at `at`, or at once (but not within this call) if that is past. */
  at(at: Instant, action: () => void): void {
    if (at === Number.POSITIVE_INFINITY) return;
    this.#heap.push({ at: at < this.#now ? this.#now : at, sequence: this.#sequence++, action });
    this.#rise(this.#heap.length - 1);
  }

  in(delay: Milliseconds, action: () => void): void {
    this.at(after(this.#now, delay), action);
  }

  /** Runs everything that is due until `end`, and leaves the clock there. `stop` is asked after each action. */
  runUntil(end: Instant, stop: () => boolean = () => false): void {
    for (;;) {
      const first = this.#heap[0];
      if (first === undefined || first.at > end) break;
      this.#takeFirst();
      invariant(first.at >= this.#now, 'virtual time does not run backwards');
      this.#now = first.at;
      this.#stepCount++;
      first.action();
      if (stop()) return;
    }
    if (end > this.#now) this.#now = end;
  }

  #takeFirst(): void {
    const last = this.#heap.pop();
    if (last === undefined || this.#heap.length === 0) return;
    this.#heap[0] = last;
    this.#sink(0);
  }

  #rise(index: number): void {
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!this.#isBefore(index, parent)) return;
      this.#swap(index, parent);
      index = parent;
    }
  }

  #sink(index: number): void {
    for (;;) {
      const left = index * 2 + 1;
      const right = left + 1;
      let least = index;
      if (this.#isBefore(left, least)) least = left;
      if (this.#isBefore(right, least)) least = right;
      if (least === index) return;
      this.#swap(index, least);
      index = least;
    }
  }

  #isBefore(a: number, b: number): boolean {
    const left = this.#heap[a];
    const right = this.#heap[b];
    if (left === undefined || right === undefined) return false;
    return left.at < right.at || (left.at === right.at && left.sequence < right.sequence);
  }

  #swap(a: number, b: number): void {
    const left = this.#heap[a];
    const right = this.#heap[b];
    invariant(left !== undefined && right !== undefined, 'the heap has no holes');
    this.#heap[a] = right;
    this.#heap[b] = left;
  }
}

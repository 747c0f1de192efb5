import { type Instant, instant, NEVER } from '../lib/time.ts';

/** The monotonic clock, in milliseconds. */
export function monotonicNow(): Instant {
  return instant(performance.now());
}

// Node's timers take 31 bits of milliseconds, about 24 days; a later deadline is looked at again then.
const DELAY_MAX = 2 ** 31 - 1;

/** Keeps one timer armed for the earliest deadline of the core that it drives. */
export class Alarm {
  readonly #ring: () => void;
  #timer: NodeJS.Timeout | undefined;
  #dueAt: Instant = NEVER;

  constructor(ring: () => void) {
    this.#ring = ring;
  }

  /** Rings at `dueAt`, once, instead of at the time set before. */
  set(dueAt: Instant): void {
    if (dueAt === this.#dueAt && this.#timer !== undefined) return;
    this.clear();
    if (dueAt === NEVER) return;
    this.#dueAt = dueAt;
    // Rounded up: a timer that rings a fraction early would find nothing due.
    const delay = Math.min(Math.max(0, Math.ceil(dueAt - monotonicNow())), DELAY_MAX);
    this.#timer = setTimeout(() => {
      this.clear();
      this.#ring();
    }, delay);
  }

  clear(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#dueAt = NEVER;
  }
}

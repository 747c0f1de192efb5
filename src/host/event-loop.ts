import { after, type Instant, instant, milliseconds, NEVER } from '../lib/time.ts';

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
  #timerAt: Instant = NEVER;
  #dueAt: Instant = NEVER;

  constructor(ring: () => void) {
    this.#ring = ring;
  }

  /** Rings at `dueAt`, once, instead of at the time set before. */
  set(dueAt: Instant): void {
    this.#dueAt = dueAt;
    // A timer that is early looks again when it fires: every message puts deadlines off, and to move it each time would cost more.
    if (this.#timerAt > dueAt) this.#arm();
  }

  clear(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#timerAt = NEVER;
    this.#dueAt = NEVER;
  }

  #arm(): void {
    clearTimeout(this.#timer);
    const now = monotonicNow();
    // Rounded up: a timer that fires a fraction early would find nothing due.
    const delay = Math.min(Math.max(0, Math.ceil(this.#dueAt - now)), DELAY_MAX);
    this.#timerAt = after(now, milliseconds(delay));
    this.#timer = setTimeout(() => this.#handleTimer(), delay);
  }

  #handleTimer(): void {
    this.#timer = undefined;
    this.#timerAt = NEVER;
    if (this.#dueAt === NEVER) return;
    if (monotonicNow() < this.#dueAt) return this.#arm();
    this.#dueAt = NEVER;
    this.#ring();
  }
}

import { elapsed, type Instant, instant } from '../lib/time.ts';

const WINDOW = 1000;

/** Lets so many through in each second, and no more: for what strangers can provoke (RFC 4443 §2.4 (f)). */
export class RateLimit {
  readonly #perSecond: number;
  #windowStart: Instant = instant(Number.NEGATIVE_INFINITY);
  #count = 0;

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  /** Takes one of this second's places; `false` if there is none left. */
  take(now: Instant): boolean {
    if (elapsed(this.#windowStart, now) >= WINDOW) {
      this.#windowStart = now;
      this.#count = 0;
    }
    this.#count += 1;
    return this.#count <= this.#perSecond;
  }
}

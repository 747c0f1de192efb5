// The anti-replay window of an inbound SA (RFC 4303 §3.4.3), with the ring of words of RFC 6479 instead of shifting bits.

import { invariant } from '../lib/invariant.ts';

const WORD_BITS = 32;
const SUBSPACE = 2 ** 32;
/** RFC 4303 §3.4.3 asks for 32 at least; Junos offers 64 to 8192. */
const REPLAY_WINDOW_MAX = 8192;
/** With the check off nothing is too old, but the high half of an extended number must still be guessed from something. */
const INFERENCE_SPAN_UNCHECKED = 2 ** 31;

/** Which sequence numbers have been accepted. `isFresh` before verification, `accept` only after it. */
export class ReplayWindow {
  /** Sequence numbers that the window spans; 0 switches the check off. */
  readonly size: number;
  readonly #words: Uint32Array;
  readonly #mask: number;
  #highest = 0;

  constructor(size: number) {
    invariant(
      Number.isInteger(size) && size >= 0 && size <= REPLAY_WINDOW_MAX,
      'a replay window has 0 to 8192 packets',
    );
    this.size = size;
    // One word more than the window at least, so that the word being filled never hides one still in use (RFC 6479 §2).
    let words = 2;
    while (words * WORD_BITS < size + WORD_BITS) words *= 2;
    this.#words = new Uint32Array(words);
    this.#mask = words - 1;
  }

  /** The highest sequence number accepted so far; 0 before the first. */
  get highest(): number {
    return this.#highest;
  }

  /** Whether this number is neither too old nor already accepted. 0 is never sent (RFC 4303 §3.3.3). */
  isFresh(sequence: number): boolean {
    if (this.size === 0) return true;
    if (sequence === 0) return false;
    if (sequence > this.#highest) return true;
    if (sequence + this.size <= this.#highest) return false;
    const word = this.#words[Math.floor(sequence / WORD_BITS) & this.#mask] ?? 0;
    return ((word >>> (sequence & (WORD_BITS - 1))) & 1) === 0;
  }

  /** Remembers a number that was fresh and whose packet has been verified. */
  accept(sequence: number): void {
    const block = Math.floor(sequence / WORD_BITS);
    if (sequence > this.#highest) {
      const current = Math.floor(this.#highest / WORD_BITS);
      const stale = Math.min(block - current, this.#words.length);
      for (let step = 1; step <= stale; step++) this.#words[(current + step) & this.#mask] = 0;
      this.#highest = sequence;
    }
    const index = block & this.#mask;
    this.#words[index] = (this.#words[index] ?? 0) | (1 << (sequence & (WORD_BITS - 1)));
  }

  /** The whole extended sequence number of which a packet carries the low 32 bits (RFC 4303 Appendix A2.2). */
  extend(low: number): number {
    const span = this.size === 0 ? INFERENCE_SPAN_UNCHECKED : this.size;
    const highestLow = this.#highest % SUBSPACE;
    const subspace = (this.#highest - highestLow) / SUBSPACE;
    const bottom = highestLow - span + 1;
    if (bottom >= 0) return (low >= bottom ? subspace : subspace + 1) * SUBSPACE + low;
    // The window reaches back into the subspace before, which does not exist before the first wrap.
    const before = low >= bottom + SUBSPACE && subspace > 0;
    return (before ? subspace - 1 : subspace) * SUBSPACE + low;
  }
}

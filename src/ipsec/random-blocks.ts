import type { RandomSource } from '../lib/random.ts';

const POOL_LENGTH = 4096;

/** Unpredictable octets for IVs (RFC 3602 §3), drawn from the source many at a time; each is given out once. */
export class RandomBlocks {
  readonly #random: RandomSource;
  #pool: Uint8Array = new Uint8Array(0);
  #used = 0;

  constructor(random: RandomSource) {
    this.#random = random;
  }

  /** Overwrites the whole of `target`, which is at most 4096 octets. */
  fill(target: Uint8Array): void {
    if (this.#used + target.length > this.#pool.length) {
      this.#pool = this.#random.bytes(POOL_LENGTH);
      this.#used = 0;
    }
    for (let index = 0; index < target.length; index++) target[index] = this.#pool[this.#used + index] ?? 0;
    this.#used += target.length;
  }
}

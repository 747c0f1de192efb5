/** Where chance comes from. The host gives the operating system's; the simulator a seeded one. */
export interface RandomSource {
  /** `length` octets that the caller owns. */
  bytes(length: number): Uint8Array;
}

/** An integer from 0 up to but not including `limit` (at most 2^32), without bias worth attacking: for jitter, not keys. */
export function randomBelow(random: RandomSource, limit: number): number {
  const octets = random.bytes(6);
  let value = 0;
  for (const octet of octets) value = value * 256 + octet;
  return value % limit;
}

/** A repeatable source for the simulator and tests (xoshiro128**). Not for keys. */
export class SeededRandom implements RandomSource {
  readonly #state: Uint32Array;

  constructor(seed: number) {
    // splitmix32 spreads a small seed over the whole state; xoshiro must not start at zero.
    let mixed = seed >>> 0;
    this.#state = Uint32Array.from({ length: 4 }, () => {
      mixed = (mixed + 0x9e3779b9) >>> 0;
      let word = mixed;
      word = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
      word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35);
      return (word ^ (word >>> 16)) >>> 0;
    });
  }

  bytes(length: number): Uint8Array {
    const octets = new Uint8Array(length);
    for (let index = 0; index < length; index += 4) {
      const word = this.uint32();
      for (let shift = 0; shift < 4 && index + shift < length; shift++) octets[index + shift] = word >>> (shift * 8);
    }
    return octets;
  }

  uint32(): number {
    const state = this.#state;
    const [s0 = 0, s1 = 0, s2 = 0, s3 = 0] = state;
    const scrambled = Math.imul(rotateLeft(Math.imul(s1, 5), 7), 9) >>> 0;
    const t2 = s2 ^ s0;
    const t3 = s3 ^ s1;
    state[1] = s1 ^ t2;
    state[0] = s0 ^ t3;
    state[2] = t2 ^ (s1 << 9);
    state[3] = rotateLeft(t3, 11);
    return scrambled;
  }

  /** A number in [0, 1). */
  fraction(): number {
    return this.uint32() / 2 ** 32;
  }
}

function rotateLeft(word: number, count: number): number {
  return (word << count) | (word >>> (32 - count));
}

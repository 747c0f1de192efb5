import type { SeededRandom } from '../../src/lib/random.ts';

/** Lengths and counts go wrong at these values. */
const INTERESTING = [0, 1, 2, 3, 4, 7, 8, 15, 16, 27, 28, 31, 32, 63, 64, 127, 128, 129, 254, 255];
const OCTETS_MAX = 4096;
const CHANGES_MAX = 6;

/** Changes inputs at random: octets, fields, pieces, and pieces of others. Repeatable from its seed. */
export class Mutator {
  readonly #random: SeededRandom;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  /** A changed copy of `input`; `others` lend pieces. */
  mutate(input: Uint8Array, others: readonly Uint8Array[]): Uint8Array {
    let octets: Uint8Array = input.slice();
    for (let count = 1 + this.below(CHANGES_MAX); count > 0; count--) octets = this.#change(octets, others);
    return octets.subarray(0, OCTETS_MAX);
  }

  pick<T>(items: readonly T[]): T | undefined {
    return items[this.below(items.length)];
  }

  /** 0 up to but not including `limit`; 0 if that is empty. */
  below(limit: number): number {
    return limit <= 1 ? 0 : this.#random.uint32() % limit;
  }

  #change(octets: Uint8Array, others: readonly Uint8Array[]): Uint8Array {
    const offset = this.below(octets.length);
    switch (this.below(9)) {
      case 0:
        return withOctet(octets, offset, (octets[offset] ?? 0) ^ (1 << this.below(8)));
      case 1:
        return withOctet(octets, offset, this.below(256));
      case 2:
        return withOctet(octets, offset, this.pick(INTERESTING) ?? 0);
      case 3:
        return this.#changeField(octets, offset, 2);
      case 4:
        return this.#changeField(octets, offset, 4);
      case 5:
        return octets.slice(0, offset);
      case 6:
        return splice(octets, offset, this.below(32), new Uint8Array());
      case 7:
        return splice(octets, offset, 0, this.#piece(octets));
      default:
        return splice(octets, offset, this.below(16), this.#piece(this.pick(others) ?? octets));
    }
  }

  /** A big-endian field made a little more or less, or one of the values at which things go wrong. */
  #changeField(octets: Uint8Array, offset: number, length: 2 | 4): Uint8Array {
    if (octets.length < length) return octets;
    const start = Math.min(offset, octets.length - length);
    const changed = octets.slice();
    const view = new DataView(changed.buffer);
    const before = length === 2 ? view.getUint16(start) : view.getUint32(start);
    const near = before + this.below(17) - 8;
    const limit = 2 ** (length * 8);
    const after =
      this.pick([near, this.pick(INTERESTING) ?? 0, limit - 1, changed.length, changed.length - start, limit / 2]) ?? 0;
    if (length === 2) view.setUint16(start, after);
    else view.setUint32(start, after);
    return changed;
  }

  #piece(octets: Uint8Array): Uint8Array {
    const start = this.below(octets.length);
    return octets.slice(start, start + 1 + this.below(64));
  }
}

function withOctet(octets: Uint8Array, offset: number, value: number): Uint8Array {
  if (octets.length === 0) return Uint8Array.of(value);
  const changed = octets.slice();
  changed[offset] = value;
  return changed;
}

function splice(octets: Uint8Array, offset: number, removed: number, inserted: Uint8Array): Uint8Array {
  const tail = octets.subarray(offset + removed);
  const joined = new Uint8Array(offset + inserted.length + tail.length);
  joined.set(octets.subarray(0, offset));
  joined.set(inserted, offset);
  joined.set(tail, offset + inserted.length);
  return joined;
}

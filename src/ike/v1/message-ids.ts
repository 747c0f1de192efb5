import { invariant } from '../../lib/invariant.ts';
import type { RandomSource } from '../../lib/random.ts';

/** IDs of one ISAKMP SA that are remembered: a message captured longer ago than this many exchanges could be played again. */
const REMEMBERED_MAX = 1024;

/** Message IDs that this ISAKMP SA has seen, so that an old exchange cannot be played again (RFC 2409 §5.7 wants them unique). */
export class MessageIds {
  #seen = new Uint32Array(16);
  #count = 0;

  has(messageId: number): boolean {
    const filled = Math.min(this.#count, this.#seen.length);
    return this.#seen.subarray(0, filled).includes(messageId);
  }

  add(messageId: number): void {
    if (this.#count === this.#seen.length && this.#seen.length < REMEMBERED_MAX) {
      const larger = new Uint32Array(this.#seen.length * 2);
      larger.set(this.#seen);
      this.#seen = larger;
    }
    this.#seen[this.#count % this.#seen.length] = messageId;
    this.#count++;
  }

  /** A new one of our own: never zero, which means phase 1. */
  draw(random: RandomSource): number {
    for (let attempt = 0; attempt < 100; attempt++) {
      const octets = random.bytes(4);
      const messageId = new DataView(octets.buffer, octets.byteOffset, 4).getUint32(0);
      if (messageId === 0 || this.has(messageId)) continue;
      this.add(messageId);
      return messageId;
    }
    invariant(false, 'randomness yields a new message ID');
  }
}

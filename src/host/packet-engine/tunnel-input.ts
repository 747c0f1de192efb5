import { HEADROOM, TAILROOM } from '../../ipsec/packet-room.ts';
import { libc } from '../libc.ts';
import type { Arena } from './arena.ts';
import { type IoRing, RING_OPERATIONS_MAX, RingOperation } from './io-ring.ts';
import { TUNNEL_READ_MAX } from './outbound-area.ts';

const SLOTS = RING_OPERATIONS_MAX;
const SLOT_HEADROOM = HEADROOM + 64;
/** Not a multiple of a page, so that the beginnings of slots do not all compete for the same lines of the cache. */
const SLOT_LENGTH = Math.ceil((SLOT_HEADROOM + TUNNEL_READ_MAX + TAILROOM) / 64) * 64;

/**
 * Packets read from TUN devices: with a ring, many in one system call. What was read lies in slots, each with room around it, until `release`; all
 * devices of an engine share them.
 */
export class TunnelInput {
  readonly #arena: Arena;
  readonly #ring: IoRing | undefined;
  readonly #slots: number;
  readonly #lengths = new Int32Array(SLOTS);
  #used = 0;

  constructor(arena: Arena, ring: IoRing | undefined) {
    this.#arena = arena;
    this.#ring = ring;
    this.#slots = arena.reserve(SLOTS * SLOT_LENGTH);
  }

  /** How many packets still find room. */
  get room(): number {
    return SLOTS - this.#used;
  }

  /** The slot that the next packet goes to. */
  get next(): number {
    return this.#used;
  }

  /** Reads what is there, up to `count` packets, into the slots from `next` on; returns how many. There must be room. */
  read(descriptor: number, count: number): number {
    return this.#ring ? this.#readBatch(this.#ring, descriptor, count) : this.#readOneByOne(descriptor, count);
  }

  /** Where in the arena lies what was read into this slot, the device's own header included. */
  offset(slot: number): number {
    return this.#slots + slot * SLOT_LENGTH + SLOT_HEADROOM;
  }

  length(slot: number): number {
    return this.#lengths[slot] ?? 0;
  }

  /** Gives all slots free: what lay in them has been sent. */
  release(): void {
    this.#used = 0;
  }

  #readOneByOne(descriptor: number, count: number): number {
    const { address } = this.#arena.memory;
    for (let done = 0; done < count; done++) {
      const length = libc.read(descriptor, address + this.offset(this.#used), TUNNEL_READ_MAX);
      if (length <= 0) return done;
      this.#lengths[this.#used++] = length;
    }
    return count;
  }

  #readBatch(ring: IoRing, descriptor: number, count: number): number {
    const first = this.#used;
    for (let index = 0; index < count; index++)
      ring.put(RingOperation.read, descriptor, this.offset(first + index), TUNNEL_READ_MAX);
    ring.run();
    // A packet that came while the batch ran may lie behind a slot that found nothing.
    let used = first;
    for (let index = 0; index < count; index++) {
      const length = ring.result(index);
      if (length > 0) this.#keep(used++, first + index, length);
    }
    this.#used = used;
    return used - first;
  }

  #keep(slot: number, from: number, length: number): void {
    this.#lengths[slot] = length;
    if (slot === from) return;
    const offset = this.offset(from);
    this.#arena.memory.bytes.copyWithin(this.offset(slot), offset, offset + length);
  }
}

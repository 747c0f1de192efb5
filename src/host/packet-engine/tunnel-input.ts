import { HEADROOM, TAILROOM } from '../../ipsec/packet-room.ts';
import { libc } from '../libc.ts';
import type { Arena } from './arena.ts';
import { type IoRing, RING_OPERATIONS_MAX, RingOperation } from './io-ring.ts';
import { TUNNEL_READ_MAX } from './outbound-area.ts';

const SLOTS = RING_OPERATIONS_MAX;
/** What is worked on at once should stay in a processor's second-level cache. */
export const OCTETS_AT_ONCE = 256 * 1024;
const SLOT_HEADROOM = HEADROOM + 64;
/** Not a multiple of a page, so that the beginnings of slots do not all compete for the same lines of the cache. */
const SLOT_LENGTH = Math.ceil((SLOT_HEADROOM + TUNNEL_READ_MAX + TAILROOM) / 64) * 64;

/** Somebody who has asked for packets, and handles them when they have been read. */
export interface PacketReader {
  handleRead(): void;
}

/**
 * Packets read from TUN devices: with a ring, those of all devices that have some, in one system call. What was read lies in slots, each with
 * room around it, until all who asked have handled theirs and all has been sent.
 */
export class TunnelInput {
  readonly #arena: Arena;
  readonly #ring: IoRing | undefined;
  readonly #send: () => void;
  readonly #slots: number;
  readonly #descriptors = new Int32Array(SLOTS);
  readonly #lengths = new Int32Array(SLOTS);
  readonly #readers: PacketReader[] = [];
  #readerCount = 0;
  #used = 0;
  /** How many slots are filled at once: fewer where packets are large. */
  #capacity = SLOTS;

  /** `send` sends everything that was made of what was read. */
  constructor(arena: Arena, ring: IoRing | undefined, send: () => void) {
    this.#arena = arena;
    this.#ring = ring;
    this.#send = send;
    this.#slots = arena.reserve(SLOTS * SLOT_LENGTH);
  }

  /** Asks for up to `count` packets of this device, no more than there are slots; returns the first of as many slots in a row. */
  ask(reader: PacketReader, descriptor: number, count: number): number {
    if (this.#used > 0 && this.#used + count > this.#capacity) this.run();
    const first = this.#used;
    for (let index = 0; index < count; index++) this.#descriptors[first + index] = descriptor;
    this.#used += count;
    this.#readers[this.#readerCount++] = reader;
    return first;
  }

  /** Reads what was asked for, has it handled, and sends what comes of it. */
  run(): void {
    if (this.#used === 0) return;
    if (this.#ring) this.#readTogether(this.#ring);
    else this.#readOneByOne();
    this.#adapt();
    const count = this.#readerCount;
    this.#readerCount = 0;
    for (let index = 0; index < count; index++) this.#readers[index]?.handleRead();
    this.#send();
    this.#used = 0;
  }

  /** Where in the arena lies what was read into this slot, the device's own header included. */
  offset(slot: number): number {
    return this.#slots + slot * SLOT_LENGTH + SLOT_HEADROOM;
  }

  /** Octets that were read into this slot: 0 or less if there was nothing. */
  length(slot: number): number {
    return this.#lengths[slot] ?? 0;
  }

  #adapt(): void {
    let count = 0;
    let octets = 0;
    for (let slot = 0; slot < this.#used; slot++) {
      const length = this.length(slot);
      if (length <= 0) continue;
      count++;
      octets += length;
    }
    if (count > 0) this.#capacity = Math.min(SLOTS, Math.ceil((OCTETS_AT_ONCE * count) / octets));
  }

  #readTogether(ring: IoRing): void {
    for (let slot = 0; slot < this.#used; slot++)
      ring.put(RingOperation.read, this.#descriptors[slot] ?? -1, this.offset(slot), TUNNEL_READ_MAX);
    const count = ring.run();
    for (let slot = 0; slot < count; slot++) this.#lengths[slot] = ring.result(slot);
  }

  /** A device that has nothing more is not asked again. */
  #readOneByOne(): void {
    const { address } = this.#arena.memory;
    let empty = -1;
    for (let slot = 0; slot < this.#used; slot++) {
      const descriptor = this.#descriptors[slot] ?? -1;
      const length = descriptor === empty ? 0 : libc.read(descriptor, address + this.offset(slot), TUNNEL_READ_MAX);
      this.#lengths[slot] = length;
      if (length <= 0) empty = descriptor;
    }
  }
}

import { HEADROOM, PACKET_LENGTH_MAX, TAILROOM } from '../../ipsec/packet-room.ts';
import type { Arena } from './arena.ts';

const ALIGNMENT = 16;
/** Octets that a read from a TUN device may take, the device's own header included. */
export const TUNNEL_READ_MAX = PACKET_LENGTH_MAX + 10;
// In front of a packet lie what the data plane needs, and before that the ten octets of a TUN device's header.
const PACKET_HEADROOM = HEADROOM + 64;

/** Where packets on their way out lie until the batch is sent: one after another, each with room around it. */
export class OutboundArea {
  readonly #arena: Arena;
  readonly #start: number;
  readonly #end: number;
  #next: number;

  constructor(arena: Arena, length: number) {
    this.#arena = arena;
    this.#start = arena.reserve(length);
    this.#end = this.#start + length;
    this.#next = this.#start;
  }

  /** Whether `count` packets of up to `length` octets each still fit. */
  hasRoom(length: number, count: number): boolean {
    return this.#next + count * (PACKET_HEADROOM + length + TAILROOM + ALIGNMENT) <= this.#end;
  }

  /** Where the next packet goes; the caller says with `take` how long it has become. */
  get next(): number {
    return this.#next + PACKET_HEADROOM;
  }

  /** Keeps the packet of this length that begins at `next`. */
  take(length: number): void {
    this.#next += PACKET_HEADROOM + length + TAILROOM;
    this.#next = (this.#next + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
  }

  /** Copies a packet that lies elsewhere; returns its offset. There must be room. */
  copy(packet: Uint8Array): number {
    const offset = this.next;
    this.#arena.memory.bytes.set(packet, offset);
    this.take(packet.length);
    return offset;
  }

  /** Forgets everything: the batch has been sent. */
  reset(): void {
    this.#next = this.#start;
  }
}

import type { Instant } from '../../lib/time.ts';
import { ERRNO, lastErrno, libc } from '../libc.ts';
import type { Arena } from './arena.ts';
import type { EngineTally } from './engine-counters.ts';
import type { EngineTunnel } from './messages.ts';
import type { Readable } from './poller.ts';

/** Takes an inner packet at `buffer[start, end)`, with room around it, before it returns. */
export type InnerPacketHandler = (now: Instant, buffer: Uint8Array, start: number, end: number) => void;

const HEADROOM = 256;
const TAILROOM = 256;
const PACKET_LENGTH_MAX = 65_536;
const PACKETS_PER_TURN = 32;

/** One TUN device, packet by packet. */
export class TunnelPort implements Readable {
  readonly descriptor: number;
  readonly #arena: Arena;
  readonly #tally: EngineTally;
  readonly #handlePacket: InnerPacketHandler;
  readonly #readOffset: number;
  readonly #writeOffset: number;

  constructor(arena: Arena, tally: EngineTally, tunnel: EngineTunnel, handlePacket: InnerPacketHandler) {
    this.descriptor = tunnel.descriptor;
    this.#arena = arena;
    this.#tally = tally;
    this.#handlePacket = handlePacket;
    this.#readOffset = sharedBuffer(arena, 'read') + HEADROOM;
    this.#writeOffset = sharedBuffer(arena, 'write');
  }

  handleReadable(now: Instant): void {
    const { bytes, address } = this.#arena.memory;
    for (let count = 0; count < PACKETS_PER_TURN; count++) {
      const length = libc.read(this.descriptor, address + this.#readOffset, PACKET_LENGTH_MAX);
      if (length <= 0) return;
      this.#tally.count('tunnel-read');
      this.#handlePacket(now, bytes, this.#readOffset, this.#readOffset + length);
    }
  }

  /** Gives a packet to the host. Its octets are the caller's again on return. */
  write(packet: Uint8Array): void {
    const { bytes, address } = this.#arena.memory;
    let offset = packet.byteOffset;
    if (!this.#arena.holds(packet)) {
      offset = this.#writeOffset;
      bytes.set(packet, offset);
    }
    if (libc.write(this.descriptor, address + offset, packet.length) >= 0) this.#tally.count('tunnel-written');
    // The device is down, or its queue is full, or the packet is not one that the host takes.
    else this.#tally.count(lastErrno() === ERRNO.EAGAIN ? 'socket-buffer-full' : 'tunnel-write-refused');
  }
}

// One engine thread handles one packet at a time, so all its tunnels share their buffers: a thousand cost no more than one.
const buffers = new WeakMap<Arena, { readonly read: number; readonly write: number }>();

function sharedBuffer(arena: Arena, use: 'read' | 'write'): number {
  let shared = buffers.get(arena);
  if (!shared) {
    const length = HEADROOM + PACKET_LENGTH_MAX + TAILROOM;
    shared = { read: arena.reserve(length), write: arena.reserve(length) };
    buffers.set(arena, shared);
  }
  return shared[use];
}

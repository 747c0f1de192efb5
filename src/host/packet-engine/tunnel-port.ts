import type { Instant } from '../../lib/time.ts';
import { libc } from '../libc.ts';
import type { TunnelOffload } from '../tunnel-device.ts';
import type { Arena } from './arena.ts';
import type { EngineTally } from './engine-counters.ts';
import type { EngineTunnel } from './messages.ts';
import { type OutboundArea, TUNNEL_READ_MAX } from './outbound-area.ts';
import type { Readable } from './poller.ts';
import type { SuperPacketSplitter } from './super-packet.ts';
import type { TunnelTarget } from './tunnel-writer.ts';
import { VIRTIO_HEADER_LENGTH } from './virtio-header.ts';

/** Takes inner packets at `[start, end)` in the arena, with room around them; what is made of them may stay there until the batch is sent. */
export interface InnerPacketHandlers {
  handlePacket(now: Instant, start: number, end: number): void;
  /** A packet that was one with the last one until it was split. */
  handleNextPiece(now: Instant, start: number, end: number): void;
}

/** What all tunnels of one engine share: a thousand of them cost no more buffers than one. */
export interface TunnelSurroundings {
  readonly arena: Arena;
  readonly tally: EngineTally;
  readonly area: OutboundArea;
  readonly splitter: SuperPacketSplitter;
  /** Sends the batch, which empties the outbound area. */
  flush(): void;
}

const READS_PER_TURN = 64;

/** One TUN device: what the host sends into it is read here. */
export class TunnelPort implements Readable, TunnelTarget {
  readonly descriptor: number;
  readonly offload: TunnelOffload;
  readonly #surroundings: TunnelSurroundings;
  readonly #handlers: InnerPacketHandlers;
  readonly #headerLength: number;
  #now: Instant;

  constructor(now: Instant, tunnel: EngineTunnel, surroundings: TunnelSurroundings, handlers: InnerPacketHandlers) {
    this.descriptor = tunnel.descriptor;
    this.offload = tunnel.offload;
    this.#surroundings = surroundings;
    this.#handlers = handlers;
    this.#headerLength = tunnel.offload === 'none' ? 0 : VIRTIO_HEADER_LENGTH;
    this.#now = now;
  }

  handleReadable(now: Instant): void {
    this.#now = now;
    const { arena, tally, area, splitter } = this.#surroundings;
    for (let count = 0; count < READS_PER_TURN; count++) {
      if (!area.hasRoom(TUNNEL_READ_MAX, 1)) this.#surroundings.flush();
      const start = area.next;
      const header = start - this.#headerLength;
      const length = libc.read(this.descriptor, arena.memory.address + header, TUNNEL_READ_MAX) - this.#headerLength;
      if (length <= 0) return;
      tally.count('tunnel-read');
      area.take(length);
      if (this.#headerLength === 0) this.#handlers.handlePacket(now, start, start + length);
      else if (!splitter.split(header, start, start + length, this.#handlePiece)) tally.count('tunnel-malformed');
    }
  }

  readonly #handlePiece = (start: number, end: number, isFirst: boolean): void => {
    if (isFirst) this.#handlers.handlePacket(this.#now, start, end);
    else this.#handlers.handleNextPiece(this.#now, start, end);
  };
}

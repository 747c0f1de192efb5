import type { Instant } from '../../lib/time.ts';
import type { TunnelOffload } from '../tunnel-device.ts';
import type { EngineTally } from './engine-counters.ts';
import { RING_OPERATIONS_MAX } from './io-ring.ts';
import type { EngineTunnel } from './messages.ts';
import type { Readable } from './poller.ts';
import type { SuperPacketSplitter } from './super-packet.ts';
import { OCTETS_AT_ONCE, type PacketReader, type TunnelInput } from './tunnel-input.ts';
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
  readonly tally: EngineTally;
  readonly input: TunnelInput;
  readonly splitter: SuperPacketSplitter;
}

const READS_MAX = RING_OPERATIONS_MAX;

/** One TUN device: what the host sends into it is read here. */
export class TunnelPort implements Readable, PacketReader, TunnelTarget {
  readonly descriptor: number;
  readonly offload: TunnelOffload;
  readonly #surroundings: TunnelSurroundings;
  readonly #handlers: InnerPacketHandlers;
  readonly #headerLength: number;
  #now: Instant;
  /** How many packets to ask for: asking for what is not there costs little, but not nothing. */
  #expected = 1;
  #firstSlot = 0;

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
    this.#firstSlot = this.#surroundings.input.ask(this, this.descriptor, this.#expected);
  }

  handleRead(): void {
    const { tally, input, splitter } = this.#surroundings;
    const asked = this.#expected;
    let count = 0;
    let octets = 0;
    // A packet that came while the batch ran may lie behind a slot that found nothing.
    for (let slot = this.#firstSlot; slot < this.#firstSlot + asked; slot++) {
      const length = input.length(slot);
      if (length <= 0) continue;
      count++;
      octets += length;
      const header = input.offset(slot);
      const start = header + this.#headerLength;
      const end = header + length;
      if (this.#headerLength === 0) this.#handlers.handlePacket(this.#now, start, end);
      else if (end <= start || !splitter.split(header, start, end, this.#handlePiece)) tally.count('tunnel-malformed');
    }
    tally.count('tunnel-read', count);
    if (octets > OCTETS_AT_ONCE) this.#expected = Math.max(1, count >> 1);
    else this.#expected = count < asked ? Math.max(1, count) : Math.min(2 * count, READS_MAX);
  }

  readonly #handlePiece = (start: number, end: number, isFirst: boolean): void => {
    if (isFirst) this.#handlers.handlePacket(this.#now, start, end);
    else this.#handlers.handleNextPiece(this.#now, start, end);
  };
}

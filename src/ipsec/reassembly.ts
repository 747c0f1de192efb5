// Putting fragments together again (RFC 791 §3.2, RFC 8200 §4.5), before verification (RFC 4302 §3.4.1), so that anyone can send them, and
// before selectors that name ports are asked (RFC 4301 §7.3). Everything here is bounded. Fragments that overlap end their datagram (RFC 8200 §4.5 for IPv6; good for IPv4 too).

import { BoundedMap } from '../lib/bounded.ts';
import { elapsed, type Instant } from '../lib/time.ts';
import { rewriteHeader } from './encapsulation.ts';
import type { Flow } from './flow.ts';
import { uint8At, uint16At, uint32At } from './octets.ts';
import { PACKET_LENGTH_MAX } from './packet-room.ts';

const DATAGRAMS_MAX = 64;
const FRAGMENTS_PER_DATAGRAM_MAX = 128;
/** RFC 8200 §4.5 allows a minute; what takes longer than this many milliseconds between two gateways has been lost. */
const PATIENCE = 15_000;
const FRAGMENT_HEADER_LENGTH = 8;

interface Piece {
  readonly offset: number;
  readonly octets: Uint8Array;
}

interface Datagram {
  readonly since: Instant;
  readonly pieces: Piece[];
  /** The IP headers of the first fragment, once it has come. */
  header?: Uint8Array;
  /** From the header's start: the octet that names what follows it. */
  nextHeaderOffset: number;
  protocol: number;
  receivedLength: number;
  /** Octets of the whole payload, once the last fragment has come. */
  totalLength?: number;
}

/** Fragments on their way to becoming datagrams. `drop` hears of each datagram that never will. */
export class Reassembly {
  readonly #datagrams = new BoundedMap<string, Datagram>(DATAGRAMS_MAX);
  readonly #drop: () => void;

  constructor(drop: () => void) {
    this.#drop = drop;
  }

  /**
   * Takes (a copy of) the fragment in `flow`; the result is the whole packet if this was the last piece missing. Only fragments of one `scope`
   * make a packet.
   */
  add(now: Instant, buffer: Uint8Array, flow: Flow, scope = 0): Uint8Array | undefined {
    this.#expire(now);
    const key = `${scope}:${datagramKey(buffer, flow)}`;
    const datagram = this.#datagrams.get(key) ?? this.#begin(now, key);
    if (!addPiece(datagram, buffer, flow)) {
      this.#datagrams.delete(key);
      this.#drop();
      return undefined;
    }
    if (!datagram.header || datagram.receivedLength !== datagram.totalLength) return undefined;
    this.#datagrams.delete(key);
    return assemble(datagram, datagram.header, datagram.totalLength);
  }

  #begin(now: Instant, key: string): Datagram {
    const datagram: Datagram = { since: now, pieces: [], nextHeaderOffset: 0, protocol: 0, receivedLength: 0 };
    if (this.#datagrams.isFull) {
      // The oldest is the least likely to be completed.
      const [oldest] = this.#datagrams.keys();
      if (oldest !== undefined) this.#datagrams.delete(oldest);
      this.#drop();
    }
    this.#datagrams.set(key, datagram);
    return datagram;
  }

  #expire(now: Instant): void {
    for (const [key, datagram] of this.#datagrams) {
      if (elapsed(datagram.since, now) <= PATIENCE) return;
      this.#datagrams.delete(key);
      this.#drop();
    }
  }
}

/** `false` if the fragment contradicts the others, or asks for too much. */
function addPiece(datagram: Datagram, buffer: Uint8Array, flow: Flow): boolean {
  const isIpv4 = flow.family === 4;
  const field = uint16At(buffer, isIpv4 ? flow.start + 6 : flow.fragmentHeaderOffset + 2);
  const offset = isIpv4 ? (field & 0x1fff) * 8 : field & 0xfff8;
  const isLast = (field & (isIpv4 ? 0x2000 : 1)) === 0;
  const start = isIpv4 ? flow.upperOffset : flow.fragmentHeaderOffset + FRAGMENT_HEADER_LENGTH;
  const length = flow.end - start;
  if (length === 0 || (!isLast && length % 8 !== 0) || datagram.pieces.length >= FRAGMENTS_PER_DATAGRAM_MAX)
    return false;
  const end = offset + length;
  if (end > PACKET_LENGTH_MAX) return false;
  if (datagram.pieces.some((piece) => offset < piece.offset + piece.octets.length && piece.offset < end)) return false;
  if (isLast ? datagram.totalLength !== undefined : end > (datagram.totalLength ?? end)) return false;
  if (isLast && datagram.pieces.some((piece) => piece.offset > offset)) return false;
  if (isLast) datagram.totalLength = end;
  if (offset === 0) {
    const headerEnd = isIpv4 ? flow.upperOffset : flow.fragmentHeaderOffset;
    datagram.header = buffer.slice(flow.start, headerEnd);
    datagram.nextHeaderOffset = isIpv4 ? 9 : precedingNextHeader(datagram.header);
    datagram.protocol = isIpv4 ? flow.protocol : uint8At(buffer, flow.fragmentHeaderOffset);
  }
  datagram.pieces.push({ offset, octets: buffer.slice(start, flow.end) });
  datagram.receivedLength += length;
  return true;
}

function assemble(datagram: Datagram, header: Uint8Array, totalLength: number): Uint8Array | undefined {
  const length = header.length + totalLength;
  if (length > PACKET_LENGTH_MAX) return undefined;
  const packet = new Uint8Array(length);
  packet.set(header);
  for (const piece of datagram.pieces) packet.set(piece.octets, header.length + piece.offset);
  // RFC 4302 §3.4.1: whoever puts fragments together clears offset and flag, or the result looks like a fragment still.
  if (uint8At(packet, 0) >>> 4 === 4) packet.fill(0, 6, 8);
  rewriteHeader(packet, 0, datagram.nextHeaderOffset, datagram.protocol, length);
  return packet;
}

/** Walks the unfragmentable part of an IPv6 packet to the octet that named the fragment header. */
function precedingNextHeader(header: Uint8Array): number {
  let nextHeaderOffset = 6;
  for (let offset = 40; offset < header.length; offset += (uint8At(header, offset + 1) + 1) * 8)
    nextHeaderOffset = offset;
  return nextHeaderOffset;
}

function datagramKey(buffer: Uint8Array, flow: Flow): string {
  const isIpv4 = flow.family === 4;
  const identification = isIpv4
    ? `${uint16At(buffer, flow.start + 4)}/${flow.protocol}`
    : `${uint32At(buffer, flow.fragmentHeaderOffset + 4)}`;
  return `${flow.family}:${isIpv4 ? `${flow.addresses[0]},${flow.addresses[4]}` : flow.addresses.join(',')}:${identification}`;
}

// How an SA's headers go around a packet: tunnel or transport mode, ESP or AH, raw or in UDP (RFC 4301 §5.1.2, RFC 4303 §3.1,
// RFC 4302 §3.1, RFC 3948 §3), all in place, outwards from where the packet lies.

import type { RandomSource } from '../lib/random.ts';
import { AuthenticationHeader } from './ah.ts';
import { addToSum, finishChecksum } from './checksum.ts';
import { protectEsp } from './esp.ts';
import {
  IPV4_HEADER_LENGTH,
  IPV6_HEADER_LENGTH,
  PROTOCOL_AH,
  PROTOCOL_ESP,
  PROTOCOL_IPV4,
  PROTOCOL_IPV6,
  PROTOCOL_NO_NEXT_HEADER,
} from './flow.ts';
import { putUint16, uint8At, uint16At } from './octets.ts';
import type { OuterFields } from './outer-header.ts';
import { RandomBlocks } from './random-blocks.ts';
import type { OutboundSa } from './security-association.ts';

const SUBSPACE = 2 ** 32;

/** A packet in a buffer that somebody else knows, and what must be known of its IP headers. */
export interface PacketSpan {
  start: number;
  end: number;
  /** From `start`: where ESP or AH goes in transport mode. */
  protectOffset: number;
  /** From `start`: the octet that names the header at `protectOffset`. */
  nextHeaderOffset: number;
}

/** Puts headers around packets. Owned by one data plane. */
export class Encapsulation {
  readonly #ivs: RandomBlocks;
  readonly #ah = new AuthenticationHeader();
  readonly #mustIdentify: boolean;
  #identification: number;

  /** `mustIdentify`: no IPv4 packet may leave with an identification of zero, since whoever sends it would take that for none. */
  constructor(random: RandomSource, mustIdentify: boolean) {
    this.#ivs = new RandomBlocks(random);
    this.#mustIdentify = mustIdentify;
    const start = random.bytes(2);
    this.#identification = ((start[0] ?? 0) << 8) | (start[1] ?? 0);
  }

  /** Wraps the packet under `sequence`; `span` then is what to transmit: an IP packet, or a UDP payload where the SA has a path. */
  wrap(sa: OutboundSa, sequence: number, buffer: Uint8Array, span: PacketSpan, outer: OuterFields): void {
    if (sa.mode === 'transport') this.#wrapTransport(sa, sequence, buffer, span);
    else this.#wrapTunnel(sa, sequence, buffer, span, outer);
  }

  /** Puts the AH of a bundle around an IP packet that carries ESP already (RFC 4301 §5.1, "transport adjacency"). */
  wrapInAh(ah: OutboundSa, sequence: number, buffer: Uint8Array, span: PacketSpan): void {
    this.#wrapTransport(ah, sequence, buffer, span);
  }

  #wrapTunnel(sa: OutboundSa, sequence: number, buffer: Uint8Array, span: PacketSpan, outer: OuterFields): void {
    const { start, end } = span;
    const high = Math.floor(sequence / SUBSPACE);
    const low = sequence % SUBSPACE;
    const nextHeader = tunnelNextHeader(uint8At(buffer, start) >>> 4);
    const headerStart = start - sa.headerLength;
    if (sa.protocol === 'esp') span.end = protectEsp(sa, high, low, this.#ivs, buffer, start, end, nextHeader);
    span.start = headerStart;
    if (sa.udp) return;
    span.start = headerStart - sa.outer.length;
    span.protectOffset = sa.outer.length;
    span.nextHeaderOffset = sa.outer.length === IPV4_HEADER_LENGTH ? 9 : 6;
    sa.outer.write(buffer, span.start, span.end, outer.trafficClass, outer.dontFragment, this.#nextIdentification());
    if (sa.protocol === 'ah')
      this.#ah.protect(sa, high, low, this.#ivs, buffer, span.start, headerStart, span.end, nextHeader);
  }

  #wrapTransport(sa: OutboundSa, sequence: number, buffer: Uint8Array, span: PacketSpan): void {
    const { start, end, protectOffset, nextHeaderOffset } = span;
    const high = Math.floor(sequence / SUBSPACE);
    const low = sequence % SUBSPACE;
    const payloadStart = start + protectOffset;
    const nextHeader = uint8At(buffer, start + nextHeaderOffset);
    const newStart = start - sa.headerLength;
    buffer.copyWithin(newStart, start, payloadStart);
    if (this.#mustIdentify && !sa.udp) this.#identify(buffer, newStart);
    if (sa.protocol === 'esp') {
      span.end = protectEsp(sa, high, low, this.#ivs, buffer, payloadStart, end, nextHeader);
      span.start = sa.udp ? payloadStart - sa.headerLength : newStart;
      if (!sa.udp) rewriteHeader(buffer, newStart, nextHeaderOffset, PROTOCOL_ESP, span.end);
      return;
    }
    span.start = newStart;
    rewriteHeader(buffer, newStart, nextHeaderOffset, PROTOCOL_AH, end);
    this.#ah.protect(sa, high, low, this.#ivs, buffer, newStart, newStart + protectOffset, end, nextHeader);
  }

  /**
   * A raw socket of Linux writes an IPv4 identification of its own where it finds zero (raw(7)): that would break AH's ICV, which is about
   * it too (RFC 4302 §3.3.3.1.1.1), and give each fragment another.
   */
  #identify(buffer: Uint8Array, start: number): void {
    const isIpv4 = uint8At(buffer, start) >>> 4 === 4;
    if (isIpv4 && uint16At(buffer, start + 4) === 0) putUint16(buffer, start + 4, this.#nextIdentification());
  }

  #nextIdentification(): number {
    this.#identification = (this.#identification % 0xffff) + 1;
    return this.#identification;
  }
}

/** What a tunnel carries is an IP packet, or else a dummy (RFC 4303 §2.6). */
function tunnelNextHeader(version: number): number {
  if (version === 4) return PROTOCOL_IPV4;
  return version === 6 ? PROTOCOL_IPV6 : PROTOCOL_NO_NEXT_HEADER;
}

/** Gives the IP header at `start` another next header and the length up to `end`; mends an IPv4 header's checksum. */
export function rewriteHeader(
  buffer: Uint8Array,
  start: number,
  nextHeaderOffset: number,
  protocol: number,
  end: number,
): void {
  buffer[start + nextHeaderOffset] = protocol;
  if (uint8At(buffer, start) >>> 4 === 6) {
    putUint16(buffer, start + 4, end - start - IPV6_HEADER_LENGTH);
    return;
  }
  putUint16(buffer, start + 2, end - start);
  putUint16(buffer, start + 10, 0);
  const headerEnd = start + (uint8At(buffer, start) & 0x0f) * 4;
  putUint16(buffer, start + 10, finishChecksum(addToSum(0, buffer, start, headerEnd)));
}

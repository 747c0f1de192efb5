// What the selectors look at in an IP packet (RFC 4301 §4.4.1.1), read into one object that is used again for each packet.

import { addressFromOctets, type IpAddress } from '../model/address.ts';
import { putUint32, uint8At, uint16At, uint32At } from './octets.ts';

export const PROTOCOL_HOP_BY_HOP = 0;
export const PROTOCOL_ICMP = 1;
export const PROTOCOL_IPV4 = 4;
export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;
export const PROTOCOL_IPV6 = 41;
export const PROTOCOL_ROUTING = 43;
export const PROTOCOL_FRAGMENT = 44;
export const PROTOCOL_ESP = 50;
export const PROTOCOL_AH = 51;
export const PROTOCOL_ICMPV6 = 58;
export const PROTOCOL_NO_NEXT_HEADER = 59;
export const PROTOCOL_DESTINATION_OPTIONS = 60;
const PROTOCOL_DCCP = 33;
const PROTOCOL_SCTP = 132;
const PROTOCOL_MOBILITY = 135;
const PROTOCOL_UDP_LITE = 136;

/** The packet does not say: a later fragment, or a protocol without ports. Only a selector for any port matches it (RFC 4301 §7). */
export const PORT_UNKNOWN = -1;

export const IPV4_HEADER_LENGTH = 20;
export const IPV6_HEADER_LENGTH = 40;
const ICMP_HEADER_LENGTH = 8;
/** Destination unreachable, source quench, redirect, time exceeded, parameter problem (RFC 1122 §3.2.2). */
const ICMP_ERROR_TYPES: readonly number[] = [3, 4, 5, 11, 12];
/** Types below are errors (RFC 4443 §2.1). */
const ICMPV6_INFORMATIONAL_MIN = 128;
/** Longer chains of extension headers serve nobody but an attacker. */
const EXTENSION_HEADERS_MAX = 8;

/** One IP packet's addresses, protocol and ports, and where its parts lie in the buffer that was read. */
export class Flow {
  /** 0 until a packet has been read. */
  family: 0 | 4 | 6 = 0;
  /** Four words of source, then four of destination; an IPv4 address is in the first of its four. */
  readonly addresses = new Uint32Array(8);
  protocol = 0;
  /** For ICMP both are type x 256 + code. */
  sourcePort = PORT_UNKNOWN;
  destinationPort = PORT_UNKNOWN;
  start = 0;
  /** Where the IP packet ends by its own length field; what follows is TFC padding (RFC 4303 §2.7). */
  end = 0;
  /** Where the upper-layer header starts, behind IPv6 extension headers. */
  upperOffset = 0;
  /** Where the octet lies that names the upper-layer protocol. */
  upperNextHeaderOffset = 0;
  /** Where ESP or AH goes in transport mode: behind the headers that are for the way (RFC 4303 §3.1.1). */
  protectOffset = 0;
  /** Where the octet lies that names the header at `protectOffset`. */
  nextHeaderOffset = 0;
  /** Where a fragment header starts in IPv6; 0 if there is none. */
  fragmentHeaderOffset = 0;
  isFragment = false;
  isLaterFragment = false;
  #isQuotation = false;

  /** Reads the packet that starts at `start` and must end at `end` or before; `false` if it is not a well-formed IP packet. */
  read(buffer: Uint8Array, start: number, end: number): boolean {
    this.start = start;
    this.sourcePort = PORT_UNKNOWN;
    this.destinationPort = PORT_UNKNOWN;
    this.fragmentHeaderOffset = 0;
    this.isFragment = false;
    this.isLaterFragment = false;
    const version = end > start ? uint8At(buffer, start) >>> 4 : 0;
    const isRead = version === 4 ? this.#readIpv4(buffer, end) : version === 6 && this.#readIpv6(buffer, end);
    if (!isRead) {
      this.family = 0;
      return false;
    }
    if (!this.isLaterFragment) this.#readPorts(buffer);
    return true;
  }

  /** The source, at word 0, or the destination, at word 4; a new string, so not for every packet. */
  address(word: 0 | 4): IpAddress {
    const octets = new Uint8Array(this.family === 4 ? 4 : 16);
    for (let index = 0; index < octets.length; index += 4)
      putUint32(octets, index, this.addresses[word + index / 4] ?? 0);
    return addressFromOctets(octets);
  }

  /** DSCP and ECN together: the traffic class. */
  trafficClass(buffer: Uint8Array): number {
    return this.family === 4 ? uint8At(buffer, this.start + 1) : (uint16At(buffer, this.start) >>> 4) & 0xff;
  }

  /** Don't Fragment; IPv6 packets are never fragmented on the way. */
  dontFragment(buffer: Uint8Array): boolean {
    return this.family === 6 || (uint8At(buffer, this.start + 6) & 0x40) !== 0;
  }

  /**
   * Reads the packet that the ICMP error in `error` quotes, as its answer would be: with source and destination exchanged.
   * A quotation may end early. `false` if there is none (RFC 4301 §6.2).
   */
  readAnswerToQuoted(buffer: Uint8Array, error: Flow): boolean {
    if (!error.#isIcmpError(buffer)) return false;
    this.#isQuotation = true;
    const isRead = this.read(buffer, error.upperOffset + ICMP_HEADER_LENGTH, error.end);
    this.#isQuotation = false;
    if (!isRead || this.family !== error.family) return false;
    for (let word = 0; word < 4; word++) {
      const source = this.addresses[word] ?? 0;
      this.addresses[word] = this.addresses[word + 4] ?? 0;
      this.addresses[word + 4] = source;
    }
    const { sourcePort } = this;
    this.sourcePort = this.destinationPort;
    this.destinationPort = sourcePort;
    return true;
  }

  #isIcmpError(buffer: Uint8Array): boolean {
    if (this.isLaterFragment || this.end - this.upperOffset <= ICMP_HEADER_LENGTH) return false;
    const type = uint8At(buffer, this.upperOffset);
    if (this.protocol === PROTOCOL_ICMP) return ICMP_ERROR_TYPES.includes(type);
    return this.protocol === PROTOCOL_ICMPV6 && type < ICMPV6_INFORMATIONAL_MIN;
  }

  #readIpv4(buffer: Uint8Array, end: number): boolean {
    const start = this.start;
    if (end - start < IPV4_HEADER_LENGTH) return false;
    const headerLength = (uint8At(buffer, start) & 0x0f) * 4;
    const totalLength = uint16At(buffer, start + 2);
    if (headerLength < IPV4_HEADER_LENGTH || totalLength < headerLength || headerLength > end - start) return false;
    if (totalLength > end - start && !this.#isQuotation) return false;
    const fragment = uint16At(buffer, start + 6);
    this.family = 4;
    this.isFragment = (fragment & 0x3fff) !== 0;
    this.isLaterFragment = (fragment & 0x1fff) !== 0;
    this.addresses[0] = uint32At(buffer, start + 12);
    this.addresses[4] = uint32At(buffer, start + 16);
    this.protocol = uint8At(buffer, start + 9);
    this.upperOffset = this.protectOffset = start + headerLength;
    this.upperNextHeaderOffset = this.nextHeaderOffset = start + 9;
    this.end = Math.min(start + totalLength, end);
    return true;
  }

  #readIpv6(buffer: Uint8Array, end: number): boolean {
    const start = this.start;
    if (end - start < IPV6_HEADER_LENGTH) return false;
    let packetEnd = start + IPV6_HEADER_LENGTH + uint16At(buffer, start + 4);
    if (packetEnd > end && !this.#isQuotation) return false;
    packetEnd = Math.min(packetEnd, end);
    this.family = 6;
    this.end = packetEnd;
    for (let word = 0; word < 8; word++) this.addresses[word] = uint32At(buffer, start + 8 + word * 4);
    return this.#readExtensionHeaders(buffer, start + IPV6_HEADER_LENGTH, packetEnd);
  }

  #readExtensionHeaders(buffer: Uint8Array, offset: number, end: number): boolean {
    let nextHeaderOffset = this.start + 6;
    let next = uint8At(buffer, nextHeaderOffset);
    let isRouted = false;
    this.protectOffset = 0;
    for (let count = 0; isExtensionHeader(next) && !this.isLaterFragment; count++) {
      if (count === EXTENSION_HEADERS_MAX || end - offset < 8) return false;
      if (next === PROTOCOL_FRAGMENT) this.#readFragmentHeader(buffer, offset);
      // Options behind a routing header are for the destination alone, so they are protected too.
      if (next === PROTOCOL_ROUTING) isRouted = true;
      else if (next === PROTOCOL_DESTINATION_OPTIONS && isRouted) this.#markProtected(offset, nextHeaderOffset);
      const length = next === PROTOCOL_FRAGMENT ? 8 : (uint8At(buffer, offset + 1) + 1) * 8;
      nextHeaderOffset = offset;
      next = uint8At(buffer, offset);
      offset += length;
      if (offset > end) return false;
    }
    this.#markProtected(offset, nextHeaderOffset);
    this.protocol = next;
    this.upperOffset = offset;
    this.upperNextHeaderOffset = nextHeaderOffset;
    return true;
  }

  #readFragmentHeader(buffer: Uint8Array, offset: number): void {
    const fragment = uint16At(buffer, offset + 2);
    this.fragmentHeaderOffset = offset;
    this.isFragment = (fragment & 0xfff9) !== 0;
    this.isLaterFragment = (fragment & 0xfff8) !== 0;
  }

  #markProtected(offset: number, nextHeaderOffset: number): void {
    if (this.protectOffset !== 0) return;
    this.protectOffset = offset;
    this.nextHeaderOffset = nextHeaderOffset;
  }

  #readPorts(buffer: Uint8Array): void {
    const offset = this.upperOffset;
    const length = this.end - offset;
    switch (this.protocol) {
      case PROTOCOL_TCP:
      case PROTOCOL_UDP:
      case PROTOCOL_DCCP:
      case PROTOCOL_SCTP:
      case PROTOCOL_UDP_LITE:
        if (length < 4) return;
        this.sourcePort = uint16At(buffer, offset);
        this.destinationPort = uint16At(buffer, offset + 2);
        return;
      case PROTOCOL_ICMP:
      case PROTOCOL_ICMPV6:
        if (length < 2) return;
        this.sourcePort = this.destinationPort = uint16At(buffer, offset);
        return;
      case PROTOCOL_MOBILITY:
        // RFC 4301 §4.4.1.1: the Mobility Header type stands in the upper eight bits.
        if (length < 3) return;
        this.sourcePort = this.destinationPort = uint8At(buffer, offset + 2) << 8;
        return;
      default:
    }
  }
}

function isExtensionHeader(protocol: number): boolean {
  return (
    protocol === PROTOCOL_HOP_BY_HOP ||
    protocol === PROTOCOL_ROUTING ||
    protocol === PROTOCOL_FRAGMENT ||
    protocol === PROTOCOL_DESTINATION_OPTIONS
  );
}

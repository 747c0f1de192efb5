// What verification leaves is made an IP packet again in transport mode (RFC 4303 §3.1.1, RFC 4302 §3.1.1, RFC 3948 §3.3).

import { addressFamily, addressOctets, type UdpPath } from '../model/address.ts';
import { addToSum, finishChecksum } from './checksum.ts';
import { rewriteHeader } from './encapsulation.ts';
import type { OpenedPacket } from './esp.ts';
import { IPV4_HEADER_LENGTH, IPV6_HEADER_LENGTH, PROTOCOL_TCP, PROTOCOL_UDP } from './flow.ts';
import { putUint16, uint16At } from './octets.ts';
import { setTrafficClass } from './outer-header.ts';

const HOP_LIMIT = 64;

/**
 * Moves the IP headers at `buffer[start, start + protectOffset)` to in front of the payload that was opened, over the ESP or AH
 * between them, and makes them say what follows. The result is where the packet starts; it ends at `opened.end`.
 */
export function closeGap(
  buffer: Uint8Array,
  start: number,
  protectOffset: number,
  nextHeaderOffset: number,
  opened: OpenedPacket,
): number {
  const newStart = opened.start - protectOffset;
  buffer.copyWithin(newStart, start, start + protectOffset);
  rewriteHeader(buffer, newStart, nextHeaderOffset, opened.nextHeader, opened.end);
  return newStart;
}

/**
 * A packet, in a new buffer, from the payload that UDP carried in transport mode. Its addresses and traffic class are the outer header's, so the checksum
 * of a TCP or UDP payload, which may be about other ones behind NAT, is computed anew (RFC 3948 §3.1.2, second way).
 */
export function packetFromPath(
  path: UdpPath,
  buffer: Uint8Array,
  opened: OpenedPacket,
  trafficClass: number,
): Uint8Array {
  const isIpv4 = addressFamily(path.local.address) === 4;
  const headerLength = isIpv4 ? IPV4_HEADER_LENGTH : IPV6_HEADER_LENGTH;
  const packet = new Uint8Array(headerLength + (opened.end - opened.start));
  packet.set(buffer.subarray(opened.start, opened.end), headerLength);
  const addressesAt = isIpv4 ? 12 : 8;
  packet.set(isIpv4 ? [0x45, 0, 0, 0, 0, 0, 0, 0, HOP_LIMIT] : [0x60, 0, 0, 0, 0, 0, 0, HOP_LIMIT]);
  setTrafficClass(packet, 0, trafficClass);
  packet.set(addressOctets(path.remote.address), addressesAt);
  packet.set(addressOctets(path.local.address), addressesAt + (isIpv4 ? 4 : 16));
  rewriteHeader(packet, 0, isIpv4 ? 9 : 6, opened.nextHeader, packet.length);
  mendChecksum(packet, headerLength, addressesAt, opened.nextHeader);
  return packet;
}

function mendChecksum(packet: Uint8Array, headerLength: number, addressesAt: number, protocol: number): void {
  const length = packet.length - headerLength;
  const at = headerLength + (protocol === PROTOCOL_TCP ? 16 : 6);
  if (protocol === PROTOCOL_TCP ? length < 20 : protocol !== PROTOCOL_UDP || length < 8) return;
  // RFC 768: zero says that the sender made no checksum.
  if (protocol === PROTOCOL_UDP && uint16At(packet, at) === 0) return;
  putUint16(packet, at, 0);
  const pseudoHeader = addToSum(length + protocol, packet, addressesAt, headerLength);
  const checksum = finishChecksum(addToSum(pseudoHeader, packet, headerLength, packet.length));
  putUint16(packet, at, checksum === 0 && protocol === PROTOCOL_UDP ? 0xffff : checksum);
}

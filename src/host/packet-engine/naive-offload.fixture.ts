// The naive twin of what a kernel does at a TUN device with offloads: super-packets made, and split, one octet after the other and by the
// text of the RFCs, sharing no code with the engine.

import type { SeededRandom } from '../../lib/random.ts';

const VIRTIO_LENGTH = 10;
const TCP = 6;
const UDP = 17;

/** What is written into a TUN device, or read from it, at once; and the packets that it stands for. */
export interface TunnelFrame {
  /** The `virtio_net_hdr`, then the packet. */
  readonly octets: Uint8Array;
  readonly pieces: readonly Uint8Array[];
}

/** A packet by itself, which asks the device for nothing. */
export function plainFrame(packet: Uint8Array): TunnelFrame {
  const octets = new Uint8Array(VIRTIO_LENGTH + packet.length);
  octets.set(packet, VIRTIO_LENGTH);
  return { octets, pieces: [packet] };
}

/** A super-packet of random form: of either family, TCP or UDP, any flags and options, a few segments or many. */
export function randomSuperPacket(random: SeededRandom, isUdpAllowed: boolean, lengthMax: number): TunnelFrame {
  const below = (limit: number) => Math.floor(random.fraction() * limit);
  const isIpv4 = random.fraction() < 0.6;
  const isTcp = !isUdpAllowed || random.fraction() < 0.6;
  const ipLength = isIpv4 ? 20 + 4 * (random.fraction() < 0.1 ? below(11) : 0) : 40;
  const upperLength = isTcp ? 20 + 4 * (random.fraction() < 0.6 ? 3 : below(11)) : 8;
  const segmentLength = 1 + below(random.fraction() < 0.5 ? 1448 : 100);
  const room = Math.min(lengthMax, 65_535) - ipLength - upperLength;
  const payload = 1 + below(Math.min(room, segmentLength * (1 + below(60))));
  const packet = random.bytes(ipLength + upperLength + payload);
  const view = new DataView(packet.buffer);
  if (isIpv4) {
    // No-operation and end-of-list are options too.
    packet.fill(1, 20, ipLength);
    view.setUint16(0, 0x4000 + (ipLength / 4) * 0x100 + (random.fraction() < 0.2 ? 1 : 0));
    view.setUint16(2, packet.length);
    view.setUint16(6, random.fraction() < 0.7 ? 0x4000 : 0);
    view.setUint16(8, 0x4000 + (isTcp ? TCP : UDP));
    view.setUint32(12, 0x0a010001);
    view.setUint32(16, 0x0a020001);
    putIpv4Checksum(packet, ipLength);
  } else {
    view.setUint32(0, 0x60000000 + below(4));
    view.setUint16(4, packet.length - 40);
    view.setUint16(6, (isTcp ? TCP : UDP) * 0x100 + 64);
    packet.set(ipv6Address(1), 8);
    packet.set(ipv6Address(2), 24);
  }
  if (isTcp) packet[ipLength + 12] = (upperLength / 4) << 4;
  else view.setUint16(ipLength + 4, 8 + payload);
  const checksumOffset = isTcp ? 16 : 6;
  // The kernel leaves the sum of the pseudo-header there, which nobody should rely on for a super-packet: it is for the whole length.
  const pseudo = pseudoSum(packet, isIpv4, isTcp ? TCP : UDP, upperLength + payload);
  view.setUint16(ipLength + checksumOffset, pseudo);
  const isSplit = payload > segmentLength;
  // Rarely by chance: a checksum that comes out as zero.
  if (!isSplit && payload > 1 && random.fraction() < 0.2) {
    const at = ipLength + upperLength;
    put16(packet, at, 0);
    put16(packet, at, 0xffff - foldNaively(sumOf(packet, ipLength, packet.length)));
  }
  const octets = new Uint8Array(VIRTIO_LENGTH + packet.length);
  octets.set(packet, VIRTIO_LENGTH);
  const header = new DataView(octets.buffer);
  header.setUint8(0, 1);
  if (isSplit) header.setUint8(1, (isTcp ? (isIpv4 ? 1 : 4) : 5) | (isTcp && random.fraction() < 0.1 ? 0x80 : 0));
  header.setUint16(2, ipLength + upperLength, true);
  if (isSplit) header.setUint16(4, segmentLength, true);
  header.setUint16(6, ipLength, true);
  header.setUint16(8, checksumOffset, true);
  return { octets, pieces: splitNaively(octets) };
}

/** The packets that a frame stands for. Throws an Error on a frame that the kernel would not take or give. */
export function splitNaively(octets: Uint8Array): readonly Uint8Array[] {
  const header = new DataView(octets.buffer, octets.byteOffset);
  const packet = octets.slice(VIRTIO_LENGTH);
  const kind = header.getUint8(1) & 0x7f;
  const hasChecksumLeft = (header.getUint8(0) & 1) !== 0;
  const [upper, checksumOffset] = [header.getUint16(6, true), header.getUint16(8, true)];
  if (kind === 0) {
    if (hasChecksumLeft) {
      const at = upper + checksumOffset;
      if (at + 2 > packet.length) throw new Error('a checksum outside its packet');
      // The field holds the sum of the pseudo-header, and counts as it stands.
      put16(packet, at, complement(foldNaively(sumOf(packet, upper, packet.length)), true));
    }
    return [packet];
  }
  const isIpv4 = (packet[0] ?? 0) >>> 4 === 4;
  const isTcp = kind !== 5;
  if (!hasChecksumLeft) throw new Error('a super-packet without NEEDS_CSUM');
  if (isTcp && (kind === 1) !== isIpv4) throw new Error('a super-packet of the other family');
  const stated = isIpv4 ? get16(packet, 2) : get16(packet, 4) + 40;
  if (stated !== packet.length) throw new Error(`a super-packet of ${packet.length} octets that says ${stated}`);
  const protocol = packet[isIpv4 ? 9 : 6];
  if (protocol !== (isTcp ? TCP : UDP)) throw new Error(`a super-packet of protocol ${protocol}`);
  const upperLength = isTcp ? ((packet[upper + 12] ?? 0) >>> 4) * 4 : 8;
  const length = header.getUint16(4, true);
  if (header.getUint16(2, true) !== upper + upperLength) throw new Error('a header length that is another');
  const pieces: Uint8Array[] = [];
  for (let at = upper + upperLength; at < packet.length; at += length) {
    const payload = packet.subarray(at, Math.min(at + length, packet.length));
    const piece = new Uint8Array(upper + upperLength + payload.length);
    piece.set(packet.subarray(0, upper + upperLength));
    piece.set(payload, upper + upperLength);
    finishPiece(piece, upper, isIpv4, isTcp, pieces.length, at - upper - upperLength, at + length >= packet.length);
    pieces.push(piece);
  }
  return pieces;
}

function finishPiece(
  piece: Uint8Array,
  upper: number,
  isIpv4: boolean,
  isTcp: boolean,
  index: number,
  position: number,
  isLast: boolean,
): void {
  if (isIpv4) {
    put16(piece, 2, piece.length);
    put16(piece, 4, get16(piece, 4) + index);
    putIpv4Checksum(piece, upper);
  } else put16(piece, 4, piece.length - 40);
  if (isTcp) {
    const view = new DataView(piece.buffer);
    view.setUint32(upper + 4, view.getUint32(upper + 4) + position);
    // CWR only in the first (RFC 3168 §6.1.2), FIN and PSH only in the last.
    let flags = piece[upper + 13] ?? 0;
    if (index > 0) flags &= 0x7f;
    if (!isLast) flags &= 0xf6;
    piece[upper + 13] = flags;
  } else put16(piece, upper + 4, piece.length - upper);
  const at = upper + (isTcp ? 16 : 6);
  put16(piece, at, 0);
  const pseudo = pseudoSum(piece, isIpv4, isTcp ? TCP : UDP, piece.length - upper);
  put16(piece, at, complement(foldNaively(pseudo + sumOf(piece, upper, piece.length)), !isTcp));
}

function putIpv4Checksum(packet: Uint8Array, length: number): void {
  put16(packet, 10, 0);
  put16(packet, 10, complement(foldNaively(sumOf(packet, 0, length)), false));
}

/** RFC 768: a checksum that comes out as zero is sent as all ones. */
function complement(sum: number, isUdp: boolean): number {
  const checksum = ~sum & 0xffff;
  return checksum === 0 && isUdp ? 0xffff : checksum;
}

function pseudoSum(packet: Uint8Array, isIpv4: boolean, protocol: number, length: number): number {
  return foldNaively(sumOf(packet, isIpv4 ? 12 : 8, isIpv4 ? 20 : 40) + protocol + length);
}

/** The sum of big-endian words, an odd last octet being the first of its word (RFC 1071 §1). */
export function sumOf(octets: Uint8Array, start: number, end: number): number {
  let sum = 0;
  for (let at = start; at < end; at += 2) sum += ((octets[at] ?? 0) << 8) + (at + 1 < end ? (octets[at + 1] ?? 0) : 0);
  return sum;
}

export function foldNaively(sum: number): number {
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return sum;
}

function ipv6Address(last: number): Uint8Array {
  return Uint8Array.of(0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last);
}

function get16(octets: Uint8Array, at: number): number {
  return ((octets[at] ?? 0) << 8) | (octets[at + 1] ?? 0);
}

function put16(octets: Uint8Array, at: number, value: number): void {
  octets[at] = value >>> 8;
  octets[at + 1] = value;
}

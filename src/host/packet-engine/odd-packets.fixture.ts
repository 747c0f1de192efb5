// Inner packets beside the flows of FlowMaker: everything else that a host may send into a tunnel, and things that it should not; and what
// happens to outer packets on their way.

import type { SeededRandom } from '../../lib/random.ts';
import { foldNaively, sumOf } from './naive-offload.fixture.ts';

const ICMP = 1;
const TCP = 6;
const UDP = 17;
const ESP = 50;
const ICMPV6 = 58;
const HOP_BY_HOP = 0;
const ROUTING = 43;
const FRAGMENT = 44;
const DESTINATION = 60;

/** A packet of any length up to `lengthMax`, most of them well-formed. */
export function oddPacket(random: SeededRandom, lengthMax: number): Uint8Array {
  const below = (limit: number) => Math.floor(random.fraction() * limit);
  const length = 20 + below(random.fraction() < 0.2 ? lengthMax - 19 : Math.min(1600, lengthMax - 19));
  const packet = random.fraction() < 0.55 ? ipv4Packet(random, length) : ipv6Packet(random, Math.max(length, 40));
  switch (below(12)) {
    case 0:
      // Shorter than it says.
      return packet.slice(0, 1 + below(packet.length));
    case 1:
      // Any one octet of its headers is another.
      packet[below(Math.min(48, packet.length))] = below(256);
      return packet;
    default:
      return packet;
  }
}

function ipv4Packet(random: SeededRandom, length: number): Uint8Array {
  const below = (limit: number) => Math.floor(random.fraction() * limit);
  const headerLength = random.fraction() < 0.2 ? Math.min(20 + 4 * below(11), length & ~3) : 20;
  const packet = random.bytes(length);
  const view = new DataView(packet.buffer);
  packet.fill(1, 20, headerLength);
  view.setUint16(0, 0x4000 + (headerLength / 4) * 0x100 + below(256));
  view.setUint16(2, length);
  const fragment = random.fraction() < 0.2 ? (below(2) << 13) + below(0x2000) : 0;
  view.setUint16(6, (random.fraction() < 0.2 ? 0x4000 : 0) + fragment);
  view.setUint8(8, 1 + below(255));
  view.setUint8(9, [ICMP, TCP, UDP, ESP, below(256)][below(5)] ?? UDP);
  view.setUint32(12, 0x0a010001);
  view.setUint32(16, random.fraction() < 0.95 ? 0x0a020001 : 0xc6336401);
  view.setUint16(10, 0);
  view.setUint16(10, ~foldNaively(sumOf(packet, 0, headerLength)) & 0xffff);
  return packet;
}

function ipv6Packet(random: SeededRandom, length: number): Uint8Array {
  const below = (limit: number) => Math.floor(random.fraction() * limit);
  const packet = random.bytes(length);
  const view = new DataView(packet.buffer);
  view.setUint32(0, 0x60000000 + below(256) * 2 ** 20);
  view.setUint16(4, length - 40);
  view.setUint8(7, 1 + below(255));
  view.setUint32(8, 0x20010db8);
  view.setUint32(24, random.fraction() < 0.95 ? 0x20010db8 : 0x20010db9);
  let [nextHeaderAt, at] = [6, 40];
  for (let count = below(4); count > 0; count--) {
    const kind = [HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION][below(4)] ?? DESTINATION;
    const size = kind === FRAGMENT ? 8 : 8 * (1 + below(3));
    if (at + size > length) break;
    packet[nextHeaderAt] = kind;
    // Options that are all padding (RFC 8200 §4.2); a fragment header's second octet is reserved.
    packet.fill(0, at, at + size);
    if (kind !== FRAGMENT) packet[at + 1] = size / 8 - 1;
    else if (random.fraction() < 0.5) view.setUint16(at + 2, (below(100) << 3) + below(2));
    nextHeaderAt = at;
    at += size;
  }
  packet[nextHeaderAt] = [ICMPV6, TCP, UDP, ESP, below(256)][below(5)] ?? UDP;
  return packet;
}

/** What the outer network makes of packets in a row: lost, doubled, overtaken, damaged, cut off, and old ones again. */
export function disturb(
  random: SeededRandom,
  packets: readonly Uint8Array[],
  old: Uint8Array[],
): readonly Uint8Array[] {
  const below = (limit: number) => Math.floor(random.fraction() * limit);
  const result: Uint8Array[] = [];
  for (const packet of packets) {
    if (old.length < 64) old.push(packet);
    else if (below(8) === 0) old[below(64)] = packet;
    const copy = packet.slice();
    switch (below(24)) {
      case 0:
        continue;
      case 1:
        result.push(copy, copy.slice());
        continue;
      case 2:
        result.splice(Math.max(0, result.length - below(20)), 0, copy);
        continue;
      case 3:
        copy[below(copy.length)] = below(256);
        result.push(copy);
        continue;
      case 4:
        result.push(copy.slice(0, 1 + below(copy.length)));
        continue;
      case 5:
        result.push(copy, (old[below(old.length)] ?? copy).slice());
        continue;
      case 6:
        // Where an SPI, a sequence number and an IV are, raw or in UDP.
        copy[below(Math.min(48, copy.length))] = below(256);
        result.push(copy);
        continue;
      case 7:
        result.push(random.bytes(1 + below(200)), copy);
        continue;
      case 8:
        // Where the ICV is.
        copy[copy.length - 1 - below(Math.min(33, copy.length))] = below(256);
        result.push(copy);
        continue;
      default:
        result.push(copy);
    }
  }
  return result;
}

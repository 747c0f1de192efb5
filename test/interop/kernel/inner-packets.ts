// Packets that the host behind our gateway sends: ICMP and ICMPv6 echo (RFC 792, RFC 4443 §4.1) and UDP, with IPv4 options or IPv6
// extension headers where a case asks for them.

import { addToSum, finishChecksum } from '../../../src/ipsec/checksum.ts';
import { Flow, PROTOCOL_ICMP, PROTOCOL_ICMPV6, PROTOCOL_UDP } from '../../../src/ipsec/flow.ts';
import { concat } from '../../../src/lib/bytes.ts';
import { addressFamily, addressOctets, type IpAddress } from '../../../src/model/address.ts';

const HOP_LIMIT = 64;
const ECHO_REQUEST = { 4: 8, 6: 128 } as const;
const ECHO_REPLY = { 4: 0, 6: 129 } as const;
const CHECKSUM_AT = { [PROTOCOL_ICMP]: 2, [PROTOCOL_ICMPV6]: 2, [PROTOCOL_UDP]: 6 } as const;

/** IPv4 options, or IPv6 extension headers that start with one of protocol `first`. The next header of the last of them is set here. */
export interface ExtraHeaders {
  readonly octets: Uint8Array;
  readonly first?: number;
  /** Where the last extension header starts in `octets`. */
  readonly lastAt?: number;
}

export const NO_EXTRA_HEADERS: ExtraHeaders = { octets: new Uint8Array(0) };

/** What an echo reply answers, or what a UDP datagram carries. */
export interface Echo {
  readonly identifier: number;
  readonly sequence: number;
  readonly data: Uint8Array;
}

/** An echo request in one IP packet of any length. */
export function echoRequest(
  source: IpAddress,
  destination: IpAddress,
  { identifier, sequence, data }: Echo,
  extra: ExtraHeaders = NO_EXTRA_HEADERS,
): Uint8Array {
  const family = addressFamily(source);
  const message = concat(Uint8Array.of(ECHO_REQUEST[family], 0, 0, 0, 0, 0, 0, 0), data);
  const view = new DataView(message.buffer);
  view.setUint16(4, identifier);
  view.setUint16(6, sequence);
  return ipPacket(source, destination, family === 4 ? PROTOCOL_ICMP : PROTOCOL_ICMPV6, message, extra);
}

/** A UDP datagram in one IP packet of any length. */
export function udpPacket(
  source: IpAddress,
  destination: IpAddress,
  ports: { readonly source: number; readonly destination: number },
  data: Uint8Array,
  extra: ExtraHeaders = NO_EXTRA_HEADERS,
): Uint8Array {
  const datagram = concat(new Uint8Array(8), data);
  const view = new DataView(datagram.buffer);
  view.setUint16(0, ports.source);
  view.setUint16(2, ports.destination);
  view.setUint16(4, datagram.length);
  return ipPacket(source, destination, PROTOCOL_UDP, datagram, extra);
}

/** The echo reply in an IP packet; `undefined` if it is none. Throws if its checksum is wrong: the kernel's never is. */
export function readEchoReply(packet: Uint8Array): Echo | undefined {
  const flow = new Flow();
  if (!flow.read(packet, 0, packet.length) || flow.family === 0 || flow.isFragment) return undefined;
  const isIcmp = flow.protocol === (flow.family === 4 ? PROTOCOL_ICMP : PROTOCOL_ICMPV6);
  const at = flow.upperOffset;
  if (!isIcmp || packet[at] !== ECHO_REPLY[flow.family]) return undefined;
  const pseudo = flow.family === 4 ? 0 : pseudoHeaderSum(packet, flow.end - at, PROTOCOL_ICMPV6);
  if (finishChecksum(addToSum(pseudo, packet, at, flow.end)) !== 0)
    throw new Error('an echo reply has a wrong checksum');
  const view = new DataView(packet.buffer, packet.byteOffset);
  return {
    identifier: view.getUint16(at + 4),
    sequence: view.getUint16(at + 6),
    data: packet.slice(at + 8, flow.end),
  };
}

/** The answer of a UDP echo service (RFC 862): source and destination change places, and the checksum stays right. */
export function echoUdp(packet: Uint8Array): Uint8Array | undefined {
  const flow = new Flow();
  if (!flow.read(packet, 0, packet.length) || flow.isFragment || flow.protocol !== PROTOCOL_UDP) return undefined;
  const answer = packet.slice();
  const [addressesAt, addressLength] = flow.family === 4 ? [12, 4] : [8, 16];
  exchange(answer, addressesAt, addressLength);
  exchange(answer, flow.upperOffset, 2);
  return answer;
}

function exchange(octets: Uint8Array, at: number, length: number): void {
  const first = octets.slice(at, at + length);
  octets.copyWithin(at, at + length, at + 2 * length);
  octets.set(first, at + length);
}

/** The checksum of `payload`, whose field is zero, is put in. */
function ipPacket(
  source: IpAddress,
  destination: IpAddress,
  protocol: keyof typeof CHECKSUM_AT,
  payload: Uint8Array,
  extra: ExtraHeaders = NO_EXTRA_HEADERS,
): Uint8Array {
  const family = addressFamily(source);
  const addresses = concat(addressOctets(source), addressOctets(destination));
  const header = new Uint8Array(family === 4 ? 20 : 40);
  header.set(addresses, family === 4 ? 12 : 8);
  const packet = concat(header, extra.octets, payload);
  const view = new DataView(packet.buffer);
  const headersLength = packet.length - payload.length;
  if (family === 4) {
    packet[0] = 0x40 | (headersLength / 4);
    view.setUint16(2, packet.length);
    packet.set([HOP_LIMIT, protocol], 8);
    view.setUint16(10, finishChecksum(addToSum(0, packet, 0, headersLength)));
  } else {
    packet[0] = 0x60;
    view.setUint16(4, packet.length - 40);
    packet.set([extra.first ?? protocol, HOP_LIMIT], 6);
    if (extra.first !== undefined) packet[40 + (extra.lastAt ?? 0)] = protocol;
  }
  // ICMP has no pseudo-header in IPv4.
  const pseudo = protocol === PROTOCOL_ICMP ? 0 : pseudoHeaderSum(packet, payload.length, protocol);
  const checksum = finishChecksum(addToSum(pseudo, packet, headersLength, packet.length));
  view.setUint16(headersLength + CHECKSUM_AT[protocol], checksum === 0 ? 0xffff : checksum);
  return packet;
}

function pseudoHeaderSum(packet: Uint8Array, length: number, protocol: number): number {
  const [start, end] = (packet[0] ?? 0) >>> 4 === 4 ? [12, 20] : [8, 40];
  return addToSum(length + protocol, packet, start, end);
}

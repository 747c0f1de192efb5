// The hosts behind the gateways, as far as a gateway can tell: they send UDP datagrams and ICMP echoes, and answer echoes. Every
// packet carries a pattern that must never be seen on the wire between the gateways, and a serial number.

import { ByteWriter } from '../lib/byte-writer.ts';
import { equalBytes, utf8 } from '../lib/bytes.ts';
import { addressFromOctets, addressOctets, type IpAddress } from '../model/address.ts';

export type ProbeKind = 'udp' | 'echo-request' | 'echo-reply';

/** One inner packet. `serial` is unique for its sender. */
export interface Probe {
  readonly kind: ProbeKind;
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly serial: number;
  /** Octets of filling after the serial number. */
  readonly fill: number;
}

/** In every inner packet, and nowhere else. */
const MARKER = utf8('*in clear: must not be seen*');
const MARKER_FIRST = MARKER[0] ?? 0;
const IPV4_HEADER_LENGTH = 20;
/** UDP's header and ICMP echo's happen to have the same length. */
const NEXT_HEADER_LENGTH = 8;
const PROTOCOL_ICMP = 1;
const PROTOCOL_UDP = 17;
const ICMP_ECHO_REPLY = 0;
const ICMP_ECHO_REQUEST = 8;
const DISCARD_PORT = 9;
const INITIAL_TTL = 64;

/** An IPv4 packet (RFC 791 §3.1) around UDP (RFC 768) or an ICMP echo (RFC 792). */
export function encodeProbe(probe: Probe): Uint8Array {
  const nextHeader = encodeNextHeader(probe);
  const isUdp = probe.kind === 'udp';
  const header = new ByteWriter(IPV4_HEADER_LENGTH + nextHeader.length)
    .uint8(0x45)
    .uint8(0)
    .uint16(IPV4_HEADER_LENGTH + nextHeader.length)
    .uint16(probe.serial & 0xffff)
    .uint16(0)
    .uint8(INITIAL_TTL)
    .uint8(isUdp ? PROTOCOL_UDP : PROTOCOL_ICMP)
    .uint16(0)
    .bytes(addressOctets(probe.source))
    .bytes(addressOctets(probe.destination));
  header.patchUint16(10, internetChecksum(header.finish()));
  return header.bytes(nextHeader).finish();
}

/** The probe in a delivered packet, or `undefined` if one octet of it (but for TTL and header checksum) is not as it was sent. */
export function decodeProbe(packet: Uint8Array): Probe | undefined {
  const fixedLength = IPV4_HEADER_LENGTH + NEXT_HEADER_LENGTH + MARKER.length + 4;
  if (packet.length < fixedLength || packet[0] !== 0x45) return undefined;
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
  const kind = probeKind(view.getUint8(9), view.getUint8(IPV4_HEADER_LENGTH));
  const probe: Probe = {
    kind,
    source: addressFromOctets(packet.subarray(12, 16)),
    destination: addressFromOctets(packet.subarray(16, 20)),
    serial: view.getUint32(fixedLength - 4),
    fill: packet.length - fixedLength,
  };
  const expected = encodeProbe(probe);
  // Octet 8 is the TTL, 10 and 11 the header checksum.
  const isIntact =
    equalBytes(expected.subarray(0, 8), packet.subarray(0, 8)) &&
    expected[9] === packet[9] &&
    equalBytes(expected.subarray(12), packet.subarray(12));
  return isIntact ? probe : undefined;
}

/** What the other host answers, if it answers at all. */
export function answerTo(probe: Probe, serial: number): Probe | undefined {
  if (probe.kind !== 'echo-request') return undefined;
  return { ...probe, kind: 'echo-reply', source: probe.destination, destination: probe.source, serial };
}

/** Whether a packet on the wire shows an inner packet in clear. */
export function containsMarker(octets: Uint8Array): boolean {
  for (let at = octets.indexOf(MARKER_FIRST); at >= 0; at = octets.indexOf(MARKER_FIRST, at + 1)) {
    if (equalBytes(octets.subarray(at, at + MARKER.length), MARKER)) return true;
  }
  return false;
}

function probeKind(protocol: number, icmpType: number): ProbeKind {
  if (protocol === PROTOCOL_UDP) return 'udp';
  return icmpType === ICMP_ECHO_REPLY ? 'echo-reply' : 'echo-request';
}

function encodeNextHeader(probe: Probe): Uint8Array {
  const payload = new ByteWriter()
    .bytes(MARKER)
    .uint32(probe.serial)
    .bytes(new Uint8Array(probe.fill).fill(probe.serial & 0xff))
    .finish();
  const writer = new ByteWriter(NEXT_HEADER_LENGTH + payload.length);
  // A UDP checksum of zero says that there is none (RFC 768).
  if (probe.kind === 'udp') {
    const length = NEXT_HEADER_LENGTH + payload.length;
    return writer.uint16(DISCARD_PORT).uint16(DISCARD_PORT).uint16(length).uint16(0).bytes(payload).finish();
  }
  writer
    .uint8(probe.kind === 'echo-request' ? ICMP_ECHO_REQUEST : ICMP_ECHO_REPLY)
    .uint8(0)
    .uint16(0)
    .uint16(1)
    .uint16(probe.serial & 0xffff)
    .bytes(payload);
  writer.patchUint16(2, internetChecksum(writer.finish()));
  return writer.finish();
}

/** RFC 1071 §1. */
function internetChecksum(octets: Uint8Array): number {
  let sum = 0;
  for (let index = 0; index < octets.length; index += 2) sum += ((octets[index] ?? 0) << 8) | (octets[index + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

// The hosts behind the gateways, as far as a gateway can tell: they send UDP datagrams and ICMP echoes, and answer echoes. Every
// packet carries a pattern that must never be seen on the wire between the gateways, and a serial number.

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
const MARKER_OFFSET = IPV4_HEADER_LENGTH + NEXT_HEADER_LENGTH;
const SERIAL_OFFSET = MARKER_OFFSET + MARKER.length;
const FILL_OFFSET = SERIAL_OFFSET + 4;
const PROTOCOL_ICMP = 1;
const PROTOCOL_UDP = 17;
const ICMP_ECHO_REPLY = 0;
const ICMP_ECHO_REQUEST = 8;
const DISCARD_PORT = 9;
const INITIAL_TTL = 64;

/** An IPv4 packet (RFC 791 §3.1) around UDP (RFC 768) or an ICMP echo (RFC 792). */
export function encodeProbe(probe: Probe): Uint8Array {
  const packet = new Uint8Array(FILL_OFFSET + probe.fill).fill(probe.serial & 0xff, FILL_OFFSET);
  const view = new DataView(packet.buffer);
  view.setUint16(0, 0x4500);
  view.setUint16(2, packet.length);
  view.setUint16(4, probe.serial & 0xffff);
  view.setUint8(8, INITIAL_TTL);
  view.setUint8(9, probe.kind === 'udp' ? PROTOCOL_UDP : PROTOCOL_ICMP);
  packet.set(addressOctets(probe.source), 12);
  packet.set(addressOctets(probe.destination), 16);
  view.setUint16(10, internetChecksum(packet.subarray(0, IPV4_HEADER_LENGTH)));
  packet.set(MARKER, MARKER_OFFSET);
  view.setUint32(SERIAL_OFFSET, probe.serial);
  writeNextHeader(probe, packet.subarray(IPV4_HEADER_LENGTH));
  return packet;
}

/** The probe in a delivered packet, or `undefined` if one octet of it (but for TTL and header checksum) is not as it was sent. */
export function decodeProbe(packet: Uint8Array): Probe | undefined {
  if (packet.length < FILL_OFFSET || packet[0] !== 0x45) return undefined;
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
  const probe: Probe = {
    kind: probeKind(view.getUint8(9), view.getUint8(IPV4_HEADER_LENGTH)),
    source: addressFromOctets(packet.subarray(12, 16)),
    destination: addressFromOctets(packet.subarray(16, 20)),
    serial: view.getUint32(SERIAL_OFFSET),
    fill: packet.length - FILL_OFFSET,
  };
  const expected = encodeProbe(probe);
  // Octet 8 is the TTL, 10 and 11 the header checksum.
  const isIntact = expected.every(
    (octet, index) => octet === packet[index] || index === 8 || index === 10 || index === 11,
  );
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

/** A UDP checksum of zero says that there is none (RFC 768). */
function writeNextHeader(probe: Probe, datagram: Uint8Array): void {
  const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.byteLength);
  if (probe.kind === 'udp') {
    view.setUint16(0, DISCARD_PORT);
    view.setUint16(2, DISCARD_PORT);
    view.setUint16(4, datagram.length);
    return;
  }
  view.setUint8(0, probe.kind === 'echo-request' ? ICMP_ECHO_REQUEST : ICMP_ECHO_REPLY);
  view.setUint16(4, 1);
  view.setUint16(6, probe.serial & 0xffff);
  view.setUint16(2, internetChecksum(datagram));
}

/** RFC 1071 §1. */
function internetChecksum(octets: Uint8Array): number {
  let sum = 0;
  for (let index = 0; index < octets.length; index += 2) sum += ((octets[index] ?? 0) << 8) | (octets[index + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

import { equalBytes } from '../src/lib/bytes.ts';
import { addressFromOctets, type Prefix, prefixRange, rangeContains } from '../src/model/address.ts';

/** What a packet on the wire between the gateways is, judged without any of the keys. */
export type FrameKind = 'esp' | 'esp-in-udp' | 'ike' | 'keepalive' | 'cleartext' | 'other';

/** Every packet that the lab sends between the LANs carries these octets: seen on the wire, they were not encrypted. */
export const PLAINTEXT_MARKER = new TextEncoder().encode('sallyport-lab-plaintext-marker');

const UDP = 17;
const ESP = 50;

/** Looks at a packet from its IP header on; `lans` are the networks that must not appear in an outer header. */
export function classifyFrame(packet: Uint8Array, lans: readonly Prefix[]): FrameKind {
  if (contains(packet, PLAINTEXT_MARKER)) return 'cleartext';
  if ((packet[0] ?? 0) >> 4 !== 4 || packet.length < 20) return 'other';
  const source = addressFromOctets(packet.subarray(12, 16));
  const destination = addressFromOctets(packet.subarray(16, 20));
  const isInside = lans.some(
    (lan) => rangeContains(prefixRange(lan), source) || rangeContains(prefixRange(lan), destination),
  );
  if (isInside) return 'cleartext';
  const protocol = packet[9];
  if (protocol === ESP) return 'esp';
  const header = ((packet[0] ?? 0) & 15) * 4;
  return protocol === UDP ? classifyUdp(packet.subarray(header)) : 'other';
}

function classifyUdp(datagram: Uint8Array): FrameKind {
  if (datagram.length < 9) return 'other';
  const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.byteLength);
  const ports = [view.getUint16(0), view.getUint16(2)];
  if (ports.includes(500)) return 'ike';
  if (!ports.includes(4500)) return 'other';
  if (datagram.length === 9) return 'keepalive';
  // RFC 3948 §2.2: four zero octets where an SPI would be mean IKE.
  return datagram.length >= 12 && view.getUint32(8) === 0 ? 'ike' : 'esp-in-udp';
}

function contains(bytes: Uint8Array, wanted: Uint8Array): boolean {
  const [first = 0] = wanted;
  for (let at = bytes.indexOf(first); at >= 0 && at + wanted.length <= bytes.length; at = bytes.indexOf(first, at + 1))
    if (equalBytes(bytes.subarray(at, at + wanted.length), wanted)) return true;
  return false;
}

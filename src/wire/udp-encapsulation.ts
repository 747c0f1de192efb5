// What shares UDP port 4500: IKE behind a marker, ESP, and NAT keepalives (RFC 3948 §2).

import { concat } from '../lib/bytes.ts';

/** Four zero octets where ESP has its SPI, which is never zero (RFC 3948 §2.2). */
const NON_ESP_MARKER_LENGTH = 4;

export type Udp4500Content = 'ike' | 'esp' | 'keepalive' | 'malformed';

const NON_ESP_MARKER = new Uint8Array(NON_ESP_MARKER_LENGTH);
const KEEPALIVE_OCTET = 0xff;
// SPI and sequence number: with less there is nothing to look up and check.
const ESP_HEADER_LENGTH = 8;

/** Tells what the UDP payload `buffer[start, end)` on port 4500 is, by its first octets only; allocates nothing. */
export function classifyUdp4500(buffer: Uint8Array, start = 0, end = buffer.length): Udp4500Content {
  const length = end - start;
  if (length === 1 && buffer[start] === KEEPALIVE_OCTET) return 'keepalive';
  if (length < NON_ESP_MARKER_LENGTH) return 'malformed';
  if (buffer[start] === 0 && buffer[start + 1] === 0 && buffer[start + 2] === 0 && buffer[start + 3] === 0)
    return 'ike';
  return length < ESP_HEADER_LENGTH ? 'malformed' : 'esp';
}

/** An ISAKMP message as port 4500 carries it, in a new array. */
export function addNonEspMarker(message: Uint8Array): Uint8Array {
  return concat(NON_ESP_MARKER, message);
}

/** The ISAKMP message in a datagram that `classifyUdp4500` called `ike`, as a view. */
export function stripNonEspMarker(datagram: Uint8Array): Uint8Array {
  return datagram.subarray(NON_ESP_MARKER_LENGTH);
}

/** The one octet that keeps a NAT's mapping alive (RFC 3948 §2.3), in a new array. */
export function natKeepalive(): Uint8Array {
  return Uint8Array.of(KEEPALIVE_OCTET);
}

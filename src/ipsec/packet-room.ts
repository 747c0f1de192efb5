// How far the headers of RFC 4303 §2 and RFC 4302 §2 reach around a packet.

/** Octets in front of an inner packet that the data plane writes its headers into: IPv6, AH with the longest ICV, ESP and IV. */
export const HEADROOM = 128;
/** Octets behind an inner packet for padding, trailer and the longest ICV. */
export const TAILROOM = 64;
export const PACKET_LENGTH_MAX = 65_535;

/** A copy of `buffer[start, end)` with room around it: it starts at HEADROOM. */
export function copyWithRoom(buffer: Uint8Array, start: number, end: number): Uint8Array {
  const copy = new Uint8Array(HEADROOM + (end - start) + TAILROOM);
  copy.set(buffer.subarray(start, end), HEADROOM);
  return copy;
}

// What of a packet between gateways is the same whoever has made it.

const IPV6_LENGTH = 40;
const FRAGMENT = 44;

export function isIpv6(packet: Uint8Array): boolean {
  return (packet[0] ?? 0) >>> 4 === 6;
}

/** Whether an IPv6 packet is a fragment. The kernel puts those together before any raw socket sees them. */
export function isIpv6Fragment(packet: Uint8Array): boolean {
  return packet[6] === FRAGMENT;
}

/** How much of a packet no chance has a part in: SPI and sequence number, and the IP header before them. */
export function knownLength(isRaw: boolean, packet: Uint8Array): number {
  if (!isRaw) return 8;
  if (isIpv6(packet)) return IPV6_LENGTH + 8;
  const isLaterFragment = (((packet[6] ?? 0) & 0x1f) | (packet[7] ?? 0)) !== 0;
  return isLaterFragment ? 20 : 28;
}

/** Each data plane numbers its IPv4 packets, and the fragments of IPv6, on from a number that it has drawn. Changes the packet. */
export function withoutIdentification(isRaw: boolean, packet: Uint8Array): Uint8Array {
  if (!isRaw) return packet;
  if (!isIpv6(packet)) return packet.fill(0, 4, 6).fill(0, 10, 12);
  return isIpv6Fragment(packet) ? packet.fill(0, IPV6_LENGTH + 4, IPV6_LENGTH + 8) : packet;
}

/** Whether an IPv4 packet is a fragment. The kernel puts those together before any raw socket sees them. */
export function isIpv4Fragment(packet: Uint8Array): boolean {
  return (((packet[6] ?? 0) & 0x3f) | (packet[7] ?? 0)) !== 0;
}

// What the engine itself reads and writes in IP, TCP and UDP headers (RFC 791, RFC 8200, RFC 9293, RFC 768), by offset in the arena.

export const IPV4_HEADER_LENGTH = 20;
export const IPV6_HEADER_LENGTH = 40;
export const TCP_HEADER_LENGTH = 20;
export const UDP_HEADER_LENGTH = 8;
export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;

/** Offsets from the start of an IPv4 header. */
export const Ipv4 = {
  trafficClass: 1,
  totalLength: 2,
  identification: 4,
  flags: 6,
  ttl: 8,
  protocol: 9,
  checksum: 10,
  addresses: 12,
} as const;
/** Offsets from the start of an IPv6 header. */
export const Ipv6 = { payloadLength: 4, nextHeader: 6, hopLimit: 7, addresses: 8 } as const;
/** Offsets from the start of a TCP header. */
export const Tcp = {
  sequence: 4,
  acknowledgment: 8,
  dataOffset: 12,
  flags: 13,
  window: 14,
  checksum: 16,
  urgentPointer: 18,
} as const;
/** Offsets from the start of a UDP header. */
export const Udp = { length: 4, checksum: 6 } as const;

/** TCP flags (RFC 9293 §3.1, RFC 3168 §6.1). */
export const TcpFlag = { fin: 0x01, push: 0x08, ack: 0x10, cwr: 0x80 } as const;

/** The octets of a 16-bit number the other way round. */
export function swap16(value: number): number {
  return ((value & 0xff) << 8) | ((value >>> 8) & 0xff);
}

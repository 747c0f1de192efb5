// The header in front of each packet of a TUN device with offloads (`struct virtio_net_hdr`), little-endian on the machines we run on.

export const VIRTIO_HEADER_LENGTH = 10;
/** The checksum at `checksumStart + checksumOffset` is left to do: it holds the sum of the pseudo-header. */
export const NEEDS_CHECKSUM = 1;

/** What a super-packet is to be split into. */
export const Segmentation = { none: 0, tcpIpv4: 1, tcpIpv6: 4, udp: 5, ecn: 0x80 } as const;

/** Offsets from the start of the header. */
export const Virtio = {
  flags: 0,
  segmentation: 1,
  headerLength: 2,
  segmentLength: 4,
  checksumStart: 6,
  checksumOffset: 8,
} as const;

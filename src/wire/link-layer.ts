// What stands in front of an IP packet in a capture: Ethernet (RFC 894) with IEEE 802.1Q's VLAN tags, and what capture tools put instead.

/** Link types of captures, by the registry of pcap. */
export const LINK_TYPE = {
  null: 0,
  ethernet: 1,
  rawBsd: 12,
  rawOpenBsd: 14,
  raw: 101,
  loop: 108,
  linuxCooked: 113,
  ipv4: 228,
  ipv6: 229,
  linuxCookedV2: 276,
} as const;

const ETHERTYPE = { ipv4: 0x0800, ipv6: 0x86dd, vlan: 0x8100, serviceVlan: 0x88a8 } as const;
const VLAN_TAGS_MAX = 4;
/** Address families of IPv6 in the null header: BSDs and macOS differ. */
const NULL_FAMILIES = [2, 10, 24, 28, 30];

/** The IP packet in a captured frame, as a view that may have link padding at its end; `undefined` if it holds none. */
export function findIpPacket(linkType: number, frame: Uint8Array): Uint8Array | undefined {
  switch (linkType) {
    case LINK_TYPE.ethernet:
      return findAfterEthertype(frame, 12);
    case LINK_TYPE.linuxCooked:
      return findAfterEthertype(frame, 14);
    case LINK_TYPE.linuxCookedV2:
      return isIpEthertype(uint16At(frame, 0)) ? atLeastOneOctet(frame, 20) : undefined;
    case LINK_TYPE.raw:
    case LINK_TYPE.rawBsd:
    case LINK_TYPE.rawOpenBsd:
    case LINK_TYPE.ipv4:
    case LINK_TYPE.ipv6:
      return atLeastOneOctet(frame, 0);
    case LINK_TYPE.null:
    case LINK_TYPE.loop:
      // The family is in the byte order of whoever captured: one of its four octets is it, the others are zero.
      return NULL_FAMILIES.includes(Math.max(frame[0] ?? 0, frame[3] ?? 0)) ? atLeastOneOctet(frame, 4) : undefined;
    default:
      return undefined;
  }
}

function findAfterEthertype(frame: Uint8Array, offset: number): Uint8Array | undefined {
  for (let tags = 0; tags <= VLAN_TAGS_MAX; tags++) {
    const type = uint16At(frame, offset);
    if (type !== ETHERTYPE.vlan && type !== ETHERTYPE.serviceVlan) {
      return isIpEthertype(type) ? atLeastOneOctet(frame, offset + 2) : undefined;
    }
    offset += 4;
  }
  return undefined;
}

function isIpEthertype(type: number): boolean {
  return type === ETHERTYPE.ipv4 || type === ETHERTYPE.ipv6;
}

function atLeastOneOctet(frame: Uint8Array, offset: number): Uint8Array | undefined {
  return frame.length > offset ? frame.subarray(offset) : undefined;
}

function uint16At(octets: Uint8Array, offset: number): number {
  return ((octets[offset] ?? 0) << 8) | (octets[offset + 1] ?? 0);
}

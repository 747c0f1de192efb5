// The outer IP header of tunnel mode (RFC 4301 §5.1.2), and what its ECN field means to the inner one (RFC 6040).

import { addressFamily, addressOctets, type IpAddress } from '../model/address.ts';
import type { IpsecProtocol } from '../model/ipsec-sa.ts';
import { addToSum, finishChecksum, updateChecksum } from './checksum.ts';
import { IPV4_HEADER_LENGTH, IPV6_HEADER_LENGTH, PROTOCOL_AH, PROTOCOL_ESP } from './flow.ts';
import { putUint16, putUint32, uint8At, uint16At, uint32At } from './octets.ts';

const HOP_LIMIT = 64;
const FLAG_DONT_FRAGMENT = 0x4000;
const ECN_MASK = 0x03;
const ECN_NOT_CAPABLE = 0;
const ECN_CAPABLE_1 = 1;
const ECN_CONGESTION_EXPERIENCED = 3;

/** What of the outer header depends on the packet. */
export interface OuterFields {
  /** DSCP and ECN. */
  trafficClass: number;
  /** IPv4's DF bit; nobody on the way fragments IPv6. */
  dontFragment: boolean;
}

/** The outer header of one outbound SA: everything that never changes is there already, its checksum half summed. */
export class OuterHeader {
  readonly length: number;
  readonly #template: Uint8Array;
  readonly #sum: number;

  constructor(local: IpAddress, remote: IpAddress, protocol: IpsecProtocol) {
    const isIpv4 = addressFamily(remote) === 4;
    this.length = isIpv4 ? IPV4_HEADER_LENGTH : IPV6_HEADER_LENGTH;
    const template = new Uint8Array(this.length);
    const protocolNumber = protocol === 'esp' ? PROTOCOL_ESP : PROTOCOL_AH;
    if (isIpv4) {
      template.set([0x45, 0, 0, 0, 0, 0, 0, 0, HOP_LIMIT, protocolNumber]);
      template.set(addressOctets(local), 12);
      template.set(addressOctets(remote), 16);
    } else {
      template.set([0x60, 0, 0, 0, 0, 0, protocolNumber, HOP_LIMIT]);
      template.set(addressOctets(local), 8);
      template.set(addressOctets(remote), 24);
    }
    this.#template = template;
    this.#sum = addToSum(0, template, 0, template.length);
  }

  /**
   * Writes the header at `start` for a packet that ends at `end`. The traffic class, DSCP and ECN, is the inner one
   * (RFC 6040 §4.1, normal mode). The flow label stays zero: copying it would let flows collide (RFC 4301 §5.1.2.2, note 8).
   */
  write(
    buffer: Uint8Array,
    start: number,
    end: number,
    trafficClass: number,
    dontFragment: boolean,
    identification: number,
  ): void {
    buffer.set(this.#template, start);
    if (this.length === IPV6_HEADER_LENGTH) {
      putUint16(buffer, start, 0x6000 | (trafficClass << 4));
      putUint16(buffer, start + 4, end - start - IPV6_HEADER_LENGTH);
      return;
    }
    const flags = dontFragment ? FLAG_DONT_FRAGMENT : 0;
    buffer[start + 1] = trafficClass;
    putUint16(buffer, start + 2, end - start);
    putUint16(buffer, start + 4, identification);
    putUint16(buffer, start + 6, flags);
    putUint16(buffer, start + 10, finishChecksum(this.#sum + trafficClass + (end - start) + identification + flags));
  }
}

/** The traffic class of the IP packet that starts at `start`, of either family. */
export function trafficClassAt(buffer: Uint8Array, start: number): number {
  return uint8At(buffer, start) >>> 4 === 4 ? uint8At(buffer, start + 1) : (uint16At(buffer, start) >>> 4) & 0xff;
}

/** Overwrites the traffic class of the IP packet that starts at `start`, and mends an IPv4 header's checksum. */
export function setTrafficClass(buffer: Uint8Array, start: number, trafficClass: number): void {
  if (uint8At(buffer, start) >>> 4 === 6) {
    putUint32(buffer, start, (uint32At(buffer, start) & 0xf00fffff) | (trafficClass << 20));
    return;
  }
  const before = uint16At(buffer, start);
  buffer[start + 1] = trafficClass;
  putUint16(buffer, start + 10, updateChecksum(uint16At(buffer, start + 10), before, uint16At(buffer, start)));
}

/**
 * The traffic class that a decapsulated packet leaves with (RFC 6040 §4.2, figure 4), or `undefined` if it must be dropped
 * since its inner header cannot carry the congestion that was experienced. The outer DSCP counts only if the policy says so.
 */
export function innerTrafficClass(inner: number, outer: number, copiesOuterDscp: boolean): number | undefined {
  const innerEcn = inner & ECN_MASK;
  const outerEcn = outer & ECN_MASK;
  let ecn = innerEcn;
  if (innerEcn === ECN_NOT_CAPABLE) {
    if (outerEcn === ECN_CONGESTION_EXPERIENCED) return undefined;
  } else if (outerEcn === ECN_CONGESTION_EXPERIENCED) {
    ecn = ECN_CONGESTION_EXPERIENCED;
  } else if (outerEcn === ECN_CAPABLE_1 && innerEcn !== ECN_CONGESTION_EXPERIENCED) {
    ecn = ECN_CAPABLE_1;
  }
  return ((copiesOuterDscp ? outer : inner) & ~ECN_MASK) | ecn;
}

// Two data planes joined back to back, for tests: what one sends the other receives, on a copy.

import { nodePacketCrypto } from '../crypto/node-packet-provider.ts';
import type { PacketCryptoProvider } from '../crypto/provider.ts';
import { SeededRandom } from '../lib/random.ts';
import { type Instant, instant } from '../lib/time.ts';
import { address, addressOctets, type IpAddress, parsePrefix, prefixRange, type UdpPath } from '../model/address.ts';
import {
  type EncryptionAlgorithm,
  encryptionTraits,
  type IntegrityAlgorithm,
  integrityTraits,
} from '../model/algorithms.ts';
import type { DataPlaneEvent, SecurityPolicy } from '../model/data-plane.ts';
import { type IpsecSa, policyId, spi } from '../model/ipsec-sa.ts';
import { ANY_PORT, type SelectorPair, type TrafficSelector } from '../model/traffic-selector.ts';
import { addToSum, finishChecksum } from './checksum.ts';
import { DataPlane } from './data-plane.ts';
import type { DataPlaneOutbox } from './outbox.ts';
import type { OuterFields } from './outer-header.ts';

export const WEST = address('192.0.2.1');
export const EAST = address('198.51.100.2');
export const WEST6 = address('2001:db8:1::1');
export const EAST6 = address('2001:db8:2::2');
export const POLICY = policyId('office');
export const START = instant(1000);

/** Everything that a data plane handed out, copied. */
export class RecordingOutbox implements DataPlaneOutbox {
  readonly delivered: { readonly tunnelInterface: string | undefined; readonly packet: Uint8Array }[] = [];
  readonly udp: { readonly path: UdpPath; readonly payload: Uint8Array; outer: OuterFields }[] = [];
  readonly ip: Uint8Array[] = [];
  readonly events: DataPlaneEvent[] = [];

  deliver(tunnelInterface: string | undefined, buffer: Uint8Array, start: number, end: number): void {
    this.delivered.push({ tunnelInterface, packet: buffer.slice(start, end) });
  }

  transmitUdp(path: UdpPath, buffer: Uint8Array, start: number, end: number, outer: OuterFields): void {
    this.udp.push({ path, payload: buffer.slice(start, end), outer: { ...outer } });
  }

  transmitIp(_local: IpAddress, _remote: IpAddress, buffer: Uint8Array, start: number, end: number): void {
    this.ip.push(buffer.slice(start, end));
  }

  event(event: DataPlaneEvent): void {
    this.events.push(event);
  }

  kinds(): readonly string[] {
    return this.events.map((event) => event.kind);
  }
}

export function selector(prefix: string, protocol = 0, ports = ANY_PORT): TrafficSelector {
  const parsed = parsePrefix(prefix);
  if (!parsed) throw new RangeError(prefix);
  return { addresses: prefixRange(parsed), protocol, ports };
}

export function selectors(local: string, remote: string): SelectorPair {
  return { local: selector(local), remote: selector(remote) };
}

export interface SaOptions extends Partial<IpsecSa> {
  readonly isUdp?: boolean;
}

const PATH: UdpPath = { local: { address: WEST, port: 4500 }, remote: { address: EAST, port: 4500 } };

export function reversed(path: UdpPath): UdpPath {
  return { local: path.remote, remote: path.local };
}

/** West's outbound SA and the inbound SA of east that belongs to it. */
export function saPair(
  encryption: EncryptionAlgorithm,
  integrity: IntegrityAlgorithm,
  options: SaOptions = {},
): { readonly outbound: IpsecSa; readonly inbound: IpsecSa } {
  const { isUdp = false, ...given } = options;
  const random = new SeededRandom(7);
  const traits = encryptionTraits(encryption);
  const outbound: IpsecSa = {
    direction: 'outbound',
    protocol: 'esp',
    spi: spi(0xc0ffee01),
    mode: 'tunnel',
    policy: POLICY,
    localAddress: WEST,
    remoteAddress: EAST,
    ...(isUdp ? { udp: PATH } : {}),
    encryption,
    encryptionKey: random.bytes(traits.keyLength + traits.saltLength),
    integrity,
    integrityKey: random.bytes(integrityTraits(integrity).keyLength),
    selectors: selectors('10.1.0.0/16', '10.2.0.0/16'),
    extendedSequenceNumbers: false,
    replayWindow: 64,
    lifetime: {},
    ...given,
  };
  const inbound: IpsecSa = {
    ...outbound,
    direction: 'inbound',
    localAddress: outbound.remoteAddress,
    remoteAddress: outbound.localAddress,
    ...(outbound.udp ? { udp: reversed(outbound.udp) } : {}),
    selectors: { local: outbound.selectors.remote, remote: outbound.selectors.local },
  };
  return { outbound, inbound };
}

export function policy(given: Partial<SecurityPolicy> = {}): SecurityPolicy {
  return {
    id: POLICY,
    order: 1,
    action: 'protect',
    selectors: selectors('10.1.0.0/16', '10.2.0.0/16'),
    tunnelInterface: 'st0.0',
    dfBit: 'clear',
    copyOuterDscp: false,
    ...given,
  };
}

export function newPlane(seed = 1, crypto: PacketCryptoProvider = nodePacketCrypto): DataPlane {
  return new DataPlane({ crypto, random: new SeededRandom(seed), isZeroIdentificationReplaced: true });
}

/** West can send to east. */
export class TwoPlanes {
  readonly west: DataPlane;
  readonly east: DataPlane;
  readonly fromWest = new RecordingOutbox();
  readonly fromEast = new RecordingOutbox();
  now: Instant = START;

  constructor(
    sas: { readonly outbound: IpsecSa; readonly inbound: IpsecSa },
    given: Partial<SecurityPolicy> = {},
    eastCrypto: PacketCryptoProvider = nodePacketCrypto,
  ) {
    const { outbound, inbound } = sas;
    this.west = newPlane(1);
    this.east = newPlane(2, eastCrypto);
    const west = policy({ selectors: outbound.selectors, ...given });
    const { local, remote } = west.selectors;
    this.west.handleCommand(this.now, { kind: 'put-policy', policy: west }, this.fromWest);
    const east = { ...west, selectors: { local: remote, remote: local } };
    this.east.handleCommand(this.now, { kind: 'put-policy', policy: east }, this.fromEast);
    this.east.handleCommand(this.now, { kind: 'add-inbound', sa: inbound }, this.fromEast);
    this.west.handleCommand(this.now, { kind: 'add-outbound', sa: outbound }, this.fromWest);
    const use = { kind: 'use-outbound', policy: outbound.policy, spi: outbound.spi } as const;
    this.west.handleCommand(this.now, use, this.fromWest);
  }

  /** West protects this inner packet; the result is how many packets that made. */
  send(inner: Uint8Array): number {
    const before = this.fromWest.udp.length + this.fromWest.ip.length;
    this.west.handleInnerPacket(this.now, 'st0.0', inner.slice(), 0, inner.length, this.fromWest);
    return this.fromWest.udp.length + this.fromWest.ip.length - before;
  }

  /** East receives everything that west has sent since the last time. */
  receiveAll(): void {
    for (const { path, payload, outer } of this.fromWest.udp.splice(0))
      this.east.handleUdpPacket(this.now, reversed(path), payload, this.fromEast, outer.trafficClass);
    for (const packet of this.fromWest.ip.splice(0)) this.east.handleIpPacket(this.now, packet, this.fromEast);
  }

  takeDelivered(): readonly Uint8Array[] {
    return this.fromEast.delivered.splice(0).map(({ packet }) => packet);
  }
}

export interface InnerOptions {
  readonly source?: string;
  readonly destination?: string;
  readonly length?: number;
  readonly protocol?: number;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  readonly dontFragment?: boolean;
  readonly trafficClass?: number;
}

/** A UDP packet of `length` octets in IPv4 or, with such addresses, IPv6; its payload counts up. */
export function innerPacket(options: InnerOptions = {}): Uint8Array {
  const { source = '10.1.0.7', destination = '10.2.0.9', length = 100, protocol = 17, trafficClass = 0 } = options;
  const isIpv6 = source.includes(':');
  const packet = new Uint8Array(length);
  const headerLength = isIpv6 ? 40 : 20;
  for (let index = headerLength; index < length; index++) packet[index] = index;
  const view = new DataView(packet.buffer);
  const addresses = [source, destination].map((text) => selector(text).addresses.first);
  if (isIpv6) {
    view.setUint32(0, 0x60000000 | (trafficClass << 20));
    view.setUint16(4, length - 40);
    packet.set([protocol, 64], 6);
    packet.set(
      addresses.flatMap((value) => [...addressOctets(value)]),
      8,
    );
  } else {
    packet.set([0x45, trafficClass]);
    view.setUint16(2, length);
    view.setUint16(4, 0x1234);
    view.setUint16(6, options.dontFragment === true ? 0x4000 : 0);
    packet.set([64, protocol], 8);
    packet.set(
      addresses.flatMap((value) => [...addressOctets(value)]),
      12,
    );
    view.setUint16(10, finishChecksum(addToSum(0, packet, 0, 20)));
  }
  if (length >= headerLength + 4) {
    view.setUint16(headerLength, options.sourcePort ?? 40_000);
    view.setUint16(headerLength + 2, options.destinationPort ?? 53);
  }
  return packet;
}

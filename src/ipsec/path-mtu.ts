// What routers between the gateways say of packets too big for them (RFC 4301 §8.2, RFC 1191, RFC 8201). Anyone can send such a
// message, so it is believed only if it quotes a packet that one of our SAs has sent lately, and forgotten after a while (§8.2.2).

import { BoundedMap } from '../lib/bounded.ts';
import { after, type Instant, milliseconds, NEVER } from '../lib/time.ts';
import { addressFamily, addressFromOctets, type IpAddress } from '../model/address.ts';
import { type Spi, spi } from '../model/ipsec-sa.ts';
import { Flow, PROTOCOL_AH, PROTOCOL_ESP, PROTOCOL_ICMP, PROTOCOL_ICMPV6, PROTOCOL_UDP } from './flow.ts';
import { uint8At, uint16At, uint32At } from './octets.ts';
import { type OutboundSa, PATH_MTU_DEFAULT } from './security-association.ts';
import type { SecurityAssociationDatabase } from './security-association-database.ts';

const ICMP_HEADER_LENGTH = 8;
const UDP_HEADER_LENGTH = 8;
/** Less than every IPv4 host must take (RFC 791 §3.1) is no news but an attack; the same for IPv6 (RFC 8200 §5). */
const IPV4_MTU_MIN = 576;
const IPV6_MTU_MIN = 1280;
/** Ten minutes, then the path may try again (RFC 1191 §6.3). */
const LIFETIME = milliseconds(600_000);
/** A quoted packet is not older than this many packets. */
const SEQUENCE_DISTANCE_MAX = 65_536;
const PATHS_MAX = 4096;

/** What a "too big" message quotes of the packet that it is about. */
interface TooBig {
  readonly mtu: number;
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly length: number;
  readonly spi: Spi;
  readonly sequence: number;
}

/** What is known of the paths to the peers. */
export class PathMtus {
  readonly #associations: SecurityAssociationDatabase;
  readonly #learned = new BoundedMap<IpAddress, { readonly mtu: number; readonly until: Instant }>(PATHS_MAX);
  /** Of the host's own links, where those are narrower than Ethernet: what a path starts with, and comes back to (RFC 4301 §8.2.2). */
  readonly #links = new BoundedMap<IpAddress, number>(PATHS_MAX);
  readonly #flow = new Flow();
  #nextTimeout: Instant = NEVER;

  constructor(associations: SecurityAssociationDatabase) {
    this.#associations = associations;
  }

  /** What an SA to this peer starts with. */
  get(remoteAddress: IpAddress): number {
    const link = this.#links.get(remoteAddress) ?? PATH_MTU_DEFAULT;
    return Math.min(this.#learned.get(remoteAddress)?.mtu ?? link, link);
  }

  /** What this host's own link towards the peer carries, as the host says: nobody else has a word in it, so it is believed. */
  handleLinkMtu(remoteAddress: IpAddress, mtu: number): void {
    const before = this.get(remoteAddress);
    // Narrower than a host must take is narrower than anything that tunnels through it could bear.
    const octets = Math.max(mtu, addressFamily(remoteAddress) === 4 ? IPV4_MTU_MIN : IPV6_MTU_MIN);
    if (octets >= PATH_MTU_DEFAULT) this.#links.delete(remoteAddress);
    else if (!this.#links.set(remoteAddress, octets)) return;
    const now = this.get(remoteAddress);
    if (now !== before) this.#apply(remoteAddress, now);
  }

  /** Takes a whole IP packet that carries an ICMP error, and believes it or not. */
  handleIcmpError(now: Instant, packet: Uint8Array): void {
    const message = readTooBig(packet, this.#flow);
    if (!message) return;
    const sa = this.#associations.outbound(message.spi).find((each) => isAbout(message, each));
    if (!sa) return;
    const until = after(now, LIFETIME);
    if (!this.#learned.set(message.destination, { mtu: message.mtu, until })) return;
    if (until < this.#nextTimeout) this.#nextTimeout = until;
    this.#apply(message.destination, this.get(message.destination));
  }

  /** Forgets what is too old. */
  handleTimeout(now: Instant): void {
    if (now < this.#nextTimeout) return;
    this.#nextTimeout = NEVER;
    for (const [remoteAddress, { until }] of this.#learned) {
      if (until <= now) {
        this.#learned.delete(remoteAddress);
        this.#apply(remoteAddress, this.get(remoteAddress));
      } else if (until < this.#nextTimeout) {
        this.#nextTimeout = until;
      }
    }
  }

  nextTimeout(): Instant {
    return this.#nextTimeout;
  }

  #apply(remoteAddress: IpAddress, mtu: number): void {
    for (const sa of this.#associations.outboundSas()) if (peerAddress(sa) === remoteAddress) sa.pathMtu = mtu;
  }
}

function peerAddress(sa: OutboundSa): IpAddress {
  return sa.udp?.remote.address ?? sa.remoteAddress;
}

/** Whether the message quotes a packet that this SA has sent, not long ago, and that could not pass. */
function isAbout(message: TooBig, sa: OutboundSa): boolean {
  const localAddress = sa.udp?.local.address ?? sa.localAddress;
  const age = (sa.sequence % 2 ** 32) - message.sequence;
  return (
    message.destination === peerAddress(sa) &&
    message.source === localAddress &&
    age >= 0 &&
    age < SEQUENCE_DISTANCE_MAX &&
    message.mtu < sa.pathMtu &&
    message.mtu < message.length
  );
}

function readTooBig(packet: Uint8Array, flow: Flow): TooBig | undefined {
  if (!flow.read(packet, 0, packet.length) || flow.isFragment) return undefined;
  const at = flow.upperOffset;
  const quoted = at + ICMP_HEADER_LENGTH;
  if (quoted > flow.end) return undefined;
  const typeAndCode = uint16At(packet, at);
  if (flow.family === 4 && flow.protocol === PROTOCOL_ICMP && typeAndCode === 0x0304)
    return readQuotedIpv4(packet.subarray(quoted, flow.end), uint16At(packet, at + 6));
  if (flow.family === 6 && flow.protocol === PROTOCOL_ICMPV6 && typeAndCode === 0x0200)
    return readQuotedIpv6(packet.subarray(quoted, flow.end), uint32At(packet, at + 4));
  return undefined;
}

function readQuotedIpv4(quoted: Uint8Array, mtu: number): TooBig | undefined {
  const headerLength = (uint8At(quoted, 0) & 0x0f) * 4;
  if (quoted.length < 20 || quoted.length < headerLength || uint8At(quoted, 0) >>> 4 !== 4 || mtu < IPV4_MTU_MIN)
    return undefined;
  const identity = readIdentity(uint8At(quoted, 9), quoted.subarray(headerLength));
  if (!identity) return undefined;
  const source = addressFromOctets(quoted.subarray(12, 16));
  const destination = addressFromOctets(quoted.subarray(16, 20));
  return { mtu, source, destination, length: uint16At(quoted, 2), ...identity };
}

function readQuotedIpv6(quoted: Uint8Array, mtu: number): TooBig | undefined {
  if (quoted.length < 40 || uint8At(quoted, 0) >>> 4 !== 6 || mtu < IPV6_MTU_MIN) return undefined;
  const identity = readIdentity(uint8At(quoted, 6), quoted.subarray(40));
  if (!identity) return undefined;
  const source = addressFromOctets(quoted.subarray(8, 24));
  const destination = addressFromOctets(quoted.subarray(24, 40));
  return { mtu, source, destination, length: 40 + uint16At(quoted, 4), ...identity };
}

/** SPI and sequence number of what was quoted; a router that quotes less says nothing that can be believed. */
function readIdentity(protocol: number, payload: Uint8Array): Pick<TooBig, 'spi' | 'sequence'> | undefined {
  const at = protocol === PROTOCOL_UDP ? UDP_HEADER_LENGTH : protocol === PROTOCOL_AH ? 4 : 0;
  if (protocol !== PROTOCOL_UDP && protocol !== PROTOCOL_AH && protocol !== PROTOCOL_ESP) return undefined;
  if (payload.length < at + 8) return undefined;
  return { spi: spi(uint32At(payload, at)), sequence: uint32At(payload, at + 4) };
}

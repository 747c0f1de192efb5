// The life of a packet on its way in, top to bottom (RFC 4301 §5.2, RFC 4303 §3.4):
//  1. outer IP header, for a raw packet; fragments wait for the rest of their datagram
//  2. find the SA by its SPI; early packets of an SA under negotiation are held, those of nobody counted
//  3. is the sequence number fresh? (checked before the ICV, to reject replays cheaply)
//  4. verify the ICV, and only then decrypt
//  5. accept the sequence number: only a verified packet moves the window
//  6. padding and next header; dummies end here
//  7. the inner packet must be one that this SA may carry
//  8. ECN and, where configured, DSCP of the outer header; TCP's maximum segment size
//  9. deliver; count it, and report limits, liveness and a moved path

import type { Instant } from '../lib/time.ts';
import { addressFromOctets, type UdpPath } from '../model/address.ts';
import { type Spi, spi } from '../model/ipsec-sa.ts';
import type { Counters, DropCause } from './counters.ts';
import { EarlyPackets } from './early-packets.ts';
import { espSequence, type OpenedPacket, openEsp } from './esp.ts';
import { Flow, PROTOCOL_AH, PROTOCOL_ESP, PROTOCOL_IPV4, PROTOCOL_IPV6, PROTOCOL_NO_NEXT_HEADER } from './flow.ts';
import { uint32At } from './octets.ts';
import type { DataPlaneOutbox } from './outbox.ts';
import { innerTrafficClass, setTrafficClass, trafficClassAt } from './outer-header.ts';
import { RateLimit } from './rate-limit.ts';
import type { InboundSa } from './security-association.ts';
import { type SecurityAssociationDatabase, samePath } from './security-association-database.ts';
import type { SecurityPolicyDatabase } from './security-policy-database.ts';
import { clampTcpMss } from './tcp-mss.ts';

const ESP_HEADER_LENGTH = 8;
const UNKNOWN_SPI_EVENTS_PER_SECOND_MAX = 10;
/** Where no outer header is to be seen: what UDP carried it in stays with the host. */
const NO_TRAFFIC_CLASS = -1;

/** Opens what arrives. Owned by one data plane; works in the caller's buffer and keeps none. */
export class Inbound {
  readonly #associations: SecurityAssociationDatabase;
  readonly #policies: SecurityPolicyDatabase;
  readonly #counters: Counters;
  readonly #outer = new Flow();
  readonly #inner = new Flow();
  readonly #opened: OpenedPacket = { start: 0, end: 0, nextHeader: 0 };
  readonly #early = new EarlyPackets();
  readonly #unknownSpiEvents = new RateLimit(UNKNOWN_SPI_EVENTS_PER_SECOND_MAX);

  constructor(associations: SecurityAssociationDatabase, policies: SecurityPolicyDatabase, counters: Counters) {
    this.#associations = associations;
    this.#policies = policies;
    this.#counters = counters;
  }

  /** Opens the ESP packet that a UDP payload is (RFC 3948 §2.1), in place. */
  handleUdpPacket(now: Instant, path: UdpPath, payload: Uint8Array, out: DataPlaneOutbox): void {
    const cause = this.#processUdp(now, path, payload, out);
    if (cause !== undefined) this.#counters.drop(cause);
  }

  /** Opens the ESP or AH packet inside a whole IP packet, in place. */
  handleIpPacket(now: Instant, packet: Uint8Array, out: DataPlaneOutbox): void {
    const cause = this.#processIp(now, packet, out);
    if (cause !== undefined) this.#counters.drop(cause, this.#outer.protocol === PROTOCOL_AH ? 'ah' : 'esp');
  }

  /** Opens what came before its SA was there; called once it is. */
  flushEarly(now: Instant, number: Spi, out: DataPlaneOutbox): void {
    for (const { path, packet } of this.#early.take(number)) {
      if (path) this.handleUdpPacket(now, path, packet, out);
      else this.handleIpPacket(now, packet, out);
    }
  }

  /** Drops what waits for a reservation that is given back. */
  forgetEarly(number: Spi): void {
    for (const _ of this.#early.take(number)) this.#counters.drop('early-packet');
  }

  #processUdp(now: Instant, path: UdpPath, payload: Uint8Array, out: DataPlaneOutbox): DropCause | undefined {
    if (payload.length < ESP_HEADER_LENGTH) return 'truncated';
    const number = spi(uint32At(payload, 0));
    const sa = this.#associations.inbound(number);
    if (sa?.protocol !== 'esp') return this.#handleUnknownUdp(now, number, path, payload, out);
    if (!sa.udp) return 'wrong-encapsulation';
    const before = sa.window.highest;
    const cause = this.#openEsp(now, sa, payload, 0, payload.length, NO_TRAFFIC_CLASS, out);
    // A packet that was only overtaken says nothing new about where the peer is.
    const isNews = path !== sa.udp && sa.window.highest > before && !samePath(path, sa.udp);
    if (isNews && sa.usage.isPathEventDue(now))
      out.event({ kind: 'path-moved', spi: sa.spi, policy: sa.policy, from: sa.udp, to: path });
    return cause;
  }

  #processIp(now: Instant, packet: Uint8Array, out: DataPlaneOutbox): DropCause | undefined {
    const outer = this.#outer;
    if (!outer.read(packet, 0, packet.length)) return 'malformed-outer';
    if (outer.isFragment) return 'reassembly-failed';
    if (outer.protocol !== PROTOCOL_ESP) return 'malformed-outer';
    const start = outer.upperOffset;
    if (outer.end - start < ESP_HEADER_LENGTH) return 'truncated';
    const number = spi(uint32At(packet, start));
    const sa = this.#associations.inbound(number);
    if (sa?.protocol !== 'esp') return this.#handleUnknownIp(now, number, packet, out);
    if (sa.udp) return 'wrong-encapsulation';
    return this.#openEsp(now, sa, packet, start, outer.end, trafficClassAt(packet, 0), out);
  }

  /** Steps 3 to 9. */
  #openEsp(
    now: Instant,
    sa: InboundSa,
    buffer: Uint8Array,
    start: number,
    end: number,
    outerTrafficClass: number,
    out: DataPlaneOutbox,
  ): DropCause | undefined {
    if (sa.usage.isHardExpired) return 'expired-sa';
    const low = espSequence(buffer, start);
    const sequence = sa.transform.isExtended ? sa.window.extend(low) : low;
    if (!sa.window.isFresh(sequence)) return 'replayed';
    const cause = openEsp(sa, sequence, buffer, start, end, this.#opened);
    if (cause === 'truncated' || cause === 'partial-block' || cause === 'bad-icv') return cause;
    sa.window.accept(sequence);
    if (sa.usage.isTrafficEventDue(now)) out.event({ kind: 'inbound-traffic', spi: sa.spi, policy: sa.policy });
    return cause ?? this.#deliver(sa, buffer, outerTrafficClass, out);
  }

  /** Steps 6 to 9, for the verified payload in `#opened`. */
  #deliver(sa: InboundSa, buffer: Uint8Array, outerTrafficClass: number, out: DataPlaneOutbox): DropCause | undefined {
    const { start, end, nextHeader } = this.#opened;
    if (nextHeader === PROTOCOL_NO_NEXT_HEADER) {
      // RFC 4303 §2.6: a dummy packet is dropped without prejudice.
      this.#counters.countDummy();
      return undefined;
    }
    if (nextHeader !== PROTOCOL_IPV4 && nextHeader !== PROTOCOL_IPV6) return 'bad-next-header';
    const inner = this.#inner;
    const version = nextHeader === PROTOCOL_IPV4 ? 4 : 6;
    if (!inner.read(buffer, start, end) || inner.family !== version) return 'malformed-inner';
    if (!sa.selectors.matches(inner, 'inbound')) return 'selector-mismatch';
    const policy = this.#policies.get(sa.policy)?.policy;
    if (!policy) return 'no-policy';
    if (outerTrafficClass !== NO_TRAFFIC_CLASS) {
      const before = trafficClassAt(buffer, start);
      const trafficClass = innerTrafficClass(before, outerTrafficClass, policy.copyOuterDscp);
      if (trafficClass === undefined) return 'ecn-not-capable';
      if (trafficClass !== before) setTrafficClass(buffer, start, trafficClass);
    }
    if (policy.tcpMss !== undefined) clampTcpMss(buffer, inner, policy.tcpMss);
    const length = inner.end - start;
    this.#counters.countOpened(sa.protocol, length);
    const limit = sa.usage.count(length);
    out.deliver(policy.tunnelInterface, buffer.subarray(start, inner.end));
    if (limit !== undefined)
      out.event({ kind: `${limit}-expired`, direction: 'inbound', spi: sa.spi, policy: sa.policy });
    return undefined;
  }

  #handleUnknownUdp(
    now: Instant,
    number: Spi,
    path: UdpPath,
    payload: Uint8Array,
    out: DataPlaneOutbox,
  ): DropCause | undefined {
    if (this.#associations.isReserved(number, 'esp'))
      return this.#early.hold(number, path, payload) ? undefined : 'early-packet';
    if (this.#unknownSpiEvents.take(now))
      out.event({
        kind: 'unknown-spi',
        spi: number,
        protocol: 'esp',
        localAddress: path.local.address,
        remoteAddress: path.remote.address,
        udp: path,
      });
    return 'unknown-spi';
  }

  #handleUnknownIp(now: Instant, number: Spi, packet: Uint8Array, out: DataPlaneOutbox): DropCause | undefined {
    const protocol = this.#outer.protocol === PROTOCOL_AH ? 'ah' : 'esp';
    if (this.#associations.isReserved(number, protocol))
      return this.#early.hold(number, undefined, packet) ? undefined : 'early-packet';
    if (this.#unknownSpiEvents.take(now)) {
      const isIpv4 = this.#outer.family === 4;
      const remoteAddress = addressFromOctets(isIpv4 ? packet.slice(12, 16) : packet.slice(8, 24));
      const localAddress = addressFromOctets(isIpv4 ? packet.slice(16, 20) : packet.slice(24, 40));
      out.event({ kind: 'unknown-spi', spi: number, protocol, localAddress, remoteAddress });
    }
    return 'unknown-spi';
  }
}

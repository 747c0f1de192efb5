// The life of a packet on its way in, top to bottom (RFC 4301 §5.2, RFC 4303 §3.4):
//  1. outer IP header, for a raw packet; fragments wait for the rest of their datagram
//  2. find the SA by its SPI; early packets of an SA under negotiation are held, those of nobody counted
//  3. is the sequence number fresh? (checked before the ICV, to reject replays cheaply)
//  4. verify the ICV, and only then decrypt
//  5. accept the sequence number: only a verified packet moves the window
//  6. padding and next header; dummies end here
//  7. the inner packet must be one that this SA may carry; where its selectors name ports, fragments wait for the rest of their packet
//  8. ECN and, where configured, DSCP of the outer header; TCP's maximum segment size
//  9. deliver, or answer a probe of the tunnel itself; count it, and report limits, liveness and a moved path

import type { Instant } from '../lib/time.ts';
import type { UdpPath } from '../model/address.ts';
import type { SecurityPolicy } from '../model/data-plane.ts';
import { type IpsecProtocol, type Spi, spi } from '../model/ipsec-sa.ts';
import { AuthenticationHeader, ahSequence } from './ah.ts';
import type { Counters, DropCause } from './counters.ts';
import { closeGap, packetFromPath } from './decapsulation.ts';
import { EarlyPackets } from './early-packets.ts';
import { espSequence, type OpenedPacket, openEsp } from './esp.ts';
import { Flow, PROTOCOL_AH, PROTOCOL_ESP, PROTOCOL_IPV4, PROTOCOL_IPV6, PROTOCOL_NO_NEXT_HEADER } from './flow.ts';
import { uint32At } from './octets.ts';
import type { Outbound } from './outbound.ts';
import type { DataPlaneOutbox } from './outbox.ts';
import { innerTrafficClass, setTrafficClass, trafficClassAt } from './outer-header.ts';
import { RateLimit } from './rate-limit.ts';
import { Reassembly } from './reassembly.ts';
import { Resynchronization } from './resynchronization.ts';
import type { LifetimeLimit } from './sa-usage.ts';
import type { InboundSa } from './security-association.ts';
import { type SecurityAssociationDatabase, samePath } from './security-association-database.ts';
import type { SecurityPolicyDatabase } from './security-policy-database.ts';
import { clampTcpMss } from './tcp-mss.ts';
import { turnProbeIntoAnswer } from './vpn-monitor.ts';

const ESP_HEADER_LENGTH = 8;
const AH_FIXED_LENGTH = 12;
const SUBSPACE = 2 ** 32;
const UNKNOWN_SPI_EVENTS_PER_SECOND_MAX = 10;
/** Where the host keeps the outer header to itself. */
const NO_TRAFFIC_CLASS = -1;

/** Opens what arrives. Owned by one data plane; works in the caller's buffer and keeps none. */
export class Inbound {
  readonly #associations: SecurityAssociationDatabase;
  readonly #policies: SecurityPolicyDatabase;
  readonly #counters: Counters;
  readonly #outbound: Outbound;
  readonly #outer = new Flow();
  readonly #inner = new Flow();
  readonly #quoted = new Flow();
  readonly #opened: OpenedPacket = { start: 0, end: 0, nextHeader: 0 };
  readonly #ah = new AuthenticationHeader();
  readonly #reassembly: Reassembly;
  /** Of fragments that peers have protected, each SA's by themselves: they must be whole for selectors that name ports. */
  readonly #innerReassembly: Reassembly;
  readonly #early = new EarlyPackets();
  readonly #resynchronization = new Resynchronization();
  #retried: DropCause | undefined;
  /** That of the packet under way, once it is known. */
  #sa: InboundSa | undefined;
  readonly #unknownSpiEvents = new RateLimit(UNKNOWN_SPI_EVENTS_PER_SECOND_MAX);

  /** Answers to probes leave through `outbound`. */
  constructor(
    associations: SecurityAssociationDatabase,
    policies: SecurityPolicyDatabase,
    counters: Counters,
    outbound: Outbound,
  ) {
    this.#associations = associations;
    this.#policies = policies;
    this.#counters = counters;
    this.#outbound = outbound;
    const drop = () => counters.drop('reassembly-failed');
    this.#reassembly = new Reassembly(drop);
    this.#innerReassembly = new Reassembly(drop);
  }

  /** Opens the ESP packet that the UDP payload at `buffer[start, end)` is (RFC 3948 §2.1), in place. The traffic class is that of the IP header in front of it, if known. */
  handleUdpPacket(
    now: Instant,
    path: UdpPath,
    buffer: Uint8Array,
    start: number,
    end: number,
    out: DataPlaneOutbox,
    trafficClass = NO_TRAFFIC_CLASS,
  ): void {
    this.#sa = undefined;
    const cause = this.#processUdp(now, path, buffer, start, end, trafficClass, out);
    if (cause !== undefined) this.#drop(cause, 'esp');
  }

  /** Opens the ESP or AH packet inside the whole IP packet at `buffer[start, end)`, in place. */
  handleIpPacket(now: Instant, buffer: Uint8Array, start: number, end: number, out: DataPlaneOutbox): void {
    this.#sa = undefined;
    const cause = this.#processIp(now, buffer, start, end, out);
    if (cause !== undefined) this.#drop(cause, this.#outer.protocol === PROTOCOL_AH ? 'ah' : 'esp');
  }

  /** Opens what came before its SA was there; called once it is. */
  flushEarly(now: Instant, number: Spi, out: DataPlaneOutbox): void {
    for (const { path, packet, trafficClass } of this.#early.take(number)) {
      if (path) this.handleUdpPacket(now, path, packet, 0, packet.length, out, trafficClass);
      else this.handleIpPacket(now, packet, 0, packet.length, out);
    }
  }

  /** Drops what waits for a reservation that is given back. */
  forgetEarly(number: Spi): void {
    for (const _ of this.#early.take(number)) this.#counters.drop('early-packet');
  }

  /** Counts the packet under way in total, and for its SA if it has found one. */
  #drop(cause: DropCause, protocol: IpsecProtocol): void {
    this.#counters.drop(cause, protocol);
    this.#sa?.usage.drop(cause);
  }

  #processUdp(
    now: Instant,
    path: UdpPath,
    buffer: Uint8Array,
    start: number,
    end: number,
    trafficClass: number,
    out: DataPlaneOutbox,
  ): DropCause | undefined {
    if (end - start < ESP_HEADER_LENGTH) return 'truncated';
    const sa = this.#associations.inboundAt(buffer, start);
    if (sa?.protocol !== 'esp')
      return this.#handleUnknownUdp(now, path, buffer.subarray(start, end), trafficClass, out);
    this.#sa = sa;
    if (!sa.udp || sa.wrappedInAh !== undefined) return 'wrong-encapsulation';
    const before = sa.window.highest;
    const cause = this.#open(now, sa, buffer, start, start, end, out);
    // A packet that was only overtaken says nothing new about where the peer is.
    const isNews = path !== sa.udp && sa.isVerifying && sa.window.highest > before && !samePath(path, sa.udp);
    if (isNews && sa.usage.isPathEventDue(now))
      out.event({ kind: 'path-moved', spi: sa.spi, policy: sa.policy, from: sa.udp, to: path });
    if (cause !== undefined || this.#isDummy()) return cause;
    if (sa.mode === 'tunnel') return this.#deliverTunnel(now, sa, buffer, trafficClass, out);
    const packet = packetFromPath(path, buffer, this.#opened, Math.max(trafficClass, 0));
    if (!this.#inner.read(packet, 0, packet.length)) return 'malformed-inner';
    if (!sa.selectors.matchesUpperLayer(this.#inner)) return 'selector-mismatch';
    return this.#deliver(sa, this.#policies.get(sa.policy)?.policy, packet, this.#opened.end - this.#opened.start, out);
  }

  #processIp(
    now: Instant,
    buffer: Uint8Array,
    start: number,
    end: number,
    out: DataPlaneOutbox,
  ): DropCause | undefined {
    const outer = this.#outer;
    if (!outer.read(buffer, start, end)) return 'malformed-outer';
    if (outer.fragmentHeaderOffset === 0 && !outer.isFragment) return this.#unwrap(now, buffer, undefined, out);
    if (outer.family === 4 && !isIpsec(outer.protocol)) return 'malformed-outer';
    const whole = this.#reassembly.add(now, buffer, outer);
    if (!whole) return undefined;
    if (!outer.read(whole, 0, whole.length) || outer.fragmentHeaderOffset !== 0) return 'malformed-outer';
    return this.#unwrap(now, whole, undefined, out);
  }

  /** Steps 2 to 9, for the whole IP packet in `#outer`; `ah` is the SA of the AH that was around it, in a bundle. */
  #unwrap(now: Instant, buffer: Uint8Array, ah: InboundSa | undefined, out: DataPlaneOutbox): DropCause | undefined {
    const outer = this.#outer;
    if (!isIpsec(outer.protocol)) return 'malformed-outer';
    const protocol = outer.protocol === PROTOCOL_AH ? 'ah' : 'esp';
    const at = outer.upperOffset;
    if (outer.end - at < (protocol === 'ah' ? AH_FIXED_LENGTH : ESP_HEADER_LENGTH)) return 'truncated';
    const number = spi(uint32At(buffer, protocol === 'ah' ? at + 4 : at));
    const sa = this.#associations.inbound(number);
    if (sa?.protocol !== protocol) return this.#handleUnknownIp(now, number, protocol, buffer, out);
    this.#sa = sa;
    // Both halves of a bundle, or neither: ESP that was agreed to be inside AH is not taken without it.
    if (sa.udp || sa.wrappedInAh !== ah?.spi) return 'wrong-encapsulation';
    const cause = this.#open(now, sa, buffer, outer.start, at, outer.end, out);
    if (cause !== undefined || this.#isDummy()) return cause;
    if (protocol === 'ah' && this.#opened.nextHeader === PROTOCOL_ESP) return this.#unwrapBundle(now, sa, buffer, out);
    return sa.mode === 'tunnel'
      ? this.#deliverTunnel(now, sa, buffer, trafficClassAt(buffer, outer.start), out)
      : this.#deliverTransport(sa, buffer, out);
  }

  /** Takes a verified AH off and goes on with the ESP inside. */
  #unwrapBundle(now: Instant, ah: InboundSa, buffer: Uint8Array, out: DataPlaneOutbox): DropCause | undefined {
    const outer = this.#outer;
    const start = this.#takeOff(buffer);
    const length = this.#opened.end - start;
    this.#counters.countOpened('ah', length);
    reportLimit(ah, ah.usage.count(length), out);
    if (!outer.read(buffer, start, this.#opened.end)) return 'malformed-outer';
    return this.#unwrap(now, buffer, ah, out);
  }

  /** Steps 3 to 5: on success `#opened` is the payload, verified and decrypted. */
  #open(
    now: Instant,
    sa: InboundSa,
    buffer: Uint8Array,
    start: number,
    at: number,
    end: number,
    out: DataPlaneOutbox,
  ): DropCause | undefined {
    if (sa.usage.isHardExpired) return 'expired-sa';
    const low = sa.protocol === 'esp' ? espSequence(buffer, at) : ahSequence(buffer, at);
    let sequence = sa.transform.isExtended ? sa.window.extend(low) : low;
    if (!sa.window.isFresh(sequence)) return 'replayed';
    const isPrepared = sa.failuresInARow > 0 && this.#resynchronization.prepare(now, sa, buffer, start, end);
    let cause = this.#verify(sa, sequence, buffer, start, at, end);
    if (cause === 'bad-icv') {
      sa.failuresInARow += 1;
      const found = isPrepared ? this.#retry(sa, sequence, buffer, start, at, end) : undefined;
      if (found === undefined) return cause;
      sequence = found;
      cause = this.#retried;
    }
    if (cause !== undefined && cause !== 'bad-padding') return cause;
    sa.failuresInARow = 0;
    sa.window.accept(sequence);
    // Without integrity a packet proves nothing about its peer; and a dummy, which is nothing, must not keep an idle tunnel up.
    const isDummy = cause === undefined && this.#opened.nextHeader === PROTOCOL_NO_NEXT_HEADER;
    if (sa.isVerifying && !isDummy && sa.usage.isTrafficEventDue(now))
      out.event({ kind: 'inbound-traffic', spi: sa.spi, policy: sa.policy });
    return cause;
  }

  /** Step 4, under a whole sequence number. */
  #verify(
    sa: InboundSa,
    sequence: number,
    buffer: Uint8Array,
    start: number,
    at: number,
    end: number,
  ): DropCause | undefined {
    const high = Math.floor(sequence / SUBSPACE);
    return sa.protocol === 'esp'
      ? openEsp(sa, high, sequence % SUBSPACE, buffer, at, end, this.#opened)
      : this.#ah.open(sa, high, buffer, start, at, end, this.#opened);
  }

  /** The whole number under which the prepared packet is genuine after all; `#retried` is what else is wrong with it. */
  #retry(
    sa: InboundSa,
    sequence: number,
    buffer: Uint8Array,
    start: number,
    at: number,
    end: number,
  ): number | undefined {
    return this.#resynchronization.retry(sequence, buffer, start, end, (candidate) => {
      this.#retried = this.#verify(sa, candidate, buffer, start, at, end);
      return this.#retried;
    });
  }

  /** RFC 4303 §2.6: a dummy packet is dropped without prejudice. */
  #isDummy(): boolean {
    if (this.#opened.nextHeader !== PROTOCOL_NO_NEXT_HEADER) return false;
    this.#counters.countDummy();
    return true;
  }

  #deliverTunnel(
    now: Instant,
    sa: InboundSa,
    buffer: Uint8Array,
    outerTrafficClass: number,
    out: DataPlaneOutbox,
  ): DropCause | undefined {
    const { start, end, nextHeader } = this.#opened;
    if (nextHeader !== PROTOCOL_IPV4 && nextHeader !== PROTOCOL_IPV6) return 'bad-next-header';
    const inner = this.#inner;
    const version = nextHeader === PROTOCOL_IPV4 ? 4 : 6;
    if (!inner.read(buffer, start, end) || inner.family !== version) return 'malformed-inner';
    if (inner.isFragment && sa.selectors.namesPorts) {
      const whole = this.#innerReassembly.add(now, buffer, inner, sa.spi);
      if (!whole) return undefined;
      if (!inner.read(whole, 0, whole.length)) return 'malformed-inner';
      buffer = whole;
    }
    if (!this.#isCovered(sa, buffer)) return 'selector-mismatch';
    const policy = this.#policies.get(sa.policy)?.policy;
    if (policy && outerTrafficClass !== NO_TRAFFIC_CLASS) {
      const before = trafficClassAt(buffer, inner.start);
      const trafficClass = innerTrafficClass(before, outerTrafficClass, policy.copyOuterDscp);
      if (trafficClass === undefined) return 'ecn-not-capable';
      if (trafficClass !== before) setTrafficClass(buffer, inner.start, trafficClass);
    }
    if (turnProbeIntoAnswer(buffer, inner, sa.localWords)) return this.#answer(now, sa, buffer, out);
    return this.#deliver(sa, policy, buffer, inner.end - inner.start, out);
  }

  #deliverTransport(sa: InboundSa, buffer: Uint8Array, out: DataPlaneOutbox): DropCause | undefined {
    const start = this.#takeOff(buffer);
    const { end } = this.#opened;
    if (!this.#inner.read(buffer, start, end)) return 'malformed-inner';
    if (!this.#isCovered(sa, buffer)) return 'selector-mismatch';
    return this.#deliver(sa, this.#policies.get(sa.policy)?.policy, buffer, end - start, out);
  }

  /** RFC 4301 §5.2, step 4: an ICMP error may also quote a packet whose answer this SA would carry (RFC 4301 §6.2). */
  #isCovered(sa: InboundSa, buffer: Uint8Array): boolean {
    if (sa.selectors.matches(this.#inner, 'inbound')) return true;
    return this.#quoted.readAnswerToQuoted(buffer, this.#inner) && sa.selectors.matches(this.#quoted, 'inbound');
  }

  /** The IP headers in `#outer` move up to the payload in `#opened`. */
  #takeOff(buffer: Uint8Array): number {
    const { start, upperOffset, upperNextHeaderOffset } = this.#outer;
    return closeGap(buffer, start, upperOffset - start, upperNextHeaderOffset - start, this.#opened);
  }

  /** The rest of steps 8 and 9, for the packet in `#inner`. */
  #deliver(
    sa: InboundSa,
    policy: SecurityPolicy | undefined,
    buffer: Uint8Array,
    length: number,
    out: DataPlaneOutbox,
  ): DropCause | undefined {
    if (!policy) return 'no-policy';
    const inner = this.#inner;
    if (policy.tcpMss !== undefined) clampTcpMss(buffer, inner, policy.tcpMss);
    this.#counters.countOpened(sa.protocol, length);
    out.deliver(policy.tunnelInterface, buffer, inner.start, inner.end);
    reportLimit(sa, sa.usage.count(length), out);
    return undefined;
  }

  /** The probe in `#inner`, now an answer, goes back through the tunnel that it came in by. */
  #answer(now: Instant, sa: InboundSa, buffer: Uint8Array, out: DataPlaneOutbox): DropCause | undefined {
    const entry = this.#policies.get(sa.policy);
    if (!entry) return 'no-policy';
    const { start, end } = this.#inner;
    this.#counters.countOpened(sa.protocol, end - start);
    reportLimit(sa, sa.usage.count(end - start), out);
    this.#outbound.handleAnswer(now, entry, buffer, start, end, out);
    return undefined;
  }

  #handleUnknownUdp(
    now: Instant,
    path: UdpPath,
    payload: Uint8Array,
    trafficClass: number,
    out: DataPlaneOutbox,
  ): DropCause | undefined {
    const number = spi(uint32At(payload, 0));
    if (this.#associations.isReserved(number, 'esp'))
      return this.#early.hold(number, path, payload, trafficClass) ? undefined : 'early-packet';
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

  #handleUnknownIp(
    now: Instant,
    number: Spi,
    protocol: IpsecProtocol,
    buffer: Uint8Array,
    out: DataPlaneOutbox,
  ): DropCause | undefined {
    const { start, end } = this.#outer;
    if (this.#associations.isReserved(number, protocol))
      return this.#early.hold(number, undefined, buffer.subarray(start, end), NO_TRAFFIC_CLASS)
        ? undefined
        : 'early-packet';
    if (this.#unknownSpiEvents.take(now)) {
      const remoteAddress = this.#outer.address(0);
      const localAddress = this.#outer.address(4);
      out.event({ kind: 'unknown-spi', spi: number, protocol, localAddress, remoteAddress });
    }
    return 'unknown-spi';
  }
}

function isIpsec(protocol: number): boolean {
  return protocol === PROTOCOL_ESP || protocol === PROTOCOL_AH;
}

function reportLimit(sa: InboundSa, limit: LifetimeLimit | undefined, out: DataPlaneOutbox): void {
  if (limit !== undefined)
    out.event({ kind: `${limit}-expired`, direction: 'inbound', spi: sa.spi, policy: sa.policy });
}

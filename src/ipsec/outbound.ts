// The life of a packet on its way out, top to bottom (RFC 4301 §5.1, RFC 4303 §3.3):
//  1. read what selectors look at; what is no IP packet is dropped; where selectors name ports, fragments wait for the rest of their packet
//  2. find the policy: by the tunnel interface it was routed into, then by selectors; without one it is dropped (fail closed)
//  3. find the policy's SA; without one the packet waits, and an `acquire` asks for it
//  4. clamp TCP's maximum segment size
//  5. too big: fragment it, or tell its sender (RFC 4301 §8)
//  6. make room around it: only a caller without headroom, or TFC padding, costs a copy
//  7. take a sequence number, wrap it in ESP or AH in place
//  8. outer IP header, or none where UDP carries it; transmit
//  9. count it, and report limits and liveness

import type { PacketCryptoProvider } from '../crypto/provider.ts';
import type { RandomSource } from '../lib/random.ts';
import { after, type Instant, milliseconds } from '../lib/time.ts';
import type { DfBit } from '../model/ipsec-sa.ts';
import type { Counters, DropCause } from './counters.ts';
import { Encapsulation, type PacketSpan } from './encapsulation.ts';
import { Flow } from './flow.ts';
import { fragmentIpv4, fragmentIpv6 } from './fragmentation.ts';
import { IcmpErrors } from './icmp-errors.ts';
import type { DataPlaneOutbox } from './outbox.ts';
import { type OuterFields, trafficClassAt } from './outer-header.ts';
import { HEADROOM, PACKET_LENGTH_MAX, TAILROOM } from './packet-room.ts';
import { Reassembly } from './reassembly.ts';
import { isRoutePredictable } from './routing-header.ts';
import type { LifetimeLimit } from './sa-usage.ts';
import type { OutboundSa } from './security-association.ts';
import type { PolicyEntry, SecurityPolicyDatabase } from './security-policy-database.ts';
import { clampTcpMss } from './tcp-mss.ts';
import { WaitingPackets } from './waiting-packets.ts';

const ACQUIRE_INTERVAL = milliseconds(1000);
const IPV6_MTU_MIN = 1280;
const UDP_HEADER_LENGTH = 8;
const UDP_PAYLOAD_LENGTH_MAX = 65_507;

/** Protects what leaves. Owned by one data plane; keeps no packet but those that wait for an SA. */
export class Outbound {
  readonly #policies: SecurityPolicyDatabase;
  readonly #counters: Counters;
  readonly #crypto: PacketCryptoProvider;
  readonly #encapsulation: Encapsulation;
  readonly #span: PacketSpan = { start: 0, end: 0, protectOffset: 0, nextHeaderOffset: 0 };
  readonly #outer: OuterFields = { trafficClass: 0, dontFragment: false };
  readonly #icmp = new IcmpErrors();
  readonly #waiting: WaitingPackets;
  readonly #reassembly: Reassembly;
  #isReassembled = false;
  readonly #flow = new Flow();
  readonly #quoted = new Flow();
  /** For packets that came without room around them, and for fragments. */
  readonly #scratch = new Uint8Array(HEADROOM + PACKET_LENGTH_MAX + TAILROOM);
  /** For fragments of what has been protected already. */
  readonly #pieces = new Uint8Array(PACKET_LENGTH_MAX);
  /** Of IPv6 fragments; predictable is enough, since what it names is authenticated. */
  #fragmentIdentification = 1;
  /** The way of the last packet, if that was neither too long nor without an SA. */
  #lastEntry: PolicyEntry | undefined;
  #lastSa: OutboundSa | undefined;
  #lastLength = 0;

  /** What `crypto` has begun to seal is only completed where it is looked at before it leaves. */
  constructor(
    policies: SecurityPolicyDatabase,
    counters: Counters,
    crypto: PacketCryptoProvider,
    random: RandomSource,
    mustIdentify = false,
  ) {
    this.#policies = policies;
    this.#crypto = crypto;
    this.#counters = counters;
    this.#encapsulation = new Encapsulation(random, mustIdentify);
    this.#waiting = new WaitingPackets(counters);
    this.#reassembly = new Reassembly(() => counters.drop('reassembly-failed'));
  }

  /** Takes the inner packet at `buffer[start, end)`, and the room around it, which it overwrites. */
  handlePacket(
    now: Instant,
    tunnelInterface: string | undefined,
    buffer: Uint8Array,
    start: number,
    end: number,
    out: DataPlaneOutbox,
  ): void {
    this.#lastEntry = undefined;
    const cause = this.#process(now, tunnelInterface, buffer, start, end, out);
    if (cause !== undefined) this.#counters.drop(cause);
  }

  /** Takes a packet that goes the way of the last one, if that one could leave at once; see `DataPlane.handleNextPiece`. */
  handleNextPiece(
    now: Instant,
    tunnelInterface: string | undefined,
    buffer: Uint8Array,
    start: number,
    end: number,
    out: DataPlaneOutbox,
  ): void {
    const entry = this.#lastEntry;
    const sa = entry?.outbound;
    if (!entry || !sa || sa !== this.#lastSa || sa.usage.isHardExpired || end - start > this.#lastLength)
      return this.handlePacket(now, tunnelInterface, buffer, start, end, out);
    this.#drop(sa, this.#protect(now, entry, sa, buffer, start, end, out));
  }

  /** Sends a packet of this data plane's own under the policy's SA; the octets around it are left alone. */
  handleAnswer(
    now: Instant,
    entry: PolicyEntry,
    buffer: Uint8Array,
    start: number,
    end: number,
    out: DataPlaneOutbox,
  ): void {
    const sa = entry.outbound;
    const packet = buffer.subarray(start, end);
    if (!sa || sa.usage.isHardExpired || !this.#flow.read(packet, 0, packet.length)) return;
    this.#drop(sa, this.#fit(now, entry, sa, packet, out));
    this.#lastEntry = undefined;
  }

  /** Sends a dummy of so many octets, which must fit the path, under the policy's SA for tunnel mode (RFC 4303 §2.6). It is no traffic. */
  sendDummy(entry: PolicyEntry, sa: OutboundSa, length: number, out: DataPlaneOutbox): void {
    const span = this.#span;
    span.start = HEADROOM;
    span.end = HEADROOM + length;
    this.#outer.trafficClass = 0;
    this.#outer.dontFragment = entry.policy.dfBit === 'set';
    this.#scratch.fill(0, span.start, span.end);
    const cause = this.#wrapAndTransmit(sa, this.#scratch, length, out);
    if (cause !== undefined) return this.#drop(sa, cause);
    this.#counters.countDummySent();
    reportLimit(sa, sa.usage.countDummy(length), out);
  }

  /** Sends what waited for this policy's SA; called once it has one. */
  flush(now: Instant, entry: PolicyEntry, out: DataPlaneOutbox): void {
    for (const packet of this.#waiting.take(now, entry.policy.id))
      this.handlePacket(now, entry.policy.tunnelInterface, packet, HEADROOM, packet.length - TAILROOM, out);
  }

  /** Drops what waits for a policy that is gone. */
  forget(entry: PolicyEntry | undefined): void {
    if (entry) this.#waiting.forget(entry.policy.id);
  }

  /** Steps 1 to 3; a cause says why the packet is dropped. */
  #process(
    now: Instant,
    tunnelInterface: string | undefined,
    buffer: Uint8Array,
    start: number,
    end: number,
    out: DataPlaneOutbox,
  ): DropCause | undefined {
    const flow = this.#flow;
    if (!flow.read(buffer, start, end)) return 'malformed-inner';
    if (flow.isFragment && this.#policies.needsWholePackets(tunnelInterface))
      return this.#reassemble(now, tunnelInterface, buffer, out);
    const entry = this.#policies.lookup(tunnelInterface, flow) ?? this.#policyOfQuoted(tunnelInterface, buffer);
    if (!entry) return 'outside-selectors';
    if (entry.policy.action === 'discard') return 'discard-policy';
    if (entry.policy.action === 'bypass') return this.#bypass(buffer, out);
    const sa = entry.outbound;
    if (sa && !sa.usage.isHardExpired) {
      this.#drop(sa, this.#fit(now, entry, sa, buffer, out));
      return undefined;
    }
    this.#waiting.add(now, entry.policy.id, buffer, start, flow.end);
    if (now >= entry.acquireDueAt) {
      entry.acquireDueAt = after(now, ACQUIRE_INTERVAL);
      out.event({ kind: 'acquire', policy: entry.policy.id });
    }
    return undefined;
  }

  /** Counts a packet that its SA could not carry, in total and for the SA. */
  #drop(sa: OutboundSa, cause: DropCause | undefined): void {
    if (cause === undefined) return;
    this.#counters.drop(cause);
    sa.usage.drop(cause);
  }

  /** Keeps the fragment in `#flow` until its packet is whole, which then goes on in its place. */
  #reassemble(
    now: Instant,
    tunnelInterface: string | undefined,
    buffer: Uint8Array,
    out: DataPlaneOutbox,
  ): DropCause | undefined {
    const whole = this.#reassembly.add(now, buffer, this.#flow);
    if (!whole) return undefined;
    this.#isReassembled = true;
    const cause = this.#process(now, tunnelInterface, whole, 0, whole.length, out);
    this.#isReassembled = false;
    return cause;
  }

  /** On its way in clear, past the routes that have led it here; a policy without protection is no place for speed. */
  #bypass(buffer: Uint8Array, out: DataPlaneOutbox): undefined {
    const flow = this.#flow;
    this.#counters.countBypass();
    out.transmitIp(flow.address(0), flow.address(4), buffer, flow.start, flow.end);
  }

  /** RFC 4301 §6.2: an ICMP error that no policy covers goes the way of the answer to the packet that it quotes. */
  #policyOfQuoted(tunnelInterface: string | undefined, buffer: Uint8Array): PolicyEntry | undefined {
    if (!this.#quoted.readAnswerToQuoted(buffer, this.#flow)) return undefined;
    return this.#policies.lookup(tunnelInterface, this.#quoted);
  }

  #isCovered(sa: OutboundSa, buffer: Uint8Array): boolean {
    if (sa.selectors.matches(this.#flow, 'outbound')) return true;
    return this.#quoted.readAnswerToQuoted(buffer, this.#flow) && sa.selectors.matches(this.#quoted, 'outbound');
  }

  /** Steps 4 and 5, for the packet in `#flow`. */
  #fit(
    now: Instant,
    entry: PolicyEntry,
    sa: OutboundSa,
    buffer: Uint8Array,
    out: DataPlaneOutbox,
  ): DropCause | undefined {
    const flow = this.#flow;
    const { policy } = entry;
    // The SA may cover less than its policy: its peer would drop the rest (RFC 4301 §5.2).
    if (!this.#isCovered(sa, buffer)) return 'outside-selectors';
    // RFC 4301 §7.3: no fragment of which the peer could not see the ports, and IKEv1 cannot ask it whether it minds.
    if (flow.isFragment && sa.selectors.namesPorts) return this.#reassemble(now, policy.tunnelInterface, buffer, out);
    if (sa.mode === 'transport' && (flow.isFragment || flow.family !== sa.family)) return 'unsuitable-for-transport';
    const isInAh = sa.protocol === 'ah' || sa.bundled !== undefined;
    if (isInAh && sa.mode === 'transport' && !isRoutePredictable(buffer, flow.start, flow.protectOffset))
      return 'unpredictable-route';
    if (policy.tcpMss !== undefined) clampTcpMss(buffer, flow, policy.tcpMss);
    const length = flow.end - flow.start;
    const tunnelMtu = policy.mtu ?? PACKET_LENGTH_MAX;
    const limit = Math.min(tunnelMtu, sa.innerMtu);
    if (length <= limit) {
      this.#lastEntry = entry;
      this.#lastSa = sa;
      this.#lastLength = length;
      return this.#protect(now, entry, sa, buffer, flow.start, flow.end, out);
    }
    const isCut = flow.family === 4 && !flow.dontFragment(buffer);
    if (sa.mode === 'tunnel' && isCut && !sa.selectors.namesPorts)
      return this.#sendFragments(now, entry, sa, buffer, limit, out);
    // What is wrapped may be fragmented too: where the operator lets us, and where IPv6 promises its sender 1280 octets.
    const isPromised = flow.family === 6 && length <= IPV6_MTU_MIN;
    const isAllowed = policy.dfBit === 'clear' || (sa.mode === 'transport' && !flow.dontFragment(buffer));
    // So may what came in fragments, or might have, and must be whole for its selectors.
    const mustBeWhole = sa.selectors.namesPorts && (isCut || this.#isReassembled);
    if (isPromised || mustBeWhole || (length <= tunnelMtu && isAllowed))
      return this.#protect(now, entry, sa, buffer, flow.start, flow.end, out);
    this.#icmp.sendTooBig(now, policy.tunnelInterface, buffer, flow, limit, out);
    return 'exceeds-mtu';
  }

  /** Fragmentation before protection: the receiver of the tunnel then has nothing to reassemble (RFC 4301 §8.2.1). */
  #sendFragments(
    now: Instant,
    entry: PolicyEntry,
    sa: OutboundSa,
    buffer: Uint8Array,
    limit: number,
    out: DataPlaneOutbox,
  ): DropCause | undefined {
    const { start, end } = this.#flow;
    const isFragmented = fragmentIpv4(buffer, start, end, limit, this.#scratch, HEADROOM, (fragmentEnd) => {
      this.#drop(sa, this.#protect(now, entry, sa, this.#scratch, HEADROOM, fragmentEnd, out));
    });
    return isFragmented ? undefined : 'exceeds-mtu';
  }

  /** Steps 6 to 9: one packet that may leave as it is. */
  #protect(
    now: Instant,
    entry: PolicyEntry,
    sa: OutboundSa,
    buffer: Uint8Array,
    start: number,
    end: number,
    out: DataPlaneOutbox,
  ): DropCause | undefined {
    const length = end - start;
    const padding = tfcPaddingLength(entry, sa, length);
    // Behind the packet, beyond TAILROOM, may lie the next one.
    if (buffer !== this.#scratch && (padding > 0 || start < HEADROOM || buffer.length - end < TAILROOM)) {
      this.#scratch.set(buffer.subarray(start, end), HEADROOM);
      end = HEADROOM + length;
      start = HEADROOM;
      buffer = this.#scratch;
    }
    if (padding > 0) buffer.fill(0, end, end + padding);
    const span = this.#span;
    span.start = start;
    span.end = end + padding;
    span.protectOffset = this.#flow.protectOffset - this.#flow.start;
    span.nextHeaderOffset = this.#flow.nextHeaderOffset - this.#flow.start;
    this.#outer.trafficClass = trafficClassAt(buffer, start);
    // In transport mode there is but one IP header, the packet's own.
    this.#outer.dontFragment = mustNotFragment(sa.mode === 'tunnel' ? entry.policy.dfBit : 'copy', buffer, start);
    const cause = this.#wrapAndTransmit(sa, buffer, length, out);
    if (cause !== undefined) return cause;
    this.#count(now, sa, length, out);
    return undefined;
  }

  /** The packet at `#span` in the buffer, which carries so many octets. */
  #wrapAndTransmit(sa: OutboundSa, buffer: Uint8Array, length: number, out: DataPlaneOutbox): DropCause | undefined {
    const span = this.#span;
    const sequence = sa.nextSequence();
    if (sequence === undefined) return exhaust(sa, out);
    this.#encapsulation.wrap(sa, sequence, buffer, span, this.#outer);
    if (sa.bundled) {
      const cause = this.#wrapInAh(sa.bundled, buffer, span, length, out);
      if (cause !== undefined) return cause;
    }
    return this.#transmit(sa, buffer, span, out);
  }

  #wrapInAh(
    ah: OutboundSa,
    buffer: Uint8Array,
    span: PacketSpan,
    length: number,
    out: DataPlaneOutbox,
  ): DropCause | undefined {
    const sequence = ah.nextSequence();
    if (sequence === undefined) return exhaust(ah, out);
    this.#crypto.finish?.();
    this.#encapsulation.wrapInAh(ah, sequence, buffer, span);
    this.#counters.countProtected('ah', length);
    reportLimit(ah, ah.usage.count(length), out);
    return undefined;
  }

  #transmit(sa: OutboundSa, buffer: Uint8Array, span: PacketSpan, out: DataPlaneOutbox): DropCause | undefined {
    const { start, end } = span;
    const length = end - start;
    if (sa.udp) {
      if (length > UDP_PAYLOAD_LENGTH_MAX) return 'exceeds-mtu';
      // What leaves though it does not fit must be cut on the way: with DF it would be lost.
      if (length > sa.pathMtu - sa.outer.length - UDP_HEADER_LENGTH) this.#outer.dontFragment = false;
      out.transmitUdp(sa.udp, buffer, start, end, this.#outer);
      return undefined;
    }
    if (length > PACKET_LENGTH_MAX) return 'exceeds-mtu';
    if (length <= sa.pathMtu) {
      out.transmitIp(sa.localAddress, sa.remoteAddress, buffer, start, end);
      return undefined;
    }
    // Fragmentation after protection (RFC 4303 §3.3.4): nobody else does it for a raw packet.
    const pieces = this.#pieces;
    this.#crypto.finish?.();
    const emit = (pieceEnd: number) => out.transmitIp(sa.localAddress, sa.remoteAddress, pieces, 0, pieceEnd);
    const isFragmented =
      sa.family === 4
        ? fragmentIpv4(buffer, start, end, sa.pathMtu, pieces, 0, emit)
        : fragmentIpv6(buffer, span, sa.pathMtu, this.#fragmentIdentification++, pieces, emit);
    return isFragmented ? undefined : 'exceeds-mtu';
  }

  #count(now: Instant, sa: OutboundSa, length: number, out: DataPlaneOutbox): void {
    this.#counters.countProtected(sa.protocol, length);
    reportLimit(sa, sa.usage.count(length), out);
    if (sa.usage.isTrafficEventDue(now)) out.event({ kind: 'outbound-traffic', spi: sa.spi, policy: sa.policy });
  }
}

/** How much longer the packet is made than it is, never beyond what the path carries in one piece (RFC 4303 §2.7). */
function tfcPaddingLength({ policy }: PolicyEntry, sa: OutboundSa, length: number): number {
  // Its length field is how the receiver finds the packet's end: in tunnel mode there always is one, and AH has no place for padding.
  if (policy.tfcPadding === undefined || sa.mode !== 'tunnel' || sa.protocol !== 'esp') return 0;
  return Math.max(0, Math.min(policy.tfcPadding, sa.innerMtu) - length);
}

function mustNotFragment(dfBit: DfBit, buffer: Uint8Array, start: number): boolean {
  if (dfBit !== 'copy') return dfBit === 'set';
  const first = buffer[start] ?? 0;
  // IPv6 packets are never fragmented on the way, so a copy of that is DF.
  return first >>> 4 === 6 || ((buffer[start + 6] ?? 0) & 0x40) !== 0;
}

function reportLimit(sa: OutboundSa, limit: LifetimeLimit | undefined, out: DataPlaneOutbox): void {
  if (limit !== undefined)
    out.event({ kind: `${limit}-expired`, direction: 'outbound', spi: sa.spi, policy: sa.policy });
}

/** RFC 4303 §3.3.3: the counter must not wrap, so this SA is over; that is an auditable event. */
function exhaust(sa: OutboundSa, out: DataPlaneOutbox): DropCause {
  if (sa.usage.end()) reportLimit(sa, 'hard', out);
  return 'sequence-exhausted';
}

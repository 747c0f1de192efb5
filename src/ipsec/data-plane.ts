import type { PacketCryptoProvider } from '../crypto/provider.ts';
import { unreachable } from '../lib/invariant.ts';
import type { RandomSource } from '../lib/random.ts';
import { err, type Result } from '../lib/result.ts';
import { earliest, type Instant, NEVER } from '../lib/time.ts';
import type { IpAddress, UdpPath } from '../model/address.ts';
import type { DataPlaneCommand, SaCounters } from '../model/data-plane.ts';
import type { IpsecSa, PolicyId, Spi } from '../model/ipsec-sa.ts';
import { Counters, type DataPlaneCounters } from './counters.ts';
import { Dummies } from './dummies.ts';
import { Inbound } from './inbound.ts';
import { LookAhead } from './look-ahead.ts';
import { Outbound } from './outbound.ts';
import type { DataPlaneOutbox } from './outbox.ts';
import { PathMtus } from './path-mtu.ts';
import { InboundSa, OutboundSa } from './security-association.ts';
import { SecurityAssociationDatabase } from './security-association-database.ts';
import { SecurityPolicyDatabase } from './security-policy-database.ts';
import { createTransform, serviceFlaw, type Transform } from './transform.ts';

const TOO_MANY_SAS = 'too many SAs';

/** What a data plane needs from outside. */
export interface DataPlaneEnvironment {
  readonly crypto: PacketCryptoProvider;
  readonly random: RandomSource;
  /** Whether `transmitIp` ends in something that replaces an IPv4 identification of zero, as a raw socket does. */
  readonly isZeroIdentificationReplaced?: boolean;
  /** Where the totals are counted, COUNTER_CELLS of them; absent: where nobody else sees them. */
  readonly counterCells?: Float64Array;
}

/**
 * IPsec over packets, without I/O (RFC 4301): commands and packets go in, packets and events come out through `out`.
 * Every buffer stays its caller's; what arrives is worked on in place.
 */
export class DataPlane {
  readonly #crypto: PacketCryptoProvider;
  readonly #associations = new SecurityAssociationDatabase();
  readonly #policies = new SecurityPolicyDatabase();
  readonly #counters: Counters;
  readonly #outbound: Outbound;
  readonly #inbound: Inbound;
  readonly #lookAhead: LookAhead;
  readonly #dummies: Dummies;
  readonly #pathMtus = new PathMtus(this.#associations);
  #nextTimeout: Instant = NEVER;

  constructor(environment: DataPlaneEnvironment) {
    this.#crypto = environment.crypto;
    this.#counters = new Counters(environment.counterCells);
    this.#outbound = new Outbound(
      this.#policies,
      this.#counters,
      environment.crypto,
      environment.random,
      environment.isZeroIdentificationReplaced,
    );
    this.#lookAhead = new LookAhead(this.#associations, environment.crypto);
    this.#dummies = new Dummies(this.#policies, this.#outbound, environment.random);
    this.#inbound = new Inbound(this.#associations, this.#policies, this.#counters, this.#outbound);
  }

  /**
   * Carries out a command of the control plane; one that cannot be is answered with a `refused` event. An SA that it adds counts in
   * `cells`, SA_COUNTER_CELLS of them, or, without, where nobody else sees it.
   */
  handleCommand(now: Instant, command: DataPlaneCommand, out: DataPlaneOutbox, cells?: Float64Array): void {
    switch (command.kind) {
      case 'reserve-spi':
        if (!this.#associations.reserve(command.spi, command.protocol))
          out.event({ kind: 'refused', command: command.kind, spi: command.spi, reason: 'too many SPIs are reserved' });
        return;
      case 'add-inbound':
        this.#addInbound(now, command.sa, out, cells);
        return;
      case 'add-outbound':
        this.#addOutbound(now, command.sa, out, cells);
        return;
      case 'use-outbound':
        this.#useOutbound(now, command.policy, command.spi, out);
        return;
      case 'remove':
        if (command.direction === 'inbound') this.#removeInbound(command.spi);
        else this.#removeOutbound(command.spi, command.remoteAddress);
        return;
      case 'put-policy':
        this.#dummies.watch(now, this.#policies.put(command.policy));
        return;
      case 'delete-policy':
        this.#outbound.forget(this.#policies.delete(command.id));
        this.#dummies.forget(command.id);
        return;
      case 'move-path':
        this.#associations.movePath(command.from, command.to);
        return;
      default:
        unreachable(command);
    }
  }

  /**
   * Protects the inner packet at `buffer[start, end)`, read from `tunnelInterface`, or, without one, from the host's stack.
   * What lies before `start` and behind `end` is overwritten if it is HEADROOM and TAILROOM octets; else the packet is copied.
   */
  handleInnerPacket(
    now: Instant,
    tunnelInterface: string | undefined,
    buffer: Uint8Array,
    start: number,
    end: number,
    out: DataPlaneOutbox,
  ): void {
    this.#outbound.handlePacket(now, tunnelInterface, buffer, start, end, out);
  }

  /**
   * Protects a packet of the same flow as the last one given: of what a host handed over as one large packet (TSO), a piece behind the first.
   * It differs from that in lengths, identification, sequence numbers, flags and checksums only, so that nothing is looked up again.
   */
  handleNextPiece(
    now: Instant,
    tunnelInterface: string | undefined,
    buffer: Uint8Array,
    start: number,
    end: number,
    out: DataPlaneOutbox,
  ): void {
    this.#outbound.handleNextPiece(now, tunnelInterface, buffer, start, end, out);
  }

  /**
   * Opens the UDP payload at `buffer[start, end)`, from port 4500 and classified as ESP (RFC 3948 §2.1), in place. `trafficClass` is the
   * DSCP and ECN of the IP header in front of it, where the host tells.
   */
  handleUdpPacket(
    now: Instant,
    path: UdpPath,
    buffer: Uint8Array,
    out: DataPlaneOutbox,
    trafficClass?: number,
    start = 0,
    end = buffer.length,
  ): void {
    this.#inbound.handleUdpPacket(now, path, buffer, start, end, out, trafficClass);
  }

  /**
   * Says that `handleUdpPacket` is about to be called for these octets, after it has been for those that this was said of before: many packets at
   * once may take less time than one by one. Nobody looks at the octets meanwhile.
   */
  expectUdpPacket(buffer: Uint8Array, start: number, end: number): void {
    this.#lookAhead.expectUdpPacket(buffer, start, end);
  }

  /** Forgets what is still expected: the octets are their owner's. */
  forgetExpected(): void {
    this.#lookAhead.forget();
  }

  /** Opens the whole IP packet of protocol 50 or 51 at `buffer[start, end)`, in place. */
  handleIpPacket(now: Instant, buffer: Uint8Array, out: DataPlaneOutbox, start = 0, end = buffer.length): void {
    this.#inbound.handleIpPacket(now, buffer, start, end, out);
  }

  /**
   * Takes an ICMP error (a whole IP packet) about what was sent to a peer. A "too big" that quotes a packet of ours makes the
   * path narrower for ten minutes (RFC 4301 §8.2); everything else is ignored.
   */
  handleIcmpError(now: Instant, packet: Uint8Array): void {
    this.#pathMtus.handleIcmpError(now, packet);
  }

  /** Takes what the host's own link towards a peer carries in one packet, outer IP header included; SAs to that peer start, and go on, with it. */
  handleLinkMtu(remoteAddress: IpAddress, mtu: number): void {
    this.#pathMtus.handleLinkMtu(remoteAddress, mtu);
  }

  /** Reports the SAs that age has worn out, and sends the dummies that are due. */
  handleTimeout(now: Instant, out: DataPlaneOutbox): void {
    this.#pathMtus.handleTimeout(now);
    this.#dummies.handleTimeout(now, out);
    if (now < this.#nextTimeout) return;
    for (const sa of this.#associations.inboundSas()) {
      const limit = sa.usage.checkAge(now);
      if (limit) out.event({ kind: `${limit}-expired`, direction: 'inbound', spi: sa.spi, policy: sa.policy });
    }
    for (const sa of this.#associations.outboundSas()) {
      const limit = sa.usage.checkAge(now);
      if (limit) out.event({ kind: `${limit}-expired`, direction: 'outbound', spi: sa.spi, policy: sa.policy });
    }
    this.#nextTimeout = this.#associations.nextTimeout();
  }

  nextTimeout(): Instant {
    return earliest(this.#nextTimeout, this.#pathMtus.nextTimeout(), this.#dummies.nextTimeout());
  }

  /** Totals since the start, as plain data. */
  counters(): DataPlaneCounters {
    return this.#counters.snapshot();
  }

  /** What one SA has carried, and what it could not; an outbound one is named by the peer's SPI, and by its address if several peers chose that SPI. */
  saCounters(direction: 'inbound' | 'outbound', spi: Spi, remoteAddress?: IpAddress): SaCounters | undefined {
    const sa = direction === 'inbound' ? this.#associations.inbound(spi) : this.#findOutbound(spi, remoteAddress);
    return sa?.usage.counters();
  }

  #addInbound(now: Instant, description: IpsecSa, out: DataPlaneOutbox, cells: Float64Array | undefined): void {
    const isThere = this.#associations.inbound(description.spi) !== undefined;
    const transform = this.#transformFor(description, isThere);
    const sa = transform.ok ? new InboundSa(now, description, transform.value, cells) : undefined;
    if (!transform.ok || !sa || !this.#associations.addInbound(sa)) {
      refuse('add-inbound', description, transform.ok ? TOO_MANY_SAS : transform.error, out);
      return;
    }
    this.#nextTimeout = earliest(this.#nextTimeout, sa.usage.nextTimeout);
    this.#inbound.flushEarly(now, sa.spi, out);
  }

  #addOutbound(now: Instant, description: IpsecSa, out: DataPlaneOutbox, cells: Float64Array | undefined): void {
    const { spi, remoteAddress } = description;
    const isThere = this.#associations.outbound(spi).some((sa) => sa.remoteAddress === remoteAddress);
    const transform = this.#transformFor(description, isThere);
    const pathMtu = this.#pathMtus.get(description.udp?.remote.address ?? remoteAddress);
    const sa = transform.ok ? new OutboundSa(now, description, transform.value, pathMtu, cells) : undefined;
    if (!transform.ok || !sa || !this.#associations.addOutbound(sa)) {
      refuse('add-outbound', description, transform.ok ? TOO_MANY_SAS : transform.error, out);
      return;
    }
    this.#nextTimeout = earliest(this.#nextTimeout, sa.usage.nextTimeout);
  }

  /** An SA added twice would begin its sequence numbers again under the same key: replays, and nonces used twice (RFC 4106 §2). */
  #transformFor(description: IpsecSa, isThere: boolean): Result<Transform, string> {
    const flaw = isThere ? 'there is an SA of this SPI already' : serviceFlaw(description);
    return flaw === undefined ? createTransform(this.#crypto, description) : err(flaw);
  }

  #useOutbound(now: Instant, policy: PolicyId, spi: Spi, out: DataPlaneOutbox): void {
    const entry = this.#policies.get(policy);
    const sa = this.#associations.outbound(spi).find((candidate) => candidate.policy === policy);
    if (!entry || !sa) {
      const reason = entry ? 'there is no such outbound SA' : 'there is no such policy';
      out.event({ kind: 'refused', command: 'use-outbound', spi, reason });
      return;
    }
    if (sa.wrappedInAh !== undefined) {
      sa.bundled = this.#associations.outbound(sa.wrappedInAh).find((candidate) => candidate.policy === policy);
      if (sa.bundled?.protocol !== 'ah') {
        out.event({ kind: 'refused', command: 'use-outbound', spi, reason: 'the AH of its bundle is missing' });
        return;
      }
    }
    entry.outbound = sa;
    this.#dummies.watch(now, entry);
    this.#outbound.flush(now, entry, out);
  }

  #removeInbound(spi: Spi): void {
    this.#associations.removeInbound(spi);
    this.#associations.release(spi);
    this.#inbound.forgetEarly(spi);
  }

  #removeOutbound(spi: Spi, remoteAddress: IpAddress | undefined): void {
    const sa = this.#findOutbound(spi, remoteAddress);
    if (!sa) return;
    this.#associations.removeOutbound(sa);
    const entry = this.#policies.get(sa.policy);
    if (entry?.outbound === sa) entry.outbound = undefined;
  }

  /** The peer's address may have moved since the SA was made, so it only decides between several. */
  #findOutbound(spi: Spi, remoteAddress: IpAddress | undefined): OutboundSa | undefined {
    const candidates = this.#associations.outbound(spi);
    const named = candidates.find(
      (sa) => sa.remoteAddress === remoteAddress || sa.udp?.remote.address === remoteAddress,
    );
    return named ?? (candidates.length === 1 ? candidates[0] : undefined);
  }
}

function refuse(command: 'add-inbound' | 'add-outbound', sa: IpsecSa, reason: string, out: DataPlaneOutbox): void {
  out.event({ kind: 'refused', command, spi: sa.spi, reason });
}

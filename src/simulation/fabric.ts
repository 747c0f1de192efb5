// The simulated network between gateways: addresses lead to nodes, NATs stand in front of some of them, and rules decide the fate
// of each packet. It ends where the real host's sockets do: UDP datagrams and IP packets of protocol 50 and 51.

import { invariant } from '../lib/invariant.ts';
import { type Instant, type Milliseconds, milliseconds } from '../lib/time.ts';
import type { IpAddress, UdpEndpoint, UdpPath } from '../model/address.ts';
import type { Nat } from './nat.ts';
import type { Scheduler } from './scheduler.ts';

/** What travels. The octets belong to the fabric from `send` on. */
export type WirePacket =
  | {
      readonly kind: 'udp';
      readonly source: UdpEndpoint;
      readonly destination: UdpEndpoint;
      readonly octets: Uint8Array;
    }
  | { readonly kind: 'ip'; readonly source: IpAddress; readonly destination: IpAddress; readonly octets: Uint8Array };

/** Where a node takes its packets in. */
export interface FabricPort {
  receiveUdp(path: UdpPath, payload: Uint8Array): void;
  receiveIp(packet: Uint8Array): void;
}

/** What becomes of a packet: no opinion; lost, and why; or copies that arrive after their delays, perhaps with other octets. */
export type Verdict =
  | { readonly kind: 'pass' }
  | { readonly kind: 'drop'; readonly reason: string }
  | { readonly kind: 'deliver'; readonly copies: readonly DeliveredCopy[] };

export interface DeliveredCopy {
  readonly delay: Milliseconds;
  readonly octets?: Uint8Array;
}

export type FabricTap = (packet: WirePacket, isIntact: boolean) => void;

/** The first rule whose verdict is not `pass` decides. */
export type FabricRule = (now: Instant, packet: WirePacket) => Verdict;

export const PASS: Verdict = { kind: 'pass' };

/** How long a packet takes if no rule says anything. */
const QUIET_DELAY = milliseconds(5);

/** What happened on the network, in packets. */
export interface FabricCounters {
  readonly sent: number;
  readonly delivered: number;
  readonly duplicated: number;
  readonly corrupted: number;
  readonly lost: Readonly<Record<string, number>>;
}

/** The network. */
export class Fabric {
  readonly #scheduler: Scheduler;
  readonly #ports = new Map<IpAddress, FabricPort>();
  /** By the addresses on both sides of each. */
  readonly #natsByInside = new Map<IpAddress, Nat>();
  readonly #natsByOutside = new Map<IpAddress, Nat>();
  readonly #observers: ((packet: WirePacket) => void)[] = [];
  readonly #taps: FabricTap[] = [];
  readonly #lost = new Map<string, number>();
  #rules: readonly FabricRule[] = [];
  #sent = 0;
  #delivered = 0;
  #duplicated = 0;
  #corrupted = 0;

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  attach(address: IpAddress, port: FabricPort): void {
    invariant(!this.#ports.has(address), 'an address belongs to one node');
    this.#ports.set(address, port);
  }

  /** Puts a NAT between a host and everybody else. */
  addNat(nat: Nat, inside: IpAddress): void {
    this.#natsByInside.set(inside, nat);
    this.#natsByOutside.set(nat.outside, nat);
  }

  setRules(rules: readonly FabricRule[]): void {
    this.#rules = rules;
  }

  /** Sees every packet as its sender sent it, before NAT and fate. */
  observe(observer: (packet: WirePacket) => void): void {
    this.#observers.push(observer);
  }

  /** Sees every packet as it crosses the public network, and whether it will come through as it is. */
  tap(tap: FabricTap): void {
    this.#taps.push(tap);
  }

  /** Puts a packet on the public network from anywhere, with whatever addresses it says. */
  inject(packet: WirePacket): void {
    this.#carry(packet, { delay: QUIET_DELAY });
  }

  send(packet: WirePacket): void {
    this.#sent++;
    for (const observer of this.#observers) observer(packet);
    const translated = this.#translateOutbound(packet);
    if (translated === undefined) this.#lose('not-translatable');
    else this.#decide(translated);
  }

  counters(): FabricCounters {
    return {
      sent: this.#sent,
      delivered: this.#delivered,
      duplicated: this.#duplicated,
      corrupted: this.#corrupted,
      lost: Object.fromEntries(this.#lost),
    };
  }

  #decide(packet: WirePacket): void {
    const verdict = this.#judge(packet);
    const isIntact =
      verdict.kind === 'pass' || (verdict.kind === 'deliver' && verdict.copies.some(({ octets }) => !octets));
    for (const tap of this.#taps) tap(packet, isIntact);
    if (verdict.kind === 'drop') {
      this.#lose(verdict.reason);
      return;
    }
    const copies = verdict.kind === 'pass' ? [{ delay: QUIET_DELAY }] : verdict.copies;
    this.#duplicated += Math.max(0, copies.length - 1);
    for (const copy of copies) this.#carry(packet, copy);
  }

  #judge(packet: WirePacket): Verdict {
    for (const rule of this.#rules) {
      const verdict = rule(this.#scheduler.now, packet);
      if (verdict.kind !== 'pass') return verdict;
    }
    return PASS;
  }

  #carry(packet: WirePacket, copy: DeliveredCopy): void {
    if (copy.octets) this.#corrupted++;
    // Each copy has octets of its own: a receiver may decrypt in place.
    const octets = (copy.octets ?? packet.octets).slice();
    this.#scheduler.in(copy.delay, () => this.#arrive({ ...packet, octets }));
  }

  #arrive(packet: WirePacket): void {
    const arrived = this.#translateInbound(packet);
    const port = arrived && this.#ports.get(arrived.kind === 'udp' ? arrived.destination.address : arrived.destination);
    if (arrived === undefined || port === undefined) {
      this.#lose(arrived === undefined ? 'filtered-by-nat' : 'no-such-host');
      return;
    }
    this.#delivered++;
    if (arrived.kind === 'ip') port.receiveIp(arrived.octets);
    else port.receiveUdp({ local: arrived.destination, remote: arrived.source }, arrived.octets);
  }

  #translateOutbound(packet: WirePacket): WirePacket | undefined {
    const nat = this.#natsByInside.get(packet.kind === 'udp' ? packet.source.address : packet.source);
    if (nat === undefined) return packet;
    // A NAT finds its mappings by port, and ESP and AH have none (RFC 3715 §2.1).
    if (packet.kind === 'ip') return undefined;
    return { ...packet, source: nat.translateOutbound(this.#scheduler.now, packet.source, packet.destination) };
  }

  #translateInbound(packet: WirePacket): WirePacket | undefined {
    const nat = this.#natsByOutside.get(packet.kind === 'udp' ? packet.destination.address : packet.destination);
    if (nat === undefined) return packet;
    if (packet.kind === 'ip') return undefined;
    const destination = nat.translateInbound(this.#scheduler.now, packet.source, packet.destination);
    return destination && { ...packet, destination };
  }

  #lose(reason: string): void {
    this.#lost.set(reason, (this.#lost.get(reason) ?? 0) + 1);
  }
}

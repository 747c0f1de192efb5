// The two-office lab without root: the same core and the same two configurations, over a network in this process and in virtual time.
// It gives what the lab in namespaces gives: the negotiation, the SA tables, a ping through the tunnel, what was on the wire, and
// what happens to the ping once the SAs are gone.

import { NAT_TRAVERSAL_PORT } from '../gateway/gateway.ts';
import { after, elapsed, type Instant, milliseconds } from '../lib/time.ts';
import { type IpAddress, prefixRange, rangeContains } from '../model/address.ts';
import type { GatewayConfig } from '../model/gateway-config.ts';
import type { IkeEvent, IkeSaStatus, IpsecSaStatus } from '../model/ike-event.ts';
import { classifyUdp4500 } from '../wire/udp-encapsulation.ts';
import { Chance } from './chance.ts';
import { Fabric, type WirePacket } from './fabric.ts';
import { CALM, qualityRule } from './faults.ts';
import { answerTo, containsMarker, decodeProbe, encodeProbe } from './lan.ts';
import { Scheduler } from './scheduler.ts';
import { type HostObserver, SimulatedHost, type SimulationCrypto } from './simulated-host.ts';
import type { Office } from './two-offices.ts';

/** One end of the lab. */
export interface LabOffice {
  readonly config: GatewayConfig;
  /** A host in the office's LAN. */
  readonly lanHost: IpAddress;
}

export interface LabOptions {
  readonly offices: Readonly<Record<Office, LabOffice>>;
  readonly pingCount: number;
  /** Seed of the lab's own chance: cookies, SPIs, nonces. The host gives one that nobody can guess. */
  readonly seed: number;
}

/** An event, when and where. */
export interface LabEvent {
  /** Virtual seconds since the start. */
  readonly atSeconds: number;
  readonly office: Office;
  readonly event: IkeEvent;
}

export interface LabPing {
  readonly sent: number;
  readonly received: number;
  /** Virtual milliseconds of each answer. */
  readonly roundTrips: readonly number[];
}

/** What the wire between the gateways carried, in packets. */
export interface LabWire {
  readonly ike: number;
  readonly esp: number;
  readonly cleartext: number;
}

/** Everything that the lab saw; plain data. */
export interface LabReport {
  readonly events: readonly LabEvent[];
  readonly ikeSas: Readonly<Record<Office, readonly IkeSaStatus[]>>;
  readonly ipsecSas: Readonly<Record<Office, readonly IpsecSaStatus[]>>;
  readonly ping: LabPing;
  /** After every SA was cleared at both ends and IKE kept from the wire: nothing may come through. */
  readonly pingAfterClear: LabPing;
  readonly wire: LabWire;
  /** Why no traffic passed; absent if it did. */
  readonly problem?: string;
}

const OFFICES: readonly Office[] = ['main', 'branch'];
const PING_INTERVAL = milliseconds(200);
const PING_FILL = 56;
/** An unreachable peer has been given up by then. */
const TUNNEL_UP_WITHIN = milliseconds(60_000);
const ANSWER_WITHIN = milliseconds(2000);

/** Brings the tunnel up, pings through it, and tears it down. Takes a fraction of a second of real time. */
export function runInProcessLab(options: LabOptions, crypto: SimulationCrypto): LabReport {
  const lab = new LabNetwork(options, crypto);
  return lab.run();
}

class LabNetwork {
  readonly #options: LabOptions;
  readonly #scheduler = new Scheduler();
  readonly #fabric = new Fabric(this.#scheduler);
  readonly #chance: Chance;
  readonly #hosts: Readonly<Record<Office, SimulatedHost>>;
  readonly #events: LabEvent[] = [];
  readonly #wire = { ike: 0, esp: 0, cleartext: 0 };
  readonly #answers = new Map<number, Instant>();
  #serial = 0;
  #isIkeCut = false;

  constructor(options: LabOptions, crypto: SimulationCrypto) {
    this.#options = options;
    this.#chance = new Chance(options.seed);
    this.#hosts = { main: this.#makeHost('main', crypto), branch: this.#makeHost('branch', crypto) };
    this.#fabric.observe((packet) => this.#tap(packet));
    this.#fabric.setRules([
      (_now, packet) => (this.#isIkeCut && isIke(packet) ? { kind: 'drop', reason: 'cut' } : { kind: 'pass' }),
      qualityRule(() => CALM, this.#chance.fork('link')),
    ]);
  }

  run(): LabReport {
    for (const office of OFFICES) this.#hosts[office].start(this.#options.offices[office].config);
    const isUp = this.#bringUp();
    const ikeSas = { main: this.#ikeSas('main'), branch: this.#ikeSas('branch') };
    const ipsecSas = { main: this.#ipsecSas('main'), branch: this.#ipsecSas('branch') };
    const ping = this.#ping(isUp ? this.#options.pingCount : 0);
    this.#clear();
    const pingAfterClear = this.#ping(isUp ? this.#options.pingCount : 0);
    const problem = this.#problem(isUp, ping);
    return {
      events: this.#events,
      ikeSas,
      ipsecSas,
      ping,
      pingAfterClear,
      wire: this.#wire,
      ...(problem === undefined ? {} : { problem }),
    };
  }

  /** Waits for a tunnel that establishes itself, and gives one that waits for traffic a packet. */
  #bringUp(): boolean {
    const isUp = (): boolean => OFFICES.every((office) => this.#ipsecSas(office).some((pair) => pair.isCurrent));
    this.#scheduler.runUntil(after(this.#scheduler.now, ANSWER_WITHIN), isUp);
    if (isUp()) return true;
    this.#sendPing();
    this.#scheduler.runUntil(after(this.#scheduler.now, TUNNEL_UP_WITHIN), isUp);
    return isUp();
  }

  #ping(count: number): LabPing {
    const sentAt = new Map<number, Instant>();
    for (let index = 0; index < count; index++) {
      sentAt.set(this.#serial, this.#scheduler.now);
      this.#sendPing();
      this.#scheduler.runUntil(after(this.#scheduler.now, PING_INTERVAL));
    }
    this.#scheduler.runUntil(after(this.#scheduler.now, ANSWER_WITHIN));
    const roundTrips: number[] = [];
    for (const [serial, at] of sentAt) {
      const answeredAt = this.#answers.get(serial);
      if (answeredAt !== undefined) roundTrips.push(elapsed(at, answeredAt));
    }
    return { sent: count, received: roundTrips.length, roundTrips };
  }

  #sendPing(): void {
    const { main, branch } = this.#options.offices;
    const serial = this.#serial++;
    const probe = { source: main.lanHost, destination: branch.lanHost, serial, fill: PING_FILL };
    this.#route('main', encodeProbe({ ...probe, kind: 'echo-request' }), branch.lanHost);
  }

  /** Ends all SAs, and keeps the gateways from making new ones. */
  #clear(): void {
    this.#isIkeCut = true;
    for (const office of OFFICES) {
      this.#hosts[office].command((gateway, now, out) => {
        gateway.clearIpsec(now, {}, out);
        gateway.clearIke(now, {}, out);
      });
    }
  }

  /** Into the tunnel interface that the longest matching static route names; without one, into no tunnel at all. */
  #route(office: Office, packet: Uint8Array, destination: IpAddress): void {
    const { config } = this.#options.offices[office];
    const matching = config.routes.filter((route) => rangeContains(prefixRange(route.prefix), destination));
    const [best] = matching.sort((a, b) => b.prefix.length - a.prefix.length || a.metric - b.metric);
    if (best) this.#hosts[office].sendInner(best.tunnelInterface, packet);
  }

  #handleDelivered(office: Office, packet: Uint8Array): void {
    const probe = decodeProbe(packet);
    if (probe === undefined) return;
    if (probe.kind === 'echo-reply') this.#answers.set(probe.serial, this.#scheduler.now);
    const answer = answerTo(probe, probe.serial);
    if (answer === undefined) return;
    this.#scheduler.in(milliseconds(1), () => this.#route(office, encodeProbe(answer), answer.destination));
  }

  #tap(packet: WirePacket): void {
    if (containsMarker(packet.octets)) this.#wire.cleartext++;
    if (isIke(packet)) this.#wire.ike++;
    else if (packet.kind === 'ip' || classifyUdp4500(packet.octets) === 'esp') this.#wire.esp++;
  }

  #makeHost(office: Office, crypto: SimulationCrypto): SimulatedHost {
    const [gateway] = this.#options.offices[office].config.gateways;
    if (gateway?.localAddress === undefined)
      throw new RangeError(`the ${office} office has no gateway with an address`);
    const observer: HostObserver = {
      wantsMessages: true,
      start: () => undefined,
      command: () => undefined,
      event: (_host, event) => this.#events.push({ atSeconds: this.#scheduler.now / 1000, office, event }),
      deliver: (_host, _tunnelInterface, packet) => this.#handleDelivered(office, packet),
    };
    const chance = this.#chance.fork(office);
    const clock = { offset: 0, rate: 1 };
    const host = { name: office, address: gateway.localAddress, clock, crypto, chance, observer };
    return new SimulatedHost(host, this.#scheduler, this.#fabric);
  }

  #ikeSas(office: Office): readonly IkeSaStatus[] {
    return this.#hosts[office].gateway?.ikeSas(this.#hosts[office].localNow) ?? [];
  }

  #ipsecSas(office: Office): readonly IpsecSaStatus[] {
    return this.#hosts[office].gateway?.ipsecSas(this.#hosts[office].localNow) ?? [];
  }

  #problem(isUp: boolean, ping: LabPing): string | undefined {
    if (isUp) return ping.received > 0 ? undefined : 'the tunnel is up, but no ping was answered';
    const failures = this.#events.flatMap(({ event }) =>
      event.kind === 'negotiation-failed' ? [event.explanation] : [],
    );
    return failures.at(-1) ?? 'the tunnel did not come up, and neither end said why';
  }
}

function isIke(packet: WirePacket): boolean {
  if (packet.kind === 'ip') return false;
  return packet.destination.port !== NAT_TRAVERSAL_PORT || classifyUdp4500(packet.octets) === 'ike';
}

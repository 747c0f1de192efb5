// A main office, its branches, one seed. First the network does its worst while machines crash and operators type, and only safety is
// asked for; then the faults stop, and every tunnel must recover within its deadline and from then on lose nothing.

import { PATIENT, patienceOf } from '../ike/retransmission.ts';
import { INTERVALS_TO_VERIFY } from '../ike/v1/dead-peer-detection.ts';
import { after, elapsed, type Instant, instant, milliseconds, type Seconds, seconds } from '../lib/time.ts';
import type { IkeEvent } from '../model/ike-event.ts';
import { Attacker } from './attacker.ts';
import { Chance } from './chance.ts';
import { cleartextChecker, SaChecker, StateBoundChecker, watchIkeCrypto, watchPacketCrypto } from './checkers.ts';
import { isClearMessage } from './clear-message.ts';
import { Disturber } from './disturber.ts';
import { Fabric } from './fabric.ts';
import { CALM, type LinkQuality, partitionRule, qualityRule } from './faults.ts';
import { Nat } from './nat.ts';
import { drawParameters, type SimulationParameters } from './parameters.ts';
import { Scheduler } from './scheduler.ts';
import { type HostObserver, SimulatedHost, type SimulationCrypto } from './simulated-host.ts';
import type { SimulationReport } from './simulation-report.ts';
import { makeFlows, makeSites, type Site } from './sites.ts';
import { type RoutedPacket, type SiteTraffic, Traffic } from './traffic.ts';

export interface SimulationOptions {
  readonly seed: number;
  /** Virtual seconds with faults; the calm after them comes on top. */
  readonly seconds?: Seconds;
  /** Packets lost at most, from 0 to 1. */
  readonly lossMax?: number;
  /** Virtual seconds after the recovery deadline during which nothing may be lost. */
  readonly calmSeconds?: Seconds;
  /** Sees every event of every gateway, for a log. */
  onEvent?(atSeconds: number, site: string, event: IkeEvent): void;
}

const SIMULATION_SECONDS_DEFAULT = seconds(180);
const LOSS_MAX_DEFAULT = 0.3;
const CALM_SECONDS_DEFAULT = seconds(300);
/** Six messages, three more, and the computations in between, over a calm network; and the pause between two attempts. */
const NEGOTIATION_SECONDS = 2 + 5;
/** A packet sent this shortly before the end may still be on its way. */
const TAIL = milliseconds(2000);
/** How often the number of SAs is looked at. */
const LOOK_INTERVAL = milliseconds(4000);
const VIOLATIONS_MAX = 20;
const IKE_SAS_PER_PEER_MAX = 12;
const PAIRS_PER_SELECTOR_MAX = 8;

/** Runs one seed to its end. Never throws for what the gateways do: that is a violation in the report. */
export function runSimulation(options: SimulationOptions, crypto: SimulationCrypto): SimulationReport {
  return new Simulation(options, crypto).run();
}

class Simulation {
  readonly #options: SimulationOptions;
  readonly #lossMax: number;
  readonly #parameters: SimulationParameters;
  readonly #scheduler = new Scheduler();
  readonly #fabric = new Fabric(this.#scheduler);
  readonly #violations: string[] = [];
  readonly #chance: Chance;
  readonly #trafficChance: Chance;
  readonly #sites: readonly Site[];
  readonly #hosts = new Map<string, SimulatedHost>();
  readonly #nats = new Map<string, Nat>();
  readonly #traffic: Traffic;
  readonly #saChecker: SaChecker;
  readonly #stateChecker: StateBoundChecker;
  readonly #disturber: Disturber;
  readonly #attacker: Attacker | undefined;
  readonly #faultsUntil: Instant;
  readonly #deadline: Seconds;
  readonly #end: Instant;
  readonly #negotiations = { ikeSas: 0, ipsecSas: 0, rekeys: 0, failed: 0 };
  readonly #faultsBeforeEnd = new Set<string>();
  #quality: LinkQuality;
  #firstDeliveryAt: Instant | undefined;

  constructor(options: SimulationOptions, crypto: SimulationCrypto) {
    this.#options = options;
    this.#chance = new Chance(options.seed);
    const faultsSeconds = options.seconds ?? SIMULATION_SECONDS_DEFAULT;
    this.#lossMax = options.lossMax ?? LOSS_MAX_DEFAULT;
    this.#parameters = drawParameters(this.#chance.fork('parameters'), { faultsSeconds, lossMax: this.#lossMax });
    this.#trafficChance = this.#chance.fork('traffic');
    const { branches, quality, attackInterval, damagesClear } = this.#parameters;
    const complain = (violation: string): void => this.#complain(violation);
    this.#quality = quality;
    this.#sites = makeSites(branches);
    this.#traffic = new Traffic(makeFlows(branches), complain);
    this.#saChecker = new SaChecker(complain);
    this.#stateChecker = new StateBoundChecker(complain);
    this.#makeHosts(crypto);
    this.#makeNats();
    this.#faultsUntil = instant(faultsSeconds * 1000);
    this.#disturber = new Disturber({
      scheduler: this.#scheduler,
      sites: this.#sites,
      hosts: this.#hosts,
      nats: this.#nats,
      faultsUntil: this.#faultsUntil,
      complain,
    });
    if (branches.every(({ protocol }) => protocol === 'esp')) this.#fabric.observe(cleartextChecker(complain));
    const link = this.#chance.fork('link');
    this.#fabric.setRules([
      partitionRule(this.#disturber.partitions),
      qualityRule(
        () => this.#quality,
        link,
        (packet) => !damagesClear && isClearMessage(packet),
      ),
    ]);
    const attackerChance = this.#chance.fork('attacker');
    this.#attacker =
      attackInterval && new Attacker(this.#scheduler, this.#fabric, attackerChance, attackInterval, damagesClear);
    this.#deadline = recoveryDeadline(this.#parameters);
    const calmSeconds = options.calmSeconds ?? CALM_SECONDS_DEFAULT;
    this.#end = after(this.#faultsUntil, milliseconds((this.#deadline + calmSeconds) * 1000));
  }

  run(): SimulationReport {
    try {
      this.#schedule();
      this.#scheduler.runUntil(this.#end, () => this.#violations.length >= VIOLATIONS_MAX);
      if (this.#violations.length < VIOLATIONS_MAX) this.#checkEnd();
    } catch (fault) {
      if (!(fault instanceof Error)) throw fault;
      this.#complain(fault.stack ?? fault.message);
    }
    return this.#report();
  }

  #schedule(): void {
    for (const { name } of this.#sites) {
      this.#scheduler.at(instant(this.#chance.integer(0, 3000)), () => this.#disturber.start(name));
      this.#scheduleTraffic(name);
    }
    this.#scheduleLook();
    this.#disturber.schedule(this.#parameters.disturbances);
    this.#scheduler.at(this.#faultsUntil, () => {
      this.#quality = CALM;
      this.#attacker?.onlyReplay();
      this.#traffic.expectRecovery(this.#scheduler.now);
    });
    this.#scheduler.at(after(this.#faultsUntil, milliseconds(this.#deadline * 1000)), () => this.#checkRecovery());
    this.#scheduler.at(after(this.#end, milliseconds(-TAIL)), () => {
      for (const fault of this.#sites.flatMap((site) => this.#pairFaults(site))) this.#faultsBeforeEnd.add(fault);
    });
  }

  #scheduleLook(): void {
    this.#scheduler.in(LOOK_INTERVAL, () => {
      for (const site of this.#sites) {
        const limits = {
          ikeSas: IKE_SAS_PER_PEER_MAX * site.peerCount,
          pairs: PAIRS_PER_SELECTOR_MAX * site.pairCount,
        };
        this.#stateChecker.look(site.name, this.#ikeSas(site.name).length, this.#pairs(site.name).length, limits);
      }
      this.#scheduleLook();
    });
  }

  #scheduleTraffic(name: string): void {
    const chance = this.#trafficChance;
    const next = (): void => {
      const kind = chance.happens(0.5) ? 'udp' : 'echo-request';
      const fill = this.#fill();
      if (this.#hosts.get(name)?.isRunning) {
        this.#sendInner(name, this.#traffic.nextPacket(this.#scheduler.now, name, kind, fill));
      }
      this.#scheduler.in(milliseconds(Math.floor(this.#parameters.trafficInterval * chance.between(0.5, 1.5))), next);
    };
    this.#scheduler.at(instant(chance.integer(1000, 5000)), next);
  }

  /** Small packets mostly, since the simulator makes and compares every octet of them. */
  #fill(): number {
    return this.#trafficChance.integer(0, this.#trafficChance.happens(0.1) ? 1200 : 64);
  }

  #sendInner(name: string, routed: RoutedPacket | undefined): void {
    if (routed) this.#hosts.get(name)?.sendInner(routed.tunnelInterface, routed.packet);
  }

  #checkRecovery(): void {
    if (this.#traffic.recoveredAt !== undefined) return;
    const silent = this.#traffic.silentFlows().join(', ');
    this.#complain(`within ${this.#deadline} s after the faults stopped, nothing came from ${silent}`);
  }

  #checkEnd(): void {
    const recoveredAt = this.#traffic.recoveredAt;
    if (recoveredAt === undefined) return;
    const until = after(this.#end, milliseconds(-TAIL));
    for (const site of this.#sites) {
      const { sent, received } = this.#traffic.of(site.name, recoveredAt, until);
      if (received < sent) this.#complain(`${sent - received} packets of ${site.name} were lost after the recovery`);
      // While the last message of a rekey is on its way, the two ends may differ.
      for (const fault of this.#pairFaults(site)) if (this.#faultsBeforeEnd.has(fault)) this.#complain(fault);
    }
    const firstLost = this.#traffic.firstLost(recoveredAt, until);
    if (firstLost !== undefined) this.#complain(`the first of the lost packets was sent at ${firstLost / 1000} s`);
  }

  /** What is wrong with a site's pairs: each selector has one in use, of which some other site has the other half. */
  #pairFaults(site: Site): readonly string[] {
    const others = this.#sites.filter((other) => other !== site);
    const inboundElsewhere = new Set(others.flatMap(({ name }) => this.#pairs(name)).map((pair) => pair.inboundSpi));
    const current = this.#pairs(site.name).filter((pair) => pair.isCurrent);
    const policies = new Set(current.map((pair) => pair.policy));
    const { name, pairCount } = site;
    const faults: string[] = [];
    if (current.length !== pairCount || policies.size !== pairCount) {
      faults.push(`${name} ends with ${current.length} pairs in use for ${policies.size} of ${pairCount} selectors`);
    }
    for (const pair of current) {
      if (!inboundElsewhere.has(pair.outboundSpi)) faults.push(`${name} sends under an SA that nobody else has`);
    }
    return faults;
  }

  #makeHosts(crypto: SimulationCrypto): void {
    const complain = (violation: string): void => this.#complain(violation);
    const watched: SimulationCrypto = {
      crypto: watchIkeCrypto(crypto.crypto, complain),
      packetCrypto: watchPacketCrypto(crypto.packetCrypto, complain),
      compute: (job) => crypto.compute(job),
    };
    for (const [index, { name, address }] of this.#sites.entries()) {
      const clock = this.#parameters.clocks[index] ?? { offset: 0, rate: 1 };
      const chance = this.#chance.fork(name);
      const observer = this.#makeObserver(name);
      const options = { name, address, clock, crypto: watched, chance, observer };
      this.#hosts.set(name, new SimulatedHost(options, this.#scheduler, this.#fabric));
    }
  }

  #makeNats(): void {
    const { nat: options } = this.#parameters;
    const byOutside = new Map<string, Nat>();
    for (const { name, address, seen, isBehindNat } of this.#sites) {
      if (options === undefined || !isBehindNat) continue;
      const nat = byOutside.get(seen) ?? new Nat({ ...options, outside: seen }, this.#chance.fork('nat'));
      byOutside.set(seen, nat);
      this.#nats.set(name, nat);
      this.#fabric.addNat(nat, address);
    }
  }

  #makeObserver(name: string): HostObserver {
    return {
      wantsMessages: this.#options.onEvent !== undefined,
      start: (host) => this.#saChecker.start(host),
      command: (host, command) => this.#saChecker.command(host, command),
      event: (host, event) => {
        this.#options.onEvent?.(this.#scheduler.now / 1000, host, event);
        this.#count(event);
      },
      deliver: (host, tunnelInterface, packet) => {
        this.#firstDeliveryAt ??= this.#scheduler.now;
        const answer = this.#traffic.handleDelivered(this.#scheduler.now, host, tunnelInterface, packet);
        if (answer) this.#scheduler.in(milliseconds(1), () => this.#sendInner(name, answer));
      },
    };
  }

  #count(event: IkeEvent): void {
    if (event.kind === 'ike-sa-established') this.#negotiations.ikeSas++;
    if (event.kind === 'ipsec-sa-established') this.#negotiations.ipsecSas++;
    if (event.kind === 'negotiation-failed') this.#negotiations.failed++;
    if ('isRekey' in event && event.isRekey) this.#negotiations.rekeys++;
  }

  #ikeSas(name: string) {
    const host = this.#hosts.get(name);
    return host?.gateway?.ikeSas(host.localNow) ?? [];
  }

  #pairs(name: string) {
    const host = this.#hosts.get(name);
    return host?.gateway?.ipsecSas(host.localNow) ?? [];
  }

  #complain(violation: string): void {
    const text = `at ${(this.#scheduler.now / 1000).toFixed(3)} s: ${violation}`;
    if (this.#violations.length < VIOLATIONS_MAX) this.#violations.push(text);
  }

  #report(): SimulationReport {
    const recoveredAt = this.#traffic.recoveredAt;
    const recovery = recoveredAt === undefined ? undefined : elapsed(this.#faultsUntil, recoveredAt) / 1000;
    return {
      seed: this.#options.seed,
      lossMax: this.#lossMax,
      parameters: this.#parameters,
      virtualSeconds: this.#scheduler.now / 1000,
      faultsUntilSeconds: this.#faultsUntil / 1000,
      ...(this.#firstDeliveryAt === undefined ? {} : { tunnelUpAtSeconds: this.#firstDeliveryAt / 1000 }),
      ...(recovery === undefined ? {} : { recoveredAfterSeconds: recovery }),
      recoveryDeadlineSeconds: this.#deadline,
      network: this.#fabric.counters(),
      attacks: this.#attacker?.strikeCount ?? 0,
      traffic: this.#trafficBetween(instant(0), this.#end),
      calmTraffic: this.#trafficBetween(recoveredAt ?? this.#end, after(this.#end, milliseconds(-TAIL))),
      negotiations: this.#negotiations,
      stateMax: { ...this.#stateChecker.seen, inboundSas: this.#saChecker.liveMax },
      violations: this.#violations,
    };
  }

  #trafficBetween(from: Instant, until: Instant): Readonly<Record<string, SiteTraffic>> {
    return Object.fromEntries(this.#sites.map(({ name }) => [name, this.#traffic.of(name, from, until)]));
  }
}

/** Detecting that the peer is gone, one attempt that fails because it began too early, and one that does not; for the slowest branch. */
function recoveryDeadline({ branches, damagesClear }: SimulationParameters): Seconds {
  const detections = branches.map((branch) => {
    const { deadPeerDetection, ikeLifetime, ipsecLifetime, selectorCount } = branch;
    if (damagesClear) return Math.max(ikeLifetime, ipsecLifetime);
    // While one selector works, only the verification of the IKE SA finds out that the others do not.
    const verification = selectorCount > 1 ? INTERVALS_TO_VERIFY + 1 : 0;
    return deadPeerDetection.interval * (deadPeerDetection.threshold + verification);
  });
  return seconds(Math.max(...detections) + patienceOf(PATIENT) / 1000 + NEGOTIATION_SECONDS);
}

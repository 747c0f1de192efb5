// Two offices, one tunnel, one seed. First the network does its worst while machines crash and operators type, and only safety is
// asked for; then the faults stop, and the tunnel must recover within its deadline and from then on lose nothing (style: TigerBeetle's
// safety, then liveness).

import { PATIENT, patienceOf } from '../ike/retransmission.ts';
import { after, elapsed, type Instant, instant, milliseconds, type Seconds, seconds } from '../lib/time.ts';
import type { DataPlaneCommand } from '../model/data-plane.ts';
import type { GatewayConfig } from '../model/gateway-config.ts';
import type { IkeEvent } from '../model/ike-event.ts';
import { Attacker } from './attacker.ts';
import { Chance } from './chance.ts';
import { cleartextChecker, SaChecker, StateBoundChecker, watchIkeCrypto, watchPacketCrypto } from './checkers.ts';
import { isClearMessage } from './clear-message.ts';
import { Fabric } from './fabric.ts';
import { CALM, type LinkQuality, type Partition, partitionRule, qualityRule } from './faults.ts';
import { Nat } from './nat.ts';
import { type Disturbance, drawParameters, type SimulationParameters } from './parameters.ts';
import { Scheduler } from './scheduler.ts';
import { type HostObserver, SimulatedHost, type SimulationCrypto } from './simulated-host.ts';
import type { SimulationReport } from './simulation-report.ts';
import { Traffic } from './traffic.ts';
import {
  type Office,
  officeAddresses,
  officeConfig,
  TUNNEL_INTERFACE,
  withIpsecLifetime,
  withoutUnrelatedVpn,
  withUnrelatedVpn,
} from './two-offices.ts';

export interface SimulationOptions {
  readonly seed: number;
  /** Virtual seconds with faults; the calm after them comes on top. */
  readonly seconds?: Seconds;
  /** Packets lost at most, from 0 to 1. */
  readonly lossMax?: number;
  /** Virtual seconds after the recovery deadline during which nothing may be lost. */
  readonly calmSeconds?: Seconds;
  /** Sees every event of both gateways, for a log. */
  onEvent?(atSeconds: number, office: Office, event: IkeEvent): void;
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
const IKE_SAS_MAX = 12;
const IPSEC_SA_PAIRS_PER_SELECTOR_MAX = 8;
const OFFICES: readonly Office[] = ['main', 'branch'];

/** Runs one seed to its end. Never throws for what the gateways do: that is a violation in the report. */
export function runSimulation(options: SimulationOptions, crypto: SimulationCrypto): SimulationReport {
  return new Simulation(options, crypto).run();
}

class Simulation {
  readonly #options: SimulationOptions;
  readonly #parameters: SimulationParameters;
  readonly #scheduler = new Scheduler();
  readonly #fabric = new Fabric(this.#scheduler);
  readonly #violations: string[] = [];
  readonly #chance: Chance;
  readonly #trafficChance: Chance;
  readonly #hosts: Readonly<Record<Office, SimulatedHost>>;
  readonly #configs: Record<Office, GatewayConfig>;
  readonly #traffic: Traffic;
  readonly #saChecker: SaChecker;
  readonly #stateChecker: StateBoundChecker;
  readonly #partitions: Partition[] = [];
  readonly #nat: Nat | undefined;
  readonly #attacker: Attacker | undefined;
  readonly #faultsUntil: Instant;
  readonly #deadline: Seconds;
  readonly #end: Instant;
  readonly #negotiations = { ikeSas: 0, ipsecSas: 0, rekeys: 0, failed: 0 };
  #quality: LinkQuality;
  #tunnelUpAt: Instant | undefined;

  constructor(options: SimulationOptions, crypto: SimulationCrypto) {
    this.#options = options;
    this.#chance = new Chance(options.seed);
    const faultsSeconds = options.seconds ?? SIMULATION_SECONDS_DEFAULT;
    const lossMax = options.lossMax ?? LOSS_MAX_DEFAULT;
    this.#parameters = drawParameters(this.#chance.fork('parameters'), { faultsSeconds, lossMax });
    this.#trafficChance = this.#chance.fork('traffic');
    const { offices, quality, nat, attackInterval, damagesClear } = this.#parameters;
    const complain = (violation: string): void => this.#complain(violation);
    this.#quality = quality;
    this.#configs = { main: officeConfig('main', offices), branch: officeConfig('branch', offices) };
    this.#traffic = new Traffic(offices.selectorCount, complain);
    this.#saChecker = new SaChecker(complain);
    this.#stateChecker = new StateBoundChecker(
      complain,
      IKE_SAS_MAX,
      IPSEC_SA_PAIRS_PER_SELECTOR_MAX * offices.selectorCount,
    );
    const watched: SimulationCrypto = {
      crypto: watchIkeCrypto(crypto.crypto, complain),
      packetCrypto: watchPacketCrypto(crypto.packetCrypto, complain),
      compute: (job) => crypto.compute(job),
    };
    this.#hosts = { main: this.#makeHost('main', watched), branch: this.#makeHost('branch', watched) };
    const { gateway: inside, seen: outside } = officeAddresses('branch', offices.isBranchBehindNat);
    this.#nat = nat && new Nat({ ...nat, inside, outside }, this.#chance.fork('nat'));
    if (this.#nat) this.#fabric.addNat(this.#nat);
    if (offices.protocol === 'esp') this.#fabric.observe(cleartextChecker(complain));
    this.#fabric.setRules([
      partitionRule(this.#partitions),
      qualityRule(
        () => this.#quality,
        this.#chance.fork('link'),
        (packet) => !damagesClear && isClearMessage(packet),
      ),
    ]);
    this.#attacker =
      attackInterval &&
      new Attacker(this.#scheduler, this.#fabric, this.#chance.fork('attacker'), attackInterval, damagesClear);
    this.#faultsUntil = instant(faultsSeconds * 1000);
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
    for (const office of OFFICES) {
      const host = this.#hosts[office];
      this.#at(this.#chance.integer(0, 3000), () => host.start(this.#configs[office]));
      this.#scheduleTraffic(office);
    }
    this.#scheduleLook();
    for (const disturbance of this.#parameters.disturbances) {
      this.#at(disturbance.at, () => this.#disturb(disturbance));
    }
    this.#scheduler.at(this.#faultsUntil, () => {
      this.#quality = CALM;
      this.#attacker?.onlyReplay();
      this.#traffic.expectRecovery(this.#scheduler.now);
    });
    this.#scheduler.at(after(this.#faultsUntil, milliseconds(this.#deadline * 1000)), () => this.#checkRecovery());
  }

  #scheduleLook(): void {
    this.#scheduler.in(LOOK_INTERVAL, () => {
      for (const office of OFFICES) {
        this.#stateChecker.look(office, this.#ikeSas(office), this.#ipsecSas(office).length);
      }
      this.#scheduleLook();
    });
  }

  #scheduleTraffic(office: Office): void {
    const chance = this.#trafficChance;
    const next = (): void => {
      const kind = chance.happens(0.5) ? 'udp' : 'echo-request';
      const host = this.#hosts[office];
      if (host.isRunning) {
        const packet = this.#traffic.nextPacket(this.#scheduler.now, office, kind, this.#fill());
        host.sendInner(TUNNEL_INTERFACE, packet);
      }
      this.#scheduler.in(milliseconds(Math.floor(this.#parameters.trafficInterval * chance.between(0.5, 1.5))), next);
    };
    this.#at(chance.integer(1000, 5000), next);
  }

  /** Small packets mostly, since the simulator makes and compares every octet of them. */
  #fill(): number {
    return this.#trafficChance.integer(0, this.#trafficChance.happens(0.1) ? 1200 : 64);
  }

  #disturb(disturbance: Disturbance): void {
    switch (disturbance.kind) {
      case 'partition':
        this.#cut(disturbance.lasts, disturbance.direction);
        break;
      case 'crash':
      case 'restart':
        this.#restart(this.#hosts[disturbance.office], disturbance);
        break;
      case 'nat-rebinding':
        this.#nat?.rebind();
        break;
      case 'clear-ike':
        this.#hosts[disturbance.office].command((gateway, now, out) => gateway.clearIke(now, {}, out));
        break;
      case 'clear-ipsec':
        this.#hosts[disturbance.office].command((gateway, now, out) => gateway.clearIpsec(now, {}, out));
        break;
      case 'unrelated-commit':
        this.#commitUnrelated(disturbance.office);
        break;
      case 'changing-commit':
        this.#commit(
          disturbance.office,
          withIpsecLifetime(this.#configs[disturbance.office], disturbance.ipsecLifetime),
        );
        break;
    }
  }

  #cut(lasts: number, direction: 'both' | Office): void {
    const { isBranchBehindNat } = this.#parameters.offices;
    const main = officeAddresses('main', isBranchBehindNat).seen;
    const branch = officeAddresses('branch', isBranchBehindNat).seen;
    const from = this.#scheduler.now;
    const until = this.#calmAtLast(after(from, milliseconds(lasts)));
    if (direction !== 'branch') this.#partitions.push({ from, until, source: main, destination: branch });
    if (direction !== 'main') this.#partitions.push({ from, until, source: branch, destination: main });
  }

  #restart(host: SimulatedHost, disturbance: Extract<Disturbance, { kind: 'crash' | 'restart' }>): void {
    if (!host.isRunning) return;
    if (disturbance.kind === 'crash') host.crash();
    else host.stop();
    const at = this.#calmAtLast(after(this.#scheduler.now, disturbance.lasts));
    this.#scheduler.at(at, () => host.start(this.#configs[disturbance.office]));
  }

  #commit(office: Office, config: GatewayConfig): void {
    this.#configs[office] = config;
    this.#hosts[office].commit(config);
  }

  /** An unchanged VPN keeps its SAs, whatever else a commit brings. */
  #commitUnrelated(office: Office): void {
    const config = this.#configs[office];
    const before = this.#ipsecSas(office).map((pair) => pair.inboundSpi);
    this.#commit(office, config.vpns.length > 1 ? withoutUnrelatedVpn(config) : withUnrelatedVpn(config));
    const now = new Set(this.#ipsecSas(office).map((pair) => pair.inboundSpi));
    const gone = before.filter((spi) => !now.has(spi));
    if (gone.length > 0) this.#complain(`${office} ended ${gone.length} SAs of a VPN that a commit did not change`);
  }

  #checkRecovery(): void {
    if (this.#traffic.recoveredAt !== undefined) return;
    this.#complain(`no traffic both ways within ${this.#deadline} s after the faults stopped`);
  }

  #checkEnd(): void {
    const recoveredAt = this.#traffic.recoveredAt;
    if (recoveredAt === undefined) return;
    const until = after(this.#end, milliseconds(-TAIL));
    for (const office of OFFICES) {
      const { sent, received } = this.#traffic.of(office, recoveredAt, until);
      if (received < sent) this.#complain(`${sent - received} packets of ${office} were lost after the recovery`);
      this.#checkPairs(office);
    }
    const firstLost = this.#traffic.firstLost(recoveredAt, until);
    if (firstLost !== undefined) this.#complain(`the first of the lost packets was sent at ${firstLost / 1000} s`);
  }

  /** Each selector has one pair that is in use, and the peer has the other half of it. */
  #checkPairs(office: Office): void {
    const peer = office === 'main' ? 'branch' : 'main';
    const peerInbound = new Set(this.#ipsecSas(peer).map((pair) => pair.inboundSpi));
    const current = this.#ipsecSas(office).filter((pair) => pair.isCurrent);
    const policies = new Set(current.map((pair) => pair.policy));
    const expected = this.#parameters.offices.selectorCount;
    if (current.length !== expected || policies.size !== expected) {
      this.#complain(
        `${office} ends with ${current.length} pairs in use for ${policies.size} of ${expected} selectors`,
      );
    }
    for (const pair of current) {
      if (!peerInbound.has(pair.outboundSpi)) this.#complain(`${office} sends under an SA that ${peer} does not have`);
    }
  }

  #makeHost(office: Office, crypto: SimulationCrypto): SimulatedHost {
    const { offices, clocks } = this.#parameters;
    const address = officeAddresses(office, offices.isBranchBehindNat).gateway;
    const chance = this.#chance.fork(office);
    const observer = this.#makeObserver(office);
    const options = { name: office, address, clock: clocks[office], crypto, chance, observer };
    return new SimulatedHost(options, this.#scheduler, this.#fabric);
  }

  #makeObserver(office: Office): HostObserver {
    return {
      start: (host) => this.#saChecker.start(host),
      command: (host: string, command: DataPlaneCommand) => this.#saChecker.command(host, command),
      event: (_host, event) => {
        this.#options.onEvent?.(this.#scheduler.now / 1000, office, event);
        this.#count(event);
      },
      deliver: (_host, tunnelInterface, packet) => {
        if (tunnelInterface !== TUNNEL_INTERFACE) this.#complain(`${office} delivered into ${tunnelInterface}`);
        this.#tunnelUpAt ??= this.#scheduler.now;
        const answer = this.#traffic.handleDelivered(this.#scheduler.now, office, packet);
        if (answer) this.#scheduler.in(milliseconds(1), () => this.#hosts[office].sendInner(TUNNEL_INTERFACE, answer));
      },
    };
  }

  #count(event: IkeEvent): void {
    if (event.kind === 'ike-sa-established') this.#negotiations.ikeSas++;
    if (event.kind === 'ipsec-sa-established') this.#negotiations.ipsecSas++;
    if (event.kind === 'negotiation-failed') this.#negotiations.failed++;
    if ('isRekey' in event && event.isRekey) this.#negotiations.rekeys++;
  }

  #ikeSas(office: Office): number {
    const host = this.#hosts[office];
    return host.gateway?.ikeSas(host.localNow).length ?? 0;
  }

  #ipsecSas(office: Office) {
    const host = this.#hosts[office];
    return host.gateway?.ipsecSas(host.localNow) ?? [];
  }

  #at(at: number, action: () => void): void {
    this.#scheduler.at(instant(at), action);
  }

  /** No fault outlasts the time for faults. */
  #calmAtLast(at: Instant): Instant {
    return at < this.#faultsUntil ? at : this.#faultsUntil;
  }

  #complain(violation: string): void {
    const text = `at ${(this.#scheduler.now / 1000).toFixed(3)} s: ${violation}`;
    if (this.#violations.length < VIOLATIONS_MAX) this.#violations.push(text);
  }

  #report(): SimulationReport {
    const start = instant(0);
    const recoveredAt = this.#traffic.recoveredAt;
    const until = after(this.#end, milliseconds(-TAIL));
    return {
      seed: this.#options.seed,
      parameters: this.#parameters,
      virtualSeconds: this.#scheduler.now / 1000,
      faultsUntilSeconds: this.#faultsUntil / 1000,
      ...(this.#tunnelUpAt === undefined ? {} : { tunnelUpAtSeconds: this.#tunnelUpAt / 1000 }),
      ...(recoveredAt === undefined ? {} : { recoveredAfterSeconds: elapsed(this.#faultsUntil, recoveredAt) / 1000 }),
      recoveryDeadlineSeconds: this.#deadline,
      network: this.#fabric.counters(),
      attacks: this.#attacker?.strikeCount ?? 0,
      traffic: {
        main: this.#traffic.of('main', start, this.#end),
        branch: this.#traffic.of('branch', start, this.#end),
      },
      calmTraffic: {
        main: this.#traffic.of('main', recoveredAt ?? this.#end, until),
        branch: this.#traffic.of('branch', recoveredAt ?? this.#end, until),
      },
      negotiations: this.#negotiations,
      stateMax: { ...this.#stateChecker.seen, inboundSas: this.#saChecker.liveMax },
      violations: this.#violations,
    };
  }
}

/** Detecting that the peer is gone, one attempt that fails because it began too early, and one that does not. */
function recoveryDeadline(parameters: SimulationParameters): Seconds {
  const { offices, damagesClear } = parameters;
  const { interval, threshold } = offices.deadPeerDetection;
  const detection = damagesClear ? Math.max(offices.ikeLifetime, offices.ipsecLifetime) : interval * threshold;
  return seconds(detection + patienceOf(PATIENT) / 1000 + NEGOTIATION_SECONDS);
}

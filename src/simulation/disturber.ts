// Carries out what a seed has in store: cuts lines, switches machines off and on, and types commands.

import { after, type Instant, instant, milliseconds } from '../lib/time.ts';
import type { GatewayConfig } from '../model/gateway-config.ts';
import type { Complain } from './checkers.ts';
import type { Partition } from './faults.ts';
import type { Nat } from './nat.ts';
import type { Disturbance } from './parameters.ts';
import type { Scheduler } from './scheduler.ts';
import type { SimulatedHost } from './simulated-host.ts';
import { MAIN, type Site } from './sites.ts';
import { withIpsecLifetime, withoutUnrelatedVpn, withUnrelatedVpn } from './two-offices.ts';

/** What a disturber can lay hands on. */
export interface DisturberReach {
  readonly scheduler: Scheduler;
  readonly sites: readonly Site[];
  readonly hosts: ReadonlyMap<string, SimulatedHost>;
  readonly nats: ReadonlyMap<string, Nat>;
  /** No fault outlasts this. */
  readonly faultsUntil: Instant;
  complain: Complain;
}

/** The cause of trouble. */
export class Disturber {
  readonly #reach: DisturberReach;
  readonly #sites: ReadonlyMap<string, Site>;
  readonly #configs: Map<string, GatewayConfig>;
  readonly #partitions: Partition[] = [];

  constructor(reach: DisturberReach) {
    this.#reach = reach;
    this.#sites = new Map(reach.sites.map((site) => [site.name, site]));
    this.#configs = new Map(reach.sites.map((site) => [site.name, site.config]));
  }

  /** Lines that are cut, now or at other times. */
  get partitions(): readonly Partition[] {
    return this.#partitions;
  }

  /** Switches a site on, with the configuration that was committed last. */
  start(name: string): void {
    const config = this.#configs.get(name);
    if (config) this.#reach.hosts.get(name)?.start(config);
  }

  schedule(disturbances: readonly Disturbance[]): void {
    for (const disturbance of disturbances) {
      this.#reach.scheduler.at(instant(disturbance.at), () => this.#disturb(disturbance));
    }
  }

  #disturb(disturbance: Disturbance): void {
    switch (disturbance.kind) {
      case 'partition':
        this.#cut(disturbance);
        break;
      case 'crash':
      case 'restart':
        this.#restart(disturbance);
        break;
      case 'nat-rebinding':
        this.#reach.nats.get(disturbance.branch)?.rebind();
        break;
      case 'clear-ike':
        this.#reach.hosts.get(disturbance.site)?.command((gateway, now, out) => gateway.clearIke(now, {}, out));
        break;
      case 'clear-ipsec':
        this.#reach.hosts.get(disturbance.site)?.command((gateway, now, out) => gateway.clearIpsec(now, {}, out));
        break;
      case 'unrelated-commit':
        this.#commitUnrelated(disturbance.site);
        break;
      case 'changing-commit':
        this.#commit(disturbance.site, (config) => withIpsecLifetime(config, disturbance.ipsecLifetime));
        break;
    }
  }

  #cut({ branch, direction, lasts }: Extract<Disturbance, { kind: 'partition' }>): void {
    const main = this.#sites.get(MAIN)?.seen;
    const other = this.#sites.get(branch)?.seen;
    if (main === undefined || other === undefined) return;
    const from = this.#reach.scheduler.now;
    const until = this.#calmAtLast(after(from, lasts));
    if (direction !== 'to-main') this.#partitions.push({ from, until, source: main, destination: other });
    if (direction !== 'to-branch') this.#partitions.push({ from, until, source: other, destination: main });
  }

  #restart({ kind, site, lasts }: Extract<Disturbance, { kind: 'crash' | 'restart' }>): void {
    const host = this.#reach.hosts.get(site);
    if (host === undefined || !host.isRunning) return;
    if (kind === 'crash') host.crash();
    else host.stop();
    const at = this.#calmAtLast(after(this.#reach.scheduler.now, milliseconds(lasts)));
    this.#reach.scheduler.at(at, () => this.start(site));
  }

  #commit(name: string, change: (config: GatewayConfig) => GatewayConfig): void {
    const before = this.#configs.get(name);
    if (before === undefined) return;
    const config = change(before);
    this.#configs.set(name, config);
    this.#reach.hosts.get(name)?.commit(config);
  }

  /** An unchanged VPN keeps its SAs, whatever else a commit brings. */
  #commitUnrelated(name: string): void {
    const before = this.#inboundSpis(name);
    const peerCount = this.#sites.get(name)?.peerCount ?? 0;
    this.#commit(name, (config) =>
      config.vpns.length > peerCount ? withoutUnrelatedVpn(config) : withUnrelatedVpn(config),
    );
    const now = new Set(this.#inboundSpis(name));
    const goneCount = before.filter((spi) => !now.has(spi)).length;
    if (goneCount > 0) this.#reach.complain(`${name} ended ${goneCount} SAs of a VPN that a commit did not change`);
  }

  #inboundSpis(name: string): readonly number[] {
    const host = this.#reach.hosts.get(name);
    return host?.gateway?.ipsecSas(host.localNow).map((pair) => pair.inboundSpi) ?? [];
  }

  #calmAtLast(at: Instant): Instant {
    return at < this.#reach.faultsUntil ? at : this.#reach.faultsUntil;
  }
}

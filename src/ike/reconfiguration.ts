// A new configuration against what stands: SAs that still fit stay up, the others are ended with a Delete.

import { equalBytes } from '../lib/bytes.ts';
import { Secret } from '../lib/secret.ts';
import type { Instant } from '../lib/time.ts';
import type { GatewayConfig } from '../model/gateway-config.ts';
import { policyId } from '../model/ipsec-sa.ts';
import type { Coordinator } from './coordinator.ts';
import { GatewayIndex } from './gateway-index.ts';
import type { IkeOutbox } from './outbox.ts';
import { Peer } from './peer.ts';
import { Tunnel } from './tunnel.ts';

/** Takes the configuration over; returns the tunnels that are new and the ones that are gone. */
export function reconfigure(
  now: Instant,
  coordinator: Coordinator,
  config: GatewayConfig,
  out: IkeOutbox,
): { readonly added: readonly Tunnel[]; readonly removed: readonly Tunnel[] } {
  const previous = coordinator.config;
  coordinator.config = config;
  coordinator.gateways = new GatewayIndex(config);
  endChangedVpns(now, coordinator, previous, config, out);
  endChangedGateways(now, coordinator, previous, config, out);
  return replaceTunnels(now, coordinator, config);
}

function endChangedVpns(
  now: Instant,
  coordinator: Coordinator,
  previous: GatewayConfig,
  config: GatewayConfig,
  out: IkeOutbox,
): void {
  const changed = namesOfChanged(previous.vpns, config.vpns);
  if (changed.size === 0) return;
  for (const pair of coordinator.tunnels.pairs.all()) {
    if (!changed.has(pair.vpn.name) || pair.state === 'ended') continue;
    coordinator.tunnels.endPair(now, pair, 'configuration-changed', true, out);
  }
}

function endChangedGateways(
  now: Instant,
  coordinator: Coordinator,
  previous: GatewayConfig,
  config: GatewayConfig,
  out: IkeOutbox,
): void {
  const changed = namesOfChanged(previous.gateways, config.gateways);
  for (const name of changed) {
    for (const pair of coordinator.tunnels.pairs.ofGateway(name)) {
      coordinator.tunnels.endPair(now, pair, 'configuration-changed', true, out);
    }
  }
  for (const sa of changed.size > 0 ? [...coordinator.sas] : []) {
    if (changed.has(sa.gateway.name)) coordinator.endIsakmp(now, sa, 'configuration-changed', true, out);
  }
  for (const name of changed) {
    coordinator.peers.delete(name);
    coordinator.leases.forget(name);
  }
  for (const gateway of config.gateways) {
    if (gateway.version !== 'v1-only' || coordinator.peers.has(gateway.name)) continue;
    coordinator.peers.set(gateway.name, new Peer(gateway));
  }
}

function replaceTunnels(now: Instant, coordinator: Coordinator, config: GatewayConfig) {
  const added: Tunnel[] = [];
  // Clients' tunnels go with their last pair: those of a VPN that has changed have been ended by now.
  const kept = coordinator.tunnels.all().filter(({ client }) => client !== undefined);
  const configured = coordinator.tunnels.all().filter(({ client }) => client === undefined);
  const old = new Map(configured.map((tunnel) => [tunnel.policy, tunnel]));
  for (const vpn of config.vpns) {
    for (const selector of vpn.selectors) {
      const policy = policyId(vpn.name, selector.name);
      const standing = old.get(policy);
      if (standing && meansTheSame(standing.vpn, vpn)) {
        old.delete(policy);
        kept.push(standing);
        continue;
      }
      const tunnel = new Tunnel(vpn, selector, coordinator);
      if (tunnel.isImmediate) tunnel.schedule(now);
      added.push(tunnel);
    }
  }
  coordinator.tunnels.replace([...kept, ...added]);
  return { added, removed: [...old.values()] };
}

/** Those that are gone, or mean something else now. */
function namesOfChanged<T extends { readonly name: string }>(old: readonly T[], current: readonly T[]): Set<string> {
  const byName = new Map(current.map((one) => [one.name, one]));
  return new Set(old.filter((one) => !meansTheSame(one, byName.get(one.name))).map(({ name }) => name));
}

/** Deep equality of configuration, except for where it was written; secrets are compared by content. */
function meansTheSame(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (a instanceof Secret || b instanceof Secret) {
    return a instanceof Secret && b instanceof Secret && equalBytes(a.reveal(), b.reveal());
  }
  if (a instanceof Uint8Array || b instanceof Uint8Array) {
    return a instanceof Uint8Array && b instanceof Uint8Array && equalBytes(a, b);
  }
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  const left = Object.entries(a).filter(isMeaningful);
  const right = new Map(Object.entries(b).filter(isMeaningful));
  return left.length === right.size && left.every(([key, value]) => meansTheSame(value, right.get(key)));
}

function isMeaningful([key, value]: [string, unknown]): boolean {
  return value !== undefined && !/origin$/i.test(key);
}

// What the host's network has to look like for a configuration: tunnel devices, and the routes into them. Pure: `host-network.ts` carries it out.
//
// Our routes live in tables of their own, one for each prefix length, and rules ask these tables and `main` by turns, longest
// prefix first: so the longest prefix wins across all of them, as if there were one table (on a tie, the tunnel), and the host's own
// routes stay as they are. The rules except packets with our mark: what we send ourselves never enters a tunnel.
// (One thing Linux does not allow: a `blackhole` or `unreachable` route of the host's own in `main` wins over a longer one of ours.)
//
// Beside every route into a tunnel lies one that drops, with the worst metric. It is made first and stays when the tunnel goes, even
// by `kill -9`: what belongs into a tunnel never leaves in clear.

import { addressBits, addressFamily, formatPrefix, network, type Prefix } from '../model/address.ts';
import type { GatewayConfig } from '../model/gateway-config.ts';
import type { HostRule } from './network-settings.ts';
import { OWN_MARK } from './own-mark.ts';
import { prefixesOfRange } from './prefixes.ts';

/** The device that policy-based VPNs (no `bind-interface`) and transport mode take their packets from. */
export const POLICY_INTERFACE = 'policy-vpn';
/** The table for prefix length n is this plus n. */
export const TABLE_FIRST = 20_500;
export const TABLE_LAST = TABLE_FIRST + 128;
export const RULE_FIRST = 20_500;
export const RULE_LAST = RULE_FIRST + 2 * 129;
/** The worst there is. */
export const DROP_METRIC = 0xffffffff;
const TABLE_MAIN = 254;
const POLICY_MTU = 1400;

export interface PlannedTunnel {
  readonly name: string;
  readonly mtu: number;
  readonly addresses: readonly Prefix[];
}

export interface PlannedRoute {
  readonly prefix: Prefix;
  readonly table: number;
  readonly metric: number;
  /** Name of the tunnel device; absent for the route that drops. */
  readonly tunnel?: string;
}

export interface NetworkPlan {
  readonly tunnels: readonly PlannedTunnel[];
  readonly routes: readonly PlannedRoute[];
  readonly rules: readonly HostRule[];
}

/** The plan for a configuration; deterministic, and free of duplicates. */
export function planNetwork(config: GatewayConfig): NetworkPlan {
  const policyVpns = config.vpns.filter((vpn) => vpn.bindInterface === undefined);
  const tunnels: PlannedTunnel[] = config.tunnelInterfaces.map(({ name, mtu, addresses }) => ({
    name,
    mtu,
    addresses,
  }));
  if (policyVpns.length > 0) tunnels.push({ name: POLICY_INTERFACE, mtu: POLICY_MTU, addresses: [] });

  const routes = new Map<string, PlannedRoute>();
  const add = (prefix: Prefix, tunnel: string, metric: number): void => {
    const table = TABLE_FIRST + prefix.length;
    const key = formatPrefix(prefix);
    routes.set(`${key} drop`, { prefix, table, metric: DROP_METRIC });
    routes.set(`${key} ${tunnel} ${metric}`, { prefix, table, metric, tunnel });
  };
  for (const tunnel of config.tunnelInterfaces)
    for (const prefix of tunnel.addresses)
      if (prefix.length < addressBits(prefix.address)) add(network(prefix), tunnel.name, DIRECT_METRIC);
  for (const route of config.routes) add(network(route.prefix), route.tunnelInterface, Math.max(route.metric, 1));
  for (const vpn of config.vpns)
    for (const selector of vpn.selectors) {
      // Junos inserts routes for traffic selectors by itself; a policy-based VPN takes what its selectors match.
      if (vpn.bindInterface !== undefined && selector.name === undefined) continue;
      for (const prefix of prefixesOfRange(selector.remote.addresses))
        add(prefix, vpn.bindInterface ?? POLICY_INTERFACE, STATIC_METRIC);
    }
  return { tunnels, routes: [...routes.values()], rules: planRules([...routes.values()]) };
}

// Junos' preferences for direct and static routes.
const DIRECT_METRIC = 1;
const STATIC_METRIC = 5;

function planRules(routes: readonly PlannedRoute[]): readonly HostRule[] {
  const rules: HostRule[] = [];
  for (const family of [4, 6] as const) {
    const ours = routes.filter((route) => addressFamily(route.prefix.address) === family);
    for (const length of new Set(ours.map((route) => route.prefix.length))) {
      const priority = RULE_FIRST + 2 * (128 - length);
      rules.push({ family, priority, table: TABLE_MAIN, exceptMark: OWN_MARK, suppressLength: length });
      rules.push({ family, priority: priority + 1, table: TABLE_FIRST + length, exceptMark: OWN_MARK });
    }
  }
  return rules;
}

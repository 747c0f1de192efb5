import { writeFileSync } from 'node:fs';
import { addressBits, formatPrefix, type Prefix } from '../model/address.ts';
import type { AssignedAddress } from './assigned-addresses.ts';
import { libc } from './libc.ts';
import {
  type NetworkPlan,
  type PlannedRoute,
  type PlannedTunnel,
  RULE_FIRST,
  RULE_LAST,
  TABLE_FIRST,
  TABLE_LAST,
} from './network-plan.ts';
import type { HostRoute, HostRule, NetworkSettings } from './network-settings.ts';
import { openTunnelDevice, type TunnelDevice, type TunnelOffload } from './tunnel-device.ts';

/** What changed among the tunnel devices, for the packet engine. */
export interface TunnelChanges {
  readonly opened: readonly TunnelDevice[];
  /** Still open: `release` them once the engine has let go. */
  readonly withdrawn: readonly TunnelDevice[];
}

/** The interface group (`ip link show group 20500`) of our tunnel devices. */
const INTERFACE_GROUP = 20_500;

/** Makes this namespace look like the plan, starting from whatever an earlier run, crashed or not, has left. */
export class HostNetwork {
  readonly #settings: NetworkSettings;
  readonly #offload: TunnelOffload;
  readonly #devices = new Map<string, TunnelDevice>();
  #plan: NetworkPlan = { tunnels: [], routes: [], rules: [] };
  #assigned: readonly AssignedAddress[] = [];

  constructor(settings: NetworkSettings, offload: TunnelOffload) {
    this.#settings = settings;
    this.#offload = offload;
  }

  get devices(): readonly TunnelDevice[] {
    return [...this.#devices.values()];
  }

  /** Throws an Error that says what is missing if the kernel refuses; what was made until then stays until `removeTunnels`. */
  apply(plan: NetworkPlan): TunnelChanges {
    // Routes that drop come first: from here on nothing leaves in clear, whatever happens below.
    this.#installDropRoutes(plan);
    const opened: TunnelDevice[] = [];
    for (const tunnel of plan.tunnels) {
      if (this.#devices.has(tunnel.name)) continue;
      const device = openTunnelDevice(tunnel.name, this.#offload);
      this.#devices.set(tunnel.name, device);
      opened.push(device);
    }
    this.#plan = plan;
    this.#configureDevices(plan);
    this.#installTunnelRoutes(plan);
    this.#removeStrangers(plan);
    const planned = new Set(plan.tunnels.map((tunnel) => tunnel.name));
    return { opened, withdrawn: this.devices.filter((device) => !planned.has(device.name)) };
  }

  /** The addresses that servers have given us, in the place of those before; throws an Error if the kernel refuses. */
  assign(assigned: readonly AssignedAddress[]): void {
    this.#assigned = assigned;
    this.#configureDevices(this.#plan);
  }

  /** Closes a device, which removes the interface with its addresses and routes. */
  release(device: TunnelDevice): void {
    libc.close(device.descriptor);
    this.#devices.delete(device.name);
  }

  /** Removes every tunnel device. The routes that drop stay, so that nothing leaves in clear while the process is down. */
  removeTunnels(): void {
    this.#settings.removeGroup(INTERFACE_GROUP);
    for (const device of this.devices) this.release(device);
  }

  /** How many routes of ours there are; once the tunnels are gone, only those that drop. */
  ownRouteCount(): number {
    return this.#ownRoutes().length;
  }

  #installDropRoutes(plan: NetworkPlan): void {
    const present = new Set(this.#ownRoutes().map(routeKey));
    for (const route of plan.routes) {
      const wanted: HostRoute = { table: route.table, prefix: route.prefix, metric: route.metric };
      if (route.tunnel === undefined && !present.has(routeKey(wanted))) this.#settings.addRoute(wanted);
    }
    const rules = new Set(this.#settings.rules(RULE_FIRST, RULE_LAST).map(ruleKey));
    for (const rule of plan.rules) if (!rules.has(ruleKey(rule))) this.#settings.addRule(rule);
  }

  #configureDevices(plan: NetworkPlan): void {
    const interfaces = new Map(this.#settings.interfaces().map((one) => [one.name, one]));
    for (const tunnel of plan.tunnels) {
      const present = interfaces.get(tunnel.name);
      if (!present) throw new Error(`the interface ${tunnel.name} has disappeared`);
      const addresses = this.#addressesOf(tunnel);
      const wanted = new Set(addresses.map(formatPrefix));
      const has = new Set(present.addresses.map(formatPrefix));
      for (const prefix of present.addresses)
        if (!wanted.has(formatPrefix(prefix))) this.#settings.removeAddress(present.index, prefix);
      for (const prefix of addresses)
        if (!has.has(formatPrefix(prefix))) this.#settings.addAddress(present.index, prefix);
      if (present.isUp && present.mtu === tunnel.mtu) continue;
      // The peer's networks are reached through this device only by our own tables, which the check of reverse paths does not favour.
      writeSetting(`/proc/sys/net/ipv4/conf/${tunnel.name}/rp_filter`, '0');
      this.#settings.bringUp(present.index, tunnel.name, tunnel.mtu, INTERFACE_GROUP);
    }
  }

  /** What is configured, and what was assigned unless it is the same address. */
  #addressesOf({ name, addresses }: PlannedTunnel): readonly Prefix[] {
    const configured = new Set(addresses.map(({ address }) => address));
    const assigned = this.#assigned.filter(({ tunnel, address }) => tunnel === name && !configured.has(address));
    return [...addresses, ...assigned.map(({ address }) => ({ address, length: addressBits(address) }))];
  }

  #installTunnelRoutes(plan: NetworkPlan): void {
    const present = new Set(this.#ownRoutes().map(routeKey));
    const indexes = this.#indexes();
    for (const route of plan.routes) {
      if (route.tunnel === undefined) continue;
      const wanted = hostRoute(route, indexes);
      if (wanted && !present.has(routeKey(wanted))) this.#settings.addRoute(wanted);
    }
  }

  /** Removes what is in our tables and priorities but not in the plan: routes of an earlier configuration. */
  #removeStrangers(plan: NetworkPlan): void {
    const indexes = this.#indexes();
    const routes = new Set(
      plan.routes.map((route) => hostRoute(route, indexes)).map((route) => route && routeKey(route)),
    );
    for (const route of this.#ownRoutes()) if (!routes.has(routeKey(route))) this.#settings.removeRoute(route);
    const rules = new Set(plan.rules.map(ruleKey));
    for (const rule of this.#settings.rules(RULE_FIRST, RULE_LAST))
      if (!rules.has(ruleKey(rule))) this.#settings.removeRule(rule);
  }

  #ownRoutes(): readonly HostRoute[] {
    return this.#settings.ownRoutes(TABLE_FIRST, TABLE_LAST);
  }

  #indexes(): ReadonlyMap<string, number> {
    return new Map(this.#settings.interfaces().map((one) => [one.name, one.index]));
  }
}

/** Removes the routes that drop and the rules that lead to them: an operator's decision to let this traffic go elsewhere. Returns how many routes. */
export function removeDropRoutes(settings: NetworkSettings): number {
  const routes = settings.ownRoutes(TABLE_FIRST, TABLE_LAST);
  for (const rule of settings.rules(RULE_FIRST, RULE_LAST)) settings.removeRule(rule);
  for (const route of routes) settings.removeRoute(route);
  return routes.length;
}

function hostRoute(route: PlannedRoute, indexes: ReadonlyMap<string, number>): HostRoute | undefined {
  const { table, prefix, metric, tunnel } = route;
  if (tunnel === undefined) return { table, prefix, metric };
  const interfaceIndex = indexes.get(tunnel);
  return interfaceIndex === undefined ? undefined : { table, prefix, metric, interfaceIndex };
}

function routeKey(route: HostRoute): string {
  return `${route.table} ${formatPrefix(route.prefix)} ${route.metric} ${route.interfaceIndex ?? 'drop'}`;
}

function ruleKey(rule: HostRule): string {
  return `${rule.family} ${rule.priority} ${rule.table} ${rule.exceptMark} ${rule.suppressLength ?? 'all'}`;
}

// Absent in a namespace with a read-only /proc: then the operator's setting stands.
function writeSetting(path: string, value: string): void {
  try {
    writeFileSync(path, value);
  } catch {
    return;
  }
}

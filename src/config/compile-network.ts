// `interfaces` and `routing-options` to the model: the tunnel interfaces and the routes into them.

import {
  type AddressFamily,
  addressFamily,
  compareAddresses,
  formatPrefix,
  type IpAddress,
  network,
  type Prefix,
  parsePrefix,
} from '../model/address.ts';
import type { TunnelInterfaceConfig, TunnelRouteConfig, VpnConfig } from '../model/gateway-config.ts';
import type { Compilation, Statement } from './compilation.ts';
import { splitInterface } from './value-check.ts';

/**
 * Junos gives `st0` 9192 octets and fragments behind it. Here the Linux stack sees this MTU, so that TCP and path MTU discovery of the
 * hosts work: 1400 leaves room for ESP, UDP and IPv6 in a path of 1500.
 */
const TUNNEL_MTU_DEFAULT = 1400;
/** Junos' preference for static routes and for those of traffic selectors. */
const STATIC_PREFERENCE = 5;

/** The address that packets leave an interface with: the one marked primary or preferred, else the numerically lowest. */
export function interfaceAddress(root: Statement, name: string, family: AddressFamily): IpAddress | undefined {
  const { device, unit } = splitInterface(name);
  const list = root.at('interfaces', device, 'unit', unit, 'family', family === 4 ? 'inet' : 'inet6', 'address');
  const addresses = (list?.node.children ?? []).flatMap((node) => {
    const parsed = parsePrefix(node.word);
    return parsed === undefined ? [] : [{ node, address: parsed.address }];
  });
  const marked = (word: string) => addresses.find(({ node }) => node.child(word))?.address;
  // A link-local address cannot be reached by a peer behind a router.
  const usable = addresses.map(({ address }) => address).filter((address) => !address.startsWith('fe80:'));
  return marked('primary') ?? marked('preferred') ?? usable.toSorted(compareAddresses)[0];
}

/** Each `st0` unit that is configured, and each that a VPN binds to although it is not. */
export function compileTunnelInterfaces(compilation: Compilation, vpns: readonly VpnConfig[]): TunnelInterfaceConfig[] {
  const units = compilation.root.entries('interfaces', 'st0', 'unit');
  const device = compilation.root.at('interfaces', 'st0');
  const tunnels = units.map((unit) => compileUnit(unit, device));
  const known = new Set(tunnels.map((tunnel) => tunnel.name));
  for (const vpn of vpns) {
    if (vpn.bindInterface === undefined || known.has(vpn.bindInterface)) continue;
    known.add(vpn.bindInterface);
    tunnels.push({ name: vpn.bindInterface, origin: vpn.origin, addresses: [], mtu: TUNNEL_MTU_DEFAULT });
  }
  return tunnels;
}

function compileUnit(unit: Statement, device: Statement | undefined): TunnelInterfaceConfig {
  const families = ['inet', 'inet6'].flatMap((family) => unit.at('family', family) ?? []);
  const mtus = [...families.map((family) => family.count('mtu')), device?.count('mtu')].filter(
    (mtu) => mtu !== undefined,
  );
  return {
    name: `st0.${unit.name}`,
    origin: unit.origin,
    addresses: families.flatMap((family) => family.words('address').flatMap((word) => parsePrefix(word) ?? [])),
    // One Linux device has one MTU for both families.
    mtu: mtus.length > 0 ? Math.min(...mtus) : TUNNEL_MTU_DEFAULT,
  };
}

/** Static routes into tunnels and those that traffic selectors bring along (ARI-TS), each once. */
export function compileRoutes(compilation: Compilation, vpns: readonly VpnConfig[]): TunnelRouteConfig[] {
  const routes = new Map<string, TunnelRouteConfig>();
  const add = (route: TunnelRouteConfig): void => {
    const key = `${formatPrefix(route.prefix)} ${route.tunnelInterface}`;
    if (!routes.has(key)) routes.set(key, route);
  };
  for (const route of staticRoutes(compilation.root)) for (const tunnel of routeTunnels(route)) add(tunnel);
  for (const vpn of vpns) for (const route of selectorRoutes(compilation, vpn)) add(route);
  return [...routes.values()];
}

/** Every static route of the main table and of each routing instance. */
export function staticRoutes(root: Statement): Statement[] {
  const instances = root.entries('routing-instances').flatMap((instance) => instance.at('routing-options') ?? []);
  return [root.at('routing-options'), ...instances].flatMap((options) => {
    if (options === undefined) return [];
    const tables = [options, ...options.entries('rib')];
    return tables.flatMap((table) => table.entries('static', 'route'));
  });
}

function routeTunnels(route: Statement): TunnelRouteConfig[] {
  const prefix = parsePrefix(route.name);
  if (prefix === undefined) return [];
  const metric = route.count('metric') ?? route.count('preference') ?? STATIC_PREFERENCE;
  const build = (hop: Statement, hopMetric: number): TunnelRouteConfig[] => {
    const tunnelInterface = tunnelName(hop.name);
    return tunnelInterface === undefined
      ? []
      : [{ prefix: network(prefix), tunnelInterface, metric: hopMetric, origin: route.origin }];
  };
  return [
    ...route.entries('next-hop').flatMap((hop) => build(hop, metric)),
    ...route
      .entries('qualified-next-hop')
      .flatMap((hop) => build(hop, hop.count('metric') ?? hop.count('preference') ?? metric)),
  ];
}

/** `st0.N` for a next hop that is a tunnel. */
export function tunnelName(word: string): string | undefined {
  return /^st0(\.\d+)?$/.test(word) ? `st0.${splitInterface(word).unit}` : undefined;
}

function selectorRoutes(compilation: Compilation, vpn: VpnConfig): TunnelRouteConfig[] {
  const { bindInterface } = vpn;
  if (bindInterface === undefined) return [];
  const selectors = compilation.root.at('security', 'ipsec', 'vpn', vpn.name)?.entries('traffic-selector') ?? [];
  return selectors.flatMap((selector) => {
    const prefix = parsePrefix(selector.value('remote-ip') ?? '');
    // Junos installs no route for 0/0: it would take the route to the peer with it.
    if (prefix === undefined || prefix.length === 0) return [];
    const metric = selector.count('metric') ?? selector.count('preference') ?? STATIC_PREFERENCE;
    return [{ prefix: network(prefix), tunnelInterface: bindInterface, metric, origin: selector.origin }];
  });
}

/** Whether a unit of `st0` carries only IPv6. */
export function isIpv6Only(root: Statement, tunnel: string): boolean {
  const { device, unit } = splitInterface(tunnel);
  const family = root.at('interfaces', device, 'unit', unit, 'family');
  return family?.has('inet6') === true && !family.has('inet');
}

/** A prefix of every address of a family. */
export function everything(family: AddressFamily): Prefix {
  const all = parsePrefix(family === 4 ? '0.0.0.0/0' : '::/0');
  if (all === undefined || addressFamily(all.address) !== family) throw new RangeError('0/0 is a prefix');
  return all;
}

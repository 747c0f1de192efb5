// What a VPN carries: traffic selectors, the proxy identity, or, without a tunnel interface, the security policies that use it.

import { type Prefix, parsePrefix, prefixRange } from '../model/address.ts';
import type { VpnSelectorConfig } from '../model/gateway-config.ts';
import { ANY_PORT, type PortRange, selectorFromPrefix, type TrafficSelector } from '../model/traffic-selector.ts';
import { resolveAddress } from './address-book.ts';
import type { Compilation, Statement } from './compilation.ts';
import { everything, isIpv6Only } from './compile-network.ts';
import { protocolNumber, resolveService } from './service.ts';

/** Never empty unless something is wrong, which is then reported. */
export function compileSelectors(compilation: Compilation, vpn: Statement): VpnSelectorConfig[] {
  const named = vpn.entries('traffic-selector');
  if (named.length > 0) return named.flatMap((statement) => trafficSelector(compilation, statement) ?? []);
  const proxy = vpn.at('ike', 'proxy-identity');
  if (proxy) return proxyIdentity(compilation, proxy);
  const tunnel = vpn.value('bind-interface');
  if (tunnel === undefined) return policySelectors(compilation, vpn);
  // Junos' default is 0.0.0.0/0 on both sides; a tunnel interface that carries IPv6 alone can only mean ::/0.
  const all = selectorFromPrefix(everything(isIpv6Only(compilation.root, tunnel) ? 6 : 4));
  return [{ origin: vpn.origin, local: all, remote: all }];
}

function trafficSelector(compilation: Compilation, statement: Statement): VpnSelectorConfig | undefined {
  const local = sideOf(compilation, statement, 'local-ip', 'source-port');
  const remote = sideOf(compilation, statement, 'remote-ip', 'destination-port');
  if (local === undefined || remote === undefined) return undefined;
  return { name: statement.name, origin: statement.origin, local, remote };
}

function sideOf(
  compilation: Compilation,
  statement: Statement,
  leaf: string,
  portLeaf: string,
): TrafficSelector | undefined {
  const said = statement.value(leaf);
  const prefix = said === undefined ? undefined : parsePrefix(said);
  if (said === undefined && !statement.has('term')) {
    compilation.error(statement, `Missing mandatory statement: '${leaf}'`, `set ${statement.path} ${leaf} <prefix>`);
  }
  const protocolWord = statement.value('protocol');
  const protocol = protocolWord === undefined ? 0 : protocolNumber(protocolWord);
  if (protocol === undefined) {
    compilation.error(statement.at('protocol') ?? statement, `unknown protocol '${protocolWord}'`);
  }
  const ports = portRange(compilation, statement, portLeaf);
  if (prefix === undefined || protocol === undefined || ports === undefined) return undefined;
  return { addresses: prefixRange(prefix), protocol, ports };
}

function portRange(compilation: Compilation, statement: Statement, leaf: string): PortRange | undefined {
  const said = statement.value(leaf);
  if (said === undefined) return ANY_PORT;
  const [first = '', last = first] = said.split('-');
  const range = { first: Number(first), last: Number(last) };
  if (/^\d{1,5}(-\d{1,5})?$/.test(said) && range.first <= range.last && range.last <= ANY_PORT.last) return range;
  compilation.error(
    statement.at(leaf) ?? statement,
    `invalid port range '${said}'`,
    `set ${statement.path} ${leaf} 443`,
  );
  return undefined;
}

function proxyIdentity(compilation: Compilation, proxy: Statement): VpnSelectorConfig[] {
  const side = (leaf: string): Prefix | undefined => parsePrefix(proxy.value(leaf) ?? '');
  const local = side('local');
  const remote = side('remote');
  const family = (local ?? remote)?.address.includes(':') ? 6 : 4;
  const service = resolveService(compilation, proxy);
  if (service === undefined) return [];
  const selector = (prefix: Prefix | undefined): TrafficSelector => ({
    ...selectorFromPrefix(prefix ?? everything(family)),
    protocol: service.protocol,
  });
  return [
    {
      origin: proxy.origin,
      local: selector(local),
      remote: { ...selector(remote), ports: service.ports },
    },
  ];
}

/** One selector for each pair of addresses in the policies that send traffic through the VPN, seen from this side. */
function policySelectors(compilation: Compilation, vpn: Statement): VpnSelectorConfig[] {
  const outside = zoneOfGateway(compilation, vpn);
  const selectors = new Map<string, VpnSelectorConfig>();
  for (const { statement, fromZone, toZone, position } of compilation.tunnelPolicies.get(vpn.name) ?? []) {
    const sources = statement.words('match', 'source-address');
    const destinations = statement.words('match', 'destination-address');
    // A policy towards the outside has our networks as its source; one for the way in has them as its destination.
    const isInbound = outside !== undefined && fromZone === outside && toZone !== outside;
    for (const source of sources.flatMap((name) => resolveAddress(compilation, statement, fromZone, name))) {
      for (const destination of destinations.flatMap((name) => resolveAddress(compilation, statement, toZone, name))) {
        const [local, remote] = isInbound ? [destination, source] : [source, destination];
        if (local.first.includes(':') !== remote.first.includes(':')) continue;
        const key = `${local.first}-${local.last} ${remote.first}-${remote.last}`;
        const side = (addresses: typeof local): TrafficSelector => ({ addresses, protocol: 0, ports: ANY_PORT });
        const entry = { origin: statement.origin, position, local: side(local), remote: side(remote) };
        if (!selectors.has(key)) selectors.set(key, entry);
      }
    }
  }
  if (selectors.size === 0) {
    compilation.error(
      vpn,
      'nothing goes through this VPN: it has no bind-interface and no security policy permits a tunnel through it',
      `set ${vpn.path} bind-interface st0.0`,
    );
  }
  return [...selectors.values()].map((selector, index) =>
    index === 0 ? selector : { ...selector, name: `policy-${index + 1}` },
  );
}

function zoneOfGateway(compilation: Compilation, vpn: Statement): string | undefined {
  const gateway = vpn.value('ike', 'gateway') ?? '';
  const external = compilation.root.value('security', 'ike', 'gateway', gateway, 'external-interface');
  return external === undefined ? undefined : compilation.zoneOf(external)?.name;
}

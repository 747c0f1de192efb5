import { readFileSync } from 'node:fs';
import { addressFamily } from '../model/address.ts';
import type { GatewayConfig } from '../model/gateway-config.ts';
import type { NetworkPlan } from './network-plan.ts';
import type { HostInterface } from './network-settings.ts';

/** Settings of the host that would keep tunnels from working, in words; Sallyport changes none of them itself. */
export function hostWarnings(
  config: GatewayConfig,
  plan: NetworkPlan,
  interfaces: readonly HostInterface[],
): readonly string[] {
  const warnings: string[] = [];
  const families = new Set(plan.routes.map((route) => addressFamily(route.prefix.address)));
  if (families.has(4) && setting('net/ipv4/ip_forward') === '0')
    warnings.push(
      'this host does not forward IPv4: only its own traffic uses the tunnels (sysctl net.ipv4.ip_forward=1)',
    );
  if (families.has(6) && setting('net/ipv6/conf/all/forwarding') === '0')
    warnings.push(
      'this host does not forward IPv6: only its own traffic uses the tunnels (sysctl net.ipv6.conf.all.forwarding=1)',
    );
  // With a default route into a tunnel, the strict check of reverse paths takes the peer's own packets for forged (rp_filter 1).
  if (!plan.routes.some((route) => route.prefix.length === 0)) return warnings;
  const locals = new Set(config.gateways.map((gateway) => gateway.localAddress));
  for (const one of interfaces) {
    if (!one.addresses.some((prefix) => locals.has(prefix.address))) continue;
    const strictest = Math.max(...['all', one.name].map((name) => Number(setting(`net/ipv4/conf/${name}/rp_filter`))));
    if (strictest === 1)
      warnings.push(
        `${one.name} checks reverse paths strictly, so a tunnel for 0.0.0.0/0 cannot hear its peer (sysctl net.ipv4.conf.${one.name}.rp_filter=2)`,
      );
  }
  return warnings;
}

function setting(path: string): string | undefined {
  try {
    return readFileSync(`/proc/sys/${path}`, 'utf8').trim();
  } catch {
    return undefined;
  }
}

// Which packet engine reads which TUN device, and so has the SAs behind it. An outbound SA has one owner, for its sequence numbers must leave
// nearly in order (RFC 4303 §3.4.3: or the peer's window drops them); so has an inbound one, for its window.

import type { TunnelInterfaceConfig, VpnConfig } from '../model/gateway-config.ts';
import { POLICY_INTERFACE } from './network-plan.ts';

/** Each takes 16 MB and more, and sockets of its own at every local address. */
export const ENGINES_MAX = 8;

/**
 * How many engines there are unless the operator says otherwise: one for every two processors, since the kernel's share of a packet,
 * which it does on other processors, takes about as long as ours; and the control thread wants a place too. At most eight.
 */
export function defaultEngineCount(processors: number): number {
  return Math.max(1, Math.min(ENGINES_MAX, Math.floor(processors / 2)));
}

/** What of a configuration says who is behind which device. */
export interface TunnelBindings {
  readonly vpns: readonly Pick<VpnConfig, 'gateway' | 'bindInterface'>[];
  readonly tunnelInterfaces: readonly Pick<TunnelInterfaceConfig, 'name'>[];
}

/**
 * The engine of each tunnel device. Devices that one peer is behind go together: what a peer sends is received by one engine then, in its
 * order, however the kernel joins it. Devices that have an engine keep it; others go where there are fewest VPNs.
 */
export function assignEngines(
  { vpns, tunnelInterfaces }: TunnelBindings,
  current: ReadonlyMap<string, number>,
  engines: number,
): ReadonlyMap<string, number> {
  const groups = groupDevices(vpns);
  for (const { name } of tunnelInterfaces) if (!groups.has(name)) groups.set(name, [name]);
  const vpnCounts = new Map<string, number>();
  for (const { bindInterface = POLICY_INTERFACE } of vpns)
    vpnCounts.set(bindInterface, (vpnCounts.get(bindInterface) ?? 0) + 1);
  const loads = Array.from({ length: engines }, () => 0);
  const result = new Map<string, number>();
  const place = (group: DeviceGroup, engineOfNew: number) => {
    for (const name of group) {
      const engine = current.get(name) ?? engineOfNew;
      result.set(name, engine);
      loads[engine] = (loads[engine] ?? 0) + (vpnCounts.get(name) ?? 1);
    }
  };
  const unplaced: DeviceGroup[] = [];
  for (const group of new Set(groups.values())) {
    const standing = group.find((name) => current.has(name));
    const engine = standing === undefined ? undefined : current.get(standing);
    if (engine === undefined) unplaced.push(group);
    else place(group, engine);
  }
  for (const group of unplaced) place(group, loads.indexOf(Math.min(...loads)));
  return result;
}

type DeviceGroup = string[];

/** By device: those that it shares a peer with, however indirectly. */
function groupDevices(vpns: TunnelBindings['vpns']): Map<string, DeviceGroup> {
  const groups = new Map<string, DeviceGroup>();
  const ofGateway = new Map<string, string>();
  for (const { gateway, bindInterface = POLICY_INTERFACE } of vpns) {
    const own = groups.get(bindInterface) ?? [bindInterface];
    const device = ofGateway.get(gateway);
    const other = device === undefined ? undefined : groups.get(device);
    ofGateway.set(gateway, bindInterface);
    groups.set(bindInterface, own);
    if (!other || other === own) continue;
    const [large, small] = other.length < own.length ? [own, other] : [other, own];
    large.push(...small);
    for (const name of small) groups.set(name, large);
  }
  return groups;
}

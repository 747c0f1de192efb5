// Which Linux interface an SRX configuration's `ge-0/0/0.0` is: the one that carries the configured address, or the one a map names.
// Physical interfaces are looked at, never changed.

import { addressFamily, type IpAddress } from '../model/address.ts';
import type { GatewayConfig, IkeGatewayConfig } from '../model/gateway-config.ts';
import type { HostInterface } from './network-settings.ts';

/** Junos logical interface (`ge-0/0/0.0`, or `ge-0/0/0` for each of its units) to Linux interface. */
export type InterfaceMap = Readonly<Record<string, string>>;

/** A gateway whose local address this host does not have, in words. */
export interface LocalAddressFault {
  readonly gateway: string;
  readonly message: string;
}

/** The configuration with a local address of this host in every gateway; gateways that have none are left out and named in `faults`. */
export function resolveLocalAddresses(
  config: GatewayConfig,
  interfaces: readonly HostInterface[],
  map: InterfaceMap,
): { readonly config: GatewayConfig; readonly faults: readonly LocalAddressFault[] } {
  const faults: LocalAddressFault[] = [];
  const gateways: IkeGatewayConfig[] = [];
  for (const gateway of config.gateways) {
    const found = findLocalAddress(gateway, interfaces, map);
    if (typeof found === 'string') gateways.push({ ...gateway, localAddress: found });
    else faults.push({ gateway: gateway.name, message: found.message });
  }
  const names = new Set(gateways.map((gateway) => gateway.name));
  const vpns = config.vpns.filter((vpn) => names.has(vpn.gateway));
  return { config: { ...config, gateways, vpns }, faults };
}

function findLocalAddress(
  gateway: IkeGatewayConfig,
  interfaces: readonly HostInterface[],
  map: InterfaceMap,
): IpAddress | { readonly message: string } {
  const configured = gateway.localAddress;
  const mapped = map[gateway.externalInterface] ?? map[gateway.externalInterface.replace(/\.\d+$/, '')];
  const where = `[${gateway.origin.path}] external-interface ${gateway.externalInterface}`;
  if (mapped === undefined) {
    if (configured === undefined)
      return { message: `${where} has no address in the configuration: give it one, or map it to a Linux interface` };
    if (interfaces.some((one) => carries(one, configured))) return configured;
    const known = interfaces
      .flatMap((one) => one.addresses.map((prefix) => `${prefix.address} (${one.name})`))
      .join(', ');
    return {
      message: `${where}: no interface of this host has the address ${configured} (it has ${known}): assign the address, or map the interface to one that exists`,
    };
  }
  const target = interfaces.find((one) => one.name === mapped);
  if (!target) return { message: `${where} is mapped to ${mapped}, which this host does not have` };
  if (configured !== undefined && carries(target, configured)) return configured;
  const wanted = gateway.remoteAddresses[0] ?? configured;
  const family = wanted === undefined ? undefined : addressFamily(wanted);
  const usable = target.addresses.find(
    ({ address }) => (family === undefined || addressFamily(address) === family) && !address.startsWith('fe80:'),
  );
  return usable?.address ?? { message: `${where} is mapped to ${mapped}, which has no usable address` };
}

function carries(one: HostInterface, address: IpAddress): boolean {
  return one.addresses.some((prefix) => prefix.address === address);
}

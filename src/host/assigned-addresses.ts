// Where we are the dial-in client: the address that the server has given us is an address of the tunnel interface while its SAs stand.

import { type IpAddress, parseAddress } from '../model/address.ts';
import type { GatewayConfig } from '../model/gateway-config.ts';
import type { IkeEvent, IkeSaStatus, IpsecSaStatus } from '../model/ike-event.ts';
import { selectorFromAddress, selectorsEqual } from '../model/traffic-selector.ts';
import { POLICY_INTERFACE } from './network-plan.ts';

/** An address from a server, and the tunnel interface that it belongs on. */
export interface AssignedAddress {
  readonly gateway: string;
  readonly tunnel: string;
  readonly address: IpAddress;
}

/** Whether the assigned addresses may be others after this event. */
export function concernsAddresses(event: IkeEvent): boolean {
  switch (event.kind) {
    case 'ike-sa-established':
    case 'ike-sa-deleted':
    case 'ipsec-sa-established':
    case 'ipsec-sa-deleted':
      return true;
    default:
      return false;
  }
}

/** The addresses of IKE SAs, and those from before that IPsec SAs still carry: these outlive the IKE SA. Each once. */
export function assignedAddresses(
  config: GatewayConfig,
  before: readonly AssignedAddress[],
  ikeSas: readonly IkeSaStatus[],
  ipsecSas: readonly IpsecSaStatus[],
): readonly AssignedAddress[] {
  const wanted = new Map<string, AssignedAddress>();
  for (const { name: gateway, xauth } of config.gateways) {
    if (xauth?.role !== 'client') continue;
    const given = ikeSas
      .filter((sa) => sa.gateway === gateway && sa.state === 'up')
      .flatMap((sa) => parseAddress(sa.assignedAddress ?? '') ?? []);
    const carried = before.filter((one) => one.gateway === gateway && isCarried(one, ipsecSas));
    for (const vpn of config.vpns) {
      if (vpn.gateway !== gateway) continue;
      const tunnel = vpn.bindInterface ?? POLICY_INTERFACE;
      for (const address of [...given, ...carried.map((one) => one.address)])
        wanted.set(`${tunnel} ${address}`, { gateway, tunnel, address });
    }
  }
  return [...wanted.values()];
}

/** What changed, one line for each address; empty if nothing did. */
export function describeAssignment(
  before: readonly AssignedAddress[],
  after: readonly AssignedAddress[],
): readonly string[] {
  const gone = before.filter((one) => !after.some((other) => isSame(one, other)));
  const come = after.filter((one) => !before.some((other) => isSame(one, other)));
  return [
    ...gone.map(({ gateway, tunnel, address }) => `${address} of gateway ${gateway} is taken from ${tunnel}`),
    ...come.map(({ gateway, tunnel, address }) => `gateway ${gateway} has given us ${address}, now on ${tunnel}`),
  ];
}

function isSame(a: AssignedAddress, b: AssignedAddress): boolean {
  return a.gateway === b.gateway && a.tunnel === b.tunnel && a.address === b.address;
}

function isCarried({ gateway, address }: AssignedAddress, ipsecSas: readonly IpsecSaStatus[]): boolean {
  const own = selectorFromAddress(address);
  return ipsecSas.some((sa) => sa.gateway === gateway && selectorsEqual(sa.selectors.local, own));
}

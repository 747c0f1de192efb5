// From VPNs to entries of the security policy database (RFC 4301 §4.4.1): one for each selector of each VPN.

import type { SecurityPolicy } from '../model/data-plane.ts';
import type { GatewayConfig, VpnConfig, VpnSelectorConfig } from '../model/gateway-config.ts';
import { type PolicyId, policyId } from '../model/ipsec-sa.ts';
import { selectorsEqual } from '../model/traffic-selector.ts';

/** A policy without its place in the order, which depends on what was there before. */
export type UnorderedPolicy = Omit<SecurityPolicy, 'order'>;

/** Every policy that the configuration asks for, in the order in which the operator wrote them; security policies keep theirs, whatever that of their VPNs. */
export function policiesOf(config: GatewayConfig): UnorderedPolicy[] {
  const mtus = new Map(config.tunnelInterfaces.map((tunnel) => [tunnel.name, tunnel.mtu]));
  return config.vpns
    .flatMap((vpn) => vpn.selectors.map((selector) => ({ vpn, selector })))
    .sort((a, b) => (a.selector.position ?? 0) - (b.selector.position ?? 0))
    .map(({ vpn, selector }) => policyOf(config, vpn, selector, mtus));
}

/** The name that IKE and the data plane both know a VPN's selector by. */
export function selectorPolicyId(vpn: VpnConfig, selector: VpnSelectorConfig): PolicyId {
  return policyId(vpn.name, selector.name);
}

/** Whether the data plane would do the same under both, wherever they stand in the order. */
export function samePolicy(a: UnorderedPolicy, b: UnorderedPolicy): boolean {
  return (
    a.id === b.id &&
    a.action === b.action &&
    a.tunnelInterface === b.tunnelInterface &&
    a.dfBit === b.dfBit &&
    a.copyOuterDscp === b.copyOuterDscp &&
    a.tcpMss === b.tcpMss &&
    a.mtu === b.mtu &&
    a.tfcPadding === b.tfcPadding &&
    a.dummyInterval === b.dummyInterval &&
    selectorsEqual(a.selectors.local, b.selectors.local) &&
    selectorsEqual(a.selectors.remote, b.selectors.remote)
  );
}

function policyOf(
  config: GatewayConfig,
  vpn: VpnConfig,
  selector: VpnSelectorConfig,
  mtus: ReadonlyMap<string, number>,
): UnorderedPolicy {
  const mtu = vpn.bindInterface === undefined ? undefined : mtus.get(vpn.bindInterface);
  return {
    id: selectorPolicyId(vpn, selector),
    action: 'protect',
    selectors: { local: selector.local, remote: selector.remote },
    ...(vpn.bindInterface === undefined ? {} : { tunnelInterface: vpn.bindInterface }),
    dfBit: vpn.dfBit,
    copyOuterDscp: vpn.copyOuterDscp,
    ...(config.tcpMss === undefined ? {} : { tcpMss: config.tcpMss }),
    ...(mtu === undefined ? {} : { mtu }),
    ...(vpn.tfcPadding === undefined ? {} : { tfcPadding: vpn.tfcPadding }),
    ...(vpn.dummyInterval === undefined ? {} : { dummyInterval: vpn.dummyInterval }),
  };
}

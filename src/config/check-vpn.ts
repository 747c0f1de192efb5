// Commit checks of phase 2 and of what makes a tunnel useful: its interface, zone and routes.

import { parseAddress, parsePrefix } from '../model/address.ts';
import { adviseWeak, isAead, weaknessOf } from './check-ike.ts';
import type { Compilation, Statement } from './compilation.ts';
import { tunnelName } from './compile-network.ts';
import { IPSEC_PROPOSAL_SETS } from './proposal-sets.ts';
import { RouteTable } from './route-table.ts';
import { splitInterface } from './value-check.ts';

const MACRO_SETTINGS: readonly string[] = ['tfc-padding', 'dummy-interval'];

const BETTER: Readonly<Record<string, string>> = {
  'encryption-algorithm': 'aes-256-gcm',
  'authentication-algorithm': 'hmac-sha-256-128',
};

/** Checks every VPN with its policy and proposals. */
export function checkVpns(compilation: Compilation): void {
  const vpns = compilation.root.entries('security', 'ipsec', 'vpn');
  const routes = new RouteTable(compilation.root);
  for (const vpn of vpns) {
    if (!vpn.has('ike') && !vpn.has('manual') && !vpn.has('ha-link-encryption')) {
      compilation.error(vpn, "Missing mandatory statement: 'ike'", `set ${vpn.path} ike gateway <gateway>`);
    }
    checkBinding(compilation, vpn, routes);
    checkSelectors(compilation, vpn);
    checkInitiation(compilation, vpn);
    checkMacro(compilation, vpn);
    checkSecurityPolicies(compilation, vpn);
  }
  checkSharedTunnels(compilation, vpns);
  checkDuplicateIdentities(compilation, vpns);
  for (const policy of compilation.root.entries('security', 'ipsec', 'policy')) checkPolicy(compilation, policy);
  for (const proposal of compilation.root.entries('security', 'ipsec', 'proposal'))
    checkProposal(compilation, proposal);
}

/** Settings that Junos has no statement for; Junos takes any word there, so one that we do not know is no error. */
function checkMacro(compilation: Compilation, vpn: Statement): void {
  for (const setting of vpn.entries('apply-macro', 'sallyport'))
    if (!MACRO_SETTINGS.includes(setting.name))
      compilation.warn(setting, `'${setting.name}' is not known here and ignored: ${MACRO_SETTINGS.join(' and ')} are`);
  const padding = vpn.at('apply-macro', 'sallyport', 'tfc-padding');
  const dummies = vpn.at('apply-macro', 'sallyport', 'dummy-interval');
  for (const setting of [padding, dummies])
    if (setting && usesAhOnly(compilation, vpn))
      compilation.warn(setting, `'${setting.name}' is without effect: AH conceals nothing, use a proposal with ESP`);
}

function usesAhOnly(compilation: Compilation, vpn: Statement): boolean {
  const ipsec = compilation.root.at('security', 'ipsec');
  const proposals = ipsec?.words('policy', vpn.value('ike', 'ipsec-policy') ?? '', 'proposals') ?? [];
  return proposals.length > 0 && proposals.every((name) => ipsec?.value('proposal', name, 'protocol') === 'ah');
}

function checkBinding(compilation: Compilation, vpn: Statement, routes: RouteTable): void {
  const bind = vpn.at('bind-interface');
  const name = bind?.node.firstWord;
  if (bind === undefined || name === undefined) return;
  const tunnel = tunnelName(name);
  if (tunnel === undefined) {
    compilation.error(bind, `${name} is not a tunnel interface`, `set ${bind.path} st0.0`);
    return;
  }
  const { unit } = splitInterface(tunnel);
  const configured = compilation.root.at('interfaces', 'st0', 'unit', unit);
  if (configured === undefined) {
    const fix = `set interfaces st0 unit ${unit} family inet`;
    compilation.warn(bind, `${tunnel} is not configured under interfaces; it is made without an address`, fix);
  }
  if (compilation.root.has('security', 'zones') && compilation.zoneOf(tunnel) === undefined) {
    const fix = `set security zones security-zone vpn interfaces ${tunnel}`;
    compilation.warn(bind, `${tunnel} is in no security zone: an SRX would drop everything that goes through it`, fix);
  }
  if (!routes.leadsInto(tunnel) && !hasSelectorRoute(vpn)) {
    compilation.warn(
      bind,
      `no static route leads into ${tunnel}: nothing will go through it`,
      `set routing-options static route <remote network> next-hop ${tunnel}`,
    );
  }
  checkPeerRoute(compilation, vpn, routes);
}

function hasSelectorRoute(vpn: Statement): boolean {
  return vpn
    .entries('traffic-selector')
    .some((selector) => (parsePrefix(selector.value('remote-ip') ?? '')?.length ?? 0) > 0);
}

function checkPeerRoute(compilation: Compilation, vpn: Statement, routes: RouteTable): void {
  const gateway = compilation.root.at('security', 'ike', 'gateway', vpn.value('ike', 'gateway') ?? '');
  for (const peer of gateway?.words('address') ?? []) {
    const address = parseAddress(peer);
    const route = address === undefined ? undefined : routes.lookUp(address);
    if (address === undefined || route?.tunnel === undefined) continue;
    const length = address.includes(':') ? 128 : 32;
    compilation.warn(
      route.statement,
      `the peer ${address} of vpn ${vpn.name} is reached through ${route.tunnel}: on an SRX the tunnel would carry itself and fail`,
      `set routing-options static route ${address}/${length} next-hop <router towards the peer>`,
    );
  }
}

function checkSelectors(compilation: Compilation, vpn: Statement): void {
  const selectors = vpn.entries('traffic-selector');
  if (selectors.length === 0) return;
  const proxy = vpn.at('ike', 'proxy-identity');
  if (proxy) {
    compilation.error(proxy, 'proxy-identity and traffic-selector exclude each other', `delete ${proxy.path}`);
  }
  const unit = compilation.root.at(
    'interfaces',
    'st0',
    'unit',
    splitInterface(vpn.value('bind-interface') ?? 'st0.0').unit,
  );
  if (vpn.has('bind-interface') && unit && !unit.has('family', 'inet') && !unit.has('family', 'inet6')) {
    compilation.error(unit, 'traffic-selector requires family inet on the st0 unit', `set ${unit.path} family inet`);
  }
  if (unit?.has('multipoint')) {
    const message = `traffic-selector of vpn ${vpn.name} requires a point-to-point tunnel interface`;
    compilation.error(unit, message, `delete ${unit.path} multipoint`);
  }
  if (!vpn.has('bind-interface')) {
    const message = 'traffic-selector requires bind-interface: without it, security policies decide what goes through';
    compilation.error(vpn, message, `set ${vpn.path} bind-interface st0.0`);
  }
  checkRepeatedSelectors(compilation, vpn, selectors);
}

function checkRepeatedSelectors(compilation: Compilation, vpn: Statement, selectors: readonly Statement[]): void {
  const hasAddress = compilation.root.has('security', 'ike', 'gateway', vpn.value('ike', 'gateway') ?? '', 'address');
  const seen = new Map<string, string>();
  for (const selector of selectors) {
    const leaves = ['local-ip', 'remote-ip', 'protocol', 'source-port', 'destination-port'];
    const key = leaves.map((leaf) => selector.value(leaf) ?? '').join(' ');
    const other = seen.get(key);
    if (other !== undefined) {
      compilation.error(selector, `same traffic-selector as ${other}`, `delete ${selector.path}`);
    }
    seen.set(key, selector.name);
    if (hasAddress && /^(0\.0\.0\.0|::)\/0$/.test(selector.value('remote-ip') ?? '')) {
      const message =
        'an SRX refuses this: Remote-ip 0.0.0.0/0 in traffic-selector is not supported when address is configured under ike gateway';
      compilation.advise(selector, message, `set ${selector.path} remote-ip 0.0.0.0/1`);
    }
  }
}

function checkInitiation(compilation: Compilation, vpn: Statement): void {
  const establish = vpn.at('establish-tunnels');
  const gateway = compilation.root.at('security', 'ike', 'gateway', vpn.value('ike', 'gateway') ?? '');
  if (establish?.node.firstWord === 'immediately' && gateway?.has('dynamic')) {
    const message = `establish-tunnels immediately: gateway ${gateway.name} is dynamic, so only the peer can start`;
    compilation.warn(establish, message, `set ${vpn.path} establish-tunnels responder-only`);
  }
}

function checkSecurityPolicies(compilation: Compilation, vpn: Statement): void {
  const policies = compilation.tunnelPolicies.get(vpn.name) ?? [];
  for (const { statement, fromZone, toZone } of policies) {
    if (vpn.has('bind-interface')) {
      const message = `vpn ${vpn.name} has a bind-interface and cannot be used by a security policy`;
      compilation.error(statement, message, `set ${statement.path} then permit`);
    }
    const pair = statement.value('then', 'permit', 'tunnel', 'pair-policy');
    if (pair === undefined) continue;
    const back = compilation.root.at('security', 'policies', 'from-zone', toZone, 'to-zone', fromZone, 'policy', pair);
    if (back?.value('then', 'permit', 'tunnel', 'pair-policy') === statement.name) continue;
    compilation.error(
      statement,
      `pair-policy ${pair} does not point back from zone ${toZone} to ${fromZone}`,
      `set security policies from-zone ${toZone} to-zone ${fromZone} policy ${pair} then permit tunnel pair-policy ${statement.name}`,
    );
  }
}

/** Packets routed into a tunnel interface must lead to one VPN. */
function checkSharedTunnels(compilation: Compilation, vpns: readonly Statement[]): void {
  const bound = new Map<string, Statement>();
  for (const vpn of vpns) {
    const tunnel = tunnelName(vpn.value('bind-interface') ?? '');
    if (tunnel === undefined) continue;
    const other = bound.get(tunnel);
    bound.set(tunnel, other ?? vpn);
    if (other === undefined) continue;
    const unit = compilation.root.at('interfaces', 'st0', 'unit', splitInterface(tunnel).unit);
    const haveSelectors = vpn.has('traffic-selector') && other.has('traffic-selector');
    if (haveSelectors || unit?.has('multipoint')) continue;
    compilation.error(
      vpn.at('bind-interface') ?? vpn,
      `${tunnel} is bound to vpn ${other.name} already; two need multipoint on the unit, or traffic-selectors`,
      `set ${vpn.path} bind-interface st0.${freeUnit(bound)}`,
    );
  }
}

function freeUnit(bound: ReadonlyMap<string, Statement>): number {
  let unit = 0;
  while (bound.has(`st0.${unit}`)) unit++;
  return unit;
}

/** A peer that offers a proxy identity must find one VPN. */
function checkDuplicateIdentities(compilation: Compilation, vpns: readonly Statement[]): void {
  const seen = new Map<string, Statement>();
  for (const vpn of vpns) {
    if (vpn.has('traffic-selector') || (!vpn.has('bind-interface') && !vpn.has('ike', 'proxy-identity'))) continue;
    const side = (leaf: string) => vpn.value('ike', 'proxy-identity', leaf) ?? '0.0.0.0/0';
    const key = `${vpn.value('ike', 'gateway')} ${side('local')} ${side('remote')} ${side('service')}`;
    const other = seen.get(key);
    seen.set(key, other ?? vpn);
    if (other === undefined) continue;
    compilation.error(
      vpn,
      `same gateway and proxy-identity (${side('local')} to ${side('remote')}) as vpn ${other.name}: the peer could not tell them apart`,
      `set ${vpn.path} ike proxy-identity remote <prefix>`,
    );
  }
}

function checkPolicy(compilation: Compilation, policy: Statement): void {
  const set = policy.at('proposal-set');
  const name = set?.node.firstWord ?? '';
  const predefined = IPSEC_PROPOSAL_SETS[name];
  const fix = `set ${policy.path} perfect-forward-secrecy keys group14`;
  const group = policy.at('perfect-forward-secrecy', 'keys');
  if (group === undefined && predefined?.pfsGroup === undefined) {
    compilation.advise(policy, 'no perfect-forward-secrecy: whoever learns the IKE keys can read everything', fix);
  }
  const weakness = weaknessOf(group?.node.firstWord ?? '');
  if (group && weakness !== undefined) compilation.advise(group, `weak: ${weakness}`, fix);
  if (set && predefined?.isUnverified) {
    compilation.warn(
      set,
      `what ${name} contains could not be verified against a document of Juniper; compare with the peer`,
    );
  }
  const weak = [
    ...new Set(predefined?.members.flatMap((member) => [member.encryption, member.integrity]) ?? []),
  ].filter((word) => weaknessOf(word) !== undefined);
  if (set && weak.length > 0) {
    const own = `set ${policy.path} proposals <a proposal of your own>`;
    compilation.advise(set, `proposal-set ${name} is weak: ${weak.join(', ')}`, own);
  }
}

function checkProposal(compilation: Compilation, proposal: Statement): void {
  const cipher = proposal.at('encryption-algorithm');
  const name = cipher?.node.firstWord;
  const authentication = proposal.at('authentication-algorithm');
  const isAh = proposal.value('protocol') === 'ah';
  if (isAh && cipher) {
    compilation.error(cipher, 'AH does not encrypt: encryption-algorithm has no place here', `delete ${cipher.path}`);
  } else if (authentication && isAead(name)) {
    const message = `authentication-algorithm must not be configured with ${name}, which authenticates itself`;
    compilation.error(authentication, message, `delete ${authentication.path}`);
  }
  if (cipher && name === 'chacha20-poly1305') {
    const message = 'encryption-algorithm chacha20-poly1305 requires IKEv2, which is not spoken yet';
    compilation.error(cipher, message, `set ${cipher.path} aes-256-gcm`);
  }
  if (!isAh && cipher === undefined) {
    const message = 'no encryption-algorithm: packets are authenticated but everybody can read them';
    compilation.warn(proposal, message, `set ${proposal.path} encryption-algorithm aes-256-gcm`);
  }
  adviseWeak(compilation, proposal, BETTER);
}

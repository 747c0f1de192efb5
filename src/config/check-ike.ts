// Commit checks of phase 1: what cannot work, what an SRX would refuse, and what is weaker than people think.

import { addressFamily, parseAddress } from '../model/address.ts';
import type { Compilation, Statement } from './compilation.ts';
import { IKE_PROPOSAL_SETS } from './proposal-sets.ts';
import { splitInterface } from './value-check.ts';

const AEAD = new Set(['aes-128-gcm', 'aes-192-gcm', 'aes-256-gcm', 'chacha20-poly1305']);
const WEAK = new Map([
  ['des-cbc', 'DES can be broken in hours'],
  ['3des-cbc', '3DES has blocks of 64 bits (RFC 8221)'],
  ['md5', 'MD5 is broken'],
  ['hmac-md5-96', 'MD5 is broken'],
  ['group1', '768-bit groups are broken'],
  ['group2', '1024-bit groups can be broken by states'],
  ['group5', '1536-bit groups are too short (RFC 8247)'],
  ['group24', 'the origin of group 24 is doubtful (RFC 8247)'],
]);
const BETTER: Readonly<Record<string, string>> = {
  'encryption-algorithm': 'aes-256-cbc',
  'authentication-algorithm': 'sha-256',
  'dh-group': 'group14',
};

export function isAead(algorithm: string | undefined): boolean {
  return algorithm !== undefined && AEAD.has(algorithm);
}

/** Why an algorithm is weak, if it is. */
export function weaknessOf(algorithm: string): string | undefined {
  return WEAK.get(algorithm);
}

/** Checks every gateway with its policy and proposals. */
export function checkIke(compilation: Compilation): void {
  const used = new Map<string, Statement[]>();
  for (const gateway of compilation.root.entries('security', 'ike', 'gateway')) {
    checkGateway(compilation, gateway);
    const policy = gateway.value('ike-policy');
    if (policy === undefined) continue;
    const others = used.get(policy);
    if (others) others.push(gateway);
    else used.set(policy, [gateway]);
  }
  for (const policy of compilation.root.entries('security', 'ike', 'policy')) {
    checkPolicy(compilation, policy, used.get(policy.name) ?? []);
  }
  for (const proposal of compilation.root.entries('security', 'ike', 'proposal')) checkProposal(compilation, proposal);
  checkAmbiguousPeers(compilation);
}

function checkGateway(compilation: Compilation, gateway: Statement): void {
  checkVersion(compilation, gateway);
  checkExternalInterface(compilation, gateway);
  checkXauth(compilation, gateway);
}

function checkVersion(compilation: Compilation, gateway: Statement): void {
  const version = gateway.at('version');
  if (version?.node.firstWord !== 'v2-only') return;
  const fix = `set ${gateway.path} version v1-only`;
  compilation.error(version, 'IKEv2 is not spoken yet: this gateway could not answer its peer', fix);
  const userType = gateway.at('dynamic', 'ike-user-type');
  if (userType && policyUsesKey(compilation, gateway)) {
    const message =
      'When dynamic ike-user-type is configured, IKEv2 with authentication-method pre-shared-key is not allowed';
    compilation.error(userType, message, `delete ${userType.path}`);
  }
}

function policyUsesKey(compilation: Compilation, gateway: Statement): boolean {
  return compilation.root.has('security', 'ike', 'policy', gateway.value('ike-policy') ?? '', 'pre-shared-key');
}

function checkExternalInterface(compilation: Compilation, gateway: Statement): void {
  const external = gateway.at('external-interface');
  const name = external?.node.firstWord;
  if (external === undefined || name === undefined) return;
  const { device, unit } = splitInterface(name);
  if (device === 'st0') {
    compilation.error(
      external,
      'the peer cannot be reached through a tunnel interface',
      `set ${external.path} ge-0/0/0.0`,
    );
    return;
  }
  const configured = compilation.root.at('interfaces', device, 'unit', unit);
  const localAddress = gateway.value('local-address');
  if (configured === undefined) {
    const said =
      localAddress === undefined ? 'the address is taken from the host' : `${localAddress} is looked for on the host`;
    compilation.warn(
      external,
      `${name} is not configured under interfaces: ${said}`,
      `set interfaces ${device} unit ${unit} family inet address <address/length>`,
    );
  }
  checkZone(compilation, gateway, external, name);
}

function checkZone(compilation: Compilation, gateway: Statement, external: Statement, name: string): void {
  if (!compilation.root.has('security', 'zones')) return;
  const zone = compilation.zoneOf(name);
  if (zone === undefined) {
    const fix = `set security zones security-zone untrust interfaces ${name}`;
    compilation.warn(external, `${name} is in no security zone: an SRX would drop IKE that comes in there`, fix);
    return;
  }
  // Junos: what is said for the interface replaces what is said for the zone.
  const inInterface = zone.at('interfaces', name, 'host-inbound-traffic');
  const inbound = inInterface ?? zone.at('host-inbound-traffic');
  const services = inbound?.at('system-services');
  if (services?.has('ike') || (services?.has('all') && !services.has('ike', 'except'))) return;
  const where = inInterface ? `${zone.path} interfaces ${name}` : zone.path;
  compilation.warn(
    zone,
    `host-inbound-traffic of zone ${zone.name} lacks ike: an SRX would answer gateway ${gateway.name} only while it initiates itself`,
    `set ${where} host-inbound-traffic system-services ike`,
  );
}

function checkXauth(compilation: Compilation, gateway: Statement): void {
  const profile = gateway.at('xauth', 'access-profile');
  const name = profile?.node.firstWord;
  if (profile === undefined || name === undefined || compilation.root.has('access', 'profile', name)) return;
  const vpn = compilation.root
    .entries('security', 'ipsec', 'vpn')
    .find((candidate) => candidate.value('ike', 'gateway') === gateway.name);
  const users = vpn === undefined ? '' : ` for ipsec_vpn ${vpn.name}`;
  compilation.error(
    profile,
    `Missing xauth access profile for IKE gateway ${gateway.name}${users}`,
    `set access profile ${name} client <user> firewall-user password "<password>"`,
  );
}

function checkPolicy(compilation: Compilation, policy: Statement, gateways: readonly Statement[]): void {
  const isAggressive = policy.value('mode') === 'aggressive';
  const firstV1 = gateways.filter((gateway) => gateway.value('version') !== 'v2-only');
  if (isAggressive && policy.has('pre-shared-key')) {
    const fix = firstV1.some((gateway) => gateway.has('dynamic')) ? undefined : `set ${policy.path} mode main`;
    const why = 'anyone who sees or asks for one answer can guess the key offline, and identities are in clear';
    compilation.advise(policy.at('mode') ?? policy, `aggressive mode with a preshared key: ${why}`, fix);
  }
  for (const gateway of firstV1) {
    const dynamic = gateway.at('dynamic');
    if (dynamic === undefined || isAggressive || !policy.has('pre-shared-key')) continue;
    const why =
      'main mode must choose the key by the address of the peer before it learns its identity (RFC 2409 §5.4)';
    compilation.error(
      dynamic,
      `a dynamic peer with a preshared key needs aggressive mode: ${why}`,
      `set ${policy.path} mode aggressive`,
    );
  }
  checkPolicyProposals(compilation, policy, firstV1);
}

function checkPolicyProposals(compilation: Compilation, policy: Statement, v1: readonly Statement[]): void {
  const set = policy.at('proposal-set');
  if (set) checkSet(compilation, set);
  for (const reference of policy.entries('proposals')) {
    const proposal = compilation.root.at('security', 'ike', 'proposal', reference.name);
    const cipher = proposal?.at('encryption-algorithm');
    const [gateway] = v1;
    if (gateway && cipher && isAead(cipher.node.firstWord)) {
      compilation.error(
        cipher,
        `encryption-algorithm ${cipher.node.firstWord} in phase 1 requires IKEv2; gateway ${gateway.name} speaks IKEv1`,
        `set ${cipher.path} aes-256-cbc`,
      );
    }
    const method = proposal?.at('authentication-method');
    if (v1.length > 0 && method && /^(rsa|dsa|ecdsa)-/.test(method.node.firstWord ?? '')) {
      const fix = `set ${method.path} pre-shared-keys`;
      compilation.error(method, 'authentication by certificates is not supported yet', fix);
    }
  }
}

function checkSet(compilation: Compilation, set: Statement): void {
  const name = set.node.firstWord ?? '';
  const predefined = IKE_PROPOSAL_SETS[name];
  if (predefined?.isUnverified) {
    compilation.warn(
      set,
      `what ${name} contains could not be verified against a document of Juniper; compare with the peer`,
    );
  }
  if (predefined?.members.some((member) => member.authenticationMethod !== 'pre-shared-keys')) {
    const fix = `set ${set.path} standard`;
    compilation.error(set, `proposal-set ${name} authenticates by certificates, which is not supported yet`, fix);
  }
  const words = predefined?.members.flatMap((member) => [member.encryption, member.hash, member.dhGroup]) ?? [];
  const weak = [...new Set(words)].filter((word) => WEAK.has(word));
  if (weak.length === 0) return;
  const policy = set.path.replace(/ proposal-set$/, '');
  compilation.advise(
    set,
    `proposal-set ${name} is weak: ${weak.join(', ')}`,
    `set ${policy} proposals <a proposal of your own>`,
  );
}

function checkProposal(compilation: Compilation, proposal: Statement): void {
  const hash = proposal.at('authentication-algorithm');
  if (hash && isAead(proposal.value('encryption-algorithm'))) {
    const cipher = proposal.value('encryption-algorithm');
    compilation.error(
      hash,
      `authentication-algorithm must not be configured with ${cipher}, which authenticates itself`,
      `delete ${hash.path}`,
    );
  }
  adviseWeak(compilation, proposal, BETTER);
}

/** Advice on each weak algorithm of a proposal, with the line that makes it better. */
export function adviseWeak(
  compilation: Compilation,
  proposal: Statement,
  better: Readonly<Record<string, string>>,
): void {
  for (const [leaf, replacement] of Object.entries(better)) {
    const statement = proposal.at(leaf);
    const weakness = WEAK.get(statement?.node.firstWord ?? '');
    if (statement && weakness !== undefined)
      compilation.advise(statement, `weak: ${weakness}`, `set ${statement.path} ${replacement}`);
  }
}

/** Two gateways that no message could be told apart by. */
function checkAmbiguousPeers(compilation: Compilation): void {
  const seen = new Map<string, Statement>();
  for (const gateway of compilation.root.entries('security', 'ike', 'gateway')) {
    for (const peer of gateway.words('address')) {
      const address = parseAddress(peer);
      if (address === undefined) continue;
      const local = gateway.value('local-address') ?? gateway.value('external-interface') ?? '';
      const version = gateway.value('version') ?? 'v1-only';
      const key = `${address} ${addressFamily(address)} ${local} ${version}`;
      const other = seen.get(key);
      if (other && other.name !== gateway.name && !gateway.has('remote-identity')) {
        compilation.warn(
          gateway,
          `same peer ${address} as gateway ${other.name}: what the peer starts goes to ${other.name}`,
        );
      }
      seen.set(key, other ?? gateway);
    }
  }
}

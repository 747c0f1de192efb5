// `security ipsec` to the model.

import { seconds } from '../lib/time.ts';
import type { DhGroup } from '../model/algorithms.ts';
import { DH_GROUPS, ENCRYPTION, encryptionTraits, INTEGRITY } from '../model/algorithms.ts';
import type { IpsecProposalConfig, Origin, VpnConfig } from '../model/gateway-config.ts';
import type { Compilation, Statement } from './compilation.ts';
import { compileSelectors } from './compile-selectors.ts';
import { member } from './member.ts';
import { IPSEC_PROPOSAL_SETS } from './proposal-sets.ts';
import { splitInterface } from './value-check.ts';

/** Junos' default for an IPsec proposal. */
const IPSEC_LIFETIME_DEFAULT = seconds(3600);
const REPLAY_WINDOW_DEFAULT = 64;
const INSTALL_INTERVAL_DEFAULT = 1;

interface IpsecPolicy {
  readonly origin: Origin;
  readonly proposals: readonly IpsecProposalConfig[];
  readonly pfsGroup?: DhGroup;
}

/** Compiles VPNs; each IPsec policy and proposal once, however many VPNs refer to it. */
export class VpnCompiler {
  readonly #compilation: Compilation;
  readonly #policies = new Map<string, IpsecPolicy | undefined>();
  readonly #proposals = new Map<string, IpsecProposalConfig | undefined>();

  constructor(compilation: Compilation) {
    this.#compilation = compilation;
  }

  /** A VPN in the model; `undefined` if it lacks something that it cannot be without, which is then reported. */
  vpn(statement: Statement): VpnConfig | undefined {
    const gateway = statement.value('ike', 'gateway');
    const policyName = statement.value('ike', 'ipsec-policy');
    const policy = policyName === undefined ? undefined : this.#policy(policyName);
    const selectors = compileSelectors(this.#compilation, statement);
    if (gateway === undefined || policy === undefined || selectors.length === 0) return undefined;
    const bind = statement.value('bind-interface');
    const idleTime = statement.count('ike', 'idle-time');
    const tfcPadding = statement.count('apply-macro', 'sallyport', 'tfc-padding');
    const dummyInterval = statement.count('apply-macro', 'sallyport', 'dummy-interval');
    return {
      name: statement.name,
      origin: statement.origin,
      gateway,
      proposals: policy.proposals,
      ipsecPolicyOrigin: policy.origin,
      ...(policy.pfsGroup !== undefined && { pfsGroup: policy.pfsGroup }),
      ...(bind !== undefined && { bindInterface: `st0.${splitInterface(bind).unit}` }),
      selectors,
      establishTunnels: establishTunnels(statement.value('establish-tunnels')),
      mode: 'tunnel',
      dfBit: dfBit(statement.value('df-bit')),
      copyOuterDscp: statement.has('copy-outer-dscp'),
      antiReplayWindow: this.#replayWindow(statement),
      ...(idleTime !== undefined && { idleTime: seconds(idleTime) }),
      installInterval: seconds(statement.count('ike', 'install-interval') ?? INSTALL_INTERVAL_DEFAULT),
      ...(tfcPadding !== undefined && { tfcPadding }),
      ...(dummyInterval !== undefined && { dummyInterval: seconds(dummyInterval) }),
    };
  }

  #replayWindow(statement: Statement): number {
    if (statement.has('ike', 'no-anti-replay')) return 0;
    const everywhere = this.#compilation.root.at('security', 'ipsec')?.count('anti-replay-window-size');
    return statement.count('ike', 'anti-replay-window-size') ?? everywhere ?? REPLAY_WINDOW_DEFAULT;
  }

  #policy(name: string): IpsecPolicy | undefined {
    if (!this.#policies.has(name)) {
      const statement = this.#compilation.root.at('security', 'ipsec', 'policy', name);
      this.#policies.set(name, statement && this.#compilePolicy(statement));
    }
    return this.#policies.get(name);
  }

  #compilePolicy(statement: Statement): IpsecPolicy | undefined {
    const set = statement.at('proposal-set');
    const predefined = set && IPSEC_PROPOSAL_SETS[set.node.firstWord ?? ''];
    const proposals = set ? fromSet(set) : this.#namedProposals(statement);
    if (proposals.length === 0) return undefined;
    const pfsGroup = member(DH_GROUPS, statement.value('perfect-forward-secrecy', 'keys')) ?? predefined?.pfsGroup;
    return { origin: statement.origin, proposals, ...(pfsGroup !== undefined && { pfsGroup }) };
  }

  #namedProposals(statement: Statement): IpsecProposalConfig[] {
    const named = statement.entries('proposals');
    if (named.length === 0) {
      this.#compilation.error(
        statement,
        'IPsec policy has neither proposals nor a proposal-set',
        `set ${statement.path} proposal-set standard`,
      );
    }
    return named.flatMap((reference) => this.#proposal(reference.name) ?? []);
  }

  #proposal(name: string): IpsecProposalConfig | undefined {
    if (!this.#proposals.has(name)) {
      const statement = this.#compilation.root.at('security', 'ipsec', 'proposal', name);
      this.#proposals.set(name, statement && this.#compileProposal(statement));
    }
    return this.#proposals.get(name);
  }

  #compileProposal(statement: Statement): IpsecProposalConfig | undefined {
    const isAh = statement.value('protocol') === 'ah';
    const cipher = member(ENCRYPTION, statement.value('encryption-algorithm'));
    const integrity = member(INTEGRITY, statement.value('authentication-algorithm'));
    const isAuthenticated = cipher !== undefined && encryptionTraits(cipher).icvLength > 0;
    const say = (leaf: string, example: string): void =>
      this.#compilation.error(
        statement,
        `Missing mandatory statement: '${leaf}'`,
        `set ${statement.path} ${leaf} ${example}`,
      );
    if (integrity === undefined && !isAuthenticated && !statement.has('authentication-algorithm')) {
      say('authentication-algorithm', 'hmac-sha-256-128');
    }
    if (integrity === undefined && (isAh || !isAuthenticated)) return undefined;
    const lifetimeKilobytes = statement.count('lifetime-kilobytes');
    return {
      name: statement.name,
      origin: statement.origin,
      protocol: isAh ? 'ah' : 'esp',
      encryption: isAh ? 'null' : (cipher ?? 'null'),
      integrity: isAuthenticated && !isAh ? 'none' : (integrity ?? 'none'),
      lifetime: seconds(statement.count('lifetime-seconds') ?? IPSEC_LIFETIME_DEFAULT),
      ...(lifetimeKilobytes !== undefined && { lifetimeKilobytes }),
      extendedSequenceNumbers: statement.has('extended-sequence-number'),
    };
  }
}

function fromSet(set: Statement): IpsecProposalConfig[] {
  const name = set.node.firstWord ?? '';
  const members = IPSEC_PROPOSAL_SETS[name]?.members ?? [];
  return members.map((suite, index) => ({
    name: `${name}-${index + 1}`,
    origin: set.origin,
    protocol: 'esp',
    ...suite,
    lifetime: IPSEC_LIFETIME_DEFAULT,
    extendedSequenceNumbers: false,
  }));
}

function establishTunnels(word: string | undefined): VpnConfig['establishTunnels'] {
  return word === 'immediately' || word === 'responder-only' || word === 'responder-only-no-rekey'
    ? word
    : 'on-traffic';
}

function dfBit(word: string | undefined): VpnConfig['dfBit'] {
  return word === 'copy' || word === 'set' ? word : 'clear';
}

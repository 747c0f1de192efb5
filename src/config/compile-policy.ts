// `security ike policy` and `security ike proposal` to the model.

import { fromHex, utf8 } from '../lib/bytes.ts';
import { Secret } from '../lib/secret.ts';
import { seconds } from '../lib/time.ts';
import { AUTHENTICATION_METHODS, DH_GROUPS, ENCRYPTION, encryptionTraits, HASH } from '../model/algorithms.ts';
import type { IkePolicyConfig, IkeProposalConfig } from '../model/gateway-config.ts';
import type { Compilation, Statement } from './compilation.ts';
import { member } from './member.ts';
import { IKE_PROPOSAL_SETS } from './proposal-sets.ts';
import { decodeSecret, isEncodedSecret } from './secret-text.ts';

/** Junos' default for an IKE proposal. */
const IKE_LIFETIME_DEFAULT = seconds(28_800);
const REDACTED = /^<?(?:scrubbed|redacted|removed|secret-data)>?$/i;

/** Compiles each IKE policy once, however many gateways refer to it. */
export class PolicyCompiler {
  readonly #compilation: Compilation;
  readonly #policies = new Map<string, IkePolicyConfig | undefined>();
  readonly #proposals = new Map<string, IkeProposalConfig | undefined>();

  constructor(compilation: Compilation) {
    this.#compilation = compilation;
  }

  /** The policy of that name; `undefined` if there is none, or it has errors, which are then reported. */
  policy(name: string): IkePolicyConfig | undefined {
    if (!this.#policies.has(name)) {
      const statement = this.#compilation.root.at('security', 'ike', 'policy', name);
      this.#policies.set(name, statement && this.#compilePolicy(statement));
    }
    return this.#policies.get(name);
  }

  #compilePolicy(statement: Statement): IkePolicyConfig | undefined {
    const proposals = this.#policyProposals(statement);
    const usesKey = proposals.some((proposal) => proposal.authenticationMethod === 'pre-shared-keys');
    const preSharedKey = this.#preSharedKey(statement, usesKey);
    if (proposals.length === 0) return undefined;
    return {
      name: statement.name,
      origin: statement.origin,
      mode: statement.value('mode') === 'aggressive' ? 'aggressive' : 'main',
      proposals,
      ...(preSharedKey && { preSharedKey }),
    };
  }

  #policyProposals(statement: Statement): IkeProposalConfig[] {
    const set = statement.at('proposal-set');
    if (set) return this.#fromSet(set);
    const named = statement.entries('proposals');
    if (named.length === 0) {
      this.#compilation.error(
        statement,
        'IKE policy has neither proposals nor a proposal-set',
        `set ${statement.path} proposal-set standard`,
      );
    }
    return named.flatMap((reference) => this.#proposal(reference) ?? []);
  }

  #fromSet(set: Statement): IkeProposalConfig[] {
    const name = set.node.firstWord ?? '';
    const members = IKE_PROPOSAL_SETS[name]?.members ?? [];
    return members.map((suite, index) => ({
      name: `${name}-${index + 1}`,
      origin: set.origin,
      ...suite,
      lifetime: IKE_LIFETIME_DEFAULT,
    }));
  }

  #proposal(reference: Statement): IkeProposalConfig | undefined {
    if (!this.#proposals.has(reference.name)) {
      const statement = this.#compilation.root.at('security', 'ike', 'proposal', reference.name);
      this.#proposals.set(reference.name, statement && this.#compileProposal(statement));
    }
    return this.#proposals.get(reference.name);
  }

  #compileProposal(statement: Statement): IkeProposalConfig | undefined {
    const encryption = member(ENCRYPTION, statement.value('encryption-algorithm'));
    const dhGroup = member(DH_GROUPS, statement.value('dh-group'));
    const isAuthenticated = encryption !== undefined && encryptionTraits(encryption).icvLength > 0;
    // A cipher that authenticates brings no hash; the one for deriving keys is then SHA-256, as in Junos.
    const hash = member(HASH, statement.value('authentication-algorithm')) ?? (isAuthenticated ? 'sha-256' : undefined);
    const method = statement.value('authentication-method') ?? 'pre-shared-keys';
    const authenticationMethod = member(AUTHENTICATION_METHODS, method);
    this.#require(statement, 'encryption-algorithm', encryption, 'aes-256-cbc');
    this.#require(statement, 'dh-group', dhGroup, 'group14');
    this.#require(statement, 'authentication-algorithm', hash, 'sha-256');
    if (authenticationMethod === undefined) {
      this.#compilation.error(
        statement.at('authentication-method') ?? statement,
        `authentication-method ${method} requires IKEv2, which is not spoken yet`,
        `set ${statement.path} authentication-method pre-shared-keys`,
      );
    }
    if (!encryption || !dhGroup || !hash || !authenticationMethod) return undefined;
    return {
      name: statement.name,
      origin: statement.origin,
      authenticationMethod,
      encryption,
      hash,
      dhGroup,
      lifetime: seconds(statement.count('lifetime-seconds') ?? IKE_LIFETIME_DEFAULT),
    };
  }

  #require(statement: Statement, leaf: string, value: string | undefined, example: string): void {
    // A value that is there but unknown has been reported where it was read.
    if (value !== undefined || statement.has(leaf)) return;
    this.#compilation.error(
      statement,
      `Missing mandatory statement: '${leaf}'`,
      `set ${statement.path} ${leaf} ${example}`,
    );
  }

  #preSharedKey(statement: Statement, isNeeded: boolean): Secret | undefined {
    const text = statement.at('pre-shared-key', 'ascii-text');
    const hexadecimal = statement.at('pre-shared-key', 'hexadecimal');
    const leaf = text ?? hexadecimal;
    if (leaf === undefined) {
      const fix = `set ${statement.path} pre-shared-key ascii-text "<the key>"`;
      if (isNeeded) this.#compilation.error(statement, 'pre-shared-key is required by its proposals', fix);
      return undefined;
    }
    const revealed = revealSecret(this.#compilation, leaf);
    if (revealed === undefined) return undefined;
    if (text) return new Secret(utf8(revealed));
    const digits = revealed.replace(/^0x/i, '');
    if (/^([0-9a-f]{2})+$/i.test(digits)) return new Secret(fromHex(digits));
    this.#compilation.error(leaf, 'pre-shared-key hexadecimal must be an even number of hexadecimal digits');
    return undefined;
  }
}

/** The plain text of a secret leaf, `$9$` or not. Damaged and redacted ones are reported. */
export function revealSecret(compilation: Compilation, leaf: Statement): string | undefined {
  const value = leaf.node.firstWord ?? '';
  const fix = `set ${leaf.path} "<the secret>"`;
  if (REDACTED.test(value)) {
    compilation.error(leaf, 'the secret was taken out of this text: put it in again', fix);
    return undefined;
  }
  if (!isEncodedSecret(value)) return value;
  const secret = decodeSecret(value);
  if (secret === undefined || secret === '') {
    compilation.error(leaf, 'the $9$ secret is damaged: copy it again, or type the secret itself', fix);
    return undefined;
  }
  return secret;
}

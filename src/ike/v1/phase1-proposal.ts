// What phase 1 offers and chooses: ISAKMP transforms and their attributes (RFC 2409 §5, Appendix A).
// Of several proposals that both sides could use, the responder takes the one that comes first in its own configuration: its
// operator, not a stranger, says what is preferred here. The RFC leaves the choice to the responder.

import { isSupportedDhGroup } from '../../crypto/diffie-hellman.ts';
import type { CbcAlgorithm } from '../../crypto/provider.ts';
import { err, ok, type Result } from '../../lib/result.ts';
import { type Seconds, seconds } from '../../lib/time.ts';
import {
  AUTHENTICATION_METHODS,
  DH_GROUPS,
  type DhGroup,
  ENCRYPTION,
  type EncryptionAlgorithm,
  encryptionTraits,
  HASH,
  type HashAlgorithm,
} from '../../model/algorithms.ts';
import type { IkeGatewayConfig, IkeProposalConfig } from '../../model/gateway-config.ts';
import type { IkeRole } from '../../model/ike-event.ts';
import { type Attribute, attributeNumber, numericAttribute } from '../../wire/isakmp-attributes.ts';
import {
  IPSEC_DOI,
  PROTOCOL_ID,
  type Proposal,
  type SaPayload,
  SITUATION_IDENTITY_ONLY,
  type Transform,
} from '../../wire/isakmp-sa-payload.ts';
import { describeTransform, LIFE_TYPE, PHASE1_ATTRIBUTE } from '../../wire/transform-attributes.ts';

const KEY_IKE = 1;

/** XAUTHInitPreShared: a pre-shared key, after which the initiator must name a user (XAUTH; no RFC). */
const XAUTH_INIT_PRESHARED = 65_001;
const XAUTH_RESP_PRESHARED = 65_002;

/** The algorithms of one phase 1 SA. */
export interface Phase1Suite {
  readonly encryption: CbcAlgorithm;
  readonly hash: HashAlgorithm;
  readonly dhGroup: DhGroup;
  /** Authentication method number, XAUTH's included. */
  readonly method: number;
  readonly lifetime: Seconds;
}

/** What was agreed on: only the functions of this file make one. */
export interface ChosenPhase1 {
  readonly suite: Phase1Suite;
  /** The proposal with the one chosen transform, unchanged as RFC 2409 §5 asks. */
  readonly proposal: Proposal;
  readonly config: IkeProposalConfig;
}

/** The SA payload with everything that the gateway's policy allows, in its order; with `group` only what uses that. */
export function offerPhase1(gateway: IkeGatewayConfig, group?: DhGroup): SaPayload {
  return configuredPhase1(gateway, 'initiator', group);
}

/** The group of the first proposal, the only one that Aggressive Mode can offer (RFC 2409 §5). */
export function preferredGroup(gateway: IkeGatewayConfig): DhGroup | undefined {
  return usableProposals(gateway)[0]?.dhGroup;
}

/** The responder's choice; the error says both sides' offers. */
export function choosePhase1(gateway: IkeGatewayConfig, offer: SaPayload): Result<ChosenPhase1, string> {
  const offered = readOffer(offer);
  for (const config of usableProposals(gateway)) {
    for (const { proposal, transform } of offered) {
      const suite = matchTransform(transform, config, phase1Method(gateway, config, 'responder'));
      if (suite) return ok({ suite, config, proposal: { ...proposal, transforms: [transform] } });
    }
  }
  return err(
    `the peer offered ${describeSaPayload(offer)}; configured here: ${describeSaPayload(configuredPhase1(gateway, 'responder'))}`,
  );
}

/** The initiator's check that the answer is one of the transforms that it offered (RFC 2408 §4.2). */
export function acceptPhase1(gateway: IkeGatewayConfig, answer: SaPayload): Result<ChosenPhase1, string> {
  const answered = readOffer(answer);
  const [only] = answered;
  if (only === undefined || answered.length !== 1) return err(`the peer answered with ${answered.length} transforms`);
  for (const config of usableProposals(gateway)) {
    const suite = matchTransform(only.transform, config, phase1Method(gateway, config, 'initiator'));
    if (suite) return ok({ suite, config, proposal: only.proposal });
  }
  return err(`the peer chose ${describeTransform(only.proposal, only.transform)}, which was not offered`);
}

export function saPayload(...proposals: readonly Proposal[]): SaPayload {
  return {
    kind: 'sa',
    doi: IPSEC_DOI,
    situation: SITUATION_IDENTITY_ONLY,
    proposals,
    undecoded: new Uint8Array(0),
  };
}

/** The chosen algorithms, for people. */
export function describeChosenPhase1({ proposal }: ChosenPhase1): string {
  return proposal.transforms.map((transform) => describeTransform(proposal, transform)).join(' ');
}

/** What an SA payload offers, for people; also what we do not know, by number. */
export function describeSaPayload(payload: SaPayload): string {
  const offered = payload.proposals.flatMap((proposal) =>
    proposal.transforms.map((transform) => ({ proposal, transform })),
  );
  const shown = offered.slice(0, DESCRIBED_MAX);
  const texts = shown.map(({ proposal, transform }) => `[${describeTransform(proposal, transform)}]`);
  return texts.length === 0 ? 'nothing' : texts.join(' or ');
}

/** A peer may offer many; a log line shows this many. */
const DESCRIBED_MAX = 12;

function readOffer(payload: SaPayload): readonly { readonly proposal: Proposal; readonly transform: Transform }[] {
  return payload.proposals
    .filter((proposal) => proposal.protocolId === PROTOCOL_ID.isakmp)
    .flatMap((proposal) => proposal.transforms.map((transform) => ({ proposal, transform })));
}

function configuredPhase1(gateway: IkeGatewayConfig, role: IkeRole, group?: DhGroup): SaPayload {
  const proposals = usableProposals(gateway).filter(({ dhGroup }) => group === undefined || dhGroup === group);
  const transforms = proposals.map((config, index) => ({
    number: index + 1,
    transformId: KEY_IKE,
    attributes: transformAttributes(config, phase1Method(gateway, config, role)),
  }));
  return saPayload({ number: 1, protocolId: PROTOCOL_ID.isakmp, spi: new Uint8Array(0), transforms });
}

function usableProposals(gateway: IkeGatewayConfig): readonly IkeProposalConfig[] {
  return gateway.policy.proposals.filter(
    ({ encryption, dhGroup }) => encryptionTraits(encryption).phase1 !== undefined && isSupportedDhGroup(dhGroup),
  );
}

/** With XAUTH it is the initiator of phase 1 whose user is asked for, whether we are that or not. */
function phase1Method(gateway: IkeGatewayConfig, config: IkeProposalConfig, role: IkeRole): number {
  const number = AUTHENTICATION_METHODS[config.authenticationMethod];
  if (gateway.xauth === undefined || config.authenticationMethod !== 'pre-shared-keys') return number;
  const asksInitiator = (gateway.xauth.role === 'client') === (role === 'initiator');
  return asksInitiator ? XAUTH_INIT_PRESHARED : XAUTH_RESP_PRESHARED;
}

function transformAttributes(config: IkeProposalConfig, method: number): readonly Attribute[] {
  const traits = encryptionTraits(config.encryption);
  return [
    { type: PHASE1_ATTRIBUTE.encryptionAlgorithm, value: traits.phase1 ?? 0 },
    ...(traits.keyLengthAttribute ? [{ type: PHASE1_ATTRIBUTE.keyLength, value: traits.keyLength * 8 }] : []),
    { type: PHASE1_ATTRIBUTE.hashAlgorithm, value: HASH[config.hash].phase1 },
    { type: PHASE1_ATTRIBUTE.groupDescription, value: DH_GROUPS[config.dhGroup].number },
    { type: PHASE1_ATTRIBUTE.authenticationMethod, value: method },
    { type: PHASE1_ATTRIBUTE.lifeType, value: LIFE_TYPE.seconds },
    numericAttribute(PHASE1_ATTRIBUTE.lifeDuration, config.lifetime),
  ];
}

function matchTransform(transform: Transform, config: IkeProposalConfig, method: number): Phase1Suite | undefined {
  if (transform.transformId !== KEY_IKE) return undefined;
  const fields = readTransform(transform);
  const matches =
    fields.encryption === config.encryption &&
    fields.hash === config.hash &&
    fields.dhGroup === config.dhGroup &&
    fields.method === method;
  const { encryption } = config;
  if (!matches || !isCbc(encryption)) return undefined;
  // Lifetimes are not matched: each side rekeys by the shorter of the two (RFC 2409 Appendix A leaves it open).
  const lifetime = seconds(Math.min(config.lifetime, fields.lifetime ?? config.lifetime));
  return { encryption, hash: config.hash, dhGroup: config.dhGroup, method, lifetime };
}

interface TransformFields {
  readonly encryption: EncryptionAlgorithm | undefined;
  readonly hash: HashAlgorithm | undefined;
  readonly dhGroup: DhGroup | undefined;
  readonly method: number | undefined;
  readonly lifetime: number | undefined;
}

function readTransform({ attributes }: Transform): TransformFields {
  const cipher = findNumber(attributes, PHASE1_ATTRIBUTE.encryptionAlgorithm);
  const keyBits = findNumber(attributes, PHASE1_ATTRIBUTE.keyLength);
  const hash = findNumber(attributes, PHASE1_ATTRIBUTE.hashAlgorithm);
  const group = findNumber(attributes, PHASE1_ATTRIBUTE.groupDescription);
  return {
    encryption: findKey(ENCRYPTION, (name) => isCipher(name, cipher, keyBits)),
    hash: findKey(HASH, (name) => HASH[name].phase1 === hash),
    dhGroup: findKey(DH_GROUPS, (name) => DH_GROUPS[name].number === group),
    method: findNumber(attributes, PHASE1_ATTRIBUTE.authenticationMethod),
    lifetime: readLifetime(attributes),
  };
}

/** The key length must be the right one, or absent where the cipher has only one, or is AES with 128 bits (RFC 3602 §5.3). */
function isCipher(name: EncryptionAlgorithm, cipher: number | undefined, keyBits: number | undefined): boolean {
  const traits = encryptionTraits(name);
  if (cipher === undefined || traits.phase1 !== cipher) return false;
  const impliedBits = traits.keyLengthAttribute ? 128 : traits.keyLength * 8;
  return (keyBits ?? impliedBits) === traits.keyLength * 8;
}

function isCbc(name: EncryptionAlgorithm): name is CbcAlgorithm {
  return encryptionTraits(name).phase1 !== undefined;
}

function readLifetime(attributes: readonly Attribute[]): number | undefined {
  let unit: number | undefined;
  for (const attribute of attributes) {
    if (attribute.type === PHASE1_ATTRIBUTE.lifeType) unit = attributeNumber(attribute);
    if (attribute.type === PHASE1_ATTRIBUTE.lifeDuration && unit === LIFE_TYPE.seconds) {
      const count = attributeNumber(attribute);
      return count === 0 ? undefined : count;
    }
  }
  return undefined;
}

const AMBIGUOUS = -1;

/** An attribute's value; one that is there twice has none that is equal to any configured one. */
function findNumber(attributes: readonly Attribute[], type: number): number | undefined {
  const [found, ...others] = attributes.filter((attribute) => attribute.type === type);
  return others.length > 0 ? AMBIGUOUS : found && attributeNumber(found);
}

function findKey<K extends string>(table: Readonly<Record<K, unknown>>, matches: (key: K) => boolean): K | undefined {
  for (const key in table) if (matches(key)) return key;
  return undefined;
}

// What Quick Mode offers and chooses: ESP and AH transforms and their attributes (RFC 2407 §4.4, §4.5).
// As in phase 1, the responder takes what comes first in its own configuration.

import { err, ok, type Result } from '../../lib/result.ts';
import { type Seconds, seconds } from '../../lib/time.ts';
import {
  DH_GROUPS,
  type DhGroup,
  type EncryptionAlgorithm,
  encryptionTraits,
  type IntegrityAlgorithm,
  integrityTraits,
} from '../../model/algorithms.ts';
import type { IpsecProposalConfig, VpnConfig } from '../../model/gateway-config.ts';
import { type IpsecProtocol, SPI_MIN, type Spi, spi } from '../../model/ipsec-sa.ts';
import { type Attribute, attributeNumber, numericAttribute } from '../../wire/isakmp-attributes.ts';
import { PROTOCOL_ID, type Proposal, type SaPayload, type Transform } from '../../wire/isakmp-sa-payload.ts';
import { describeTransform, LIFE_TYPE, PHASE2_ATTRIBUTE } from '../../wire/transform-attributes.ts';
import { encapsulationModeNumber, isEncapsulationMode, type NatTraversalVersion } from './nat-traversal.ts';
import { describeSaPayload, saPayload } from './phase1-proposal.ts';

/** RFC 2407 §4.5: what an offer without a lifetime means. */
const LIFETIME_DEFAULT = seconds(28_800);
const SPI_LENGTH = 4;
const NO_SPI = spi(0);

/** What both sides agreed on for one pair of SAs. */
export interface ChosenPhase2 {
  readonly protocol: IpsecProtocol;
  readonly encryption: EncryptionAlgorithm;
  readonly integrity: IntegrityAlgorithm;
  readonly pfsGroup?: DhGroup;
  readonly extendedSequenceNumbers: boolean;
  readonly lifetime: Seconds;
  readonly lifetimeKilobytes?: number;
  readonly config: IpsecProposalConfig;
  /** The SPI in the proposal: the peer's. */
  readonly peerSpi: Spi;
  /** The peer's proposal with only the chosen transform: to answer with, once our SPI is in it. */
  readonly proposal: Proposal;
  /** The offer's lifetime is longer than ours, which the peer should be told (RFC 2407 §4.5.4). */
  readonly isShortened: boolean;
}

/** Whether the SA will be inside UDP, and by whose numbers: absent means that no NAT is on the path. */
export type UdpEncapsulation = NatTraversalVersion | undefined;

/** The SA payload with everything that the VPN's policy allows, in its order; `ownSpi` is in every proposal. */
export function offerPhase2(vpn: VpnConfig, ownSpi: Spi, udp: UdpEncapsulation): SaPayload {
  const proposals: Proposal[] = [];
  for (const config of usableProposals(vpn, udp)) {
    const protocolId = PROTOCOL_ID[config.protocol];
    const last = proposals.at(-1);
    // Neighbours with one protocol are alternatives inside one proposal: that is what peers read best.
    const transforms = last?.protocolId === protocolId ? last.transforms : [];
    const transform = {
      number: transforms.length + 1,
      transformId: transformId(config) ?? 0,
      attributes: transformAttributes(vpn, config, udp),
    };
    if (transforms.length > 0) proposals.pop();
    const number = proposals.length + 1;
    proposals.push({ number, protocolId, spi: spiOctets(ownSpi), transforms: [...transforms, transform] });
  }
  return saPayload(...proposals);
}

/** AH covers the addresses that a NAT changes (RFC 4302 §3.1.1), and RFC 3948 encapsulates only ESP: why nothing is left to offer. */
export function explainNoUsableProposal(vpn: VpnConfig, udp: UdpEncapsulation): string | undefined {
  if (usableProposals(vpn, udp).length > 0) return undefined;
  return udp === undefined
    ? `vpn ${vpn.name} has no proposal that IKEv1 can name`
    : `vpn ${vpn.name} uses AH, which authenticates the addresses that the NAT on the path changes: use ESP`;
}

/** The responder's choice; the error says both sides' offers. */
export function choosePhase2(vpn: VpnConfig, offer: SaPayload, udp: UdpEncapsulation): Result<ChosenPhase2, string> {
  const offered = readOffer(offer);
  const unusable = explainNoUsableProposal(vpn, udp);
  if (unusable !== undefined) return err(unusable);
  for (const config of usableProposals(vpn, udp)) {
    for (const { proposal, transform } of offered) {
      const chosen = match(vpn, config, proposal, transform, udp);
      if (chosen) return ok(chosen);
    }
  }
  return err(
    `the peer offered ${describeSaPayload(offer)}; configured here: ${describeSaPayload(offerPhase2(vpn, NO_SPI, udp))}`,
  );
}

/** The initiator's check that the answer is one of the transforms that it offered. */
export function acceptPhase2(vpn: VpnConfig, answer: SaPayload, udp: UdpEncapsulation): Result<ChosenPhase2, string> {
  const answered = readOffer(answer);
  const [only] = answered;
  if (only === undefined || answered.length !== 1 || answer.proposals.length !== 1) {
    return err(`the peer answered with ${answered.length} transforms`);
  }
  for (const config of usableProposals(vpn, udp)) {
    const chosen = match(vpn, config, only.proposal, only.transform, udp);
    if (chosen) return ok(chosen);
  }
  return err(`the peer chose ${describeTransform(only.proposal, only.transform)}, which was not offered`);
}

/** The answer to an offer: the chosen transform unchanged, under our SPI. */
export function answerPhase2(chosen: ChosenPhase2, ownSpi: Spi): SaPayload {
  return saPayload({ ...chosen.proposal, spi: spiOctets(ownSpi) });
}

export function spiOctets(value: Spi): Uint8Array {
  return Uint8Array.of(value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);
}

/** The SPI in four octets; `undefined` for any other length, and for 0 to 255, which name no SA (RFC 4303 §2.1). */
export function readSpi(octets: Uint8Array): Spi | undefined {
  if (octets.length !== SPI_LENGTH) return undefined;
  const value = new DataView(octets.buffer, octets.byteOffset, SPI_LENGTH).getUint32(0);
  return value < SPI_MIN ? undefined : spi(value);
}

/** Lifetimes from attributes, as a RESPONDER-LIFETIME notification carries them too (RFC 2407 §4.6.3.1). */
export function readLifetimes(attributes: readonly Attribute[]): { seconds?: number; kilobytes?: number } {
  const lifetimes: { seconds?: number; kilobytes?: number } = {};
  let unit: number | undefined;
  for (const attribute of attributes) {
    if (attribute.type === PHASE2_ATTRIBUTE.lifeType) unit = attributeNumber(attribute);
    if (attribute.type !== PHASE2_ATTRIBUTE.lifeDuration) continue;
    const count = attributeNumber(attribute);
    if (count === undefined || count === 0) continue;
    if (unit === LIFE_TYPE.seconds) lifetimes.seconds = Math.min(lifetimes.seconds ?? count, count);
    if (unit === LIFE_TYPE.kilobytes) lifetimes.kilobytes = Math.min(lifetimes.kilobytes ?? count, count);
  }
  return lifetimes;
}

/** The attributes that say these lifetimes. */
export function lifetimeAttributes(lifetime: Seconds, kilobytes: number | undefined): readonly Attribute[] {
  const inSeconds = [
    { type: PHASE2_ATTRIBUTE.lifeType, value: LIFE_TYPE.seconds },
    numericAttribute(PHASE2_ATTRIBUTE.lifeDuration, lifetime),
  ];
  if (kilobytes === undefined) return inSeconds;
  return [
    ...inSeconds,
    { type: PHASE2_ATTRIBUTE.lifeType, value: LIFE_TYPE.kilobytes },
    numericAttribute(PHASE2_ATTRIBUTE.lifeDuration, kilobytes),
  ];
}

/** The chosen algorithms, for people. */
export function describeChosenPhase2({ proposal }: ChosenPhase2): string {
  return proposal.transforms.map((transform) => describeTransform(proposal, transform)).join(' ');
}

interface Offered {
  readonly proposal: Proposal;
  readonly transform: Transform;
}

/** Single-protocol proposals: those that share a number with another want both at once (RFC 2408 §4.2), which we do not offer. */
function readOffer(payload: SaPayload): readonly Offered[] {
  const counts = new Map<number, number>();
  for (const { number } of payload.proposals) counts.set(number, (counts.get(number) ?? 0) + 1);
  return payload.proposals
    .filter((proposal) => counts.get(proposal.number) === 1)
    .flatMap((proposal) => proposal.transforms.map((transform) => ({ proposal, transform })));
}

function usableProposals(vpn: VpnConfig, udp: UdpEncapsulation): readonly IpsecProposalConfig[] {
  return vpn.proposals.filter(
    (config) => transformId(config) !== undefined && (udp === undefined || config.protocol !== 'ah'),
  );
}

function transformId(config: IpsecProposalConfig): number | undefined {
  return config.protocol === 'esp' ? encryptionTraits(config.encryption).esp : integrityTraits(config.integrity).ah;
}

function transformAttributes(vpn: VpnConfig, config: IpsecProposalConfig, udp: UdpEncapsulation): readonly Attribute[] {
  const cipher = encryptionTraits(config.encryption);
  const integrity = integrityTraits(config.integrity).attribute;
  const hasKeyLength = config.protocol === 'esp' && cipher.keyLengthAttribute;
  return [
    ...(vpn.pfsGroup ? [{ type: PHASE2_ATTRIBUTE.groupDescription, value: DH_GROUPS[vpn.pfsGroup].number }] : []),
    ...(hasKeyLength ? [{ type: PHASE2_ATTRIBUTE.keyLength, value: cipher.keyLength * 8 }] : []),
    ...(integrity === undefined ? [] : [{ type: PHASE2_ATTRIBUTE.authenticationAlgorithm, value: integrity }]),
    { type: PHASE2_ATTRIBUTE.encapsulationMode, value: encapsulationModeNumber(vpn.mode, udp) },
    ...(config.extendedSequenceNumbers ? [{ type: PHASE2_ATTRIBUTE.extendedSequenceNumbers, value: 1 }] : []),
    ...lifetimeAttributes(config.lifetime, config.lifetimeKilobytes),
  ];
}

function match(
  vpn: VpnConfig,
  config: IpsecProposalConfig,
  proposal: Proposal,
  transform: Transform,
  udp: UdpEncapsulation,
): ChosenPhase2 | undefined {
  const peerSpi = readSpi(proposal.spi);
  if (peerSpi === undefined) return undefined;
  if (proposal.protocolId !== PROTOCOL_ID[config.protocol] || transform.transformId !== transformId(config))
    return undefined;
  const { attributes } = transform;
  const cipher = encryptionTraits(config.encryption);
  const keyBits = findNumber(attributes, PHASE2_ATTRIBUTE.keyLength);
  const expectedBits = config.protocol === 'esp' && cipher.keyLengthAttribute ? cipher.keyLength * 8 : undefined;
  if (!isKeyLength(keyBits, expectedBits, cipher.keyLength * 8)) return undefined;
  // 0 stands for "none" from peers that send it with a combined cipher.
  const integrity = findNumber(attributes, PHASE2_ATTRIBUTE.authenticationAlgorithm) || undefined;
  if (integrity !== integrityTraits(config.integrity).attribute) return undefined;
  const mode = findNumber(attributes, PHASE2_ATTRIBUTE.encapsulationMode);
  if (mode !== undefined && !isEncapsulationMode(mode, vpn.mode, udp)) return undefined;
  const group = findNumber(attributes, PHASE2_ATTRIBUTE.groupDescription) || undefined;
  if (group !== (vpn.pfsGroup && DH_GROUPS[vpn.pfsGroup].number)) return undefined;
  const hasExtended = findNumber(attributes, PHASE2_ATTRIBUTE.extendedSequenceNumbers) === 1;
  if (hasExtended !== config.extendedSequenceNumbers) return undefined;
  return {
    ...agreeLifetimes(config, attributes),
    ...agreed(vpn, config),
    peerSpi,
    proposal: only(proposal, transform),
  };
}

function only(proposal: Proposal, transform: Transform): Proposal {
  return { ...proposal, transforms: [transform] };
}

function agreed(vpn: VpnConfig, config: IpsecProposalConfig) {
  const { protocol, encryption, integrity, extendedSequenceNumbers } = config;
  const pfs = vpn.pfsGroup === undefined ? {} : { pfsGroup: vpn.pfsGroup };
  return { protocol, encryption, integrity, extendedSequenceNumbers, config, ...pfs };
}

/** The shorter lifetime of both sides, in each unit. */
function agreeLifetimes(config: IpsecProposalConfig, attributes: readonly Attribute[]) {
  const offered = readLifetimes(attributes);
  const offeredSeconds = offered.seconds ?? LIFETIME_DEFAULT;
  const lifetime = seconds(Math.min(config.lifetime, offeredSeconds));
  const { lifetimeKilobytes: configured } = config;
  const kilobytes = Math.min(configured ?? Number.POSITIVE_INFINITY, offered.kilobytes ?? Number.POSITIVE_INFINITY);
  const isShortened =
    lifetime < offeredSeconds || (configured !== undefined && configured < (offered.kilobytes ?? Infinity));
  return { lifetime, isShortened, ...(Number.isFinite(kilobytes) ? { lifetimeKilobytes: kilobytes } : {}) };
}

/** A cipher with one key length should come without the attribute (RFC 2407 §4.5); the right value does no harm. */
function isKeyLength(keyBits: number | undefined, expectedBits: number | undefined, onlyBits: number): boolean {
  if (expectedBits !== undefined) return keyBits === expectedBits;
  return keyBits === undefined || keyBits === 0 || keyBits === onlyBits;
}

const AMBIGUOUS = -1;

/** An attribute's value; one that is there twice has none that is equal to any configured one. */
function findNumber(attributes: readonly Attribute[], type: number): number | undefined {
  const [found, ...others] = attributes.filter((attribute) => attribute.type === type);
  return others.length > 0 ? AMBIGUOUS : found && attributeNumber(found);
}

// What a transform's attributes say: phase 1 (RFC 2409 Appendix A) and phase 2 (RFC 2407 §4.5).

import {
  AUTHENTICATION_METHODS,
  DH_GROUPS,
  ENCRYPTION,
  type EncryptionTraits,
  HASH,
  INTEGRITY,
  type IntegrityTraits,
} from '../model/algorithms.ts';
import { type Attribute, attributeNumber } from './isakmp-attributes.ts';
import { PROTOCOL_ID, type Proposal, type Transform } from './isakmp-sa-payload.ts';

/** Attribute types of an ISAKMP transform (RFC 2409 Appendix A). */
export const PHASE1_ATTRIBUTE = {
  encryptionAlgorithm: 1,
  hashAlgorithm: 2,
  authenticationMethod: 3,
  groupDescription: 4,
  groupType: 5,
  lifeType: 11,
  lifeDuration: 12,
  prf: 13,
  keyLength: 14,
} as const;

/** Attribute types of an ESP or AH transform (RFC 2407 §4.5; extended sequence numbers: RFC 4304 §2). */
export const PHASE2_ATTRIBUTE = {
  lifeType: 1,
  lifeDuration: 2,
  groupDescription: 3,
  encapsulationMode: 4,
  authenticationAlgorithm: 5,
  keyLength: 6,
  extendedSequenceNumbers: 11,
} as const;

/** Life types, the same in both phases (RFC 2409 Appendix A, RFC 2407 §4.5). */
export const LIFE_TYPE = { seconds: 1, kilobytes: 2 } as const;

/** Encapsulation modes (RFC 2407 §4.5); through UDP: RFC 3947 §5.1, and the numbers of the drafts before it. */
const ENCAPSULATION_MODE = {
  tunnel: 1,
  transport: 2,
  'udp-tunnel': 3,
  'udp-transport': 4,
  'udp-tunnel-draft': 61_443,
  'udp-transport-draft': 61_444,
} as const;

const PROTOCOL_NAMES = namesOf(PROTOCOL_ID);
const ENCAPSULATION_NAMES = namesOf(ENCAPSULATION_MODE);
const GROUP_NAMES = new Map<number, string>(Object.entries(DH_GROUPS).map(([name, { number }]) => [number, name]));
const HASH_NAMES = new Map<number, string>(Object.entries(HASH).map(([name, { phase1 }]) => [phase1, name]));
const ENCRYPTIONS = {
  phase1: indexed(ENCRYPTION, (traits: EncryptionTraits) => traits.phase1),
  esp: indexed(ENCRYPTION, (traits: EncryptionTraits) => traits.esp),
};
const INTEGRITIES = {
  attribute: indexed(INTEGRITY, (traits: IntegrityTraits) => traits.attribute),
  ah: indexed(INTEGRITY, (traits: IntegrityTraits) => traits.ah),
};
const METHOD_NAMES = namesOf({
  ...AUTHENTICATION_METHODS,
  'xauth-init-pre-shared-keys': 65_001,
  'xauth-resp-pre-shared-keys': 65_002,
});

/** `isakmp`, `ah`, `esp`, or the number as text. */
export function protocolName(protocolId: number): string {
  return PROTOCOL_NAMES.get(protocolId) ?? `protocol ${protocolId}`;
}

/** A transform for people, in Junos' words where it has some: `aes-256-cbc hmac-sha-256-128 group14 tunnel 3600s`. */
export function describeTransform(proposal: Proposal, transform: Transform): string {
  const words =
    proposal.protocolId === PROTOCOL_ID.isakmp ? phase1Words(transform) : phase2Words(proposal.protocolId, transform);
  return words.filter((word) => word !== '').join(' ');
}

function phase1Words(transform: Transform): readonly string[] {
  const { attributes } = transform;
  const keyLength = numberOf(attributes, PHASE1_ATTRIBUTE.keyLength);
  return [
    word(attributes, PHASE1_ATTRIBUTE.authenticationMethod, (id) => METHOD_NAMES.get(id) ?? `authentication ${id}`),
    word(attributes, PHASE1_ATTRIBUTE.encryptionAlgorithm, (id) => encryptionName('phase1', id, keyLength)),
    word(attributes, PHASE1_ATTRIBUTE.hashAlgorithm, (id) => HASH_NAMES.get(id) ?? `hash ${id}`),
    word(attributes, PHASE1_ATTRIBUTE.groupDescription, (id) => GROUP_NAMES.get(id) ?? `group${id}`),
    lifetimeWords(attributes, PHASE1_ATTRIBUTE.lifeType, PHASE1_ATTRIBUTE.lifeDuration),
  ];
}

function phase2Words(protocolId: number, transform: Transform): readonly string[] {
  const { attributes, transformId } = transform;
  const keyLength = numberOf(attributes, PHASE2_ATTRIBUTE.keyLength);
  return [
    protocolId === PROTOCOL_ID.esp ? encryptionName('esp', transformId, keyLength) : '',
    protocolId === PROTOCOL_ID.ah ? integrityName('ah', transformId) : '',
    protocolId === PROTOCOL_ID.esp
      ? word(attributes, PHASE2_ATTRIBUTE.authenticationAlgorithm, (id) => integrityName('attribute', id))
      : '',
    word(attributes, PHASE2_ATTRIBUTE.groupDescription, (id) => GROUP_NAMES.get(id) ?? `group${id}`),
    word(attributes, PHASE2_ATTRIBUTE.encapsulationMode, (id) => ENCAPSULATION_NAMES.get(id) ?? `mode ${id}`),
    word(attributes, PHASE2_ATTRIBUTE.extendedSequenceNumbers, (id) => (id === 1 ? 'esn' : '')),
    lifetimeWords(attributes, PHASE2_ATTRIBUTE.lifeType, PHASE2_ATTRIBUTE.lifeDuration),
  ];
}

function encryptionName(registry: 'phase1' | 'esp', id: number, keyLength: number | undefined): string {
  const candidates = ENCRYPTIONS[registry].get(id) ?? [];
  const exact = candidates.find(([, traits]) => !traits.keyLengthAttribute || traits.keyLength * 8 === keyLength);
  if (exact !== undefined) return exact[0];
  const cipher = candidates[0]?.[1].cipher ?? `cipher ${id}`;
  return keyLength === undefined ? cipher : `${cipher} ${keyLength}`;
}

function integrityName(registry: 'attribute' | 'ah', id: number): string {
  return INTEGRITIES[registry].get(id)?.[0]?.[0] ?? `integrity ${id}`;
}

/** Every type is followed by its duration (RFC 2407 §4.5), and there may be one of each. */
function lifetimeWords(attributes: readonly Attribute[], lifeType: number, lifeDuration: number): string {
  const words: string[] = [];
  let unit = '';
  for (const attribute of attributes) {
    const value = attributeNumber(attribute);
    if (attribute.type === lifeType) unit = value === LIFE_TYPE.kilobytes ? 'kB' : 's';
    if (attribute.type === lifeDuration && value !== undefined) words.push(`${value}${unit}`);
  }
  return words.join(' ');
}

function word(attributes: readonly Attribute[], type: number, name: (id: number) => string): string {
  const id = numberOf(attributes, type);
  return id === undefined ? '' : name(id);
}

function numberOf(attributes: readonly Attribute[], type: number): number | undefined {
  const attribute = attributes.find((candidate) => candidate.type === type);
  return attribute && attributeNumber(attribute);
}

function namesOf(numbers: Readonly<Record<string, number>>): ReadonlyMap<number, string> {
  return new Map(Object.entries(numbers).map(([name, number]) => [number, name]));
}

/** Algorithms by their number in a registry: several where key lengths share one. */
function indexed<T>(
  algorithms: Readonly<Record<string, T>>,
  numberOfTraits: (traits: T) => number | undefined,
): ReadonlyMap<number, readonly (readonly [name: string, traits: T])[]> {
  const index = new Map<number, (readonly [string, T])[]>();
  for (const entry of Object.entries(algorithms)) {
    const number = numberOfTraits(entry[1]);
    if (number !== undefined) index.set(number, [...(index.get(number) ?? []), entry]);
  }
  return index;
}

// One of strongSwan's recorded negotiations, read.

import assert from 'node:assert/strict';
import type { CbcAlgorithm } from '../../crypto/provider.ts';
import { fromHex } from '../../lib/bytes.ts';
import {
  ENCRYPTION,
  type EncryptionAlgorithm,
  type EncryptionTraits,
  HASH,
  type HashAlgorithm,
  INTEGRITY,
  type IntegrityAlgorithm,
  type IntegrityTraits,
} from '../../model/algorithms.ts';
import { attributeNumber } from '../../wire/isakmp-attributes.ts';
import { decodeIsakmpHeader, type IsakmpHeader } from '../../wire/isakmp-header.ts';
import type { DecodedPayload } from '../../wire/isakmp-payloads.ts';
import type { Transform } from '../../wire/isakmp-sa-payload.ts';
import { PHASE1_ATTRIBUTE, PHASE2_ATTRIBUTE } from '../../wire/transform-attributes.ts';
import { classifyUdp4500, stripNonEspMarker } from '../../wire/udp-encapsulation.ts';

export interface Recording {
  readonly psk_hex?: string;
  readonly initiator: string;
  readonly packets: readonly { src: string; kind: string; payload: string; dport: number }[];
  readonly secrets: Readonly<Record<string, readonly string[]>>;
}

type PayloadOf<K extends DecodedPayload['kind']> = Extract<DecodedPayload, { kind: K }>;

/** An IKE message as it was sent. */
export interface Message {
  readonly header: IsakmpHeader;
  readonly bytes: Uint8Array;
  readonly isFromInitiator: boolean;
}

/** The IKE messages of a recording, without markers, in order. */
export function messagesOf({ packets, initiator }: Recording): readonly Message[] {
  return packets
    .filter(({ kind }) => kind === 'ike')
    .map(({ payload, dport, src }) => {
      const datagram = fromHex(payload);
      const isMarked = dport === 4500 && classifyUdp4500(datagram) === 'ike';
      const bytes = isMarked ? stripNonEspMarker(datagram) : datagram;
      const header = decodeIsakmpHeader(bytes);
      assert.ok(header.ok);
      return { header: header.value, bytes, isFromInitiator: src === initiator };
    });
}

/** What a phase 1 transform says. */
export function phase1Suite(transform: Transform): { hash: HashAlgorithm; cipher: CbcAlgorithm } {
  const hashNumber = numberOf(transform, PHASE1_ATTRIBUTE.hashAlgorithm);
  const keyLength = numberOf(transform, PHASE1_ATTRIBUTE.keyLength);
  const encryption = findEncryption('phase1', numberOf(transform, PHASE1_ATTRIBUTE.encryptionAlgorithm), keyLength);
  const hash = keyOf(HASH, ([, traits]) => traits.phase1 === hashNumber);
  switch (encryption) {
    case 'des-cbc':
    case '3des-cbc':
    case 'aes-128-cbc':
    case 'aes-192-cbc':
    case 'aes-256-cbc':
      return { hash, cipher: encryption };
    default:
      return assert.fail(`${encryption} in phase 1`);
  }
}

/** What an ESP transform says. */
export function espSuite(transform: Transform): { encryption: EncryptionAlgorithm; integrity: IntegrityAlgorithm } {
  const keyLength = numberOf(transform, PHASE2_ATTRIBUTE.keyLength);
  const encryption = findEncryption('esp', transform.transformId, keyLength);
  const attribute = numberOf(transform, PHASE2_ATTRIBUTE.authenticationAlgorithm);
  if (attribute === undefined) return { encryption, integrity: 'none' };
  const integrity = keyOf<IntegrityAlgorithm, IntegrityTraits>(
    INTEGRITY,
    ([, traits]) => traits.attribute === attribute,
  );
  return { encryption, integrity };
}

function findEncryption(
  registry: 'phase1' | 'esp',
  id: number | undefined,
  keyBits: number | undefined,
): EncryptionAlgorithm {
  return keyOf<EncryptionAlgorithm, EncryptionTraits>(
    ENCRYPTION,
    ([, traits]) => traits[registry] === id && (!traits.keyLengthAttribute || traits.keyLength * 8 === keyBits),
  );
}

function keyOf<K extends string, V>(table: Readonly<Record<K, V>>, matches: (entry: [K, V]) => boolean): K {
  for (const key in table) if (matches([key, table[key]])) return key;
  return assert.fail('no such algorithm');
}

/** An attribute's value, if the transform has it. */
export function numberOf(transform: Transform, type: number): number | undefined {
  const attribute = transform.attributes.find((each) => each.type === type);
  return attribute && attributeNumber(attribute);
}

/** The first payload of a kind. */
export function find<K extends DecodedPayload['kind']>(
  payloads: readonly DecodedPayload[],
  kind: K,
): PayloadOf<K> | undefined {
  return findAll(payloads, kind)[0];
}

/** The payloads of a kind, in order. */
export function findAll<K extends DecodedPayload['kind']>(
  payloads: readonly DecodedPayload[],
  kind: K,
): readonly PayloadOf<K>[] {
  return payloads.filter((payload): payload is PayloadOf<K> => payload.kind === kind);
}

/** Decrypted ESP in tunnel mode: an IPv4 packet, padding 1 2 3 ..., its length, and next header 4 (RFC 4303 §2.4). */
export function expectInnerIpv4(plaintext: Uint8Array): void {
  assert.equal(plaintext.at(-1), 4, 'next header');
  const paddingLength = plaintext.at(-2) ?? 0;
  const padding = plaintext.subarray(plaintext.length - 2 - paddingLength, plaintext.length - 2);
  assert.ok(
    padding.every((octet, index) => octet === index + 1),
    'padding',
  );
  assert.equal(((plaintext[2] ?? 0) << 8) | (plaintext[3] ?? 0), plaintext.length - 2 - paddingLength, 'total length');
}

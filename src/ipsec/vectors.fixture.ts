// Others' packets as SAs of ours: the vocabulary of ../shared/vectors/esp in this program's words.

import { readFileSync } from 'node:fs';
import { sharedFile } from '../../test/shared.ts';
import { concat, fromHex } from '../lib/bytes.ts';
import { address } from '../model/address.ts';
import {
  ENCRYPTION,
  type EncryptionAlgorithm,
  encryptionTraits,
  INTEGRITY,
  type IntegrityAlgorithm,
  integrityTraits,
} from '../model/algorithms.ts';
import { type IpsecSa, spi } from '../model/ipsec-sa.ts';
import { Flow } from './flow.ts';
import { POLICY, selectors } from './two-planes.fixture.ts';

/** One packet of ../shared/vectors/esp; its fields are in ../shared/vectors/INDEX.md. */
export interface PacketVector {
  readonly name: string;
  readonly protocol: 'esp' | 'ah';
  readonly mode: 'tunnel' | 'transport';
  readonly spi: string;
  readonly seq: number;
  readonly esn: boolean;
  readonly esn_hi?: number;
  readonly encap?: string;
  readonly encr?: string;
  readonly encr_key?: string;
  readonly salt?: string;
  readonly iv?: string;
  readonly integ: string;
  readonly integ_key: string;
  readonly icv_len: number;
  readonly inner_packet: string;
  readonly ipsec_packet: string;
}

/** All packets of a vector file but those of ciphers that Sallyport does not have; `undefined` where the file is absent. */
export function readVectors(file: string): readonly PacketVector[] | undefined {
  const path = sharedFile(`vectors/esp/${file}`);
  if (path === undefined) return undefined;
  const parsed: { readonly vectors: readonly PacketVector[] } = JSON.parse(readFileSync(path, 'utf8'));
  return parsed.vectors.filter(({ encr }) => encr !== 'CAST' && encr !== 'Blowfish');
}

const CIPHERS: Readonly<Record<string, string>> = {
  'AES-GCM': 'aes-gcm',
  'AES-CCM': 'aes-ccm',
  'AES-CBC': 'aes-cbc',
  'AES-CTR': 'aes-ctr',
  'AES-NULL-GMAC': 'aes-gmac',
  'CHACHA20-POLY1305': 'chacha20-poly1305',
  DES: 'des',
  '3DES': '3des',
  NULL: 'null',
};

const HASHES: readonly (readonly [string, string])[] = [
  ['SHA2-256', 'hmac-sha-256-128'],
  ['SHA2-384', 'hmac-sha-384'],
  ['SHA2-512', 'hmac-sha-512'],
  ['MD5', 'hmac-md5-96'],
  ['SHA1', 'hmac-sha1-96'],
  ['XCBC', 'aes-xcbc-96'],
  ['CMAC', 'aes-cmac-96'],
  ['GMAC', 'aes-128-gmac'],
];

/** The SA that a vector's packet belongs to; keyed so that either direction can be made of it. */
export function vectorSa(vector: PacketVector): IpsecSa {
  const encryption = encryptionOf(vector);
  const integrity = integrityOf(vector);
  const { keyLength } = encryptionTraits(encryption);
  const isIpv6 = vector.ipsec_packet.startsWith('6');
  const isInnerIpv6 = vector.inner_packet.startsWith('6');
  const [local, remote] = isIpv6 ? ['2001:db8::1', '2001:db8::2'] : ['192.0.2.1', '198.51.100.2'];
  const isAead = encryptionTraits(encryption).icvLength > 0;
  return {
    direction: 'outbound',
    protocol: vector.protocol,
    spi: spi(Number.parseInt(vector.spi, 16)),
    mode: vector.mode,
    policy: POLICY,
    localAddress: address(local ?? ''),
    remoteAddress: address(remote ?? ''),
    ...(vector.encap ? { udp: VECTOR_PATH } : {}),
    encryption,
    // DES's parity bits and all: as long as the algorithm says. AH has no cipher.
    encryptionKey: concat(
      fromHex(vector.encr_key ?? '').subarray(0, keyLength),
      saltOf(vector, isAead || encryption.endsWith('ctr')),
    ),
    integrity,
    integrityKey: integrityKeyOf(vector, integrity),
    selectors: isInnerIpv6 ? selectors('::/0', '::/0') : selectors('0.0.0.0/0', '0.0.0.0/0'),
    extendedSequenceNumbers: vector.esn,
    replayWindow: 64,
    lifetime: {},
  };
}

export const VECTOR_PATH = {
  local: { address: address('192.0.2.1'), port: 4500 },
  remote: { address: address('198.51.100.2'), port: 4500 },
};

/** Where ESP or AH starts in the vector's packet, behind IP and UDP headers. */
export function ipsecOffset(vector: PacketVector, packet: Uint8Array): number {
  const flow = new Flow();
  if (!flow.read(packet, 0, packet.length)) throw new RangeError(`${vector.name} is no IP packet`);
  return flow.upperOffset + (vector.encap ? 8 : 0);
}

function encryptionOf(vector: PacketVector): EncryptionAlgorithm {
  if (vector.protocol === 'ah') return 'null';
  const cipher = CIPHERS[vector.encr ?? ''];
  const keyLength = (vector.encr_key ?? '').length / 2;
  for (const name of names(ENCRYPTION)) {
    const traits = encryptionTraits(name);
    const fitsIcv = traits.icvLength === 0 || traits.icvLength === vector.icv_len;
    if (traits.cipher === cipher && traits.keyLength === keyLength && fitsIcv) return name;
  }
  throw new RangeError(`${vector.name}: ${vector.encr} with ${keyLength} octets of key`);
}

function integrityOf(vector: PacketVector): IntegrityAlgorithm {
  if (vector.integ === 'NULL' || vector.icv_len === 0) return 'none';
  const named = HASHES.find(([word]) => vector.integ.includes(word))?.[1];
  for (const name of names(INTEGRITY))
    if (name === named && integrityTraits(name).icvLength === vector.icv_len) return name;
  throw new RangeError(`${vector.name}: ${vector.integ} with ${vector.icv_len} octets of ICV`);
}

function integrityKeyOf(vector: PacketVector, integrity: IntegrityAlgorithm): Uint8Array {
  const key = fromHex(vector.integ_key);
  return integrity.endsWith('gmac') ? concat(key, fromHex(vector.salt ?? '')) : key;
}

function saltOf(vector: PacketVector, hasSalt: boolean): Uint8Array {
  return hasSalt ? fromHex(vector.salt ?? '') : new Uint8Array(0);
}

function names<T extends object>(table: T): readonly (keyof T)[];
function names(table: object): readonly string[] {
  return Object.keys(table);
}

// Other projects' known answers for message authentication codes, in one form.

import { INTEGRITY, type IntegrityAlgorithm } from '../model/algorithms.ts';
import { linux, linuxOctets, octets, readVectors, strongswan, type Wycheproof } from './vectors.fixture.ts';

export interface IntegrityCase {
  readonly name: string;
  readonly algorithm: IntegrityAlgorithm;
  readonly key: Uint8Array;
  readonly iv: Uint8Array;
  readonly data: Uint8Array;
  /** As long as the algorithm's ICV. */
  readonly icv: Uint8Array;
  readonly isValid: boolean;
}

const NOTHING = new Uint8Array();

const INTEGRITY_NAMES: Readonly<Record<string, IntegrityAlgorithm>> = {
  AUTH_HMAC_MD5_96: 'hmac-md5-96',
  AUTH_HMAC_SHA1_96: 'hmac-sha1-96',
  AUTH_HMAC_SHA2_256_128: 'hmac-sha-256-128',
  AUTH_HMAC_SHA2_384_192: 'hmac-sha-384',
  AUTH_HMAC_SHA2_512_256: 'hmac-sha-512',
  AUTH_AES_XCBC_96: 'aes-xcbc-96',
  AUTH_AES_CMAC_96: 'aes-cmac-96',
};

export function integrityCases(): readonly IntegrityCase[] | undefined {
  const [own, templates] = [strongswan(), linux()];
  if (own === undefined || templates === undefined) return undefined;
  const fromStrongswan = own.flatMap((vector) => {
    const algorithm = INTEGRITY_NAMES[vector.alg];
    if (algorithm === undefined) return [];
    const icv = octets(vector.mac ?? vector.out);
    return integrityCase(vector._name, algorithm, vector.key ?? '', octets(vector.data ?? vector.seed), icv, true);
  });
  const fromLinux = [
    ['hmac_md5_tv_template', 'hmac-md5-96'],
    ['hmac_sha1_tv_template', 'hmac-sha1-96'],
    ['hmac_sha256_tv_template', 'hmac-sha-256-128'],
    ['hmac_sha256_tv_template', 'hmac-sha-256-96'],
    ['hmac_sha384_tv_template', 'hmac-sha-384'],
    ['hmac_sha512_tv_template', 'hmac-sha-512'],
    ['aes_xcbc128_tv_template', 'aes-xcbc-96'],
    ['aes_cmac128_tv_template', 'aes-cmac-96'],
  ] as const;
  return [
    ...fromStrongswan,
    ...fromLinux.flatMap(([template, algorithm]) =>
      templates(template).flatMap((vector, index) => {
        const data = linuxOctets(vector.plaintext, vector.psize ?? 0);
        return integrityCase(`${template} ${index}`, algorithm, vector.key, data, octets(vector.digest), true);
      }),
    ),
  ];
}

interface WycheproofMac {
  readonly key: string;
  readonly iv?: string;
  readonly msg: string;
  readonly tag: string;
}

const WYCHEPROOF_MACS = [
  ['hmac_sha1', 'hmac-sha1-96'],
  ['hmac_sha256', 'hmac-sha-256-128'],
  ['hmac_sha384', 'hmac-sha-384'],
  ['hmac_sha512', 'hmac-sha-512'],
  ['aes_cmac', 'aes-cmac-96'],
  ['aes_gmac', 'aes-128-gmac'],
  ['aes_gmac', 'aes-192-gmac'],
  ['aes_gmac', 'aes-256-gmac'],
] as const;

/** Wycheproof's MACs with keys and nonces of the lengths that IPsec uses, those that must be refused included. */
export function wycheproofMacs(): readonly IntegrityCase[] | undefined {
  const all: IntegrityCase[] = [];
  for (const [name, algorithm] of WYCHEPROOF_MACS) {
    const path = `crypto/wycheproof/${name}_test.json.gz`;
    const file = readVectors<Wycheproof<{ ivSize?: number }, WycheproofMac>>(path);
    if (file === undefined) return undefined;
    for (const { ivSize, tests } of file.testGroups)
      for (const vector of tests) {
        if (ivSize !== undefined && ivSize !== 96) continue;
        const [salt, iv] = [vector.iv?.slice(0, 8) ?? '', octets(vector.iv?.slice(8) ?? '')];
        const label = `wycheproof ${name} ${vector.tcId} ${vector.comment}`;
        const isValid = vector.result === 'valid';
        const tag = octets(vector.tag);
        // Cut to our length, a tag that was spoilt near its end is a good one again.
        if (!isValid && tag.length !== INTEGRITY[algorithm].icvLength) continue;
        all.push(...integrityCase(label, algorithm, vector.key + salt, octets(vector.msg), tag, isValid, iv));
      }
  }
  return all;
}

/** NIST's GMAC cases with a nonce of 96 bits and a whole tag. They authenticate nothing but the nonce. */
export function acvpGmac(): readonly IntegrityCase[] | undefined {
  interface AcvpCase {
    readonly tcId: number;
    readonly key: string;
    readonly aad: string;
    readonly iv: string;
    readonly tag: string;
    readonly testPassed: boolean;
  }
  const path = 'crypto/acvp-AES-GMAC.internalProjection.json';
  const file = readVectors<{ testGroups: { ivLen: number; tagLen: number; tests: AcvpCase[] }[] }>(path);
  return file?.testGroups
    .filter(({ ivLen, tagLen }) => ivLen === 96 && tagLen === 128)
    .flatMap(({ tests }) =>
      tests.flatMap(({ tcId, key, iv, aad, tag, testPassed }) => {
        const [salt, rest] = [iv.slice(0, 8), octets(iv.slice(8))];
        const name = `ACVP GMAC ${tcId}`;
        return integrityCase(name, 'aes-128-gmac', key + salt, octets(aad), octets(tag), testPassed, rest);
      }),
    );
}

/** At most one case: none where the key or the MAC has not the length that the algorithm has in IPsec. */
function integrityCase(
  name: string,
  algorithm: IntegrityAlgorithm,
  keyText: string,
  data: Uint8Array,
  mac: Uint8Array,
  isValid: boolean,
  iv: Uint8Array = NOTHING,
): readonly IntegrityCase[] {
  const { keyLength, icvLength } = INTEGRITY[algorithm];
  const key = octets(keyText);
  if (key.length !== keyLength || mac.length < icvLength) return [];
  return [{ name, algorithm, key, iv, data, icv: mac.subarray(0, icvLength), isValid }];
}

// Other projects' known answers for ciphers, combined modes included, in one form.

import { concat } from '../lib/bytes.ts';
import { ENCRYPTION, type EncryptionAlgorithm, encryptionTraits } from '../model/algorithms.ts';
import { linux, linuxOctets, octets, readVectors, strongswan, type Wycheproof } from './vectors.fixture.ts';

export interface AeadCase {
  readonly name: string;
  readonly algorithm: EncryptionAlgorithm;
  /** Key and salt. */
  readonly key: Uint8Array;
  readonly iv: Uint8Array;
  readonly additionalData: Uint8Array;
  readonly plaintext: Uint8Array;
  /** Ciphertext and ICV. */
  readonly sealed: Uint8Array;
  readonly isValid: boolean;
}

export interface CipherCase {
  readonly name: string;
  readonly algorithm: EncryptionAlgorithm;
  readonly key: Uint8Array;
  readonly iv: Uint8Array;
  readonly plaintext: Uint8Array;
  readonly ciphertext: Uint8Array;
}

const AEAD_NAMES: Readonly<Record<string, (keyBits: number) => string>> = {
  ENCR_AES_GCM_ICV8: (bits) => `aes-${bits}-gcm-8`,
  ENCR_AES_GCM_ICV12: (bits) => `aes-${bits}-gcm-12`,
  ENCR_AES_GCM_ICV16: (bits) => `aes-${bits}-gcm`,
  ENCR_AES_CCM_ICV8: (bits) => `aes-${bits}-ccm-8`,
  ENCR_AES_CCM_ICV12: (bits) => `aes-${bits}-ccm-12`,
  ENCR_AES_CCM_ICV16: (bits) => `aes-${bits}-ccm`,
  ENCR_CHACHA20_POLY1305: () => 'chacha20-poly1305',
};

export function strongswanAead(): readonly AeadCase[] | undefined {
  return strongswan()?.flatMap((vector) => {
    const { key_size: keyLength = 0, salt_size: saltLength = 0 } = vector;
    // In one vector more of a key is written than belongs to it.
    const key = octets(vector.key ?? '').subarray(0, keyLength + saltLength);
    const algorithm = AEAD_NAMES[vector.alg]?.(keyLength * 8);
    if (algorithm === undefined) return [];
    return {
      name: vector._name,
      algorithm: encryptionNamed(algorithm),
      key,
      iv: octets(vector.iv),
      additionalData: octets(vector.adata ?? ''),
      plaintext: octets(vector.plain ?? ''),
      sealed: octets(vector.cipher),
      isValid: true,
    };
  });
}

/** Linux' templates for ESP: the key ends with the salt, and the additional data with the IV, which is not part of it. */
const LINUX_ESP = [
  ['aes_gcm_rfc4106_tv_template', 4, 'gcm'],
  ['aes_ccm_rfc4309_tv_template', 3, 'ccm'],
  ['aes_gcm_rfc4543_tv_template', 4, 'gmac'],
  ['rfc7539esp_tv_template', 4, 'chacha20'],
] as const;

export function linuxEspAead(): readonly AeadCase[] | undefined {
  const templates = linux();
  return (
    templates &&
    LINUX_ESP.flatMap(([template, saltLength, mode]) =>
      templates(template).map((vector, index) => {
        const keyLength = vector.klen ?? 0;
        const icvLength = (vector.clen ?? 0) - (vector.plen ?? 0);
        const assoc = linuxOctets(vector.assoc, vector.alen ?? 0);
        return {
          name: `${template} ${index}`,
          algorithm: aeadNamed(mode, keyLength - saltLength, icvLength),
          key: linuxOctets(vector.key, keyLength),
          iv: linuxOctets(vector.iv, 8),
          additionalData: assoc.subarray(0, -8),
          plaintext: linuxOctets(vector.ptext, vector.plen ?? 0),
          sealed: linuxOctets(vector.ctext, vector.clen ?? 0),
          isValid: vector.novrfy === undefined,
        };
      }),
    )
  );
}

/** Linux' plain GCM and CCM templates, as far as their nonces could be ESP's. */
export function linuxAead(): readonly AeadCase[] | undefined {
  const templates = linux();
  if (templates === undefined) return undefined;
  const gcm = templates('aes_gcm_tv_template').map((vector) => ({ vector, mode: 'gcm', nonce: vector.iv, length: 12 }));
  // The IV is CCM's first counter block: L-1, then the nonce. ESP's has eleven octets, so L is four (RFC 4309 §4).
  const ccm = templates('aes_ccm_tv_template')
    .filter((vector) => vector.iv?.startsWith('03'))
    .map((vector) => ({ vector, mode: 'ccm', nonce: vector.iv?.slice(2, 24), length: 11 }));
  return [...gcm, ...ccm].map(({ vector, mode, nonce, length }, index) => {
    const icvLength = (vector.clen ?? 0) - (vector.plen ?? 0);
    const nonceOctets = linuxOctets(nonce, length);
    const key = linuxOctets(vector.key, vector.klen ?? 0);
    return splitNonce(`linux ${mode} ${index}`, aeadNamed(mode, key.length, icvLength), key, nonceOctets, {
      additionalData: linuxOctets(vector.assoc, vector.alen ?? 0),
      plaintext: linuxOctets(vector.ptext, vector.plen ?? 0),
      sealed: linuxOctets(vector.ctext, vector.clen ?? 0),
      isValid: vector.novrfy === undefined,
    });
  });
}

interface WycheproofAead {
  readonly key: string;
  readonly iv: string;
  readonly aad: string;
  readonly msg: string;
  readonly ct: string;
  readonly tag: string;
}

/** Wycheproof's cases whose nonce and tag have lengths that ESP uses, those that must be refused included. */
export function wycheproofAead(mode: 'gcm' | 'ccm' | 'chacha20'): readonly AeadCase[] | undefined {
  const path = `crypto/wycheproof/${mode === 'chacha20' ? 'chacha20_poly1305' : `aes_${mode}`}_test.json.gz`;
  const file = readVectors<Wycheproof<{ ivSize: number; keySize: number; tagSize: number }, WycheproofAead>>(path);
  return file?.testGroups.flatMap(({ ivSize, keySize, tagSize, tests }) => {
    if (ivSize !== (mode === 'ccm' ? 88 : 96) || ![64, 96, 128].includes(tagSize)) return [];
    return tests.map((vector) =>
      splitNonce(
        `wycheproof ${mode} ${vector.tcId} ${vector.comment}`,
        aeadNamed(mode, keySize / 8, tagSize / 8),
        octets(vector.key),
        octets(vector.iv),
        {
          additionalData: octets(vector.aad),
          plaintext: octets(vector.msg),
          sealed: concat(octets(vector.ct), octets(vector.tag)),
          isValid: vector.result === 'valid',
        },
      ),
    );
  });
}

function splitNonce(
  name: string,
  algorithm: EncryptionAlgorithm,
  key: Uint8Array,
  nonce: Uint8Array,
  rest: Pick<AeadCase, 'additionalData' | 'plaintext' | 'sealed' | 'isValid'>,
): AeadCase {
  const { saltLength } = ENCRYPTION[algorithm];
  return { name, algorithm, key: concat(key, nonce.subarray(0, saltLength)), iv: nonce.subarray(saltLength), ...rest };
}

export function cipherCases(): readonly CipherCase[] | undefined {
  const [own, templates] = [strongswan(), linux()];
  if (own === undefined || templates === undefined) return undefined;
  const fromStrongswan = own.flatMap((vector) => {
    const { alg, key = '', iv, plain, cipher } = vector;
    const algorithm = cipherNamed(alg, octets(key).length);
    if (algorithm === undefined) return [];
    const name = vector._name;
    return {
      name,
      algorithm,
      key: octets(key),
      iv: octets(iv ?? ''),
      plaintext: octets(plain),
      ciphertext: octets(cipher),
    };
  });
  const fromLinux = [
    ['des_cbc_tv_template', 'ENCR_DES'],
    ['des3_ede_cbc_tv_template', 'ENCR_3DES'],
    ['aes_cbc_tv_template', 'ENCR_AES_CBC'],
    ['aes_ctr_rfc3686_tv_template', 'ENCR_AES_CTR'],
  ].flatMap(([template = '', alg = '']) =>
    templates(template).flatMap((vector, index) => {
      const key = octets(vector.key);
      const algorithm = cipherNamed(alg, key.length);
      if (algorithm === undefined) return [];
      const { ivLength } = encryptionTraits(algorithm);
      return {
        name: `${template} ${index}`,
        algorithm,
        key,
        iv: octets(vector.iv).subarray(0, ivLength),
        plaintext: octets(vector.ptext),
        ciphertext: octets(vector.ctext),
      };
    }),
  );
  return [...fromStrongswan, ...fromLinux];
}

function cipherNamed(alg: string, keyLength: number): EncryptionAlgorithm | undefined {
  if (alg === 'ENCR_NULL') return 'null';
  if (alg === 'ENCR_DES') return 'des-cbc';
  if (alg === 'ENCR_3DES') return '3des-cbc';
  if (alg === 'ENCR_AES_CBC') return encryptionNamed(`aes-${keyLength * 8}-cbc`);
  if (alg === 'ENCR_AES_CTR') return encryptionNamed(`aes-${(keyLength - 4) * 8}-ctr`);
  return undefined;
}

function aeadNamed(mode: string, keyLength: number, icvLength: number): EncryptionAlgorithm {
  if (mode === 'chacha20') return 'chacha20-poly1305';
  const suffix = icvLength === 16 ? '' : `-${icvLength}`;
  return encryptionNamed(`aes-${keyLength * 8}-${mode}${suffix}`);
}

function encryptionNamed(name: string): EncryptionAlgorithm {
  const found = Object.keys(ENCRYPTION).find((each): each is EncryptionAlgorithm => each === name);
  if (found === undefined) throw new RangeError(`no algorithm is named ${name}`);
  return found;
}

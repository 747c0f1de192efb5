// Junos shows algorithms in spellings that differ from its configuration keywords and from one command to the next.

import type { DhGroup, EncryptionAlgorithm, HashAlgorithm, IntegrityAlgorithm } from '../model/algorithms.ts';
import { encryptionTraits } from '../model/algorithms.ts';

/** As `show security ipsec security-associations` prints it: `aes-cbc-256`, `3des`. */
export function briefEncryption(algorithm: EncryptionAlgorithm): string {
  const { cipher, keyLength } = encryptionTraits(algorithm);
  return cipher.startsWith('aes-') ? `${cipher}-${keyLength * 8}` : cipher;
}

/** As the `detail` of the same command prints it: `aes-cbc (256 bits)`, `3des-cbc`. */
export function detailEncryption(algorithm: EncryptionAlgorithm): string {
  const { cipher, keyLength } = encryptionTraits(algorithm);
  return cipher.startsWith('aes-') ? `${cipher} (${keyLength * 8} bits)` : algorithm;
}

/** As `show security ike security-associations detail` prints it: `aes256-cbc`, `3des-cbc`. */
export function ikeEncryption(algorithm: EncryptionAlgorithm): string {
  return algorithm.replace(/^aes-(\d+)-/, 'aes$1-');
}

const BRIEF_INTEGRITY: Readonly<Record<IntegrityAlgorithm, string>> = {
  none: 'None',
  'hmac-md5-96': 'md5',
  'hmac-sha1-96': 'sha1',
  'hmac-sha-256-128': 'sha256',
  'hmac-sha-256-96': 'sha256-96',
  'hmac-sha-384': 'sha384',
  'hmac-sha-512': 'sha512',
  'aes-xcbc-96': 'aes-xcbc-96',
  'aes-cmac-96': 'aes-cmac-96',
  'aes-128-gmac': 'aes-gmac-128',
  'aes-192-gmac': 'aes-gmac-192',
  'aes-256-gmac': 'aes-gmac-256',
};

/** As `show security ipsec security-associations` prints it: `sha256`, `None` for a cipher that authenticates too. */
export function briefIntegrity(algorithm: string): string {
  return isIntegrity(algorithm) ? BRIEF_INTEGRITY[algorithm] : algorithm;
}

/** As the `detail` of the same command prints it: `hmac-sha256-128`. */
export function detailIntegrity(algorithm: string): string {
  if (algorithm === 'none') return 'None';
  return algorithm.replace('sha-256', 'sha256').replace('sha-384', 'sha384-192').replace('sha-512', 'sha512-256');
}

function isIntegrity(algorithm: string): algorithm is IntegrityAlgorithm {
  return algorithm in BRIEF_INTEGRITY;
}

/** IKE's integrity check and pseudo-random function, both HMAC with one hash (RFC 2409 §4). */
export const IKE_HASHES: Readonly<Record<HashAlgorithm, { readonly integrity: string; readonly prf: string }>> = {
  md5: { integrity: 'hmac-md5-96', prf: 'hmac-md5' },
  sha1: { integrity: 'hmac-sha1-96', prf: 'hmac-sha1' },
  'sha-256': { integrity: 'hmac-sha256-128', prf: 'hmac-sha256' },
  'sha-384': { integrity: 'hmac-sha384-192', prf: 'hmac-sha384' },
  'sha-512': { integrity: 'hmac-sha512-256', prf: 'hmac-sha512' },
};

/** `DH-group-14`. */
export function ikeDhGroup(group: DhGroup): string {
  return `DH-group-${group.replace('group', '')}`;
}

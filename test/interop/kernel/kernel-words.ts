// What `ip xfrm state` calls the algorithms that the Linux kernel and we share. The kernel has no AH with AES-GMAC, and ESP with it only as
// a combined algorithm.

import { toHex } from '../../../src/lib/bytes.ts';
import { encryptionTraits, type IntegrityAlgorithm, integrityTraits } from '../../../src/model/algorithms.ts';
import type { IpsecSa } from '../../../src/model/ipsec-sa.ts';

const COMBINED: Readonly<Record<string, string>> = {
  'aes-gcm': 'rfc4106(gcm(aes))',
  'aes-ccm': 'rfc4309(ccm(aes))',
  'aes-gmac': 'rfc4543(gcm(aes))',
  'chacha20-poly1305': 'rfc7539esp(chacha20,poly1305)',
};

const CIPHERS: Readonly<Record<string, string>> = {
  null: 'ecb(cipher_null)',
  des: 'cbc(des)',
  '3des': 'cbc(des3_ede)',
  'aes-cbc': 'cbc(aes)',
  'aes-ctr': 'rfc3686(ctr(aes))',
};

const INTEGRITY: Partial<Record<IntegrityAlgorithm, string>> = {
  'hmac-md5-96': 'hmac(md5)',
  'hmac-sha1-96': 'hmac(sha1)',
  'hmac-sha-256-128': 'hmac(sha256)',
  'hmac-sha-256-96': 'hmac(sha256)',
  'hmac-sha-384': 'hmac(sha384)',
  'hmac-sha-512': 'hmac(sha512)',
  'aes-xcbc-96': 'xcbc(aes)',
  'aes-cmac-96': 'cmac(aes)',
};

type KeyedAlgorithms = Pick<IpsecSa, 'protocol' | 'encryption' | 'encryptionKey' | 'integrity' | 'integrityKey'>;

/** The algorithms and keys of an SA for the command line of `ip xfrm state add`. */
export function algorithmWords(sa: KeyedAlgorithms): string {
  if (sa.protocol === 'ah') return integrityWords(sa);
  const { cipher, icvLength } = encryptionTraits(sa.encryption);
  const combined = COMBINED[cipher];
  if (combined !== undefined) return `aead ${combined} 0x${toHex(sa.encryptionKey)} ${icvLength * 8}`;
  const key = sa.encryptionKey.length === 0 ? '""' : `0x${toHex(sa.encryptionKey)}`;
  return `enc ${CIPHERS[cipher]} ${key} ${integrityWords(sa)}`;
}

function integrityWords({ integrity, integrityKey }: KeyedAlgorithms): string {
  if (integrity === 'none') return '';
  return `auth-trunc ${INTEGRITY[integrity]} 0x${toHex(integrityKey)} ${integrityTraits(integrity).icvLength * 8}`;
}

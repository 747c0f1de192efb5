import type { EncryptionAlgorithm, IntegrityAlgorithm } from '../../model/algorithms.ts';

export type Suite = readonly ['esp' | 'ah', EncryptionAlgorithm, IntegrityAlgorithm];

/** One of each kind of transform. */
export const SUITES: readonly Suite[] = [
  ['esp', 'aes-256-gcm', 'none'],
  ['esp', 'aes-128-gcm-8', 'none'],
  ['esp', 'chacha20-poly1305', 'none'],
  ['esp', 'aes-256-cbc', 'hmac-sha-256-128'],
  ['esp', 'aes-128-cbc', 'hmac-sha1-96'],
  ['esp', '3des-cbc', 'hmac-md5-96'],
  ['esp', 'aes-192-cbc', 'hmac-sha-384'],
  ['esp', 'aes-256-ctr', 'hmac-sha-512'],
  ['esp', 'aes-128-ccm', 'none'],
  ['esp', 'aes-256-gmac', 'none'],
  ['esp', 'null', 'aes-cmac-96'],
  ['ah', 'null', 'hmac-sha-256-128'],
  ['ah', 'null', 'hmac-sha-512'],
];

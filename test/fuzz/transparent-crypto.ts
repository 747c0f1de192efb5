import { nodeCrypto } from '../../src/crypto/node-provider.ts';
import type { CryptoProvider } from '../../src/crypto/provider.ts';
import { HASH } from '../../src/model/algorithms.ts';

/** Ciphers that do nothing, and keyed hashes that are all zero: whoever changes a message changes its payloads, and is believed. */
export const TRANSPARENT: CryptoProvider = {
  hash: nodeCrypto.hash,
  hmac: (algorithm) => new Uint8Array(HASH[algorithm].digestLength),
  encryptCbc: (_algorithm, _key, _iv, plaintext) => plaintext.slice(),
  decryptCbc: (_algorithm, _key, _iv, ciphertext) => ciphertext.slice(),
};

import { createCipheriv, createDecipheriv, createHash, createHmac, randomFillSync } from 'node:crypto';
import { concat } from '../lib/bytes.ts';
import { invariant } from '../lib/invariant.ts';
import type { RandomSource } from '../lib/random.ts';
import { ENCRYPTION, type HashAlgorithm } from '../model/algorithms.ts';
import type { CbcAlgorithm, CryptoProvider } from './provider.ts';

/** Node's name for each phase 1 hash (RFC 2409 Appendix A, RFC 4868 §2.6). */
export const NODE_HASH = {
  md5: 'md5',
  sha1: 'sha1',
  'sha-256': 'sha256',
  'sha-384': 'sha384',
  'sha-512': 'sha512',
} as const satisfies Record<HashAlgorithm, string>;

const NODE_CBC = {
  // OpenSSL 3 keeps single DES in its legacy provider, which Node does not load. Triple DES, encrypting, decrypting and
  // encrypting with one key thrice, is the same function (FIPS 46-3, keying option 3), and Node's OpenSSL always has it.
  'des-cbc': 'des-ede3-cbc',
  '3des-cbc': 'des-ede3-cbc',
  'aes-128-cbc': 'aes-128-cbc',
  'aes-192-cbc': 'aes-192-cbc',
  'aes-256-cbc': 'aes-256-cbc',
} as const satisfies Record<CbcAlgorithm, string>;

/** Octets drawn at a time: to ask for eight takes about as long as to ask for all of these. */
const RESERVE_LENGTH = 512;
const reserve = new Uint8Array(RESERVE_LENGTH);
let reserveUsed = RESERVE_LENGTH;

/** The operating system's random octets, for everything but simulations and tests. */
export const systemRandom: RandomSource = {
  bytes(length) {
    if (length > RESERVE_LENGTH) return randomFillSync(new Uint8Array(length));
    if (reserveUsed + length > RESERVE_LENGTH) {
      randomFillSync(reserve);
      reserveUsed = 0;
    }
    const end = reserveUsed + length;
    const drawn = reserve.slice(reserveUsed, end);
    // They may become a key: nothing of them stays here.
    reserve.fill(0, reserveUsed, end);
    reserveUsed = end;
    return drawn;
  },
};

/** IKE's cryptography by OpenSSL, as Node offers it. A key or IV of the wrong length is our mistake and throws. */
export const nodeCrypto: CryptoProvider = {
  hash(algorithm, ...data) {
    const hash = createHash(NODE_HASH[algorithm]);
    for (const part of data) hash.update(part);
    return new Uint8Array(hash.digest());
  },

  hmac(algorithm, key, ...data) {
    const hmac = createHmac(NODE_HASH[algorithm], key);
    for (const part of data) hmac.update(part);
    return new Uint8Array(hmac.digest());
  },

  encryptCbc(algorithm, key, iv, plaintext) {
    expectWholeBlocks(algorithm, plaintext);
    const cipher = createCipheriv(NODE_CBC[algorithm], cbcKey(algorithm, key), iv).setAutoPadding(false);
    return concat(cipher.update(plaintext), cipher.final());
  },

  decryptCbc(algorithm, key, iv, ciphertext) {
    expectWholeBlocks(algorithm, ciphertext);
    const decipher = createDecipheriv(NODE_CBC[algorithm], cbcKey(algorithm, key), iv).setAutoPadding(false);
    return concat(decipher.update(ciphertext), decipher.final());
  },
};

/** The OpenSSL cipher and key that do `algorithm`: the caller makes a cipher object of them for each IV. */
export function nodeCbc(algorithm: CbcAlgorithm, key: Uint8Array): { readonly name: string; readonly key: Uint8Array } {
  return { name: NODE_CBC[algorithm], key: cbcKey(algorithm, key) };
}

function cbcKey(algorithm: CbcAlgorithm, key: Uint8Array): Uint8Array {
  invariant(key.length === ENCRYPTION[algorithm].keyLength, `${algorithm} has a key of its own length`);
  return algorithm === 'des-cbc' ? concat(key, key, key) : key;
}

function expectWholeBlocks(algorithm: CbcAlgorithm, text: Uint8Array): void {
  invariant(text.length % ENCRYPTION[algorithm].blockLength === 0, 'CBC works on whole blocks');
}

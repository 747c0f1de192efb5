// Ciphers without authentication for ESP: CBC (RFC 2405, RFC 2451, RFC 3602), CTR (RFC 3686), NULL (RFC 2410).

import {
  type Cipher,
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  type Decipher,
  type KeyObject,
} from 'node:crypto';
import { invariant } from '../lib/invariant.ts';
import { ENCRYPTION } from '../model/algorithms.ts';
import { aesBits } from './aes-bits.ts';
import { nodeCbc } from './node-provider.ts';
import type { CbcAlgorithm, PacketCipher } from './provider.ts';

/** The NULL cipher (RFC 2410 §2): packets stay as they are. */
export const NULL_CIPHER: PacketCipher = {
  encrypt: () => undefined,
  decrypt: () => undefined,
};

/**
 * CBC with one OpenSSL context for the life of the SA, though every packet has an IV of its own: making a context costs as much
 * as encrypting a small packet. The context goes on chaining from the last block L of the packet before, so the first block is
 * fed as P1 ^ IV ^ L, of which it then makes E(P1 ^ IV), just what a fresh context would; decryption is corrected likewise.
 */
export class ChainedBlocks implements PacketCipher {
  readonly #algorithm: CbcAlgorithm;
  readonly #blockLength: number;
  // An SA has one direction, so one of the two contexts is never made.
  readonly #makeCipher: () => Cipher;
  readonly #makeDecipher: () => Decipher;
  #cipher: Cipher | undefined;
  #decipher: Decipher | undefined;
  /** The last block of ciphertext that each context has seen; both start with an IV of zero. */
  readonly #lastEncrypted: Uint8Array;
  readonly #lastDecrypted: Uint8Array;
  readonly #followingDecrypted: Uint8Array;

  constructor(algorithm: CbcAlgorithm, key: Uint8Array) {
    const { name, key: cipherKey } = nodeCbc(algorithm, key.slice());
    this.#algorithm = algorithm;
    this.#blockLength = ENCRYPTION[algorithm].blockLength;
    this.#lastEncrypted = new Uint8Array(this.#blockLength);
    this.#lastDecrypted = new Uint8Array(this.#blockLength);
    this.#followingDecrypted = new Uint8Array(this.#blockLength);
    this.#makeCipher = () => createCipheriv(name, cipherKey, this.#lastEncrypted).setAutoPadding(false);
    this.#makeDecipher = () => createDecipheriv(name, cipherKey, this.#lastDecrypted).setAutoPadding(false);
  }

  encrypt(iv: Uint8Array, buffer: Uint8Array, start: number, end: number): void {
    this.#expectBlocks(iv, start, end);
    if (start === end) return;
    this.#cipher ??= this.#makeCipher();
    this.#correct(iv, this.#lastEncrypted, buffer, start);
    const ciphertext = this.#cipher.update(buffer.subarray(start, end));
    this.#lastEncrypted.set(ciphertext.subarray(ciphertext.length - this.#blockLength));
    buffer.set(ciphertext, start);
  }

  decrypt(iv: Uint8Array, buffer: Uint8Array, start: number, end: number): void {
    this.#expectBlocks(iv, start, end);
    if (start === end) return;
    this.#decipher ??= this.#makeDecipher();
    this.#followingDecrypted.set(buffer.subarray(end - this.#blockLength, end));
    buffer.set(this.#decipher.update(buffer.subarray(start, end)), start);
    this.#correct(iv, this.#lastDecrypted, buffer, start);
    this.#lastDecrypted.set(this.#followingDecrypted);
  }

  #correct(iv: Uint8Array, last: Uint8Array, buffer: Uint8Array, start: number): void {
    for (let index = 0; index < this.#blockLength; index++)
      buffer[start + index] = (buffer[start + index] ?? 0) ^ (iv[index] ?? 0) ^ (last[index] ?? 0);
  }

  #expectBlocks(iv: Uint8Array, start: number, end: number): void {
    invariant(iv.length === this.#blockLength, `the IV of ${this.#algorithm} is one block`);
    invariant((end - start) % this.#blockLength === 0, `${this.#algorithm} works on whole blocks`);
  }
}

const COUNTER_BLOCK_LENGTH = 16;
const CTR_NONCE_LENGTH = 4;
const CTR_IV_LENGTH = 8;

/** AES-CTR: the counter block is nonce | IV | 1 (RFC 3686 §4). */
export class AesCtr implements PacketCipher {
  readonly #name: string;
  readonly #key: KeyObject;
  readonly #counterBlock = new Uint8Array(COUNTER_BLOCK_LENGTH);

  constructor(key: Uint8Array, nonce: Uint8Array) {
    this.#name = `aes-${aesBits(key)}-ctr`;
    this.#key = createSecretKey(key);
    this.#counterBlock.set(nonce);
    this.#counterBlock[COUNTER_BLOCK_LENGTH - 1] = 1;
  }

  encrypt(iv: Uint8Array, buffer: Uint8Array, start: number, end: number): void {
    invariant(iv.length === CTR_IV_LENGTH, 'the IV of AES-CTR is eight octets');
    this.#counterBlock.set(iv, CTR_NONCE_LENGTH);
    const cipher = createCipheriv(this.#name, this.#key, this.#counterBlock);
    buffer.set(cipher.update(buffer.subarray(start, end)), start);
  }

  /** The same as encryption: the key stream is added once more. */
  decrypt(iv: Uint8Array, buffer: Uint8Array, start: number, end: number): void {
    this.encrypt(iv, buffer, start, end);
  }
}

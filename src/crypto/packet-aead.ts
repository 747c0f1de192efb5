// Combined modes for ESP: GCM (RFC 4106), CCM (RFC 4309), GMAC (RFC 4543), ChaCha20-Poly1305 (RFC 7634).
// Node makes a new context for each nonce and a new array for each result; the nonce's own array and the key object are all that can
// be kept. Newer versions of Node make a key object of every key that is none yet, which costs more than a small packet.

import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject } from 'node:crypto';
import { invariant } from '../lib/invariant.ts';
import { aesBits } from './aes-bits.ts';
import type { PacketAead } from './provider.ts';

/** Octets of ICV where a mode has one length only. */
const FULL_ICV_LENGTH = 16;

/** What of a Node cipher object the modes have in common. */
interface Sealing {
  update(data: Uint8Array): Uint8Array;
  final(): Uint8Array;
  getAuthTag(): Uint8Array;
}

interface Opening {
  update(data: Uint8Array): Uint8Array;
  final(): Uint8Array;
}

/** AES-GCM with an ICV of 8, 12 or 16 octets; the nonce is salt | IV (RFC 4106 §4). */
export class AesGcm implements PacketAead {
  readonly #name: `aes-${128 | 192 | 256}-gcm`;
  readonly #key: KeyObject;
  readonly #nonce: Nonce;
  readonly #options: { readonly authTagLength: number };

  constructor(key: Uint8Array, salt: Uint8Array, icvLength: number) {
    this.#name = `aes-${aesBits(key)}-gcm`;
    this.#key = createSecretKey(key);
    this.#nonce = new Nonce(salt);
    this.#options = { authTagLength: icvLength };
  }

  seal(iv: Uint8Array, additionalData: Uint8Array, buffer: Uint8Array, start: number, end: number): void {
    const cipher = createCipheriv(this.#name, this.#key, this.#nonce.with(iv), this.#options);
    sealWith(cipher.setAAD(additionalData), buffer, start, end);
  }

  open(iv: Uint8Array, additionalData: Uint8Array, buffer: Uint8Array, start: number, end: number): boolean {
    const decipher = createDecipheriv(this.#name, this.#key, this.#nonce.with(iv), this.#options);
    decipher.setAuthTag(icvAt(buffer, end, this.#options.authTagLength)).setAAD(additionalData);
    return openWith(decipher, buffer, start, end);
  }
}

/** AES-CCM with an ICV of 8, 12 or 16 octets; the nonce is salt | IV (RFC 4309 §4). */
export class AesCcm implements PacketAead {
  readonly #name: `aes-${128 | 192 | 256}-ccm`;
  readonly #key: KeyObject;
  readonly #nonce: Nonce;
  readonly #options: { readonly authTagLength: number };

  constructor(key: Uint8Array, salt: Uint8Array, icvLength: number) {
    this.#name = `aes-${aesBits(key)}-ccm`;
    this.#key = createSecretKey(key);
    this.#nonce = new Nonce(salt);
    this.#options = { authTagLength: icvLength };
  }

  seal(iv: Uint8Array, additionalData: Uint8Array, buffer: Uint8Array, start: number, end: number): void {
    const cipher = createCipheriv(this.#name, this.#key, this.#nonce.with(iv), this.#options);
    sealWith(cipher.setAAD(additionalData, { plaintextLength: end - start }), buffer, start, end);
  }

  open(iv: Uint8Array, additionalData: Uint8Array, buffer: Uint8Array, start: number, end: number): boolean {
    const decipher = createDecipheriv(this.#name, this.#key, this.#nonce.with(iv), this.#options);
    decipher.setAuthTag(icvAt(buffer, end, this.#options.authTagLength));
    return openWith(decipher.setAAD(additionalData, { plaintextLength: end - start }), buffer, start, end);
  }
}

/** ChaCha20-Poly1305; the nonce is salt | IV (RFC 7634 §2). */
export class ChaCha20Poly1305 implements PacketAead {
  readonly #key: KeyObject;
  readonly #nonce: Nonce;

  constructor(key: Uint8Array, salt: Uint8Array) {
    this.#key = createSecretKey(key);
    this.#nonce = new Nonce(salt);
  }

  seal(iv: Uint8Array, additionalData: Uint8Array, buffer: Uint8Array, start: number, end: number): void {
    const cipher = createCipheriv('chacha20-poly1305', this.#key, this.#nonce.with(iv), CHACHA_OPTIONS);
    sealWith(cipher.setAAD(additionalData, { plaintextLength: end - start }), buffer, start, end);
  }

  open(iv: Uint8Array, additionalData: Uint8Array, buffer: Uint8Array, start: number, end: number): boolean {
    const decipher = createDecipheriv('chacha20-poly1305', this.#key, this.#nonce.with(iv), CHACHA_OPTIONS);
    decipher.setAuthTag(icvAt(buffer, end, FULL_ICV_LENGTH));
    return openWith(decipher.setAAD(additionalData, { plaintextLength: end - start }), buffer, start, end);
  }
}

const CHACHA_OPTIONS = { authTagLength: FULL_ICV_LENGTH } as const;

/**
 * ENCR_NULL_AUTH_AES_GMAC: nothing is encrypted, and what other modes would encrypt is additional data too (RFC 4543 §3.3).
 * So is the IV, unlike in GCM (RFC 4543 §3.5, Figure 4): the caller gives the same additional data as for GCM, and it is added here.
 */
export class AesGmac implements PacketAead {
  readonly #name: `aes-${128 | 192 | 256}-gcm`;
  readonly #key: KeyObject;
  readonly #nonce: Nonce;

  constructor(key: Uint8Array, salt: Uint8Array) {
    this.#name = `aes-${aesBits(key)}-gcm`;
    this.#key = createSecretKey(key);
    this.#nonce = new Nonce(salt);
  }

  seal(iv: Uint8Array, additionalData: Uint8Array, buffer: Uint8Array, start: number, end: number): void {
    const cipher = createCipheriv(this.#name, this.#key, this.#nonce.with(iv));
    cipher.setAAD(additionalData).setAAD(iv).setAAD(buffer.subarray(start, end)).final();
    buffer.set(cipher.getAuthTag(), end);
  }

  open(iv: Uint8Array, additionalData: Uint8Array, buffer: Uint8Array, start: number, end: number): boolean {
    const decipher = createDecipheriv(this.#name, this.#key, this.#nonce.with(iv));
    decipher.setAuthTag(icvAt(buffer, end, FULL_ICV_LENGTH));
    return isAuthentic(decipher.setAAD(additionalData).setAAD(iv).setAAD(buffer.subarray(start, end)));
  }
}

/** Octets of IV in each packet, for every mode here. */
const IV_LENGTH = 8;

/** A nonce whose salt stays and whose IV changes, in one array. */
export class Nonce {
  readonly #octets: Uint8Array;
  readonly #saltLength: number;

  constructor(salt: Uint8Array) {
    this.#octets = new Uint8Array(salt.length + IV_LENGTH);
    this.#octets.set(salt);
    this.#saltLength = salt.length;
  }

  /** The nonce for this IV; valid until the next call. */
  with(iv: Uint8Array): Uint8Array {
    invariant(iv.length === IV_LENGTH, 'the IV of a counter mode is eight octets');
    this.#octets.set(iv, this.#saltLength);
    return this.#octets;
  }
}

/** Whether the ICV given to `decipher` fits what it was fed. */
export function isAuthentic(decipher: Opening): boolean {
  try {
    decipher.final();
    return true;
  } catch {
    // Node says "does not authenticate" by throwing from final, which has nothing else to throw for.
    return false;
  }
}

function sealWith(cipher: Sealing, buffer: Uint8Array, start: number, end: number): void {
  buffer.set(cipher.update(buffer.subarray(start, end)), start);
  cipher.final();
  buffer.set(cipher.getAuthTag(), end);
}

/** Decrypts beside the packet, and moves the plaintext into it only once the ICV has proved it. */
function openWith(decipher: Opening, buffer: Uint8Array, start: number, end: number): boolean {
  const plaintext = decipher.update(buffer.subarray(start, end));
  if (!isAuthentic(decipher)) {
    plaintext.fill(0);
    return false;
  }
  buffer.set(plaintext, start);
  return true;
}

function icvAt(buffer: Uint8Array, end: number, length: number): Uint8Array {
  invariant(end + length <= buffer.length, 'the packet holds its ICV');
  return buffer.subarray(end, end + length);
}

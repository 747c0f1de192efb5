// The packet path's cryptography by OpenSSL contexts that live as long as their SA. AES-GCM (RFC 4106), ChaCha20-Poly1305 (RFC 7634),
// AES-CBC (RFC 3602) and HMAC (RFC 4868, RFC 2404) are here; every other transform comes from Node's own binding, slower, with the same results.

import { nodePacketCrypto } from '../../crypto/node-packet-provider.ts';
import type { PacketAead, PacketCipher, PacketCryptoProvider, PacketIntegrity } from '../../crypto/provider.ts';
import { invariant } from '../../lib/invariant.ts';
import {
  type EncryptionAlgorithm,
  encryptionTraits,
  type IntegrityAlgorithm,
  integrityTraits,
} from '../../model/algorithms.ts';
import type { AeadKey } from './aead-batch.ts';
import type { Arena } from './arena.ts';
import { createCallRunner } from './call-runner.ts';
import type { EngineFeature } from './messages.ts';
import { type CipherContext, type CipherDirection, ICV, NativeCrypto, NONCE, succeed } from './native-crypto.ts';
import { NativeScratch } from './native-scratch.ts';
import { loadOpenSsl } from './openssl.ts';
import type { OpenSslCipher } from './openssl-cipher.ts';

const AEADS: Partial<Record<EncryptionAlgorithm, string>> = {
  'aes-128-gcm-8': 'AES-128-GCM',
  'aes-192-gcm-8': 'AES-192-GCM',
  'aes-256-gcm-8': 'AES-256-GCM',
  'aes-128-gcm-12': 'AES-128-GCM',
  'aes-192-gcm-12': 'AES-192-GCM',
  'aes-256-gcm-12': 'AES-256-GCM',
  'aes-128-gcm': 'AES-128-GCM',
  'aes-192-gcm': 'AES-192-GCM',
  'aes-256-gcm': 'AES-256-GCM',
  'chacha20-poly1305': 'ChaCha20-Poly1305',
};
const CIPHERS: Partial<Record<EncryptionAlgorithm, string>> = {
  'aes-128-cbc': 'AES-128-CBC',
  'aes-192-cbc': 'AES-192-CBC',
  'aes-256-cbc': 'AES-256-CBC',
};
const DIGESTS: Partial<Record<IntegrityAlgorithm, string>> = {
  'hmac-sha1-96': 'SHA1',
  'hmac-sha-256-128': 'SHA256',
  'hmac-sha-256-96': 'SHA256',
  'hmac-sha-384': 'SHA384',
  'hmac-sha-512': 'SHA512',
};

/** The packet cryptography for an engine whose packets lie in `arena`; Node's alone where OpenSSL cannot be reached. `handleNotice` is told what is slow here. */
export function createPacketCrypto(
  arena: Arena,
  without: readonly EngineFeature[] = [],
  handleNotice?: (text: string) => void,
): PacketCryptoProvider {
  const openSsl = without.includes('openssl') ? undefined : loadOpenSsl();
  if (!openSsl) return nodePacketCrypto;
  const native = new NativeCrypto(openSsl, new NativeScratch(arena), createCallRunner(arena, without, handleNotice));
  return {
    finish: () => native.sealing.run(),
    forgetAhead: () => native.opening.forget(),
    aead: (algorithm, key) =>
      algorithm in AEADS ? new OpenSslAead(native, algorithm, key) : nodePacketCrypto.aead(algorithm, key),
    cipher: (algorithm, key) =>
      algorithm in CIPHERS ? new OpenSslCbc(native, algorithm, key) : nodePacketCrypto.cipher(algorithm, key),
    integrity: (algorithm, key) =>
      algorithm in DIGESTS ? new OpenSslHmac(native, algorithm, key) : nodePacketCrypto.integrity(algorithm, key),
  };
}

/** AES-GCM and ChaCha20-Poly1305: the nonce is salt | IV (RFC 4106 §4, RFC 7634 §2). */
class OpenSslAead implements PacketAead {
  readonly #native: NativeCrypto;
  readonly #cipher: OpenSslCipher;
  readonly #key: Uint8Array;
  readonly #salt: Uint8Array;
  readonly #icvLength: number;
  // An SA works in one direction, so that one of these stays empty.
  #sealing: AeadKey | undefined;
  #opening: AeadKey | undefined;

  constructor(native: NativeCrypto, algorithm: EncryptionAlgorithm, key: Uint8Array) {
    const { keyLength, saltLength, icvLength } = encryptionTraits(algorithm);
    invariant(key.length === keyLength + saltLength, `${algorithm} has a key and salt of its own length`);
    this.#native = native;
    this.#cipher = native.cipher(AEADS[algorithm] ?? '');
    this.#key = key.slice(0, keyLength);
    this.#salt = key.slice(keyLength);
    this.#icvLength = icvLength;
  }

  /** What lies in the arena is sealed later, together with others; what lies elsewhere at once. */
  seal(iv: Uint8Array, additionalData: Uint8Array, buffer: Uint8Array, start: number, end: number): void {
    const { scratch, sealing } = this.#native;
    const length = end - start;
    this.#sealing ??= this.#makeKey('encryptInit');
    const offset = scratch.offsetOf(buffer, start);
    if (offset >= 0) {
      sealing.put(this.#sealing, iv, additionalData, offset, length);
      if (sealing.isFull) sealing.run();
      return;
    }
    const copy = scratch.copyIn(buffer, start, end);
    sealing.put(this.#sealing, iv, additionalData, copy, length);
    sealing.run();
    scratch.copyOut(copy, length + this.#icvLength, buffer, start);
  }

  openAhead(iv: Uint8Array, additionalData: Uint8Array, buffer: Uint8Array, start: number, end: number): void {
    const { scratch, opening } = this.#native;
    const offset = scratch.offsetOf(buffer, start);
    if (offset < 0 || opening.isFull) return;
    this.#opening ??= this.#makeKey('decryptInit');
    opening.put(this.#opening, iv, additionalData, offset, end - start);
  }

  open(iv: Uint8Array, additionalData: Uint8Array, buffer: Uint8Array, start: number, end: number): boolean {
    const { scratch, opening, openingAtOnce } = this.#native;
    const length = end - start;
    this.#opening ??= this.#makeKey('decryptInit');
    const inArena = scratch.offsetOf(buffer, start);
    if (!opening.isEmpty) opening.run();
    const known = inArena < 0 ? undefined : opening.take(this.#opening, additionalData, inArena, length);
    if (known !== undefined) return known;
    const offset = inArena >= 0 ? inArena : scratch.copyIn(buffer, start, end + this.#icvLength);
    openingAtOnce.put(this.#opening, iv, additionalData, offset, length);
    openingAtOnce.run();
    const isAuthentic = openingAtOnce.take(this.#opening, additionalData, offset, length) === true;
    if (isAuthentic && inArena < 0) scratch.copyOut(offset, length, buffer, start);
    return isAuthentic;
  }

  #makeKey(direction: CipherDirection): AeadKey {
    const context = this.#native.keyedContext(this, this.#cipher, direction, this.#key);
    return { context, salt: this.#salt, icvLength: this.#icvLength };
  }
}

/** AES-CBC; the caller pads (RFC 3602 §2.4). */
class OpenSslCbc implements PacketCipher {
  readonly #native: NativeCrypto;
  readonly #cipher: OpenSslCipher;
  readonly #key: Uint8Array;
  #encrypting: CipherContext | undefined;
  #decrypting: CipherContext | undefined;

  constructor(native: NativeCrypto, algorithm: EncryptionAlgorithm, key: Uint8Array) {
    invariant(key.length === encryptionTraits(algorithm).keyLength, `${algorithm} has a key of its own length`);
    this.#native = native;
    this.#cipher = native.cipher(CIPHERS[algorithm] ?? '');
    this.#key = key.slice();
  }

  encrypt(iv: Uint8Array, buffer: Uint8Array, start: number, end: number): void {
    this.#encrypting ??= this.#makeContext('encryptInit');
    this.#transform(this.#encrypting, iv, buffer, start, end);
  }

  decrypt(iv: Uint8Array, buffer: Uint8Array, start: number, end: number): void {
    this.#decrypting ??= this.#makeContext('decryptInit');
    this.#transform(this.#decrypting, iv, buffer, start, end);
  }

  #makeContext(direction: CipherDirection): CipherContext {
    const context = this.#native.keyedContext(this, this.#cipher, direction, this.#key);
    this.#native.switchOffPadding(context);
    return context;
  }

  #transform(context: CipherContext, iv: Uint8Array, buffer: Uint8Array, start: number, end: number): void {
    const { scratch, enciphering } = this.#native;
    const inArena = scratch.offsetOf(buffer, start);
    const offset = inArena >= 0 ? inArena : scratch.copyIn(buffer, start, end);
    scratch.putSmall(scratch.small + NONCE, iv);
    this.#native.useContext(context);
    enciphering.putOffset(1, 1, offset);
    enciphering.putSmall(1, 3, end - start);
    enciphering.putOffset(1, 4, offset);
    enciphering.putSmall(1, 5, end - start);
    succeed(enciphering.run() === 2);
    if (inArena < 0) scratch.copyOut(offset, end - start, buffer, start);
  }
}

/** HMAC, truncated to the ICV (RFC 4868 §2.1, RFC 2404 §2). */
class OpenSslHmac implements PacketIntegrity {
  readonly #native: NativeCrypto;
  readonly #key: Uint8Array;
  readonly #digest: string;
  readonly #icvLength: number;
  #context = 0;

  constructor(native: NativeCrypto, algorithm: IntegrityAlgorithm, key: Uint8Array) {
    const { keyLength, icvLength } = integrityTraits(algorithm);
    invariant(key.length === keyLength, `${algorithm} has a key of its own length`);
    this.#native = native;
    this.#icvLength = icvLength;
    this.#key = key.slice();
    this.#digest = DIGESTS[algorithm] ?? '';
  }

  compute(
    _iv: Uint8Array,
    data: Uint8Array,
    suffix: Uint8Array,
    out: Uint8Array,
    offset: number,
    start = 0,
    end = data.length,
  ): void {
    const { scratch } = this.#native;
    const { bytes } = scratch.arena.memory;
    this.#authenticate(data, suffix, start, end);
    const icv = scratch.small + ICV;
    for (let index = 0; index < this.#icvLength; index++) out[offset + index] = bytes[icv + index] ?? 0;
  }

  verify(
    _iv: Uint8Array,
    data: Uint8Array,
    suffix: Uint8Array,
    icv: Uint8Array,
    icvStart = 0,
    start = 0,
    end = data.length,
  ): boolean {
    const { scratch } = this.#native;
    const { bytes } = scratch.arena.memory;
    if (icv.length - icvStart < this.#icvLength) return false;
    this.#authenticate(data, suffix, start, end);
    const expected = scratch.small + ICV;
    // No early exit: the time taken must not say where the first difference is.
    let difference = 0;
    for (let index = 0; index < this.#icvLength; index++)
      difference |= (bytes[expected + index] ?? 0) ^ (icv[icvStart + index] ?? 0);
    return difference === 0;
  }

  #authenticate(data: Uint8Array, suffix: Uint8Array, start: number, end: number): void {
    const native = this.#native;
    const { scratch } = native;
    const inArena = scratch.offsetOf(data, start);
    const offset = inArena >= 0 ? inArena : scratch.copyIn(data, start, end);
    if (suffix.length > 0) scratch.putSmall(scratch.small + NONCE, suffix);
    const calls = native.digesting;
    if (this.#context === 0) this.#context = native.keyedMacContext(this, this.#digest, this.#key);
    calls.useContext(this.#context);
    calls.putOffset(1, 1, offset);
    calls.putSmall(1, 2, end - start);
    calls.putSmall(2, 2, suffix.length);
    succeed(calls.run() === 4);
  }
}

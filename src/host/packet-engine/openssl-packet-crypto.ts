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
import { nativeString } from '../libc.ts';
import type { Arena } from './arena.ts';
import type { EngineFeature } from './messages.ts';
import { NativeScratch } from './native-scratch.ts';
import {
  loadOpenSsl,
  type OpenSsl,
  PARAMETER_DATA,
  PARAMETER_SIZE,
  requirePointer,
  writeParameter,
  writePointer,
} from './openssl.ts';

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

/** The packet cryptography for an engine whose packets lie in `arena`; Node's alone where OpenSSL cannot be reached. */
export function createPacketCrypto(arena: Arena, without: readonly EngineFeature[] = []): PacketCryptoProvider {
  const openSsl = without.includes('openssl') ? undefined : loadOpenSsl();
  if (!openSsl) return nodePacketCrypto;
  const native = new NativeCrypto(openSsl, new NativeScratch(arena));
  return {
    aead: (algorithm, key) =>
      algorithm in AEADS ? new OpenSslAead(native, algorithm, key) : nodePacketCrypto.aead(algorithm, key),
    cipher: (algorithm, key) =>
      algorithm in CIPHERS ? new OpenSslCbc(native, algorithm, key) : nodePacketCrypto.cipher(algorithm, key),
    integrity: (algorithm, key) =>
      algorithm in DIGESTS ? new OpenSslHmac(native, algorithm, key) : nodePacketCrypto.integrity(algorithm, key),
  };
}

// Where in the small scratch memory each argument lies.
const NONCE = 0;
const LENGTH = 16;
const ADDITIONAL = 32;
const KEY = 64;
const PARAMETERS = 192;
const TAG_PARAMETERS = 288;
const ICV = 384;
const TAG_CONTROL = 0x10;
const NONCE_LENGTH = 12;

/** What all contexts of one engine share. */
class NativeCrypto {
  readonly openSsl: OpenSsl;
  readonly scratch: NativeScratch;
  readonly #tagName = nativeString('tag');
  readonly digestName = nativeString('digest');
  readonly #ciphers = new Map<string, number>();
  readonly #cipherContexts: FinalizationRegistry<number>;
  readonly #macContexts: FinalizationRegistry<number>;
  #mac = 0;

  constructor(openSsl: OpenSsl, scratch: NativeScratch) {
    this.openSsl = openSsl;
    this.scratch = scratch;
    const { memory } = scratch.arena;
    writeParameter(memory, scratch.small + TAG_PARAMETERS, this.#tagName.address, 'octets', 0, 0);
    // An SA ends when nobody holds it any more; its contexts, and with them its keys, are wiped and freed then.
    this.#cipherContexts = new FinalizationRegistry((context) => openSsl.freeCipherContext(context));
    this.#macContexts = new FinalizationRegistry((context) => openSsl.freeMacContext(context));
  }

  at(offset: number): number {
    return this.scratch.arena.memory.address + this.scratch.small + offset;
  }

  /** Says where the tag is for the next decryption; returns the address of the parameter that says so. */
  tagAt(address: number, length: number): number {
    const { scratch } = this;
    const { view } = scratch.arena.memory;
    writePointer(view, scratch.small + TAG_PARAMETERS + PARAMETER_DATA, address);
    view.setUint32(scratch.small + TAG_PARAMETERS + PARAMETER_SIZE, length, true);
    return this.at(TAG_PARAMETERS);
  }

  cipherContext(owner: object): number {
    const context = requirePointer(this.openSsl.newCipherContext(), 'memory for a cipher context');
    this.#cipherContexts.register(owner, context);
    return context;
  }

  macContext(owner: object): number {
    if (this.#mac === 0) this.#mac = requirePointer(this.openSsl.fetchMac(0, nativeString('HMAC').address, 0), 'HMAC');
    const context = requirePointer(this.openSsl.newMacContext(this.#mac), 'memory for a MAC context');
    this.#macContexts.register(owner, context);
    return context;
  }

  cipher(name: string): number {
    const known = this.#ciphers.get(name);
    if (known !== undefined) return known;
    const fetched = requirePointer(this.openSsl.fetchCipher(0, nativeString(name).address, 0), name);
    this.#ciphers.set(name, fetched);
    return fetched;
  }

  /** Runs `action` with the key in native memory, and wipes it there. */
  withKey(key: Uint8Array, action: (address: number) => number): void {
    const { bytes } = this.scratch.arena.memory;
    const offset = this.scratch.small + KEY;
    bytes.set(key, offset);
    const result = action(this.at(KEY));
    bytes.fill(0, offset, offset + key.length);
    succeed(result);
  }
}

/** AES-GCM and ChaCha20-Poly1305: the nonce is salt | IV (RFC 4106 §4, RFC 7634 §2). */
class OpenSslAead implements PacketAead {
  readonly #native: NativeCrypto;
  readonly #salt: Uint8Array;
  readonly #icvLength: number;
  readonly #sealing: number;
  readonly #opening: number;

  constructor(native: NativeCrypto, algorithm: EncryptionAlgorithm, key: Uint8Array) {
    const { keyLength, saltLength, icvLength } = encryptionTraits(algorithm);
    invariant(key.length === keyLength + saltLength, `${algorithm} has a key and salt of its own length`);
    const cipher = native.cipher(AEADS[algorithm] ?? '');
    this.#native = native;
    this.#salt = key.slice(keyLength);
    this.#icvLength = icvLength;
    this.#sealing = native.cipherContext(this);
    this.#opening = native.cipherContext(this);
    const { openSsl } = native;
    native.withKey(key.subarray(0, keyLength), (at) => openSsl.encryptInit(this.#sealing, cipher, at, 0, 0));
    native.withKey(key.subarray(0, keyLength), (at) => openSsl.decryptInit(this.#opening, cipher, at, 0, 0));
  }

  seal(iv: Uint8Array, additionalData: Uint8Array, buffer: Uint8Array, start: number, end: number): void {
    const { scratch, openSsl } = this.#native;
    const offset = scratch.offsetOf(buffer, start);
    if (offset >= 0) return this.#seal(openSsl, iv, additionalData, offset, end - start);
    const copy = scratch.copyIn(buffer, start, end);
    this.#seal(openSsl, iv, additionalData, copy, end - start);
    scratch.copyOut(copy, end - start + this.#icvLength, buffer, start);
  }

  open(iv: Uint8Array, additionalData: Uint8Array, buffer: Uint8Array, start: number, end: number): boolean {
    const { scratch, openSsl } = this.#native;
    const offset = scratch.offsetOf(buffer, start);
    if (offset >= 0) return this.#open(openSsl, iv, additionalData, offset, end - start);
    const copy = scratch.copyIn(buffer, start, end + this.#icvLength);
    const isAuthentic = this.#open(openSsl, iv, additionalData, copy, end - start);
    if (isAuthentic) scratch.copyOut(copy, end - start, buffer, start);
    return isAuthentic;
  }

  #seal(openSsl: OpenSsl, iv: Uint8Array, additionalData: Uint8Array, offset: number, length: number): void {
    const native = this.#native;
    const context = this.#sealing;
    const data = native.scratch.arena.memory.address + offset;
    const outLength = native.at(LENGTH);
    this.#putArguments(iv, additionalData);
    succeed(openSsl.encryptInit(context, 0, 0, native.at(NONCE), 0));
    succeed(openSsl.encryptUpdate(context, 0, outLength, native.at(ADDITIONAL), additionalData.length));
    succeed(openSsl.encryptUpdate(context, data, outLength, data, length));
    succeed(openSsl.encryptFinal(context, data + length, outLength));
    succeed(openSsl.control(context, TAG_CONTROL, this.#icvLength, data + length));
  }

  #open(openSsl: OpenSsl, iv: Uint8Array, additionalData: Uint8Array, offset: number, length: number): boolean {
    const native = this.#native;
    const context = this.#opening;
    const data = native.scratch.arena.memory.address + offset;
    const outLength = native.at(LENGTH);
    this.#putArguments(iv, additionalData);
    // The tag goes in with the nonce: one call fewer than setting it apart.
    const parameters = native.tagAt(data + length, this.#icvLength);
    succeed(openSsl.decryptInit(context, 0, 0, native.at(NONCE), parameters));
    succeed(openSsl.decryptUpdate(context, 0, outLength, native.at(ADDITIONAL), additionalData.length));
    if (length > 0) succeed(openSsl.decryptUpdate(context, data, outLength, data, length));
    return openSsl.decryptFinal(context, data + length, outLength) === 1;
  }

  #putArguments(iv: Uint8Array, additionalData: Uint8Array): void {
    const { scratch } = this.#native;
    scratch.putSmall(scratch.small + NONCE, this.#salt);
    scratch.putSmall(scratch.small + NONCE + NONCE_LENGTH - iv.length, iv);
    scratch.putSmall(scratch.small + ADDITIONAL, additionalData);
  }
}

/** AES-CBC; the caller pads (RFC 3602 §2.4). */
class OpenSslCbc implements PacketCipher {
  readonly #native: NativeCrypto;
  readonly #encrypting: number;
  readonly #decrypting: number;

  constructor(native: NativeCrypto, algorithm: EncryptionAlgorithm, key: Uint8Array) {
    const cipher = native.cipher(CIPHERS[algorithm] ?? '');
    const { openSsl } = native;
    invariant(key.length === encryptionTraits(algorithm).keyLength, `${algorithm} has a key of its own length`);
    this.#native = native;
    this.#encrypting = native.cipherContext(this);
    this.#decrypting = native.cipherContext(this);
    native.withKey(key, (at) => openSsl.encryptInit(this.#encrypting, cipher, at, 0, 0));
    native.withKey(key, (at) => openSsl.decryptInit(this.#decrypting, cipher, at, 0, 0));
    openSsl.setPadding(this.#encrypting, 0);
    openSsl.setPadding(this.#decrypting, 0);
  }

  encrypt(iv: Uint8Array, buffer: Uint8Array, start: number, end: number): void {
    const { encryptInit, encryptUpdate } = this.#native.openSsl;
    this.#transform(this.#encrypting, encryptInit, encryptUpdate, iv, buffer, start, end);
  }

  decrypt(iv: Uint8Array, buffer: Uint8Array, start: number, end: number): void {
    const { decryptInit, decryptUpdate } = this.#native.openSsl;
    this.#transform(this.#decrypting, decryptInit, decryptUpdate, iv, buffer, start, end);
  }

  #transform(
    context: number,
    init: OpenSsl['encryptInit'],
    update: OpenSsl['encryptUpdate'],
    iv: Uint8Array,
    buffer: Uint8Array,
    start: number,
    end: number,
  ): void {
    const { scratch } = this.#native;
    const inArena = scratch.offsetOf(buffer, start);
    const offset = inArena >= 0 ? inArena : scratch.copyIn(buffer, start, end);
    const data = scratch.arena.memory.address + offset;
    scratch.putSmall(scratch.small + NONCE, iv);
    succeed(init(context, 0, 0, this.#native.at(NONCE), 0));
    succeed(update(context, data, this.#native.at(LENGTH), data, end - start));
    if (inArena < 0) scratch.copyOut(offset, end - start, buffer, start);
  }
}

const DIGEST_LENGTH_MAX = 64;

/** HMAC, truncated to the ICV (RFC 4868 §2.1, RFC 2404 §2). */
class OpenSslHmac implements PacketIntegrity {
  readonly #native: NativeCrypto;
  readonly #context: number;
  readonly #icvLength: number;

  constructor(native: NativeCrypto, algorithm: IntegrityAlgorithm, key: Uint8Array) {
    const { keyLength, icvLength } = integrityTraits(algorithm);
    invariant(key.length === keyLength, `${algorithm} has a key of its own length`);
    this.#native = native;
    this.#icvLength = icvLength;
    this.#context = native.macContext(this);
    const digest = DIGESTS[algorithm] ?? '';
    const name = nativeString(digest);
    const { memory } = native.scratch.arena;
    const parameters = native.scratch.small + PARAMETERS;
    writeParameter(memory, parameters, native.digestName.address, 'text', name.address, digest.length);
    native.withKey(key, (at) => native.openSsl.macInit(this.#context, at, key.length, native.at(PARAMETERS)));
  }

  compute(_iv: Uint8Array, data: Uint8Array, suffix: Uint8Array, out: Uint8Array, offset: number): void {
    const { scratch } = this.#native;
    const { bytes } = scratch.arena.memory;
    this.#digest(data, suffix);
    const icv = scratch.small + ICV;
    for (let index = 0; index < this.#icvLength; index++) out[offset + index] = bytes[icv + index] ?? 0;
  }

  verify(_iv: Uint8Array, data: Uint8Array, suffix: Uint8Array, icv: Uint8Array): boolean {
    const { scratch } = this.#native;
    const { bytes } = scratch.arena.memory;
    this.#digest(data, suffix);
    const expected = scratch.small + ICV;
    // No early exit: the time taken must not say where the first difference is.
    let difference = icv.length ^ this.#icvLength;
    for (let index = 0; index < this.#icvLength; index++)
      difference |= (bytes[expected + index] ?? 0) ^ (icv[index] ?? 0);
    return difference === 0;
  }

  #digest(data: Uint8Array, suffix: Uint8Array): void {
    const native = this.#native;
    const { openSsl, scratch } = native;
    const inArena = scratch.offsetOf(data, 0);
    const offset = inArena >= 0 ? inArena : scratch.copyIn(data, 0, data.length);
    // Without a key, the context starts again with the one it has.
    succeed(openSsl.macInit(this.#context, 0, 0, 0));
    succeed(openSsl.macUpdate(this.#context, scratch.arena.memory.address + offset, data.length));
    if (suffix.length > 0) {
      scratch.putSmall(scratch.small + NONCE, suffix);
      succeed(openSsl.macUpdate(this.#context, native.at(NONCE), suffix.length));
    }
    succeed(openSsl.macFinal(this.#context, native.at(ICV), native.at(LENGTH), DIGEST_LENGTH_MAX));
  }
}

function succeed(result: number): void {
  invariant(result === 1, 'OpenSSL does what it has been keyed for');
}

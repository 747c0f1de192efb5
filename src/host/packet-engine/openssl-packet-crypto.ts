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
import { type CallRunner, createCallRunner, functionAddress } from './call-runner.ts';
import type { EngineFeature } from './messages.ts';
import { NativeCalls } from './native-calls.ts';
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
  const native = new NativeCrypto(openSsl, new NativeScratch(arena), createCallRunner(arena, without));
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
const DIGEST_LENGTH_MAX = 64;

/** What all contexts of one engine share: one packet is worked on at a time. */
class NativeCrypto {
  readonly openSsl: OpenSsl;
  readonly scratch: NativeScratch;
  readonly sealing: NativeCalls;
  readonly opening: NativeCalls;
  readonly encrypting: NativeCalls;
  readonly decrypting: NativeCalls;
  readonly digesting: NativeCalls;
  readonly digestName = nativeString('digest');
  readonly #tagName = nativeString('tag');
  readonly #ciphers = new Map<string, number>();
  readonly #cipherContexts: FinalizationRegistry<number>;
  readonly #macContexts: FinalizationRegistry<number>;
  #mac = 0;

  constructor(openSsl: OpenSsl, scratch: NativeScratch, run: CallRunner) {
    this.openSsl = openSsl;
    this.scratch = scratch;
    const { arena } = scratch;
    writeParameter(arena.memory, scratch.small + TAG_PARAMETERS, this.#tagName.address, 'octets', 0, 0);
    const encryptInit = [functionAddress('EVP_EncryptInit_ex2'), 0, 0, 0, this.at(NONCE), 0];
    const decryptInit = [functionAddress('EVP_DecryptInit_ex2'), 0, 0, 0, this.at(NONCE), 0];
    const encryptUpdate = [functionAddress('EVP_EncryptUpdate'), 0, 0, this.at(LENGTH), 0, 0];
    const decryptUpdate = [functionAddress('EVP_DecryptUpdate'), 0, 0, this.at(LENGTH), 0, 0];
    const additional = [0, 0, this.at(LENGTH), this.at(ADDITIONAL), 0];
    this.sealing = new NativeCalls(arena, run, [
      encryptInit,
      [functionAddress('EVP_EncryptUpdate'), ...additional],
      encryptUpdate,
      [functionAddress('EVP_EncryptFinal_ex'), 0, 0, this.at(LENGTH)],
      [functionAddress('EVP_CIPHER_CTX_ctrl'), 0, TAG_CONTROL, 0, 0],
    ]);
    // The tag goes in with the nonce: one call fewer than setting it apart.
    this.opening = new NativeCalls(arena, run, [
      [functionAddress('EVP_DecryptInit_ex2'), 0, 0, 0, this.at(NONCE), this.at(TAG_PARAMETERS)],
      [functionAddress('EVP_DecryptUpdate'), ...additional],
      decryptUpdate,
      [functionAddress('EVP_DecryptFinal_ex'), 0, 0, this.at(LENGTH)],
    ]);
    this.encrypting = new NativeCalls(arena, run, [encryptInit, encryptUpdate]);
    this.decrypting = new NativeCalls(arena, run, [decryptInit, decryptUpdate]);
    const macUpdate = functionAddress('EVP_MAC_update');
    // Without a key, the context starts again with the one it has.
    this.digesting = new NativeCalls(arena, run, [
      [functionAddress('EVP_MAC_init'), 0, 0, 0, 0],
      [macUpdate, 0, 0, 0],
      [macUpdate, 0, this.at(NONCE), 0],
      [functionAddress('EVP_MAC_final'), 0, this.at(ICV), this.at(LENGTH), DIGEST_LENGTH_MAX],
    ]);
    // An SA ends when nobody holds it any more; its contexts, and with them its keys, are wiped and freed then.
    this.#cipherContexts = new FinalizationRegistry((context) => openSsl.freeCipherContext(context));
    this.#macContexts = new FinalizationRegistry((context) => openSsl.freeMacContext(context));
  }

  at(offset: number): number {
    return this.scratch.arena.memory.address + this.scratch.small + offset;
  }

  /** Says where the tag is for the next decryption. */
  putTag(offset: number, length: number): void {
    const { arena, small } = this.scratch;
    const { view, address } = arena.memory;
    writePointer(view, small + TAG_PARAMETERS + PARAMETER_DATA, address + offset);
    view.setUint32(small + TAG_PARAMETERS + PARAMETER_SIZE, length, true);
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
    succeed(result === 1);
  }
}

// Positions in the lists of calls above.
const ADDITIONAL_DATA = 1;
const DATA = 2;
const FINAL = 3;
const GET_TAG = 4;
const SEAL_CALLS = 5;
const OPEN_CALLS = 4;

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
    const { scratch } = this.#native;
    const offset = scratch.offsetOf(buffer, start);
    if (offset >= 0) return this.#seal(iv, additionalData, offset, end - start);
    const copy = scratch.copyIn(buffer, start, end);
    this.#seal(iv, additionalData, copy, end - start);
    scratch.copyOut(copy, end - start + this.#icvLength, buffer, start);
  }

  open(iv: Uint8Array, additionalData: Uint8Array, buffer: Uint8Array, start: number, end: number): boolean {
    const { scratch } = this.#native;
    const offset = scratch.offsetOf(buffer, start);
    if (offset >= 0) return this.#open(iv, additionalData, offset, end - start);
    const copy = scratch.copyIn(buffer, start, end + this.#icvLength);
    const isAuthentic = this.#open(iv, additionalData, copy, end - start);
    if (isAuthentic) scratch.copyOut(copy, end - start, buffer, start);
    return isAuthentic;
  }

  #seal(iv: Uint8Array, additionalData: Uint8Array, offset: number, length: number): void {
    const calls = this.#native.sealing;
    calls.useContext(this.#sealing);
    this.#putNonce(iv);
    this.#putData(calls, additionalData, offset, length);
    calls.putOffset(GET_TAG, 3, offset + length);
    calls.putSmall(GET_TAG, 2, this.#icvLength);
    succeed(calls.run() === SEAL_CALLS);
  }

  #open(iv: Uint8Array, additionalData: Uint8Array, offset: number, length: number): boolean {
    const calls = this.#native.opening;
    calls.useContext(this.#opening);
    this.#putNonce(iv);
    this.#putData(calls, additionalData, offset, length);
    this.#native.putTag(offset + length, this.#icvLength);
    const count = calls.run();
    succeed(count >= OPEN_CALLS - 1);
    return count === OPEN_CALLS;
  }

  #putNonce(iv: Uint8Array): void {
    const { scratch } = this.#native;
    scratch.putSmall(scratch.small + NONCE, this.#salt);
    scratch.putSmall(scratch.small + NONCE + NONCE_LENGTH - iv.length, iv);
  }

  #putData(calls: NativeCalls, additionalData: Uint8Array, offset: number, length: number): void {
    const { scratch } = this.#native;
    scratch.putSmall(scratch.small + ADDITIONAL, additionalData);
    calls.putSmall(ADDITIONAL_DATA, 4, additionalData.length);
    calls.putOffset(DATA, 1, offset);
    calls.putOffset(DATA, 3, offset);
    calls.putSmall(DATA, 4, length);
    calls.putOffset(FINAL, 1, offset + length);
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
    this.#transform(this.#native.encrypting, this.#encrypting, iv, buffer, start, end);
  }

  decrypt(iv: Uint8Array, buffer: Uint8Array, start: number, end: number): void {
    this.#transform(this.#native.decrypting, this.#decrypting, iv, buffer, start, end);
  }

  #transform(
    calls: NativeCalls,
    context: number,
    iv: Uint8Array,
    buffer: Uint8Array,
    start: number,
    end: number,
  ): void {
    const { scratch } = this.#native;
    const inArena = scratch.offsetOf(buffer, start);
    const offset = inArena >= 0 ? inArena : scratch.copyIn(buffer, start, end);
    scratch.putSmall(scratch.small + NONCE, iv);
    calls.useContext(context);
    calls.putOffset(1, 1, offset);
    calls.putOffset(1, 3, offset);
    calls.putSmall(1, 4, end - start);
    succeed(calls.run() === 2);
    if (inArena < 0) scratch.copyOut(offset, end - start, buffer, start);
  }
}

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
    const { scratch } = native;
    const inArena = scratch.offsetOf(data, 0);
    const offset = inArena >= 0 ? inArena : scratch.copyIn(data, 0, data.length);
    if (suffix.length > 0) scratch.putSmall(scratch.small + NONCE, suffix);
    const calls = native.digesting;
    calls.useContext(this.#context);
    calls.putOffset(1, 1, offset);
    calls.putSmall(1, 2, data.length);
    calls.putSmall(2, 2, suffix.length);
    succeed(calls.run() === 4);
  }
}

function succeed(isDone: boolean): void {
  invariant(isDone, 'OpenSSL does what it has been keyed for');
}

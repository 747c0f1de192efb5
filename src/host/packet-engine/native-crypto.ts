// What all OpenSSL contexts of one engine share: the lists of calls that one packet needs, and where their arguments lie.

import { invariant } from '../../lib/invariant.ts';
import { nativeString } from '../libc.ts';
import { type CallRunner, functionAddress } from './call-runner.ts';
import { NativeCalls } from './native-calls.ts';
import type { NativeScratch } from './native-scratch.ts';
import { type OpenSsl, PARAMETER_DATA, PARAMETER_SIZE, requirePointer, writeParameter } from './openssl.ts';

// Where in the small scratch memory each argument lies.
export const NONCE = 0;
const LENGTH = 16;
export const ADDITIONAL = 32;
const KEY = 64;
const PARAMETERS = 192;
const TAG_PARAMETERS = 288;
export const ICV = 384;
const TAG_CONTROL = 0x10;
const DIGEST_LENGTH_MAX = 64;

/** One engine's way into OpenSSL: one packet is worked on at a time. */
export class NativeCrypto {
  readonly openSsl: OpenSsl;
  readonly scratch: NativeScratch;
  readonly sealing: NativeCalls;
  readonly opening: NativeCalls;
  readonly encrypting: NativeCalls;
  readonly decrypting: NativeCalls;
  readonly digesting: NativeCalls;
  readonly #digestName = nativeString('digest');
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
    arena.memory.putAddress(small + TAG_PARAMETERS + PARAMETER_DATA, offset);
    arena.memory.view.setUint32(small + TAG_PARAMETERS + PARAMETER_SIZE, length, true);
  }

  /** A context for one direction, which lives as long as its owner. Made when the first packet comes: of many SAs, many never see one. */
  keyedContext(owner: object, name: string, init: 'encryptInit' | 'decryptInit', key: Uint8Array): number {
    const context = requirePointer(this.openSsl.newCipherContext(), 'memory for a cipher context');
    this.#cipherContexts.register(owner, context);
    const cipher = this.#cipher(name);
    this.#withKey(key, (at) => this.openSsl[init](context, cipher, at, 0, 0));
    return context;
  }

  keyedMacContext(owner: object, digest: string, key: Uint8Array): number {
    if (this.#mac === 0) this.#mac = requirePointer(this.openSsl.fetchMac(0, nativeString('HMAC').address, 0), 'HMAC');
    const context = requirePointer(this.openSsl.newMacContext(this.#mac), 'memory for a MAC context');
    this.#macContexts.register(owner, context);
    const name = nativeString(digest);
    const { memory } = this.scratch.arena;
    const parameters = this.scratch.small + PARAMETERS;
    writeParameter(memory, parameters, this.#digestName.address, 'text', name.address, digest.length);
    this.#withKey(key, (at) => this.openSsl.macInit(context, at, key.length, this.at(PARAMETERS)));
    return context;
  }

  #cipher(name: string): number {
    const known = this.#ciphers.get(name);
    if (known !== undefined) return known;
    const fetched = requirePointer(this.openSsl.fetchCipher(0, nativeString(name).address, 0), name);
    this.#ciphers.set(name, fetched);
    return fetched;
  }

  /** Runs `action` with the key in native memory, and wipes it there. */
  #withKey(key: Uint8Array, action: (address: number) => number): void {
    const { bytes } = this.scratch.arena.memory;
    const offset = this.scratch.small + KEY;
    bytes.set(key, offset);
    const result = action(this.at(KEY));
    bytes.fill(0, offset, offset + key.length);
    succeed(result === 1);
  }
}

/** Throws an InvariantError if OpenSSL has refused what it never refuses. */
export function succeed(isDone: boolean): void {
  invariant(isDone, 'OpenSSL does what it has been keyed for');
}

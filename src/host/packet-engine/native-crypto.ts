// What all OpenSSL contexts of one engine share: the lists of calls that one packet needs, and where their arguments lie.

import { invariant } from '../../lib/invariant.ts';
import { nativeString } from '../libc.ts';
import { AeadBatch } from './aead-batch.ts';
import { type CallRunner, functionAddress } from './call-runner.ts';
import { NativeCalls } from './native-calls.ts';
import type { NativeScratch } from './native-scratch.ts';
import { type OpenSsl, requirePointer, writeParameter } from './openssl.ts';
import { OpenSslCipher } from './openssl-cipher.ts';

// Where in the small scratch memory each argument lies.
export const NONCE = 0;
const LENGTH = 16;
const KEY = 64;
const PARAMETERS = 192;
export const ICV = 384;
const DIGEST_LENGTH_MAX = 64;
/** The native call costs each of so many packets hardly anything, and of 1,400 octets each they just fit a processor's nearest cache. */
const BATCH_PACKETS_MAX = 16;
/** Of AES. */
const BLOCK_LENGTH = 16;
/** The place of a call's function, in front of its arguments. */
const FUNCTION = -1;

/** What a key is for. */
export type CipherDirection = 'encryptInit' | 'decryptInit';

/** A keyed context of a cipher. */
export interface CipherContext {
  readonly cipher: OpenSslCipher;
  readonly direction: CipherDirection;
  readonly address: number;
}

/** One engine's way into OpenSSL: what seals and opens takes several packets at a time, everything else one. */
export class NativeCrypto {
  readonly openSsl: OpenSsl;
  readonly scratch: NativeScratch;
  readonly sealing: AeadBatch;
  readonly opening: AeadBatch;
  /** For a packet by itself, whatever else is under way. */
  readonly openingAtOnce: AeadBatch;
  readonly enciphering: NativeCalls;
  readonly digesting: NativeCalls;
  readonly #digestName = nativeString('digest');
  readonly #paddingName = nativeString('padding');
  readonly #ciphers = new Map<string, OpenSslCipher>();
  readonly #cipherContexts: FinalizationRegistry<() => void>;
  readonly #macContexts: FinalizationRegistry<number>;
  #mac = 0;
  #ciphering: CipherContext | undefined;

  constructor(openSsl: OpenSsl, scratch: NativeScratch, run: CallRunner) {
    this.openSsl = openSsl;
    this.scratch = scratch;
    const { arena } = scratch;
    this.sealing = new AeadBatch(arena, run, 'seal', BATCH_PACKETS_MAX);
    this.opening = new AeadBatch(arena, run, 'open', BATCH_PACKETS_MAX);
    this.openingAtOnce = new AeadBatch(arena, run, 'open', 1);
    this.enciphering = new NativeCalls(arena, run, [
      [0, 0, 0, 0, this.at(NONCE), BLOCK_LENGTH, 0],
      [0, 0, 0, this.at(LENGTH), 0, 0, 0],
    ]);
    const macUpdate = functionAddress('EVP_MAC_update');
    // Without a key, the context starts again with the one it has.
    this.digesting = new NativeCalls(arena, run, [
      [functionAddress('EVP_MAC_init'), 0, 0, 0, 0],
      [macUpdate, 0, 0, 0],
      [macUpdate, 0, this.at(NONCE), 0],
      [functionAddress('EVP_MAC_final'), 0, this.at(ICV), this.at(LENGTH), DIGEST_LENGTH_MAX],
    ]);
    // An SA ends when nobody holds it any more; its contexts, and with them its keys, are wiped and freed then.
    this.#cipherContexts = new FinalizationRegistry((free) => free());
    this.#macContexts = new FinalizationRegistry((context) => openSsl.freeMacContext(context));
  }

  at(offset: number): number {
    return this.scratch.arena.memory.address + this.scratch.small + offset;
  }

  /** A cipher that OpenSSL has; throws an InvariantError if it does not. */
  cipher(name: string): OpenSslCipher {
    let cipher = this.#ciphers.get(name);
    if (!cipher) {
      cipher = new OpenSslCipher(this.openSsl, name);
      this.#ciphers.set(name, cipher);
    }
    return cipher;
  }

  /** A context for one direction, which lives as long as its owner. Made when the first packet comes: of many SAs, many never see one. */
  keyedContext(owner: object, cipher: OpenSslCipher, direction: CipherDirection, key: Uint8Array): CipherContext {
    const address = cipher.newContext();
    this.#cipherContexts.register(owner, () => cipher.freeContext(address));
    this.#withKey(key, (at) => cipher.init(direction, address, at, key.length));
    return { cipher, direction, address };
  }

  /** Makes `enciphering` about this context. */
  useContext(context: CipherContext): void {
    if (context === this.#ciphering) return;
    this.#ciphering = context;
    const { cipher, direction, address } = context;
    this.enciphering.put(0, FUNCTION, cipher.address(direction));
    this.enciphering.put(1, FUNCTION, cipher.address('update'));
    this.enciphering.useContext(address);
  }

  /** The caller pads what this context ciphers. */
  switchOffPadding({ cipher, address }: CipherContext): void {
    const { memory } = this.scratch.arena;
    const { small } = this.scratch;
    memory.view.setUint32(small + LENGTH, 0, true);
    writeParameter(memory, small + PARAMETERS, this.#paddingName.address, 'number', this.at(LENGTH), 4);
    succeed(cipher.setParameters(address, this.at(PARAMETERS)) === 1);
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

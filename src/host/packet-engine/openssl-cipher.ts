// A cipher as its provider implements it (provider-cipher(7)), called without EVP in between. For each packet EVP would look for a dozen
// parameters by their names, among them the length of the nonce, which takes as long as encrypting 300 octets.

import { invariant } from '../../lib/invariant.ts';
import { foreignFunctions } from '../foreign-functions.ts';
import { nativeString } from '../libc.ts';
import { type OpenSsl, requirePointer } from './openssl.ts';

const OSSL_OP_CIPHER = 2;
/** `struct ossl_algorithm_st`: names, properties, implementation and description. */
const ALGORITHM_LENGTH = 32;
const IMPLEMENTATION = 16;
/** `struct ossl_dispatch_st`: what the function is for, and its address. */
const DISPATCH_LENGTH = 16;
/** More than any provider has of either. */
const ENTRIES_MAX = 1024;
const NAMES_LENGTH_MAX = 256;

// OSSL_FUNC_CIPHER_*.
const FUNCTIONS = {
  newContext: 1,
  encryptInit: 2,
  decryptInit: 3,
  update: 4,
  final: 5,
  freeContext: 7,
  getParameters: 10,
  setParameters: 11,
} as const;

type CipherFunction = keyof typeof FUNCTIONS;

/** A cipher of one name: where its functions lie, and how its contexts are made. Pointers are Numbers. */
export class OpenSslCipher {
  readonly #addresses: ReadonlyMap<CipherFunction, number>;
  readonly #providerContext: number;
  readonly #functions = new Map<CipherFunction, (...parameters: number[]) => number>();

  /** A cipher that OpenSSL must have; `name` as EVP_CIPHER_fetch(3) knows it. */
  constructor(openSsl: OpenSsl, name: string) {
    const cipher = requirePointer(openSsl.fetchCipher(0, nativeString(name).address, 0), name);
    const provider = openSsl.providerOf(cipher);
    this.#providerContext = openSsl.providerContext(provider);
    const unused = nativeString('');
    const algorithms = openSsl.queryOperation(provider, OSSL_OP_CIPHER, unused.address);
    this.#addresses = readDispatch(findImplementation(requirePointer(algorithms, 'ciphers'), name));
  }

  /** The address of one of its functions, which every cipher of its kind has. */
  address(of: CipherFunction): number {
    return requirePointer(this.#addresses.get(of) ?? 0, of);
  }

  newContext(): number {
    const context = this.#call('newContext', ['uintptr_t'], 'uintptr_t', this.#providerContext);
    return requirePointer(context, 'memory for a cipher context');
  }

  /** Wipes its keys too. */
  freeContext(context: number): void {
    this.#call('freeContext', ['uintptr_t'], 'void', context);
  }

  /** Keys a context for one direction; says 1 if that was done. */
  init(direction: 'encryptInit' | 'decryptInit', context: number, key: number, keyLength: number): number {
    const types = ['uintptr_t', 'uintptr_t', 'size_t', 'uintptr_t', 'size_t', 'uintptr_t'];
    return this.#call(direction, types, 'int', context, key, keyLength, 0, 0, 0);
  }

  /** Sets parameters (OSSL_PARAM(3)); says 1 if that was done. */
  setParameters(context: number, parameters: number): number {
    return this.#call('setParameters', ['uintptr_t', 'uintptr_t'], 'int', context, parameters);
  }

  #call(of: CipherFunction, types: readonly string[], result: string, ...parameters: readonly number[]): number {
    let callable = this.#functions.get(of);
    if (!callable) {
      invariant(foreignFunctions !== undefined, 'FFI is there');
      callable = foreignFunctions.decode(BigInt(this.address(of)), foreignFunctions.proto(result, [...types]));
      invariant(callable !== undefined, 'a function has an address');
      this.#functions.set(of, callable);
    }
    return callable(...parameters);
  }
}

/** Of the algorithms listed at `address`, the functions of the one that has this name. */
function findImplementation(address: number, name: string): number {
  for (let index = 0; index < ENTRIES_MAX; index++) {
    const entry = viewAt(address + index * ALGORITHM_LENGTH, ALGORITHM_LENGTH);
    const names = pointerAt(entry, 0);
    if (names === 0) break;
    if (textAt(names).toLowerCase().split(':').includes(name.toLowerCase())) return pointerAt(entry, IMPLEMENTATION);
  }
  return requirePointer(0, name);
}

function readDispatch(address: number): ReadonlyMap<CipherFunction, number> {
  const found = new Map<CipherFunction, number>();
  for (let index = 0; index < ENTRIES_MAX; index++) {
    const entry = viewAt(address + index * DISPATCH_LENGTH, DISPATCH_LENGTH);
    const number = entry.getInt32(0, true);
    if (number === 0) break;
    for (const [name, wanted] of Object.entries(FUNCTIONS))
      if (wanted === number && isCipherFunction(name)) found.set(name, pointerAt(entry, 8));
  }
  return found;
}

function isCipherFunction(name: string): name is CipherFunction {
  return name in FUNCTIONS;
}

function viewAt(address: number, length: number): DataView {
  invariant(foreignFunctions !== undefined, 'FFI is there');
  return new DataView(foreignFunctions.view(BigInt(address), length));
}

function pointerAt(view: DataView, offset: number): number {
  return view.getUint32(offset, true) + view.getUint32(offset + 4, true) * 2 ** 32;
}

function textAt(address: number): string {
  let text = '';
  for (let index = 0; index < NAMES_LENGTH_MAX; index++) {
    const octet = viewAt(address + index, 1).getUint8(0);
    if (octet === 0) break;
    text += String.fromCharCode(octet);
  }
  return text;
}

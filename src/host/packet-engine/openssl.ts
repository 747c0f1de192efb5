// The OpenSSL 3 that Node itself is linked with, reached through FFI. A context is keyed once and used for every packet of its SA:
// `crypto.createCipheriv` would make a new one each time, which takes eight times as long as encrypting 1,400 octets.

import { invariant } from '../../lib/invariant.ts';
import { foreignFunctions } from '../foreign-functions.ts';
import type { NativeMemory } from '../libc.ts';
import { writePointer } from './message-layout.ts';

const library = foreignFunctions?.load(null);

function bind(name: string, result: string, parameters: readonly string[]): (...parameters: number[]) => number {
  invariant(library !== undefined, 'FFI is there');
  return library.func(name, result, [...parameters]);
}

/** The functions of OpenSSL that the packet path calls; pointers are Numbers. */
export interface OpenSsl {
  readonly fetchCipher: (context: number, name: number, properties: number) => number;
  readonly providerOf: (cipher: number) => number;
  readonly providerContext: (provider: number) => number;
  readonly queryOperation: (provider: number, operation: number, mayNotCache: number) => number;
  readonly fetchMac: (context: number, name: number, properties: number) => number;
  readonly newMacContext: (mac: number) => number;
  readonly freeMacContext: (context: number) => number;
  readonly macInit: (context: number, key: number, keyLength: number, parameters: number) => number;
}

/** `undefined` where Node was built without a reachable OpenSSL 3. */
export function loadOpenSsl(): OpenSsl | undefined {
  const pointer = 'uintptr_t';
  try {
    return {
      fetchCipher: bind('EVP_CIPHER_fetch', pointer, [pointer, pointer, pointer]),
      providerOf: bind('EVP_CIPHER_get0_provider', pointer, [pointer]),
      providerContext: bind('OSSL_PROVIDER_get0_provider_ctx', pointer, [pointer]),
      queryOperation: bind('OSSL_PROVIDER_query_operation', pointer, [pointer, 'int', pointer]),
      fetchMac: bind('EVP_MAC_fetch', pointer, [pointer, pointer, pointer]),
      newMacContext: bind('EVP_MAC_CTX_new', pointer, [pointer]),
      freeMacContext: bind('EVP_MAC_CTX_free', 'void', [pointer]),
      macInit: bind('EVP_MAC_init', 'int', [pointer, pointer, 'size_t', pointer]),
    };
  } catch {
    return undefined;
  }
}

const PARAMETER_KINDS = { number: 2, text: 4, octets: 5 } as const;
const OSSL_PARAM_LENGTH = 40;
/** Where an OSSL_PARAM says where its data lies, and how many octets that are. */
export const PARAMETER_DATA = 16;
export const PARAMETER_SIZE = 24;

/** Writes one named parameter and the end mark (OSSL_PARAM(3)) at `offset`; `name` and `data` are addresses. Takes 80 octets. */
export function writeParameter(
  memory: NativeMemory,
  offset: number,
  name: number,
  kind: keyof typeof PARAMETER_KINDS,
  data: number,
  length: number,
): void {
  const { view, bytes } = memory;
  bytes.fill(0, offset, offset + 2 * OSSL_PARAM_LENGTH);
  writePointer(view, offset, name);
  view.setUint32(offset + 8, PARAMETER_KINDS[kind], true);
  writePointer(view, offset + PARAMETER_DATA, data);
  writePointer(view, offset + PARAMETER_SIZE, length);
}

/** Passes on a pointer that is not NULL. */
export function requirePointer(pointer: number, what: string): number {
  invariant(pointer !== 0, `OpenSSL has ${what}`);
  return pointer;
}

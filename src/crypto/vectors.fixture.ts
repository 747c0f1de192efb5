import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { sharedFile } from '../../test/shared.ts';
import { fromHex } from '../lib/bytes.ts';
import { invariant } from '../lib/invariant.ts';

/** What a test says when the material it needs is not beside the repository. */
export const VECTORS_ABSENT = 'the shared test vectors are not here';

/** A JSON file of the shared vectors, gzipped or not; `undefined` where it is absent. The caller says what shape it has. */
export function readVectors<T>(path: string): T | undefined {
  const file = sharedFile(`vectors/${path}`);
  if (file === undefined) return undefined;
  const content = readFileSync(file);
  return JSON.parse((path.endsWith('.gz') ? gunzipSync(content) : content).toString('utf8'));
}

/** As Wycheproof writes its files. */
export interface Wycheproof<Group, Case> {
  readonly testGroups: readonly (Group & { readonly tests: readonly (Case & WycheproofCase)[] })[];
}

export interface WycheproofCase {
  readonly tcId: number;
  readonly comment: string;
  readonly flags: readonly string[];
  readonly result: 'valid' | 'invalid' | 'acceptable';
}

/** A field that must be there, as octets. */
export function octets(text: string | undefined): Uint8Array {
  invariant(text !== undefined, 'the vector has the field');
  return fromHex(text);
}

interface StrongswanVector {
  readonly alg: string;
  readonly key?: string;
  readonly key_size?: number;
  readonly salt_size?: number;
  readonly iv?: string;
  readonly adata?: string;
  readonly plain?: string;
  readonly cipher?: string;
  readonly data?: string;
  readonly seed?: string;
  readonly mac?: string;
  readonly out?: string;
  readonly _name: string;
}

interface LinuxVector {
  readonly key: string;
  readonly klen?: number;
  readonly ksize?: number;
  readonly iv?: string;
  readonly assoc?: string;
  readonly alen?: number;
  readonly ptext?: string;
  readonly plen?: number;
  readonly ctext?: string;
  readonly clen?: number;
  readonly novrfy?: number;
  readonly plaintext?: string;
  readonly psize?: number;
  readonly digest?: string;
}

/** strongSwan's vectors, or `undefined` where they are absent. */
export function strongswan(): readonly StrongswanVector[] | undefined {
  const path = 'crypto/strongswan-test-vectors.json';
  const file = readVectors<{ files: Record<string, StrongswanVector[]> }>(path);
  // Some are for things without an algorithm's name, such as random sources.
  return (
    file &&
    Object.values(file.files)
      .flat()
      .filter((vector) => vector.alg !== undefined)
  );
}

/** Linux' vectors by template, or `undefined` where they are absent. */
export function linux(): ((template: string) => readonly LinuxVector[]) | undefined {
  const file = readVectors<{ templates: Record<string, LinuxVector[]> }>('crypto/linux-testmgr-ipsec.json');
  return file && ((template) => file.templates[template] ?? []);
}

/** A field of Linux' vectors: "zeroed_string" stands for as many zeros as are wanted. */
export function linuxOctets(text: string | undefined, length: number): Uint8Array {
  return text === undefined || text === 'zeroed_string' ? new Uint8Array(length) : octets(text).subarray(0, length);
}

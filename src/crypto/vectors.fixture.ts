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

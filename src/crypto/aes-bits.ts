import { invariant } from '../lib/invariant.ts';

/** The size in bits that an AES key's length stands for, as it appears in names of algorithms. */
export function aesBits(key: Uint8Array): 128 | 192 | 256 {
  const bits = key.length * 8;
  invariant(bits === 128 || bits === 192 || bits === 256, 'AES has keys of 128, 192 and 256 bits');
  return bits;
}

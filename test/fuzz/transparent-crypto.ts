import { nodeCrypto } from '../../src/crypto/node-provider.ts';
import type { CryptoProvider } from '../../src/crypto/provider.ts';
import { DH_GROUPS, HASH } from '../../src/model/algorithms.ts';
import type { ComputeJob, ComputeResult } from '../../src/model/compute-job.ts';

/** Ciphers that do nothing, and keyed hashes that are all zero: whoever changes a message changes its payloads, and is believed. */
export const TRANSPARENT: CryptoProvider = {
  hash: nodeCrypto.hash,
  hmac: (algorithm) => new Uint8Array(HASH[algorithm].digestLength),
  encryptCbc: (_algorithm, _key, _iv, plaintext) => plaintext.slice(),
  decryptCbc: (_algorithm, _key, _iv, ciphertext) => ciphertext.slice(),
};

const GENERATOR = 3;

/** Diffie-Hellman in a group of four octets, where multiplication stands for power: both sides get the same secret, at no cost. */
export function computeTransparently(job: ComputeJob): ComputeResult {
  const length = DH_GROUPS[job.group].publicLength;
  const { peerPublicValue } = job;
  if (peerPublicValue !== undefined && peerPublicValue.length !== length) return { kind: 'invalid-public-value' };
  const secret = lastWord(job.privateValue) | 1;
  const publicValue = padded(Math.imul(secret, GENERATOR), length);
  if (peerPublicValue === undefined) return { kind: 'diffie-hellman', publicValue };
  const peer = lastWord(peerPublicValue);
  if (peer === 0) return { kind: 'invalid-public-value' };
  return { kind: 'diffie-hellman', publicValue, sharedSecret: padded(Math.imul(secret, peer), length) };
}

function lastWord(octets: Uint8Array): number {
  return new DataView(octets.buffer, octets.byteOffset + octets.length - 4, 4).getUint32(0);
}

function padded(word: number, length: number): Uint8Array {
  const octets = new Uint8Array(length);
  new DataView(octets.buffer).setUint32(length - 4, word >>> 0);
  return octets;
}

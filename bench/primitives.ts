// How long the primitives take through Node's OpenSSL: nanoseconds a packet for the data plane's transforms, microseconds a
// computation for Diffie-Hellman. Numbers of one run compare with each other; between machines they do not.

import { performance } from 'node:perf_hooks';
import { computeDiffieHellman, drawPrivateValue, isSupportedDhGroup } from '../src/crypto/diffie-hellman.ts';
import { nodePacketCrypto } from '../src/crypto/node-packet-provider.ts';
import { systemRandom } from '../src/crypto/node-provider.ts';
import {
  DH_GROUPS,
  type DhGroup,
  ENCRYPTION,
  type EncryptionAlgorithm,
  encryptionTraits,
  INTEGRITY,
  type IntegrityAlgorithm,
  integrityTraits,
} from '../src/model/algorithms.ts';

/** Octets of plaintext: a small packet, a middling one, and one that fills a tunnel's MTU. */
const SIZES = [64, 512, 1400] as const;

/** Milliseconds that each of the repetitions runs, of which the fastest counts: other programs only ever make one slower. */
const DURATION = 12;
const REPETITION_COUNT = 6;
const MARGIN = 64;
const NOTHING = new Uint8Array();

console.log(`node ${process.version}, OpenSSL ${process.versions.openssl}`);
console.log(row('ns a packet', ...SIZES.flatMap((size) => [`out ${size}`, `in ${size}`])));
for (const algorithm of keysOf<EncryptionAlgorithm>(ENCRYPTION)) benchEncryption(algorithm);
for (const algorithm of keysOf<IntegrityAlgorithm>(INTEGRITY)) benchIntegrity(algorithm);

console.log('');
console.log(row('microseconds', 'public', 'both'));
for (const group of keysOf<DhGroup>(DH_GROUPS)) benchGroup(group);

function benchEncryption(algorithm: EncryptionAlgorithm): void {
  const { keyLength, saltLength, ivLength, icvLength, blockLength } = encryptionTraits(algorithm);
  const key = systemRandom.bytes(keyLength + saltLength);
  const iv = systemRandom.bytes(ivLength);
  const additionalData = systemRandom.bytes(8);
  const cells = SIZES.flatMap((size) => {
    const length = Math.ceil(size / blockLength) * blockLength;
    const buffer = systemRandom.bytes(length + MARGIN);
    if (icvLength === 0) {
      const cipher = nodePacketCrypto.cipher(algorithm, key);
      return [
        nanoseconds(() => cipher.encrypt(iv, buffer, 0, length)),
        nanoseconds(() => cipher.decrypt(iv, buffer, 0, length)),
      ];
    }
    const aead = nodePacketCrypto.aead(algorithm, key);
    const sealing = nanoseconds(() => aead.seal(iv, additionalData, buffer, 0, length));
    // Opening changes the packet, so each round needs a fresh one: the copy is part of the time.
    aead.seal(iv, additionalData, buffer, 0, length);
    const sealed = buffer.slice();
    const opening = nanoseconds(() => {
      buffer.set(sealed);
      aead.open(iv, additionalData, buffer, 0, length);
    });
    return [sealing, opening];
  });
  console.log(row(algorithm, ...cells.map(String)));
}

function benchIntegrity(algorithm: IntegrityAlgorithm): void {
  const { keyLength, icvLength } = integrityTraits(algorithm);
  const integrity = nodePacketCrypto.integrity(algorithm, systemRandom.bytes(keyLength));
  const iv = algorithm.includes('gmac') ? systemRandom.bytes(8) : NOTHING;
  const cells = SIZES.flatMap((size) => {
    const data = systemRandom.bytes(size);
    const icv = new Uint8Array(icvLength);
    integrity.compute(iv, data, NOTHING, icv, 0);
    return [
      nanoseconds(() => integrity.compute(iv, data, NOTHING, icv, 0)),
      nanoseconds(() => integrity.verify(iv, data, NOTHING, icv)),
    ];
  });
  console.log(row(`integrity ${algorithm}`, ...cells.map(String)));
}

function benchGroup(group: DhGroup): void {
  if (!isSupportedDhGroup(group)) return console.log(row(group, 'absent', 'absent'));
  const job = { id: 1, kind: 'diffie-hellman', group } as const;
  const peer = computeDiffieHellman({ ...job, privateValue: drawPrivateValue(group, systemRandom) });
  if (peer.kind !== 'diffie-hellman') return;
  const privateValue = drawPrivateValue(group, systemRandom);
  const peerPublicValue = peer.publicValue;
  const making = nanoseconds(() => computeDiffieHellman({ ...job, privateValue }));
  const both = nanoseconds(() => computeDiffieHellman({ ...job, privateValue, peerPublicValue }));
  console.log(row(group, ...[making, both].map((time) => String(Math.round(time / 1000)))));
}

/** The time of one call, at its best; the first repetitions also warm up. */
function nanoseconds(call: () => void): number {
  const times = Array.from({ length: REPETITION_COUNT }, () => run(call));
  return Math.round(Math.min(...times));
}

function run(call: () => void): number {
  const start = performance.now();
  let count = 0;
  let batch = 1;
  for (let spent = 0; spent < DURATION; spent = performance.now() - start) {
    for (let index = 0; index < batch; index++) call();
    count += batch;
    batch = Math.min(batch * 2, 256);
  }
  return ((performance.now() - start) * 1e6) / count;
}

function row(name: string, ...cells: readonly string[]): string {
  return name.padEnd(28) + cells.map((cell) => cell.padStart(10)).join('');
}

function keysOf<K extends string>(table: Readonly<Record<K, unknown>>): readonly K[] {
  const keys: K[] = [];
  for (const key in table) keys.push(key);
  return keys;
}

// The same algorithms once more, written from their definitions with no thought of speed, over AES for single blocks only:
// what the fast ones must agree with.

import { createCipheriv } from 'node:crypto';
import { concat } from '../lib/bytes.ts';

const BLOCK_LENGTH = 16;

/** One block of AES. */
export function aesBlock(key: Uint8Array, block: Uint8Array): Uint8Array {
  const cipher = createCipheriv(`aes-${key.length * 8}-ecb`, key, null).setAutoPadding(false);
  return concat(cipher.update(block), cipher.final());
}

/** AES-CBC, block by block (NIST SP 800-38A §6.2). */
export function naiveCbc(key: Uint8Array, iv: Uint8Array, plaintext: Uint8Array): Uint8Array {
  const ciphertext: Uint8Array[] = [];
  for (const block of blocksOf(plaintext)) ciphertext.push(aesBlock(key, xor(block, ciphertext.at(-1) ?? iv)));
  return concat(...ciphertext);
}

/** AES-CTR from a given counter block, whose last four octets count (RFC 3686 §2.1). */
export function naiveCtr(key: Uint8Array, counterBlock: Uint8Array, text: Uint8Array): Uint8Array {
  const view = new DataView(counterBlock.slice().buffer);
  const output = blocksOf(text).map((block) => {
    const keyStream = aesBlock(key, new Uint8Array(view.buffer));
    view.setUint32(12, view.getUint32(12) + 1);
    return xor(block, keyStream);
  });
  return concat(...output);
}

/** AES-GCM with a nonce of twelve octets: ciphertext, then the whole tag (NIST SP 800-38D §7.1). */
export function naiveGcm(
  key: Uint8Array,
  nonce: Uint8Array,
  additionalData: Uint8Array,
  plaintext: Uint8Array,
): Uint8Array {
  const firstCounter = concat(nonce, Uint8Array.of(0, 0, 0, 1));
  const ciphertext = naiveCtr(key, concat(nonce, Uint8Array.of(0, 0, 0, 2)), plaintext);
  const hashKey = toField(aesBlock(key, new Uint8Array(BLOCK_LENGTH)));
  const lengths = (BigInt(additionalData.length * 8) << 64n) | BigInt(ciphertext.length * 8);
  let hash = 0n;
  for (const block of [...blocksOf(additionalData), ...blocksOf(ciphertext)])
    hash = multiply(hash ^ toField(padded(block)), hashKey);
  hash = multiply(hash ^ lengths, hashKey);
  return concat(ciphertext, xor(fromField(hash), aesBlock(key, firstCounter)));
}

/** AES-CCM with a nonce of eleven octets (RFC 3610 §2.2, §2.3). */
export function naiveCcm(
  key: Uint8Array,
  nonce: Uint8Array,
  additionalData: Uint8Array,
  plaintext: Uint8Array,
  icvLength: number,
): Uint8Array {
  const lengthLength = 15 - nonce.length;
  const flags = (additionalData.length > 0 ? 64 : 0) + 8 * ((icvLength - 2) / 2) + (lengthLength - 1);
  const length = new Uint8Array(lengthLength);
  new DataView(length.buffer).setUint32(lengthLength - 4, plaintext.length);
  const first = concat(Uint8Array.of(flags), nonce, length);
  const counted = concat(Uint8Array.of(additionalData.length >>> 8, additionalData.length & 0xff), additionalData);
  const authenticated = [first, ...(additionalData.length > 0 ? blocksOf(counted) : []), ...blocksOf(plaintext)];
  let mac: Uint8Array = new Uint8Array(BLOCK_LENGTH);
  for (const block of authenticated) mac = aesBlock(key, xor(padded(block), mac));
  const counter = concat(Uint8Array.of(lengthLength - 1), nonce, new Uint8Array(lengthLength));
  const icv = xor(mac, aesBlock(key, counter)).slice(0, icvLength);
  const start = counter.slice();
  start[BLOCK_LENGTH - 1] = 1;
  return concat(naiveCtr(key, start, plaintext), icv);
}

/** AES-XCBC-MAC, whole (RFC 3566 §4). */
export function naiveXcbc(key: Uint8Array, message: Uint8Array): Uint8Array {
  const derive = (octet: number): Uint8Array => aesBlock(key, new Uint8Array(BLOCK_LENGTH).fill(octet));
  return cbcMac(derive(1), derive(2), derive(3), message);
}

/** AES-CMAC, whole (RFC 4493 §2.4). */
export function naiveCmac(key: Uint8Array, message: Uint8Array): Uint8Array {
  const zero = big(aesBlock(key, new Uint8Array(BLOCK_LENGTH)));
  const double = (value: bigint): bigint => ((value << 1n) % 2n ** 128n) ^ (value >> 127n === 1n ? 0x87n : 0n);
  return cbcMac(key, octetsOf(double(zero)), octetsOf(double(double(zero))), message);
}

function cbcMac(key: Uint8Array, whole: Uint8Array, partial: Uint8Array, message: Uint8Array): Uint8Array {
  const blocks = message.length === 0 ? [message] : blocksOf(message);
  let mac: Uint8Array = new Uint8Array(BLOCK_LENGTH);
  for (const [index, block] of blocks.entries()) {
    const isLast = index === blocks.length - 1;
    const isWhole = block.length === BLOCK_LENGTH;
    const filled = isWhole ? block : padded(concat(block, Uint8Array.of(0x80)));
    const masked = isLast ? xor(filled, isWhole ? whole : partial) : filled;
    mac = aesBlock(key, xor(masked, mac));
  }
  return mac;
}

/** ChaCha20-Poly1305: ciphertext, then the tag (RFC 8439 §2.8). */
export function naiveChaCha20Poly1305(
  key: Uint8Array,
  nonce: Uint8Array,
  additionalData: Uint8Array,
  plaintext: Uint8Array,
): Uint8Array {
  const macKey = chaChaBlock(key, 0, nonce).subarray(0, 32);
  const chunks = chunksOf(plaintext, 64).map((chunk, index) => xor(chunk, chaChaBlock(key, index + 1, nonce)));
  const ciphertext = concat(...chunks);
  const lengths = new DataView(new ArrayBuffer(BLOCK_LENGTH));
  lengths.setUint32(0, additionalData.length, true);
  lengths.setUint32(8, ciphertext.length, true);
  const authenticated = concat(
    ...blocksOf(additionalData).map(padded),
    ...blocksOf(ciphertext).map(padded),
    new Uint8Array(lengths.buffer),
  );
  return concat(ciphertext, poly1305(macKey, authenticated));
}

function chaChaBlock(key: Uint8Array, counter: number, nonce: Uint8Array): Uint8Array {
  const input = new Uint8Array(64);
  const view = new DataView(input.buffer);
  for (const [index, word] of [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574].entries())
    view.setUint32(index * 4, word, true);
  input.set(key, 16);
  view.setUint32(48, counter, true);
  input.set(nonce, 52);
  const state = Uint32Array.from({ length: 16 }, (_, index) => view.getUint32(index * 4, true));
  const initial = state.slice();
  for (let round = 0; round < 10; round++) for (const quarter of QUARTERS) quarterRound(state, quarter);
  state.forEach((word, index) => {
    view.setUint32(index * 4, word + (initial[index] ?? 0), true);
  });
  return input;
}

const QUARTERS = [
  [0, 4, 8, 12],
  [1, 5, 9, 13],
  [2, 6, 10, 14],
  [3, 7, 11, 15],
  [0, 5, 10, 15],
  [1, 6, 11, 12],
  [2, 7, 8, 13],
  [3, 4, 9, 14],
] as const;

function quarterRound(state: Uint32Array, [a, b, c, d]: readonly [number, number, number, number]): void {
  for (const [into, from, target, shift] of [
    [a, b, d, 16],
    [c, d, b, 12],
    [a, b, d, 8],
    [c, d, b, 7],
  ] as const) {
    state[into] = (state[into] ?? 0) + (state[from] ?? 0);
    const mixed = (state[target] ?? 0) ^ (state[into] ?? 0);
    state[target] = (mixed << shift) | (mixed >>> (32 - shift));
  }
}

function poly1305(key: Uint8Array, message: Uint8Array): Uint8Array {
  const little = (octets: Uint8Array): bigint => big(octets.toReversed());
  const r = little(key.subarray(0, 16)) & 0x0ffffffc0ffffffc0ffffffc0fffffffn;
  let sum = 0n;
  for (const block of blocksOf(message))
    sum = ((sum + little(concat(block, Uint8Array.of(1)))) * r) % (2n ** 130n - 5n);
  return octetsOf((sum + little(key.subarray(16, 32))) % 2n ** 128n).toReversed();
}

/** Multiplication in GF(2^128) as GCM writes it: the first bit is the lowest power (NIST SP 800-38D §6.3). */
function multiply(x: bigint, y: bigint): bigint {
  let product = 0n;
  let shifted = y;
  for (let bit = 127n; bit >= 0n; bit--) {
    if ((x >> bit) & 1n) product ^= shifted;
    shifted = shifted & 1n ? (shifted >> 1n) ^ (0xe1n << 120n) : shifted >> 1n;
  }
  return product;
}

const toField = big;
const fromField = octetsOf;

function big(octets: Uint8Array): bigint {
  return octets.reduce((value, octet) => value * 256n + BigInt(octet), 0n);
}

function octetsOf(value: bigint): Uint8Array {
  return Uint8Array.from({ length: BLOCK_LENGTH }, (_, index) => Number((value >> BigInt(120 - index * 8)) & 0xffn));
}

function blocksOf(message: Uint8Array): readonly Uint8Array[] {
  return chunksOf(message, BLOCK_LENGTH);
}

function chunksOf(message: Uint8Array, length: number): readonly Uint8Array[] {
  return Array.from({ length: Math.ceil(message.length / length) }, (_, index) =>
    message.subarray(index * length, (index + 1) * length),
  );
}

function padded(block: Uint8Array): Uint8Array {
  return concat(block, new Uint8Array(BLOCK_LENGTH - block.length));
}

/** As long as the first. */
function xor(a: Uint8Array, b: Uint8Array): Uint8Array {
  return a.map((octet, index) => octet ^ (b[index] ?? 0));
}

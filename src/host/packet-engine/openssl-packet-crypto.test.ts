import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodePacketCrypto } from '../../crypto/node-packet-provider.ts';
import type { PacketAead } from '../../crypto/provider.ts';
import { SeededRandom } from '../../lib/random.ts';
import {
  ENCRYPTION,
  type EncryptionAlgorithm,
  encryptionTraits,
  INTEGRITY,
  type IntegrityAlgorithm,
  integrityTraits,
} from '../../model/algorithms.ts';
import { Arena } from './arena.ts';
import { createPacketCrypto } from './openssl-packet-crypto.ts';

const LENGTHS = [0, 1, 15, 16, 17, 64, 1399, 1400, 9000, 65_000];
const arena = new Arena(1024 * 1024);
const fast = createPacketCrypto(arena);
const place = arena.reserve(66_000);
const random = new SeededRandom(7);

const aeads = names(ENCRYPTION).filter((name) => encryptionTraits(name).icvLength > 0);
for (const name of aeads)
  test(`${name}: a context used again agrees with Node's binding, packet after packet, in the arena and outside`, () => {
    const { keyLength, saltLength, ivLength, icvLength } = encryptionTraits(name);
    const key = random.bytes(keyLength + saltLength);
    const [ours, theirs] = [fast.aead(name, key), nodePacketCrypto.aead(name, key)];
    for (const length of LENGTHS)
      for (const additionalLength of [8, 12]) {
        const iv = random.bytes(ivLength);
        const additional = random.bytes(additionalLength);
        const plaintext = random.bytes(length);
        const expected = padded(plaintext, icvLength);
        theirs.seal(iv, additional, expected, 0, length);
        const inside = arena.memory.bytes.subarray(place, place + length + icvLength);
        const outside = padded(plaintext, icvLength);
        inside.set(plaintext);
        ours.seal(iv, additional, arena.memory.bytes, place, place + length);
        ours.seal(iv, additional, outside, 0, length);
        assert.deepEqual(Buffer.from(inside), Buffer.from(expected), `${length} octets in the arena`);
        assert.deepEqual(Buffer.from(outside), Buffer.from(expected), `${length} octets outside`);
        assert.equal(ours.open(iv, additional, inside, 0, length), true);
        assert.equal(ours.open(iv, additional, outside, 0, length), true);
        assert.deepEqual(Buffer.from(inside.subarray(0, length)), Buffer.from(plaintext));
        assert.deepEqual(Buffer.from(outside.subarray(0, length)), Buffer.from(plaintext));
        const flipped = Math.floor(random.fraction() * expected.length);
        expected[flipped] = (expected[flipped] ?? 0) ^ 0x10;
        inside.set(expected);
        assert.equal(ours.open(iv, additional, inside, 0, length), false, `octet ${flipped} of ${length} flipped`);
      }
  });

for (const name of ['aes-128-cbc', 'aes-192-cbc', 'aes-256-cbc', '3des-cbc', 'aes-256-ctr', 'null'] as const)
  test(`${name}: encrypts and decrypts as Node's binding does, packet after packet`, () => {
    const { keyLength, saltLength, ivLength, blockLength } = encryptionTraits(name);
    const key = random.bytes(keyLength + saltLength);
    const [ours, theirs] = [fast.cipher(name, key), nodePacketCrypto.cipher(name, key)];
    for (const length of LENGTHS) {
      const whole = length - (length % blockLength);
      const iv = random.bytes(ivLength);
      const plaintext = random.bytes(whole);
      const expected = plaintext.slice();
      theirs.encrypt(iv, expected, 0, whole);
      arena.memory.bytes.set(plaintext, place);
      ours.encrypt(iv, arena.memory.bytes, place, place + whole);
      assert.deepEqual(arenaBytes(whole), Buffer.from(expected));
      ours.decrypt(iv, arena.memory.bytes, place, place + whole);
      assert.deepEqual(arenaBytes(whole), Buffer.from(plaintext));
      const outside = plaintext.slice();
      ours.encrypt(iv, outside, 0, whole);
      assert.deepEqual(outside, expected);
    }
  });

for (const name of names(INTEGRITY).filter((candidate) => candidate !== 'none'))
  test(`${name}: computes and verifies as Node's binding does, packet after packet`, () => {
    const { keyLength, icvLength } = integrityTraits(name);
    const key = random.bytes(keyLength);
    const [ours, theirs] = [fast.integrity(name, key), nodePacketCrypto.integrity(name, key)];
    const iv = name.endsWith('-gmac') ? random.bytes(8) : new Uint8Array(0);
    for (const length of LENGTHS)
      for (const suffix of [new Uint8Array(0), random.bytes(4)]) {
        const data = random.bytes(length);
        const [actual, expected] = [new Uint8Array(icvLength + 3), new Uint8Array(icvLength + 3)];
        theirs.compute(iv, data, suffix, expected, 3);
        ours.compute(iv, data, suffix, actual, 3);
        assert.deepEqual(actual, expected);
        assert.equal(ours.verify(iv, data, suffix, expected.subarray(3)), true);
        expected[icvLength] = (expected[icvLength] ?? 0) ^ 1;
        assert.equal(ours.verify(iv, data, suffix, expected.subarray(3)), false);
      }
  });

// Long enough for two batches and a part of one.
const MANY = 37;
const MIXED: readonly EncryptionAlgorithm[] = ['aes-256-gcm', 'chacha20-poly1305', 'aes-128-gcm-8', 'aes-128-gcm'];

/** A packet somewhere in the arena, and what Node's binding makes of it. */
interface Packet {
  readonly aead: PacketAead;
  readonly iv: Uint8Array;
  readonly additional: Uint8Array;
  readonly plaintext: Uint8Array;
  readonly sealed: Uint8Array;
  readonly start: number;
  readonly end: number;
}

/** Packets of four SAs in turns, one behind the other; they lie there as `what` says. */
function manyPackets(what: 'plaintext' | 'sealed'): readonly Packet[] {
  const keys = MIXED.map((name) => {
    const { keyLength, saltLength } = encryptionTraits(name);
    const key = random.bytes(keyLength + saltLength);
    return { ours: fast.aead(name, key), theirs: nodePacketCrypto.aead(name, key), ...encryptionTraits(name) };
  });
  let next = place;
  return Array.from({ length: MANY }, (_, index) => {
    const key = keys[index % keys.length] ?? assert.fail();
    const [iv, additional] = [random.bytes(8), random.bytes(index % 3 === 0 ? 12 : 8)];
    const plaintext = random.bytes(index * 41);
    const sealed = padded(plaintext, key.icvLength);
    key.theirs.seal(iv, additional, sealed, 0, plaintext.length);
    const start = next;
    next += sealed.length;
    arena.memory.bytes.set(what === 'sealed' ? sealed : padded(plaintext, key.icvLength), start);
    return { aead: key.ours, iv, additional, plaintext, sealed, start, end: start + plaintext.length };
  });
}

test('packets sealed together have each its own key, nonce and ICV', () => {
  const packets = manyPackets('plaintext');
  const { bytes } = arena.memory;
  for (const { aead, iv, additional, start, end } of packets) aead.seal(iv, additional, bytes, start, end);
  fast.finish?.();
  for (const [index, { sealed, start }] of packets.entries())
    assert.deepEqual(Buffer.from(bytes.subarray(start, start + sealed.length)), Buffer.from(sealed), `packet ${index}`);
});

test('packets opened together are judged each by itself, also those that nobody expected or that are never opened', () => {
  const packets = manyPackets('sealed');
  const { bytes } = arena.memory;
  const isAltered = (index: number): boolean => index % 5 === 2;
  for (const [index, { start, sealed }] of packets.entries())
    if (isAltered(index)) bytes[start + sealed.length - 1] = (bytes[start + sealed.length - 1] ?? 0) ^ 1;
  for (let first = 0; first < packets.length; first += 16) {
    const group = [...packets.entries()].slice(first, first + 16);
    for (const [index, { aead, iv, additional, start, end }] of group)
      if (index % 4 !== 1) aead.openAhead?.(iv, additional, bytes, start, end);
    for (const [index, { aead, iv, additional, start, end }] of group)
      if (index % 7 !== 3)
        assert.equal(aead.open(iv, additional, bytes, start, end), !isAltered(index), `packet ${index}`);
    fast.forgetAhead?.();
  }
  for (const [index, { plaintext, start, end }] of packets.entries())
    if (!isAltered(index) && index % 7 !== 3)
      assert.deepEqual(Buffer.from(bytes.subarray(start, end)), Buffer.from(plaintext), `packet ${index}`);
});

test('what came out ahead counts once, for the very packet that was expected, and not beyond that turn', () => {
  const [first, second] = manyPackets('sealed').slice(9);
  const { bytes } = arena.memory;
  const open = ({ aead, iv, start, end }: Packet, additional: Uint8Array, length = end - start): boolean =>
    aead.open(iv, additional, bytes, start, start + length);
  const expect = (packet: Packet): void => {
    bytes.set(packet.sealed, packet.start);
    packet.aead.openAhead?.(packet.iv, packet.additional, bytes, packet.start, packet.end);
  };
  assert.ok(first && second);
  expect(first);
  assert.equal(open(first, random.bytes(first.additional.length)), false, 'other additional data');
  expect(first);
  assert.equal(open(first, first.additional, 3), false, 'another length');
  expect(first);
  assert.equal(second.aead.open(first.iv, first.additional, bytes, first.start, first.end), false, 'another key');
  expect(first);
  assert.equal(open(first, first.additional), true);
  assert.equal(open(first, first.additional), false, 'what lies there now is the plaintext');
  expect(first);
  expect(second);
  assert.equal(open(second, second.additional), true);
  fast.forgetAhead?.();
  assert.equal(open(first, first.additional), false, 'forgotten: what lies there is judged again');
  expect(first);
  fast.forgetAhead?.();
  assert.equal(open(first, first.additional), true, 'forgotten before it was begun: what lies there is the packet');
});

function names<T extends EncryptionAlgorithm | IntegrityAlgorithm>(table: Readonly<Record<T, unknown>>): readonly T[] {
  return Object.keys(table) as T[];
}

function padded(bytes: Uint8Array, more: number): Uint8Array {
  const longer = new Uint8Array(bytes.length + more);
  longer.set(bytes);
  return longer;
}

function arenaBytes(length: number): Buffer {
  return Buffer.from(arena.memory.bytes.subarray(place, place + length));
}

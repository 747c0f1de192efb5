import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { concat, toHex } from '../lib/bytes.ts';
import { ENCRYPTION, type EncryptionAlgorithm, encryptionTraits, INTEGRITY } from '../model/algorithms.ts';
import {
  naiveCbc,
  naiveCcm,
  naiveChaCha20Poly1305,
  naiveCmac,
  naiveCtr,
  naiveGcm,
  naiveXcbc,
} from './naive-twins.fixture.ts';
import { nodePacketCrypto } from './node-packet-provider.ts';

const RUNS = { numRuns: 40 } as const;
const NOTHING = new Uint8Array();

const ALL = Object.keys(ENCRYPTION).filter((name): name is EncryptionAlgorithm => name in ENCRYPTION);
const AEADS = ALL.filter((name) => encryptionTraits(name).icvLength > 0);

function octets(length: number): fc.Arbitrary<Uint8Array> {
  return fc.uint8Array({ minLength: length, maxLength: length });
}

/** Small packets mostly, and their edges: an ESP payload is anything from nothing to some 1,500 octets. */
const payload = fc.oneof(
  fc.uint8Array({ maxLength: 70 }),
  fc.uint8Array({ minLength: 200, maxLength: 300 }),
  fc.integer({ min: 0, max: 90 }).map((blocks) => new Uint8Array(blocks * 16).fill(blocks)),
);

/** What RFC 4106 §5 gives as additional data: SPI and sequence number, or extended sequence number. */
const additionalData = fc.oneof(octets(8), octets(12));

for (const algorithm of AEADS) {
  const { keyLength, saltLength, icvLength } = encryptionTraits(algorithm);
  test(`${algorithm} seals as its definition says, and opens what it sealed`, () => {
    fc.assert(
      fc.property(octets(keyLength + saltLength), octets(8), additionalData, payload, (key, iv, aad, plaintext) => {
        const aead = nodePacketCrypto.aead(algorithm, key);
        const buffer = concat(plaintext, new Uint8Array(icvLength));
        aead.seal(iv, aad, buffer, 0, plaintext.length);
        assert.equal(toHex(buffer), toHex(naiveSeal(algorithm, key, iv, aad, plaintext)));
        assert.ok(aead.open(iv, aad, buffer, 0, plaintext.length));
        assert.deepEqual(buffer.subarray(0, plaintext.length), plaintext);
      }),
      RUNS,
    );
  });

  test(`${algorithm} refuses a packet of which any bit changed, and leaves it as it was`, () => {
    fc.assert(
      fc.property(
        octets(keyLength + saltLength),
        octets(8),
        additionalData,
        payload,
        fc.nat(),
        (key, iv, aad, plaintext, position) => {
          const aead = nodePacketCrypto.aead(algorithm, key);
          const buffer = concat(plaintext, new Uint8Array(icvLength));
          aead.seal(iv, aad, buffer, 0, plaintext.length);
          const parts = [buffer, aad, iv].map((part) => part.slice());
          flipBit(parts, position);
          const [changed = NOTHING, changedAad = NOTHING, changedIv = NOTHING] = parts;
          const before = changed.slice();
          assert.equal(aead.open(changedIv, changedAad, changed, 0, plaintext.length), false);
          assert.deepEqual(changed, before);
          // And a refusal leaves no trace in the object: what was good still is.
          assert.ok(aead.open(iv, aad, buffer, 0, plaintext.length));
        },
      ),
      RUNS,
    );
  });
}

for (const keyBits of [128, 192, 256] as const) {
  test(`AES-CBC with ${keyBits} bits: many packets through one object, as if each had its own`, () => {
    const packets = fc.array(fc.tuple(octets(16), fc.integer({ min: 0, max: 9 })), { maxLength: 8 });
    fc.assert(
      fc.property(octets(keyBits / 8), packets, fc.nat({ max: 255 }), (key, ivs, filler) => {
        const name = `aes-${keyBits}-cbc` as const;
        const [encrypting, decrypting] = [nodePacketCrypto.cipher(name, key), nodePacketCrypto.cipher(name, key)];
        for (const [iv, blocks] of ivs) {
          const plaintext = new Uint8Array(blocks * 16).map((_, index) => filler + index);
          const buffer = plaintext.slice();
          encrypting.encrypt(iv, buffer, 0, buffer.length);
          assert.equal(toHex(buffer), toHex(naiveCbc(key, iv, plaintext)));
          decrypting.decrypt(iv, buffer, 0, buffer.length);
          assert.deepEqual(buffer, plaintext);
        }
      }),
      RUNS,
    );
  });

  test(`AES-CTR with ${keyBits} bits: the counter block is nonce | IV | 1`, () => {
    fc.assert(
      fc.property(octets(keyBits / 8 + 4), octets(8), payload, (key, iv, plaintext) => {
        const buffer = plaintext.slice();
        const cipher = nodePacketCrypto.cipher(`aes-${keyBits}-ctr`, key);
        cipher.encrypt(iv, buffer, 0, buffer.length);
        const counterBlock = concat(key.subarray(keyBits / 8), iv, Uint8Array.of(0, 0, 0, 1));
        assert.equal(toHex(buffer), toHex(naiveCtr(key.subarray(0, keyBits / 8), counterBlock, plaintext)));
        cipher.decrypt(iv, buffer, 0, buffer.length);
        assert.deepEqual(buffer, plaintext);
      }),
      RUNS,
    );
  });
}

for (const [algorithm, naive] of [
  ['aes-xcbc-96', naiveXcbc],
  ['aes-cmac-96', naiveCmac],
] as const) {
  test(`${algorithm}: many packets through one object, wherever data ends and suffix starts`, () => {
    const suffix = fc.uint8Array({ maxLength: 40 });
    fc.assert(
      fc.property(octets(16), fc.array(fc.tuple(payload, suffix), { maxLength: 6 }), (key, packets) => {
        const integrity = nodePacketCrypto.integrity(algorithm, key);
        for (const [data, after] of packets) {
          const out = new Uint8Array(12);
          integrity.compute(NOTHING, data, after, out, 0);
          assert.equal(toHex(out), toHex(naive(key, concat(data, after)).slice(0, 12)));
        }
      }),
      RUNS,
    );
  });
}

for (const [algorithm, hash, hashBlockLength] of [
  ['hmac-md5-96', 'md5', 64],
  ['hmac-sha1-96', 'sha1', 64],
  ['hmac-sha-256-128', 'sha256', 64],
  ['hmac-sha-256-96', 'sha256', 64],
  ['hmac-sha-384', 'sha384', 128],
  ['hmac-sha-512', 'sha512', 128],
] as const) {
  test(`${algorithm} is RFC 2104 §2's definition, cut to its length`, () => {
    const { keyLength, icvLength } = INTEGRITY[algorithm];
    fc.assert(
      fc.property(octets(keyLength), payload, fc.uint8Array({ maxLength: 4 }), (key, data, suffix) => {
        const digest = (...parts: Uint8Array[]): Uint8Array =>
          createHash(hash)
            .update(concat(...parts))
            .digest();
        const block = concat(key, new Uint8Array(hashBlockLength - keyLength));
        const inner = digest(
          block.map((octet) => octet ^ 0x36),
          data,
          suffix,
        );
        const expected = digest(
          block.map((octet) => octet ^ 0x5c),
          inner,
        ).subarray(0, icvLength);
        const out = new Uint8Array(icvLength);
        nodePacketCrypto.integrity(algorithm, key).compute(NOTHING, data, suffix, out, 0);
        assert.equal(toHex(out), toHex(expected));
      }),
      RUNS,
    );
  });
}

for (const keyBits of [128, 192, 256] as const) {
  test(`AH's AES-GMAC with ${keyBits} bits is GCM of nothing`, () => {
    fc.assert(
      fc.property(octets(keyBits / 8 + 4), octets(8), payload, octets(4), (key, iv, data, suffix) => {
        const nonce = concat(key.subarray(keyBits / 8), iv);
        const expected = naiveGcm(key.subarray(0, keyBits / 8), nonce, concat(data, suffix), NOTHING);
        const out = new Uint8Array(16);
        const integrity = nodePacketCrypto.integrity(`aes-${keyBits}-gmac`, key);
        integrity.compute(iv, data, suffix, out, 0);
        assert.equal(toHex(out), toHex(expected));
        assert.ok(integrity.verify(iv, data, suffix, out));
      }),
      RUNS,
    );
  });
}

function naiveSeal(
  algorithm: EncryptionAlgorithm,
  keyAndSalt: Uint8Array,
  iv: Uint8Array,
  aad: Uint8Array,
  plaintext: Uint8Array,
): Uint8Array {
  const { cipher, keyLength, icvLength } = encryptionTraits(algorithm);
  const key = keyAndSalt.subarray(0, keyLength);
  const nonce = concat(keyAndSalt.subarray(keyLength), iv);
  switch (cipher) {
    case 'aes-gcm':
      return naiveGcm(key, nonce, aad, plaintext).subarray(0, plaintext.length + icvLength);
    case 'aes-ccm':
      return naiveCcm(key, nonce, aad, plaintext, icvLength);
    case 'aes-gmac':
      return concat(plaintext, naiveGcm(key, nonce, concat(aad, iv, plaintext), NOTHING));
    case 'chacha20-poly1305':
      return naiveChaCha20Poly1305(key, nonce, aad, plaintext);
    default:
      return assert.fail(`${algorithm} has no twin`);
  }
}

/** Flips one bit somewhere in the parts, all of them one after another. */
function flipBit(parts: readonly Uint8Array[], position: number): void {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  let index = Math.floor(position / 8) % length;
  for (const part of parts) {
    if (index < part.length) {
      part[index] = (part[index] ?? 0) ^ (1 << (position % 8));
      return;
    }
    index -= part.length;
  }
}

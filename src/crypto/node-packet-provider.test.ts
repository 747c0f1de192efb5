import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type EncryptionAlgorithm, encryptionTraits, type IntegrityAlgorithm } from '../model/algorithms.ts';
import { nodePacketCrypto } from './node-packet-provider.ts';
import { testPacketCrypto } from './packet-crypto.fixture.ts';

testPacketCrypto('Node', nodePacketCrypto);

test('an algorithm of the wrong kind, or a key of the wrong length, is our mistake and throws', () => {
  assert.throws(() => nodePacketCrypto.aead('aes-128-cbc', new Uint8Array(16)), /authenticates by itself/);
  assert.throws(() => nodePacketCrypto.cipher('aes-128-gcm', new Uint8Array(20)), /without its ICV/);
  assert.throws(() => nodePacketCrypto.aead('aes-128-gcm', new Uint8Array(16)), /length/);
  assert.throws(() => nodePacketCrypto.cipher('aes-256-cbc', new Uint8Array(16)), /length/);
  assert.throws(() => nodePacketCrypto.integrity('hmac-sha1-96', new Uint8Array(16)), /length/);
});

test('keys are copied: the caller may wipe its own once the objects are made', () => {
  const nothing = new Uint8Array();
  const iv = new Uint8Array(8);
  const seal = (algorithm: EncryptionAlgorithm, key: Uint8Array): (() => Uint8Array) => {
    const aead = nodePacketCrypto.aead(algorithm, key);
    return () => {
      const buffer = new Uint8Array(48);
      aead.seal(iv, nothing, buffer, 0, 32);
      return buffer;
    };
  };
  const encrypt = (algorithm: EncryptionAlgorithm, key: Uint8Array): (() => Uint8Array) => {
    const cipher = nodePacketCrypto.cipher(algorithm, key);
    return () => {
      const buffer = new Uint8Array(32);
      cipher.encrypt(new Uint8Array(encryptionTraits(algorithm).ivLength), buffer, 0, 32);
      return buffer;
    };
  };
  const authenticate = (algorithm: IntegrityAlgorithm, key: Uint8Array): (() => Uint8Array) => {
    const integrity = nodePacketCrypto.integrity(algorithm, key);
    return () => {
      const out = new Uint8Array(32);
      integrity.compute(algorithm.includes('gmac') ? iv : nothing, new Uint8Array(40), nothing, out, 0);
      return out;
    };
  };
  const makers: readonly [number, (key: Uint8Array) => () => Uint8Array][] = [
    [20, (key) => seal('aes-128-gcm', key)],
    [19, (key) => seal('aes-128-ccm', key)],
    [20, (key) => seal('aes-128-gmac', key)],
    [36, (key) => seal('chacha20-poly1305', key)],
    [8, (key) => encrypt('des-cbc', key)],
    [16, (key) => encrypt('aes-128-cbc', key)],
    [20, (key) => encrypt('aes-128-ctr', key)],
    [20, (key) => authenticate('hmac-sha1-96', key)],
    [16, (key) => authenticate('aes-xcbc-96', key)],
    [16, (key) => authenticate('aes-cmac-96', key)],
    [20, (key) => authenticate('aes-128-gmac', key)],
  ];
  for (const [keyLength, make] of makers) {
    const key = new Uint8Array(keyLength).fill(7);
    const expected = make(key.slice())();
    const run = make(key);
    key.fill(0);
    assert.deepEqual(run(), expected);
  }
});

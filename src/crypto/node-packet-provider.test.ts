import assert from 'node:assert/strict';
import { test } from 'node:test';
import { equalBytes, toHex } from '../lib/bytes.ts';
import { type EncryptionAlgorithm, encryptionTraits, type IntegrityAlgorithm } from '../model/algorithms.ts';
import { acvpGmac, type IntegrityCase, integrityCases, wycheproofMacs } from './mac-vectors.fixture.ts';
import { nodePacketCrypto } from './node-packet-provider.ts';
import {
  type AeadCase,
  cipherCases,
  linuxAead,
  linuxEspAead,
  strongswanAead,
  wycheproofAead,
} from './packet-vectors.fixture.ts';
import { VECTORS_ABSENT } from './vectors.fixture.ts';

/** Octets in front of and behind a packet, which must stay as they are. */
const MARGIN = 5;
const MARGIN_OCTET = 0xa5;

const AEAD_SOURCES = [
  ['strongSwan’s vectors', strongswanAead, 41],
  ['Linux’ vectors for ESP', linuxEspAead, 49],
  ['Linux’ plain vectors, and those that must fail', linuxAead, 30],
  ['Wycheproof’s GCM, and those that must fail', () => wycheproofAead('gcm'), 129],
  ['Wycheproof’s CCM, and those that must fail', () => wycheproofAead('ccm'), 18],
  ['Wycheproof’s ChaCha20-Poly1305, and those that must fail', () => wycheproofAead('chacha20'), 300],
] as const;

for (const [source, read, atLeast] of AEAD_SOURCES) {
  test(`RFC 4106 §4, RFC 4309 §4, RFC 4543 §3, RFC 7634 §2: combined modes agree with ${source}`, (t) => {
    const cases = read();
    if (cases === undefined) return t.skip(VECTORS_ABSENT);
    for (const known of cases) {
      if (known.isValid) expectSealed(known);
      expectOpened(known);
    }
    assert.ok(cases.length >= atLeast, `${cases.length} cases`);
  });
}

function expectSealed(known: AeadCase): void {
  const { buffer, start, end, icvEnd } = packet(known.plaintext, known.sealed.length - known.plaintext.length);
  nodePacketCrypto.aead(known.algorithm, known.key).seal(known.iv, known.additionalData, buffer, start, end);
  assert.equal(toHex(buffer.subarray(start, icvEnd)), toHex(known.sealed), known.name);
  expectMargins(buffer, start, icvEnd, known.name);
}

function expectOpened(known: AeadCase): void {
  const { icvLength } = encryptionTraits(known.algorithm);
  const { buffer, start, end: icvEnd } = packet(known.sealed, 0);
  const end = icvEnd - icvLength;
  const aead = nodePacketCrypto.aead(known.algorithm, known.key);
  assert.equal(aead.open(known.iv, known.additionalData, buffer, start, end), known.isValid, known.name);
  if (known.isValid) {
    assert.equal(toHex(buffer.subarray(start, end)), toHex(known.plaintext), known.name);
  } else {
    // What does not authenticate is not decrypted either, as far as anyone outside can see.
    assert.equal(toHex(buffer.subarray(start, icvEnd)), toHex(known.sealed), known.name);
  }
  expectMargins(buffer, start, icvEnd, known.name);
}

test('RFC 2405, RFC 2451, RFC 3602, RFC 3686, RFC 2410: ciphers agree with strongSwan and Linux', (t) => {
  const cases = cipherCases();
  if (cases === undefined) return t.skip(VECTORS_ABSENT);
  for (const known of cases) {
    const cipher = nodePacketCrypto.cipher(known.algorithm, known.key);
    // Twice with one object: nothing of the first packet may show in the second.
    for (let round = 0; round < 2; round++) {
      const { buffer, start, end } = packet(known.plaintext, 0);
      cipher.encrypt(known.iv, buffer, start, end);
      assert.equal(toHex(buffer.subarray(start, end)), toHex(known.ciphertext), known.name);
      cipher.decrypt(known.iv, buffer, start, end);
      assert.equal(toHex(buffer.subarray(start, end)), toHex(known.plaintext), known.name);
      expectMargins(buffer, start, end, known.name);
    }
  }
  const algorithms = new Set(cases.map(({ algorithm }) => algorithm));
  assert.ok(cases.length > 30 && algorithms.size === 9, `${cases.length} cases, ${algorithms.size} algorithms`);
});

const INTEGRITY_SOURCES = [
  ['strongSwan and Linux', integrityCases, 45, 8],
  ['Wycheproof, and those that must fail', wycheproofMacs, 500, 8],
  ['NIST’s ACVP, and those that must fail', acvpGmac, 15, 1],
] as const;

for (const [source, read, atLeast, algorithmCount] of INTEGRITY_SOURCES) {
  test(`RFC 4868 §2.7, RFC 3566 §4.6, RFC 4494 §5, RFC 4543 §4: MACs agree with ${source}`, (t) => {
    const cases = read();
    if (cases === undefined) return t.skip(VECTORS_ABSENT);
    for (const known of cases) expectMac(known);
    const algorithms = new Set(cases.map(({ algorithm }) => algorithm));
    assert.ok(cases.length >= atLeast, `${cases.length} cases`);
    assert.equal(algorithms.size, algorithmCount, [...algorithms].join());
  });
}

function expectMac(known: IntegrityCase): void {
  const integrity = nodePacketCrypto.integrity(known.algorithm, known.key);
  // Wherever the data is cut into data and suffix, the MAC is the same.
  for (const suffixLength of [0, 4, 1, 17, known.data.length]) {
    if (suffixLength > known.data.length) continue;
    const cut = known.data.length - suffixLength;
    const [data, suffix] = [known.data.subarray(0, cut), known.data.subarray(cut)];
    const out = new Uint8Array(MARGIN * 2 + known.icv.length).fill(MARGIN_OCTET);
    integrity.compute(known.iv, data, suffix, out, MARGIN);
    const computed = out.subarray(MARGIN, MARGIN + known.icv.length);
    assert.equal(equalBytes(computed, known.icv), known.isValid, known.name);
    expectMargins(out, MARGIN, MARGIN + known.icv.length, known.name);
    assert.equal(integrity.verify(known.iv, data, suffix, known.icv), known.isValid, known.name);
    const spoilt = known.icv.map((octet, index) => (index === known.icv.length - 1 ? octet ^ 1 : octet));
    if (known.isValid) assert.equal(integrity.verify(known.iv, data, suffix, spoilt), false, known.name);
    assert.equal(integrity.verify(known.iv, data, suffix, known.icv.subarray(1)), false, known.name);
    assert.equal(integrity.verify(known.iv, data, suffix, new Uint8Array()), false, known.name);
  }
}

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

/** `content` with margins around it, and room for an ICV behind it. */
function packet(
  content: Uint8Array,
  icvLength: number,
): { buffer: Uint8Array; start: number; end: number; icvEnd: number } {
  const start = MARGIN;
  const end = start + content.length;
  const icvEnd = end + icvLength;
  const buffer = new Uint8Array(icvEnd + MARGIN).fill(MARGIN_OCTET);
  buffer.set(content, start);
  return { buffer, start, end, icvEnd };
}

function expectMargins(buffer: Uint8Array, start: number, end: number, name: string): void {
  assert.ok(
    buffer.subarray(0, start).every((octet) => octet === MARGIN_OCTET),
    `${name}: the front`,
  );
  assert.ok(
    buffer.subarray(end).every((octet) => octet === MARGIN_OCTET),
    `${name}: the end`,
  );
}

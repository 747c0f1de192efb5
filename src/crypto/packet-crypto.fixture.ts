// What every implementation of `PacketCryptoProvider` must do: others' known answers, refusals included.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { equalBytes, toHex } from '../lib/bytes.ts';
import { encryptionTraits } from '../model/algorithms.ts';
import { acvpGmac, type IntegrityCase, integrityCases, wycheproofMacs } from './mac-vectors.fixture.ts';
import {
  type AeadCase,
  cipherCases,
  linuxAead,
  linuxEspAead,
  strongswanAead,
  wycheproofAead,
} from './packet-vectors.fixture.ts';
import type { PacketCryptoProvider } from './provider.ts';
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

const INTEGRITY_SOURCES = [
  ['strongSwan and Linux', integrityCases, 45, 8],
  ['Wycheproof, and those that must fail', wycheproofMacs, 500, 8],
  ['NIST’s ACVP, and those that must fail', acvpGmac, 15, 1],
] as const;

/** Registers the tests for one implementation. It may take no more additional data than ESP has: then say how many octets. */
export function testPacketCrypto(
  implementation: string,
  provider: PacketCryptoProvider,
  additionalDataMax = Number.POSITIVE_INFINITY,
): void {
  testCombinedModes(implementation, provider, additionalDataMax);
  testCiphers(implementation, provider);
  testIntegrity(implementation, provider);
}

function testCombinedModes(implementation: string, provider: PacketCryptoProvider, additionalDataMax: number): void {
  for (const [source, read, atLeast] of AEAD_SOURCES) {
    test(`RFC 4106 §4, RFC 4309 §4, RFC 4543 §3, RFC 7634 §2: ${implementation}'s combined modes agree with ${source}`, (t) => {
      const cases = read();
      if (cases === undefined) return t.skip(VECTORS_ABSENT);
      for (const known of cases) {
        if (known.additionalData.length > additionalDataMax) continue;
        if (known.isValid) expectSealed(provider, known);
        expectOpened(provider, known);
      }
      assert.ok(cases.length >= atLeast, `${cases.length} cases`);
    });
  }
}

function testCiphers(implementation: string, provider: PacketCryptoProvider): void {
  test(`RFC 2405, RFC 2451, RFC 3602, RFC 3686, RFC 2410: ${implementation}'s ciphers agree with strongSwan and Linux`, (t) => {
    const cases = cipherCases();
    if (cases === undefined) return t.skip(VECTORS_ABSENT);
    for (const known of cases) {
      const cipher = provider.cipher(known.algorithm, known.key);
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
}

function testIntegrity(implementation: string, provider: PacketCryptoProvider): void {
  for (const [source, read, atLeast, algorithmCount] of INTEGRITY_SOURCES) {
    test(`RFC 4868 §2.7, RFC 3566 §4.6, RFC 4494 §5, RFC 4543 §4: ${implementation}'s MACs agree with ${source}`, (t) => {
      const cases = read();
      if (cases === undefined) return t.skip(VECTORS_ABSENT);
      for (const known of cases) expectMac(provider, known);
      const algorithms = new Set(cases.map(({ algorithm }) => algorithm));
      assert.ok(cases.length >= atLeast, `${cases.length} cases`);
      assert.equal(algorithms.size, algorithmCount, [...algorithms].join());
    });
  }
}

function expectSealed(provider: PacketCryptoProvider, known: AeadCase): void {
  const { buffer, start, end, icvEnd } = packet(known.plaintext, known.sealed.length - known.plaintext.length);
  provider.aead(known.algorithm, known.key).seal(known.iv, known.additionalData, buffer, start, end);
  assert.equal(toHex(buffer.subarray(start, icvEnd)), toHex(known.sealed), known.name);
  expectMargins(buffer, start, icvEnd, known.name);
}

function expectOpened(provider: PacketCryptoProvider, known: AeadCase): void {
  const { icvLength } = encryptionTraits(known.algorithm);
  const { buffer, start, end: icvEnd } = packet(known.sealed, 0);
  const end = icvEnd - icvLength;
  const aead = provider.aead(known.algorithm, known.key);
  assert.equal(aead.open(known.iv, known.additionalData, buffer, start, end), known.isValid, known.name);
  if (known.isValid) assert.equal(toHex(buffer.subarray(start, end)), toHex(known.plaintext), known.name);
  expectMargins(buffer, start, icvEnd, known.name);
}

function expectMac(provider: PacketCryptoProvider, known: IntegrityCase): void {
  const integrity = provider.integrity(known.algorithm, known.key);
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

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodeCrypto } from '../../crypto/node-provider.ts';
import { octets, readVectors, VECTORS_ABSENT } from '../../crypto/vectors.fixture.ts';
import { concat, fromHex, toHex, utf8 } from '../../lib/bytes.ts';
import { Secret } from '../../lib/secret.ts';
import type { HashAlgorithm } from '../../model/algorithms.ts';
import { spi } from '../../model/ipsec-sa.ts';
import {
  type Cookies,
  hash1,
  hash2,
  hash3,
  hashI,
  hashR,
  hmacPrf,
  ipsecKeys,
  type Prf,
  phase1Iv,
  phase1Keys,
  phase2Iv,
  skeyidFromPresharedKey,
  skeyidFromSignatures,
  wipeIsakmpKeys,
} from './key-material.ts';

interface CavpFile {
  readonly groups: readonly {
    readonly params: { readonly hash: string };
    readonly tests: readonly CavpCase[];
  }[];
}

interface CavpCase {
  readonly CKY_I: string;
  readonly CKY_R: string;
  readonly Ni: string;
  readonly Nr: string;
  readonly 'g^xy': string;
  readonly 'pre-shared-key'?: string;
  readonly SKEYID: string;
  readonly SKEYID_d: string;
  readonly SKEYID_a: string;
  readonly SKEYID_e: string;
}

const CAVP_HASH: Readonly<Record<string, HashAlgorithm>> = {
  'SHA-1': 'sha1',
  'SHA-256': 'sha-256',
  'SHA-384': 'sha-384',
  'SHA-512': 'sha-512',
};

const CAVP_CASES = 1700;

for (const [method, path] of [
  ['a pre-shared key', 'kdf/ikev1_psk.cavp.json.gz'],
  ['signatures', 'kdf/ikev1_dsa.cavp.json.gz'],
] as const) {
  test(`RFC 2409 §5: SKEYID and what follows from it, with ${method}, agree with NIST's 1,700 cases`, (t) => {
    const file = readVectors<CavpFile>(path);
    if (file === undefined) return t.skip(VECTORS_ABSENT);
    let checked = 0;
    for (const { params, tests } of file.groups) {
      const prf = hmacPrf(nodeCrypto, hashNamed(params.hash));
      for (const vector of tests) {
        const cookies = { initiatorCookie: octets(vector.CKY_I), responderCookie: octets(vector.CKY_R) };
        const nonces = { nonceI: octets(vector.Ni), nonceR: octets(vector.Nr) };
        const gXY = new Secret(octets(vector['g^xy']));
        const presharedKey = vector['pre-shared-key'];
        const skeyid =
          presharedKey === undefined
            ? skeyidFromSignatures(prf, nonces, gXY)
            : skeyidFromPresharedKey(prf, new Secret(octets(presharedKey)), nonces);
        const keys = phase1Keys(prf, 'des-cbc', skeyid, gXY, cookies);
        assert.equal(toHex(keys.skeyid.reveal()), vector.SKEYID);
        assert.equal(toHex(keys.skeyidD.reveal()), vector.SKEYID_d);
        assert.equal(toHex(keys.skeyidA.reveal()), vector.SKEYID_a);
        assert.equal(toHex(keys.skeyidE.reveal()), vector.SKEYID_e);
        assert.equal(toHex(keys.cipherKey.reveal()), vector.SKEYID_e.slice(0, 16));
        checked++;
      }
    }
    assert.equal(checked, CAVP_CASES);
  });
}

interface NssFile {
  readonly vectors: readonly { test_type: string; prf: string; ikm: string; okm: string; size: number }[];
}

const NSS_HASH: Readonly<Record<string, HashAlgorithm>> = {
  sha1: 'sha1',
  sha256: 'sha-256',
  sha384: 'sha-384',
  sha512: 'sha-512',
};

test('RFC 2409 Appendix B: the key of the cipher, from SKEYID_e or expanded from it, agrees with NSS', (t) => {
  const file = readVectors<NssFile>('kdf/nss-ike-gtest.json');
  if (file === undefined) return t.skip(VECTORS_ABSENT);
  let checked = 0;
  for (const vector of file.vectors.filter((each) => each.test_type === 'ikeV1AppB')) {
    const hash = NSS_HASH[vector.prf];
    if (hash === undefined) continue;
    for (const [cipher, length] of [
      ['3des-cbc', 24],
      ['aes-128-cbc', 16],
      ['aes-256-cbc', 32],
    ] as const) {
      if (vector.size < length) continue;
      // NSS expands where it was asked for more than SKEYID_e holds; we, only where the cipher asks.
      const skeyidE = octets(vector.ikm);
      if (skeyidE.length < vector.size !== skeyidE.length < length) continue;
      const key = cipherKeyFrom(hmacPrf(nodeCrypto, hash), skeyidE, cipher);
      assert.equal(toHex(key), vector.okm.slice(0, length * 2));
      checked++;
    }
  }
  assert.equal(checked, 13);
});

test('RFC 2409 Appendix B: Ka is prf(SKEYID_e, 0) | prf(SKEYID_e, K1), cut to the key', () => {
  const skeyidE = utf8('sixteen octets !');
  const hmac = (...data: Uint8Array[]) => nodeCrypto.hmac('md5', skeyidE, ...data);
  const k1 = hmac(Uint8Array.of(0));
  const ka = concat(k1, hmac(k1));
  const prf = hmacPrf(nodeCrypto, 'md5');
  assert.deepEqual(cipherKeyFrom(prf, skeyidE, '3des-cbc'), ka.slice(0, 24));
  assert.deepEqual(cipherKeyFrom(prf, skeyidE, 'aes-256-cbc'), ka);
  assert.deepEqual(cipherKeyFrom(prf, skeyidE, 'aes-128-cbc'), skeyidE);
});

const NONCES = { nonceI: utf8('nonce of I'), nonceR: utf8('the nonce of R') };
const COOKIES: Cookies = { initiatorCookie: fromHex('0102030405060708'), responderCookie: fromHex('1112131415161718') };
const PUBLIC = { gXI: utf8('public of I'), gXR: utf8('public of R') };

/** A function that shows what it was given, so that a test can read the order of the parts. */
const showing: Prf = (key, ...data) => concat(key, utf8('('), ...data, utf8(')'));

test('RFC 2409 §5: HASH_I and HASH_R swap public values and cookies, and both cover the initiator’s SA payload', () => {
  const skeyid = new Secret(utf8('K'));
  const [ckyI, ckyR] = [COOKIES.initiatorCookie, COOKIES.responderCookie];
  const [sa, id] = [utf8('SAi_b'), utf8('ID_b')];
  assert.deepEqual(
    hashI(showing, skeyid, PUBLIC, COOKIES, sa, id),
    showing(utf8('K'), PUBLIC.gXI, PUBLIC.gXR, ckyI, ckyR, sa, id),
  );
  assert.deepEqual(
    hashR(showing, skeyid, PUBLIC, COOKIES, sa, id),
    showing(utf8('K'), PUBLIC.gXR, PUBLIC.gXI, ckyR, ckyI, sa, id),
  );
});

test('RFC 2409 §5.5: HASH(1), HASH(2) and HASH(3) cover what they should, in order', () => {
  const skeyidA = new Secret(utf8('A'));
  const payloads = utf8('SA, Ni, IDci, IDcr');
  const messageId = fromHex('f0010203');
  assert.deepEqual(hash1(showing, skeyidA, 0xf0010203, payloads), showing(utf8('A'), messageId, payloads));
  assert.deepEqual(
    hash2(showing, skeyidA, 0xf0010203, NONCES.nonceI, payloads),
    showing(utf8('A'), messageId, NONCES.nonceI, payloads),
  );
  assert.deepEqual(
    hash3(showing, skeyidA, 0xf0010203, NONCES),
    showing(utf8('A'), Uint8Array.of(0), messageId, NONCES.nonceI, NONCES.nonceR),
  );
});

test('RFC 2409 §5.5: KEYMAT feeds each block into the next, with g(qm)^xy first where there is one', () => {
  const skeyidD = utf8('twenty octets of key');
  const prf = (...data: Uint8Array[]) => nodeCrypto.hmac('sha1', skeyidD, ...data);
  for (const gQmXY of [undefined, utf8('another secret')]) {
    const seed = concat(gQmXY ?? new Uint8Array(), fromHex('03c0ffee01'), NONCES.nonceI, NONCES.nonceR);
    const k1 = prf(seed);
    const k2 = prf(k1, seed);
    const expected = concat(k1, k2, prf(k2, seed));
    const keys = ipsecKeys(
      hmacPrf(nodeCrypto, 'sha1'),
      new Secret(skeyidD),
      { protocol: 'esp', spi: spi(0xc0ffee01), nonces: NONCES, ...(gQmXY && { gQmXY: new Secret(gQmXY) }) },
      'aes-256-cbc',
      'hmac-sha1-96',
    );
    assert.deepEqual(keys.encryptionKey, expected.slice(0, 32));
    assert.deepEqual(keys.integrityKey, expected.slice(32, 52));
  }
});

test('RFC 4106 §8.1: the salt comes right after the key; RFC 2407 §4.4.1: AH is protocol 2, with no encryption key', () => {
  const prf = hmacPrf(nodeCrypto, 'sha-256');
  const skeyidD = new Secret(utf8('D'));
  const purpose = { protocol: 'esp', spi: spi(0x1000), nonces: NONCES } as const;
  const gcm = ipsecKeys(prf, skeyidD, purpose, 'aes-128-gcm', 'none');
  assert.deepEqual(gcm.encryptionKey, prf(utf8('D'), fromHex('0300001000'), NONCES.nonceI, NONCES.nonceR).slice(0, 20));
  assert.equal(gcm.integrityKey.length, 0);
  const ah = ipsecKeys(prf, skeyidD, { ...purpose, protocol: 'ah' }, 'null', 'hmac-sha-256-128');
  assert.equal(ah.encryptionKey.length, 0);
  assert.deepEqual(ah.integrityKey, prf(utf8('D'), fromHex('0200001000'), NONCES.nonceI, NONCES.nonceR));
});

test('RFC 2409 Appendix B: IVs are hashes cut to the block', () => {
  assert.deepEqual(
    phase1Iv(nodeCrypto, 'sha1', '3des-cbc', PUBLIC),
    nodeCrypto.hash('sha1', PUBLIC.gXI, PUBLIC.gXR).slice(0, 8),
  );
  const block = utf8('the last block !');
  assert.deepEqual(
    phase2Iv(nodeCrypto, 'md5', 'aes-256-cbc', block, 0x80000001),
    nodeCrypto.hash('md5', block, fromHex('80000001')),
  );
});

test('the keys of an ended SA are overwritten', () => {
  const prf = hmacPrf(nodeCrypto, 'sha1');
  const keys = phase1Keys(prf, 'aes-256-cbc', new Secret(utf8('skeyid')), new Secret(utf8('gxy')), COOKIES);
  wipeIsakmpKeys(keys);
  for (const key of [keys.skeyidD, keys.skeyidA, keys.cipherKey]) assert.ok(key.reveal().every((octet) => octet === 0));
});

/** The cipher's key from a given SKEYID_e, by a function that gives that as every derived secret. */
function cipherKeyFrom(prf: Prf, skeyidE: Uint8Array, cipher: '3des-cbc' | 'aes-128-cbc' | 'aes-256-cbc'): Uint8Array {
  const marker = utf8('SKEYID');
  const fixed: Prf = (key, ...data) => (toHex(key) === toHex(marker) ? skeyidE.slice() : prf(key, ...data));
  return phase1Keys(fixed, cipher, new Secret(marker), new Secret(new Uint8Array()), COOKIES).cipherKey.reveal();
}

function hashNamed(name: string): HashAlgorithm {
  const hash = CAVP_HASH[name];
  assert.ok(hash !== undefined, `CAVP's hash ${name}`);
  return hash;
}

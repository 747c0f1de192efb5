import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concat, fromHex, toHex, utf8 } from '../lib/bytes.ts';
import { ENCRYPTION, type HashAlgorithm } from '../model/algorithms.ts';
import { nodeCrypto, systemRandom } from './node-provider.ts';
import type { CbcAlgorithm } from './provider.ts';
import { octets, readVectors, VECTORS_ABSENT, type Wycheproof } from './vectors.fixture.ts';

interface StrongswanFiles {
  readonly files: {
    readonly des: readonly StrongswanVector[];
    readonly '3des_cbc': readonly StrongswanVector[];
    readonly aes_cbc: readonly StrongswanVector[];
  } & Readonly<Record<string, readonly StrongswanVector[]>>;
}

interface StrongswanVector {
  readonly alg: string;
  readonly key: string;
  readonly iv: string;
  readonly plain: string;
  readonly cipher: string;
  readonly data: string;
  readonly seed: string;
  readonly hash: string;
  readonly mac: string;
  readonly out: string;
  readonly _name: string;
}

interface LinuxVector {
  readonly key?: string;
  readonly iv?: string;
  readonly ptext?: string;
  readonly ctext?: string;
  readonly wk?: number;
}

interface LinuxFile {
  readonly templates: {
    readonly des_tv_template: readonly LinuxVector[];
    readonly des_cbc_tv_template: readonly LinuxVector[];
    readonly des3_ede_cbc_tv_template: readonly LinuxVector[];
    readonly aes_cbc_tv_template: readonly LinuxVector[];
  };
}

const STRONGSWAN = 'crypto/strongswan-test-vectors.json';
const LINUX = 'crypto/linux-testmgr-ipsec.json';

const HASH_NAMES: Readonly<Record<string, HashAlgorithm>> = {
  HASH_MD5: 'md5',
  HASH_SHA1: 'sha1',
  HASH_SHA256: 'sha-256',
  HASH_SHA384: 'sha-384',
  HASH_SHA512: 'sha-512',
};

const PRF_NAMES: Readonly<Record<string, HashAlgorithm>> = {
  PRF_HMAC_MD5: 'md5',
  PRF_HMAC_SHA1: 'sha1',
  PRF_HMAC_SHA2_256: 'sha-256',
  PRF_HMAC_SHA2_384: 'sha-384',
  PRF_HMAC_SHA2_512: 'sha-512',
};

test('RFC 1321, RFC 3174, RFC 4634: hashes of known data, in one part or several', (t) => {
  const file = readVectors<StrongswanFiles>(STRONGSWAN);
  if (file === undefined) return t.skip(VECTORS_ABSENT);
  let checked = 0;
  for (const vector of Object.values(file.files).flat()) {
    const algorithm = HASH_NAMES[vector.alg];
    if (algorithm === undefined) continue;
    const data = octets(vector.data);
    assert.equal(toHex(nodeCrypto.hash(algorithm, data)), vector.hash, vector._name);
    assert.equal(toHex(nodeCrypto.hash(algorithm, data.subarray(0, 3), data.subarray(3))), vector.hash, vector._name);
    checked++;
  }
  assert.equal(checked, 20);
});

test('RFC 2202, RFC 4231, RFC 4868 §2.7: HMACs as IKE uses them', (t) => {
  const file = readVectors<StrongswanFiles>(STRONGSWAN);
  if (file === undefined) return t.skip(VECTORS_ABSENT);
  const checked = new Set<string>();
  for (const vector of Object.values(file.files).flat()) {
    const algorithm = PRF_NAMES[vector.alg];
    if (algorithm === undefined) continue;
    const data = octets(vector.data ?? vector.seed);
    const whole = toHex(nodeCrypto.hmac(algorithm, octets(vector.key), data));
    assert.equal(whole, vector.mac ?? vector.out, vector._name);
    assert.equal(toHex(nodeCrypto.hmac(algorithm, octets(vector.key), data.subarray(0, 5), data.subarray(5))), whole);
    checked.add(vector.alg);
  }
  assert.equal(checked.size, Object.keys(PRF_NAMES).length);
});

const WYCHEPROOF_HMAC = [
  ['sha1', 'crypto/wycheproof/hmac_sha1_test.json.gz'],
  ['sha-256', 'crypto/wycheproof/hmac_sha256_test.json.gz'],
  ['sha-384', 'crypto/wycheproof/hmac_sha384_test.json.gz'],
  ['sha-512', 'crypto/wycheproof/hmac_sha512_test.json.gz'],
] as const;

for (const [algorithm, path] of WYCHEPROOF_HMAC) {
  test(`RFC 2104 §2: HMAC with ${algorithm} agrees with Wycheproof`, (t) => {
    const file = readVectors<Wycheproof<{ tagSize: number }, { key: string; msg: string; tag: string }>>(path);
    if (file === undefined) return t.skip(VECTORS_ABSENT);
    for (const { tagSize, tests } of file.testGroups)
      for (const vector of tests) {
        const computed = nodeCrypto.hmac(algorithm, octets(vector.key), octets(vector.msg));
        const isEqual = toHex(computed.subarray(0, tagSize / 8)) === vector.tag;
        assert.equal(isEqual, vector.result === 'valid', `${vector.tcId} ${vector.comment}`);
      }
  });
}

test('RFC 2409 Appendix B: CBC with DES, triple DES and AES agrees with strongSwan, Linux and NIST', (t) => {
  const strongswan = readVectors<StrongswanFiles>(STRONGSWAN);
  const linux = readVectors<LinuxFile>(LINUX);
  if (strongswan === undefined || linux === undefined) return t.skip(VECTORS_ABSENT);
  const cases: [CbcAlgorithm, string, string, string, string][] = [];
  for (const vector of [...strongswan.files['3des_cbc'], ...strongswan.files.aes_cbc])
    cases.push([cbcName(vector.alg, vector.key), vector.key, vector.iv, vector.plain, vector.cipher]);
  for (const [template, name] of [
    ['des_cbc_tv_template', 'des'],
    ['des3_ede_cbc_tv_template', '3des'],
    ['aes_cbc_tv_template', 'aes'],
  ] as const)
    for (const { key = '', iv = '', ptext = '', ctext = '' } of linux.templates[template])
      cases.push([cbcName(name, key), key, iv, ptext, ctext]);
  assert.equal(cases.length, 20);
  for (const [algorithm, key, iv, plaintext, ciphertext] of cases) {
    // One of Linux's triple DES cases has an IV longer than the block.
    const [k, v] = [fromHex(key), fromHex(iv).subarray(0, ENCRYPTION[algorithm].ivLength)];
    assert.equal(toHex(nodeCrypto.encryptCbc(algorithm, k, v, fromHex(plaintext))), ciphertext);
    assert.equal(toHex(nodeCrypto.decryptCbc(algorithm, k, v, fromHex(ciphertext))), plaintext);
  }
});

test('FIPS 46-3: single DES, made of triple DES, gives single DES’s known blocks', (t) => {
  const strongswan = readVectors<StrongswanFiles>(STRONGSWAN);
  const linux = readVectors<LinuxFile>(LINUX);
  if (strongswan === undefined || linux === undefined) return t.skip(VECTORS_ABSENT);
  let checked = 0;
  const blocks = [
    ...strongswan.files.des.map(({ key, plain, cipher }) => [key, plain, cipher] as const),
    ...linux.templates.des_tv_template
      // Linux refuses this key, so what it would encrypt to is not there.
      .filter(({ wk }) => wk === undefined)
      .map(({ key, ptext, ctext }) => [key, ptext, ctext] as const),
  ];
  for (const [key, plaintext, ciphertext] of blocks) {
    // One block of CBC with an IV of zero is the block cipher itself.
    const first = octets(plaintext).subarray(0, 8);
    const encrypted = nodeCrypto.encryptCbc('des-cbc', octets(key), new Uint8Array(8), first);
    assert.equal(toHex(encrypted), ciphertext?.slice(0, 16));
    checked++;
  }
  assert.equal(checked, 12);
});

test('CBC refuses what is not whole blocks, and keys that are not its algorithm’s: both are our mistakes', () => {
  const [key, iv] = [new Uint8Array(16), new Uint8Array(16)];
  assert.throws(() => nodeCrypto.encryptCbc('aes-128-cbc', key, iv, new Uint8Array(15)), /whole blocks/);
  assert.throws(() => nodeCrypto.decryptCbc('aes-128-cbc', key, iv, new Uint8Array(17)), /whole blocks/);
  assert.throws(() => nodeCrypto.encryptCbc('aes-256-cbc', key, iv, new Uint8Array(16)), /key of its own length/);
  assert.equal(nodeCrypto.encryptCbc('aes-128-cbc', key, iv, new Uint8Array()).length, 0);
});

test('random octets are as many as asked for, owned by the caller, and not the same twice', () => {
  const [a, b] = [systemRandom.bytes(32), systemRandom.bytes(32)];
  assert.equal(a.length, 32);
  assert.notDeepEqual(a, b);
  assert.equal(systemRandom.bytes(0).length, 0);
});

test('random octets are handed out once, whatever the lengths asked for', () => {
  const seen = new Set<string>();
  for (let round = 0; round < 300; round++) {
    for (const length of [16, 500, 24, 600, 512, 40]) {
      const drawn = systemRandom.bytes(length);
      assert.equal(drawn.length, length);
      // A window of 8 octets comes twice by chance once in 2^33 runs of this test.
      for (let at = 0; at + 8 <= length; at += 8) {
        const window = toHex(drawn.subarray(at, at + 8));
        assert.ok(!seen.has(window), `${window} came twice`);
        seen.add(window);
      }
    }
  }
});

test('a result is a plain array of its own, not a view into a pool that others see', () => {
  for (const result of [
    nodeCrypto.hash('md5', utf8('abc')),
    nodeCrypto.hmac('md5', utf8('k'), utf8('abc')),
    nodeCrypto.encryptCbc('des-cbc', utf8('8 octets'), new Uint8Array(8), concat(utf8('8 octets'), utf8('8 octets'))),
    systemRandom.bytes(8),
  ]) {
    assert.equal(Object.getPrototypeOf(result), Uint8Array.prototype);
    assert.equal(result.buffer.byteLength, result.length);
  }
});

function cbcName(family: string, key: string): CbcAlgorithm {
  if (family === 'des') return 'des-cbc';
  if (/3des/i.test(family)) return '3des-cbc';
  return key.length === 32 ? 'aes-128-cbc' : key.length === 48 ? 'aes-192-cbc' : 'aes-256-cbc';
}

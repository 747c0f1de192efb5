import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concat, toHex } from '../lib/bytes.ts';
import { SeededRandom } from '../lib/random.ts';
import { DH_GROUPS, type DhGroup } from '../model/algorithms.ts';
import type { ComputeResult } from '../model/compute-job.ts';
import { computeDiffieHellman, drawPrivateValue, isSupportedDhGroup } from './diffie-hellman.ts';
import { MODP_GROUPS } from './modp-groups.ts';
import { octets, readVectors, VECTORS_ABSENT, type Wycheproof } from './vectors.fixture.ts';

const GROUPS = Object.keys(DH_GROUPS).filter(isGroup);

function isGroup(name: string): name is DhGroup {
  return name in DH_GROUPS;
}

function compute(group: DhGroup, privateValue: Uint8Array, peerPublicValue?: Uint8Array): ComputeResult {
  return computeDiffieHellman({
    id: 1,
    kind: 'diffie-hellman',
    group,
    privateValue,
    ...(peerPublicValue && { peerPublicValue }),
  });
}

interface GroupVector {
  readonly ike_group: number;
  readonly priv_i: string;
  readonly priv_r: string;
  readonly pub_i: string;
  readonly pub_r: string;
  readonly shared: string;
}

test('RFC 5114 Appendix A, RFC 5903 §8, RFC 6932 Appendix A and more: both sides of every group give the known values', (t) => {
  const file = readVectors<{ vectors: readonly GroupVector[] }>('dh/ike-dh-strongswan.json');
  if (file === undefined) return t.skip(VECTORS_ABSENT);
  const seen = new Set<DhGroup>();
  for (const vector of file.vectors) {
    const group = `group${vector.ike_group}`;
    // X25519 and X448 are not for IKEv1.
    if (!isGroup(group)) continue;
    seen.add(group);
    for (const [ours, ourPublic, theirs] of [
      [vector.priv_i, vector.pub_i, vector.pub_r],
      [vector.priv_r, vector.pub_r, vector.pub_i],
    ] as const) {
      const result = compute(group, octets(ours), octets(theirs));
      assert.ok(result.kind === 'diffie-hellman', group);
      assert.equal(toHex(result.publicValue), ourPublic, group);
      assert.equal(result.sharedSecret && toHex(result.sharedSecret), vector.shared, group);
    }
  }
  assert.deepEqual(
    GROUPS.filter((group) => !seen.has(group)),
    [],
  );
});

/** Wycheproof's files for our curves; of the slow ones, one valid case in so many is enough. */
const WYCHEPROOF = [
  { group: 'group26', path: 'dh/wycheproof/ecdh_secp224r1_ecpoint_test.json.gz', stride: 1 },
  { group: 'group19', path: 'dh/wycheproof/ecdh_secp256r1_ecpoint_test.json.gz', stride: 1 },
  { group: 'group20', path: 'dh/wycheproof/ecdh_secp384r1_ecpoint_test.json.gz', stride: 7 },
  { group: 'group21', path: 'dh/wycheproof/ecdh_secp521r1_ecpoint_test.json.gz', stride: 13 },
  { group: 'group27', path: 'dh/wycheproof/ecdh_brainpoolP224r1_test.json.gz', stride: 3 },
  { group: 'group28', path: 'dh/wycheproof/ecdh_brainpoolP256r1_test.json.gz', stride: 3 },
  { group: 'group29', path: 'dh/wycheproof/ecdh_brainpoolP384r1_test.json.gz', stride: 7 },
  { group: 'group30', path: 'dh/wycheproof/ecdh_brainpoolP512r1_test.json.gz', stride: 13 },
] as const;

interface EcdhCase {
  readonly public: string;
  readonly private: string;
  readonly shared: string;
}

for (const { group, path, stride } of WYCHEPROOF) {
  test(`RFC 6989 §2.3: ${group} agrees with Wycheproof, and refuses points that are not on the curve`, (t) => {
    const file = readVectors<Wycheproof<{ encoding: string }, EcdhCase>>(path);
    if (file === undefined) return t.skip(VECTORS_ABSENT);
    let validCount = 0;
    let invalidCount = 0;
    for (const { encoding, tests } of file.testGroups) {
      for (const vector of tests) {
        // Whether a key names its curve rightly is not a question that a KE payload asks; nor can it carry compressed points.
        const isAboutPoints = encoding === 'ecpoint' || vector.flags.includes('InvalidCurveAttack');
        const isCompressed = vector.flags.some((flag) => flag.startsWith('Compressed'));
        const isOffCurve = vector.result === 'invalid' && isAboutPoints && !isCompressed;
        if (vector.result !== 'valid' && !isOffCurve) continue;
        if (vector.result === 'valid' && validCount++ % stride !== 0) continue;
        const encoded = octets(vector.public);
        const { publicLength } = DH_GROUPS[group];
        const point = encoding === 'ecpoint' ? encoded.subarray(1) : encoded.subarray(-publicLength);
        const result = compute(group, octets(vector.private), point);
        if (isOffCurve) {
          invalidCount++;
          assert.equal(result.kind, 'invalid-public-value', `${vector.tcId} ${vector.comment}`);
        } else {
          assert.ok(result.kind === 'diffie-hellman', `${vector.tcId} ${vector.comment}`);
          assert.equal(result.sharedSecret && toHex(result.sharedSecret), vector.shared, `${vector.tcId}`);
        }
      }
    }
    assert.ok(validCount > 100 && invalidCount >= 16, `${validCount} valid and ${invalidCount} invalid cases`);
  });
}

test('RFC 2409 §5: two who draw their own private values share a secret, of the group’s full length', () => {
  const random = new SeededRandom(7);
  for (const group of GROUPS) {
    assert.ok(isSupportedDhGroup(group), group);
    const { kind, publicLength } = DH_GROUPS[group];
    const [a, b] = [drawPrivateValue(group, random), drawPrivateValue(group, random)];
    assert.notDeepEqual(a, b);
    const publicA = compute(group, a);
    const publicB = compute(group, b);
    assert.ok(publicA.kind === 'diffie-hellman' && publicB.kind === 'diffie-hellman');
    assert.equal(publicA.sharedSecret, undefined);
    assert.equal(publicA.publicValue.length, publicLength);
    const secretA = compute(group, a, publicB.publicValue);
    const secretB = compute(group, b, publicA.publicValue);
    assert.ok(secretA.kind === 'diffie-hellman' && secretB.kind === 'diffie-hellman');
    assert.deepEqual(secretA, { ...publicA, sharedSecret: secretB.sharedSecret });
    assert.equal(secretA.sharedSecret?.length, kind === 'ecp' ? publicLength / 2 : publicLength);
  }
});

test('RFC 5903 §7: a shared secret that starts with zeros keeps them', () => {
  const random = new SeededRandom(11);
  let found = 0;
  for (let attempt = 0; attempt < 3000 && found === 0; attempt++) {
    const a = drawPrivateValue('group19', random);
    const peer = compute('group19', drawPrivateValue('group19', random));
    assert.ok(peer.kind === 'diffie-hellman');
    const result = compute('group19', a, peer.publicValue);
    assert.ok(result.kind === 'diffie-hellman' && result.sharedSecret?.length === 32);
    if (result.sharedSecret[0] === 0) found++;
  }
  assert.equal(found, 1);
});

test('RFC 6989 §2.1: zero, one, p-1, p and what is above it are no public values, nor is any of the wrong length', () => {
  for (const group of GROUPS.filter((each) => DH_GROUPS[each].kind === 'modp')) {
    const { publicLength } = DH_GROUPS[group];
    const ours = drawPrivateValue(group, new SeededRandom(3));
    const prime = primeOf(group);
    const refused = [0n, 1n, prime - 1n, prime, prime + 1n, 2n ** BigInt(publicLength * 8) - 1n];
    for (const value of refused) {
      const result = compute(group, ours, fromInteger(value, publicLength));
      assert.equal(result.kind, 'invalid-public-value', `${group} ${value === prime - 1n ? 'p-1' : value}`);
    }
    const good = compute(group, drawPrivateValue(group, new SeededRandom(4)));
    assert.ok(good.kind === 'diffie-hellman');
    const wrongLengths = [
      good.publicValue.subarray(1),
      concat(Uint8Array.of(0), good.publicValue),
      new Uint8Array(),
    ] as const;
    for (const value of wrongLengths) assert.equal(compute(group, ours, value).kind, 'invalid-public-value', group);
  }
});

test('RFC 6989 §2.2: in the groups with small subgroups, a value outside the large one is refused', () => {
  for (const group of ['group22', 'group23', 'group24'] as const) {
    const ours = drawPrivateValue(group, new SeededRandom(5));
    // Two generates more than the subgroup of order q in all three groups: 2^q is not 1.
    const result = compute(group, ours, fromInteger(2n, DH_GROUPS[group].publicLength));
    assert.equal(result.kind, 'invalid-public-value', group);
  }
});

test('a private value never is zero, nor as large as the subgroup that it exponentiates in', () => {
  const ones = { bytes: (length: number) => new Uint8Array(length).fill(0xff) };
  const zeros = { bytes: (length: number) => new Uint8Array(length) };
  // Group 21's order starts with 0x01ff: a draw is masked to its bits, or one in 128 would fit.
  assert.ok(drawPrivateValue('group21', new SeededRandom(1)).every((_, index, all) => index > 0 || (all[0] ?? 2) <= 1));
  for (const group of ['group19', 'group22', 'group30'] as const) {
    assert.throws(() => drawPrivateValue(group, ones), /gives every number a chance/);
    assert.throws(() => drawPrivateValue(group, zeros), /gives every number a chance/);
  }
  assert.equal(drawPrivateValue('group14', zeros)[0], 0x80);
});

test('a point that is not on the curve does not spoil the computation after it', () => {
  const ours = drawPrivateValue('group20', new SeededRandom(6));
  const peer = compute('group20', drawPrivateValue('group20', new SeededRandom(8)));
  assert.ok(peer.kind === 'diffie-hellman');
  const before = compute('group20', ours, peer.publicValue);
  const bad = peer.publicValue.slice();
  bad[bad.length - 1] = (bad[bad.length - 1] ?? 0) ^ 1;
  assert.equal(compute('group20', ours, bad).kind, 'invalid-public-value');
  assert.equal(compute('group20', ours, new Uint8Array(96)).kind, 'invalid-public-value');
  assert.deepEqual(compute('group20', ours, peer.publicValue), before);
});

/** p, from RFC 3526's formulas rather than from the code under test, where there is one. */
function primeOf(group: DhGroup): bigint {
  const known: Readonly<Record<string, { readonly prime: string }>> = MODP_GROUPS;
  const text = known[group]?.prime;
  const prime = text === undefined ? RFC3526_PRIMES[group] : BigInt(`0x${text}`);
  assert.ok(prime !== undefined, group);
  return prime;
}

/** 2^n - 2^(n-64) - 1 + 2^64 * ([2^(n-130) pi] + c) (RFC 3526 §2 to §7). */
const RFC3526_PRIMES: Readonly<Record<string, bigint>> = {
  group5: rfc3526Prime(1536n, 741_804n),
  group14: rfc3526Prime(2048n, 124_476n),
  group15: rfc3526Prime(3072n, 1_690_314n),
  group16: rfc3526Prime(4096n, 240_904n),
  group17: rfc3526Prime(6144n, 929_484n),
  group18: rfc3526Prime(8192n, 4_743_158n),
};

function rfc3526Prime(bits: bigint, offset: bigint): bigint {
  return 2n ** bits - 2n ** (bits - 64n) - 1n + 2n ** 64n * (piTimesPowerOfTwo(bits - 130n) + offset);
}

/** The whole part of pi * 2^bits, by Machin's formula. */
function piTimesPowerOfTwo(bits: bigint): bigint {
  const guard = 64n;
  const one = 2n ** (bits + guard);
  return (4n * (4n * arctangentOfInverse(5n, one) - arctangentOfInverse(239n, one))) >> guard;
}

function arctangentOfInverse(x: bigint, one: bigint): bigint {
  let power = one / x;
  let sum = power;
  for (let n = 3n, sign = -1n; power > 0n; n += 2n, sign = -sign) {
    power /= x * x;
    sum += (sign * power) / n;
  }
  return sum;
}

function fromInteger(value: bigint, length: number): Uint8Array {
  const text = value.toString(16).padStart(length * 2, '0');
  return octets(text);
}

// Diffie-Hellman for IKE: modular groups (RFC 2409 §6, RFC 3526, RFC 5114) and elliptic curves (RFC 5903, RFC 5114, RFC 6932).
// Synchronous and slow: milliseconds for the larger groups, so the host runs it on threads.

import { createDiffieHellman, createECDH, type DiffieHellman, getCurves, getDiffieHellman } from 'node:crypto';
import { concat, fromHex, toHex } from '../lib/bytes.ts';
import { invariant } from '../lib/invariant.ts';
import type { RandomSource } from '../lib/random.ts';
import { DH_GROUPS, type DhGroup } from '../model/algorithms.ts';
import type { ComputeJob, ComputeResult } from '../model/compute-job.ts';
import { MODP_GROUPS } from './modp-groups.ts';

interface Modp {
  readonly kind: 'modp';
  /** The prime and generator, in hexadecimal. */
  readonly parameters: () => { readonly prime: string; readonly generator: string };
  /** Octets of private value, or the subgroup's order where it is small. */
  readonly privateValue: { readonly length: number } | { readonly order: string };
}

interface Ecp {
  readonly kind: 'ecp';
  /** OpenSSL's name. */
  readonly curve: string;
  /** Number of points, in hexadecimal. */
  readonly order: string;
}

/**
 * Exponents are twice as long as RFC 3526 §8's higher estimate of the group's strength (which puts group 5 at 120 bits), rounded
 * up to octets; groups 1 and 2, which it leaves out, get as much as group 5. A longer one would cost time and add nothing.
 */
const GROUPS = {
  group1: { kind: 'modp', parameters: () => MODP_GROUPS.group1, privateValue: { length: 30 } },
  group2: { kind: 'modp', parameters: () => MODP_GROUPS.group2, privateValue: { length: 30 } },
  group5: { kind: 'modp', parameters: () => wellKnown('modp5'), privateValue: { length: 30 } },
  group14: { kind: 'modp', parameters: () => wellKnown('modp14'), privateValue: { length: 40 } },
  group15: { kind: 'modp', parameters: () => wellKnown('modp15'), privateValue: { length: 53 } },
  group16: { kind: 'modp', parameters: () => wellKnown('modp16'), privateValue: { length: 60 } },
  group17: { kind: 'modp', parameters: () => wellKnown('modp17'), privateValue: { length: 68 } },
  group18: { kind: 'modp', parameters: () => wellKnown('modp18'), privateValue: { length: 78 } },
  group19: {
    kind: 'ecp',
    curve: 'prime256v1',
    order: 'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551',
  },
  group20: {
    kind: 'ecp',
    curve: 'secp384r1',
    order: 'ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973',
  },
  group21: {
    kind: 'ecp',
    curve: 'secp521r1',
    order:
      '01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409',
  },
  group22: { kind: 'modp', parameters: () => MODP_GROUPS.group22, privateValue: { order: MODP_GROUPS.group22.order } },
  group23: { kind: 'modp', parameters: () => MODP_GROUPS.group23, privateValue: { order: MODP_GROUPS.group23.order } },
  group24: { kind: 'modp', parameters: () => MODP_GROUPS.group24, privateValue: { order: MODP_GROUPS.group24.order } },
  group25: { kind: 'ecp', curve: 'prime192v1', order: 'ffffffffffffffffffffffff99def836146bc9b1b4d22831' },
  group26: { kind: 'ecp', curve: 'secp224r1', order: 'ffffffffffffffffffffffffffff16a2e0b8f03e13dd29455c5c2a3d' },
  group27: { kind: 'ecp', curve: 'brainpoolP224r1', order: 'd7c134aa264366862a18302575d0fb98d116bc4b6ddebca3a5a7939f' },
  group28: {
    kind: 'ecp',
    curve: 'brainpoolP256r1',
    order: 'a9fb57dba1eea9bc3e660a909d838d718c397aa3b561a6f7901e0e82974856a7',
  },
  group29: {
    kind: 'ecp',
    curve: 'brainpoolP384r1',
    order: '8cb91e82a3386d280f5d6f7e50e641df152f7109ed5456b31f166e6cac0425a7cf3ab6af6b7fc3103b883202e9046565',
  },
  group30: {
    kind: 'ecp',
    curve: 'brainpoolP512r1',
    order:
      'aadd9db8dbe9c48b3fd4e6ae33c9fc07cb308db3b3c9d20ed6639cca70330870553e5c414ca92619418661197fac10471db1d381085ddaddb58796829ca90069',
  },
} as const satisfies Record<DhGroup, Modp | Ecp>;

const CURVES: ReadonlySet<string> = new Set(getCurves());

/** Whether this Node can compute in the group: some builds of OpenSSL leave out curves. */
export function isSupportedDhGroup(group: DhGroup): boolean {
  const definition = GROUPS[group];
  return definition.kind === 'modp' || CURVES.has(definition.curve);
}

/** A fresh private value for the group, big-endian, that the caller owns. Draw one for each exchange (RFC 6989 §2.2). */
export function drawPrivateValue(group: DhGroup, random: RandomSource): Uint8Array {
  const definition = GROUPS[group];
  if (definition.kind === 'ecp') return drawBelow(fromHex(definition.order), random);
  const { privateValue } = definition;
  if ('order' in privateValue) return drawBelow(fromHex(privateValue.order), random);
  const drawn = random.bytes(privateValue.length);
  // With its first bit set a private value is never 0, and always takes the same time.
  drawn[0] = (drawn[0] ?? 0) | 0x80;
  return drawn;
}

/** Our public value and, if the job brings the peer's, the shared secret, both of the group's fixed length. Throws if the group is not supported. */
export function computeDiffieHellman(job: ComputeJob): ComputeResult {
  const definition = GROUPS[job.group];
  const { peerPublicValue } = job;
  if (peerPublicValue !== undefined && peerPublicValue.length !== DH_GROUPS[job.group].publicLength)
    return { kind: 'invalid-public-value' };
  return definition.kind === 'modp' ? computeModp(job, definition) : computeEcp(job, definition);
}

function computeModp(job: ComputeJob, definition: Modp): ComputeResult {
  const { publicLength } = DH_GROUPS[job.group];
  const { peerPublicValue } = job;
  const dh = modpGroup(job.group, definition);
  if (peerPublicValue !== undefined && !isModpPublicValue(peerPublicValue, dh.getPrime(), definition))
    return { kind: 'invalid-public-value' };
  dh.setPrivateKey(job.privateValue);
  const publicValue = padLeft(dh.generateKeys(), publicLength);
  const sharedSecret = peerPublicValue && padLeft(dh.computeSecret(peerPublicValue), publicLength);
  // The object stays for the next exchange; this exchange's private value must not.
  dh.setPrivateKey(Uint8Array.of(1));
  return { kind: 'diffie-hellman', publicValue, ...(sharedSecret && { sharedSecret }) };
}

const modpGroups = new Map<DhGroup, DiffieHellman>();

/** One object a group, kept: making one tests the prime unless OpenSSL knows it, 30 ms for group 2 against 0.1 ms of use. */
function modpGroup(group: DhGroup, definition: Modp): DiffieHellman {
  const known = modpGroups.get(group);
  if (known !== undefined) return known;
  const { prime, generator } = definition.parameters();
  const made = createDiffieHellman(prime, 'hex', generator, 'hex');
  modpGroups.set(group, made);
  return made;
}

function wellKnown(name: string): { readonly prime: string; readonly generator: string } {
  const group = getDiffieHellman(name);
  return { prime: group.getPrime('hex'), generator: group.getGenerator('hex') };
}

/** The tests of RFC 6989: 1 < y < p-1 (§2.1), and y^q = 1 where the group has small subgroups (§2.2). */
function isModpPublicValue(publicValue: Uint8Array, primeOctets: Uint8Array, definition: Modp): boolean {
  const value = toInteger(publicValue);
  const prime = toInteger(primeOctets);
  if (value <= 1n || value >= prime - 1n) return false;
  const { privateValue } = definition;
  // A public value is no secret, so how long this takes tells nothing.
  return !('order' in privateValue) || powerModulo(value, toInteger(fromHex(privateValue.order)), prime) === 1n;
}

function powerModulo(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let power = 1n;
  for (const bit of exponent.toString(2)) {
    power = (power * power) % modulus;
    if (bit === '1') power = (power * base) % modulus;
  }
  return power;
}

/** The octet before the coordinates of a point that is not compressed (SEC 1 §2.3.3); a KE payload leaves it out (RFC 5903 §7). */
const UNCOMPRESSED_POINT = Uint8Array.of(4);

function computeEcp(job: ComputeJob, definition: Ecp): ComputeResult {
  const ecdh = createECDH(definition.curve);
  ecdh.setPrivateKey(job.privateValue);
  const publicValue = new Uint8Array(ecdh.getPublicKey().subarray(UNCOMPRESSED_POINT.length));
  if (job.peerPublicValue === undefined) return { kind: 'diffie-hellman', publicValue };
  try {
    const sharedSecret = ecdh.computeSecret(concat(UNCOMPRESSED_POINT, job.peerPublicValue));
    // The x coordinate alone (RFC 5903 §7), which is half of a public value.
    return { kind: 'diffie-hellman', publicValue, sharedSecret: padLeft(sharedSecret, publicValue.length / 2) };
  } catch (fault) {
    // OpenSSL tests that the point is on the curve (RFC 6989 §2.3) and has no way to say so but to throw.
    if (fault instanceof Error && 'code' in fault && fault.code === 'ERR_CRYPTO_ECDH_INVALID_PUBLIC_KEY')
      return { kind: 'invalid-public-value' };
    throw fault;
  }
}

/** How often to draw before we say that the source is broken: for no group is a draw in range less likely than one in two. */
const DRAWS_MAX = 128;

/** An integer in [1, order), every one as likely, by drawing until one fits. */
function drawBelow(order: Uint8Array, random: RandomSource): Uint8Array {
  const topMask = 0xff >>> (Math.clz32(order[0] ?? 0) - 24);
  const limit = toInteger(order);
  for (let draw = 0; draw < DRAWS_MAX; draw++) {
    const drawn = random.bytes(order.length);
    drawn[0] = (drawn[0] ?? 0) & topMask;
    const value = toInteger(drawn);
    if (value > 0n && value < limit) return drawn;
  }
  invariant(false, 'a random source gives every number a chance');
}

function toInteger(octets: Uint8Array): bigint {
  return BigInt(`0x${toHex(octets)}`);
}

function padLeft(octets: Uint8Array, length: number): Uint8Array {
  invariant(octets.length <= length, 'a number of a group is not longer than the group');
  const padded = new Uint8Array(length);
  padded.set(octets, length - octets.length);
  return padded;
}

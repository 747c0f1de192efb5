// Everything that IKEv1 derives (RFC 2409 §5, §5.5, §5.7, Appendix B): keys, initialization vectors, and authenticating hashes.
// Names are the RFC's: SKEYID_d is skeyidD, g^xy is gXY, Ni_b is nonceI (a payload's body, without its header).

import type { CbcAlgorithm, CryptoProvider } from '../../crypto/provider.ts';
import { concat } from '../../lib/bytes.ts';
import { invariant } from '../../lib/invariant.ts';
import { Secret } from '../../lib/secret.ts';
import {
  ENCRYPTION,
  type EncryptionAlgorithm,
  encryptionTraits,
  type HashAlgorithm,
  INTEGRITY,
  type IntegrityAlgorithm,
} from '../../model/algorithms.ts';
import type { IpsecProtocol, Spi } from '../../model/ipsec-sa.ts';
import { PROTOCOL_ID } from '../../wire/isakmp-sa-payload.ts';

/** The pseudo-random function of an ISAKMP SA: HMAC with the negotiated hash (RFC 2409 §4). The caller owns the result. */
export type Prf = (key: Uint8Array, ...data: readonly Uint8Array[]) => Uint8Array;

export interface Cookies {
  /** CKY-I, eight octets. */
  readonly initiatorCookie: Uint8Array;
  /** CKY-R, eight octets. */
  readonly responderCookie: Uint8Array;
}

export interface Nonces {
  readonly nonceI: Uint8Array;
  readonly nonceR: Uint8Array;
}

/** Public values as KE payloads carry them. */
export interface PublicValues {
  readonly gXI: Uint8Array;
  readonly gXR: Uint8Array;
}

/** The keys of an ISAKMP SA that its exchanges need (RFC 2409 §5). */
export interface IsakmpKeys {
  readonly skeyidD: Secret;
  readonly skeyidA: Secret;
  /** What encrypts ISAKMP messages, as long as its cipher needs. */
  readonly cipherKey: Secret;
}

/** All keys of phase 1; of those that `IsakmpKeys` lacks nothing is needed once it is over. */
export interface Phase1Keys extends IsakmpKeys {
  readonly skeyid: Secret;
  readonly skeyidE: Secret;
}

/** HMAC with the negotiated hash, which IKEv1 uses where no PRF was negotiated; and no PRF can be (RFC 2409 Appendix A). */
export function hmacPrf(crypto: CryptoProvider, hash: HashAlgorithm): Prf {
  return (key, ...data) => crypto.hmac(hash, key, ...data);
}

/** SKEYID with a pre-shared key (RFC 2409 §5). */
export function skeyidFromPresharedKey(prf: Prf, presharedKey: Secret, nonces: Nonces): Secret {
  return new Secret(prf(presharedKey.reveal(), nonces.nonceI, nonces.nonceR));
}

/** SKEYID with signatures (RFC 2409 §5). */
export function skeyidFromSignatures(prf: Prf, nonces: Nonces, gXY: Secret): Secret {
  return new Secret(prf(concat(nonces.nonceI, nonces.nonceR), gXY.reveal()));
}

/** SKEYID_d, from which IPsec's keys come (RFC 2409 §5). */
function skeyidD(prf: Prf, skeyid: Secret, gXY: Secret, cookies: Cookies): Secret {
  return new Secret(prf(skeyid.reveal(), ...sharedWith(gXY, cookies, 0)));
}

/** SKEYID_a, which authenticates messages (RFC 2409 §5). */
function skeyidA(prf: Prf, skeyid: Secret, previous: Secret, gXY: Secret, cookies: Cookies): Secret {
  return new Secret(prf(skeyid.reveal(), previous.reveal(), ...sharedWith(gXY, cookies, 1)));
}

/** SKEYID_e, from which the cipher's key comes (RFC 2409 §5). */
function skeyidE(prf: Prf, skeyid: Secret, previous: Secret, gXY: Secret, cookies: Cookies): Secret {
  return new Secret(prf(skeyid.reveal(), previous.reveal(), ...sharedWith(gXY, cookies, 2)));
}

/**
 * The key for the cipher: the first octets of SKEYID_e or, where that is too short, of Ka (RFC 2409 Appendix B).
 * Weak DES keys are not skipped, though the RFC says so: one comes up once in 2^52 SAs, and the worst of it is that this SA fails.
 */
function cipherKey(prf: Prf, skeyidE: Secret, cipher: CbcAlgorithm): Secret {
  const length = ENCRYPTION[cipher].keyLength;
  if (skeyidE.length >= length) return new Secret(skeyidE.reveal().slice(0, length));
  return new Secret(feedBack(length, (previous) => prf(skeyidE.reveal(), previous ?? Uint8Array.of(0))));
}

/** All keys of an ISAKMP SA from SKEYID, which becomes theirs. */
export function phase1Keys(prf: Prf, cipher: CbcAlgorithm, skeyid: Secret, gXY: Secret, cookies: Cookies): Phase1Keys {
  const forD = skeyidD(prf, skeyid, gXY, cookies);
  const forA = skeyidA(prf, skeyid, forD, gXY, cookies);
  const forE = skeyidE(prf, skeyid, forA, gXY, cookies);
  return { skeyid, skeyidD: forD, skeyidA: forA, skeyidE: forE, cipherKey: cipherKey(prf, forE, cipher) };
}

/** Overwrites the keys of an ISAKMP SA that has ended. */
export function wipeIsakmpKeys(keys: IsakmpKeys): void {
  for (const key of [keys.skeyidD, keys.skeyidA, keys.cipherKey]) key.wipe();
}

/** IV of the first encrypted message of phase 1: hash(g^xi | g^xr) (RFC 2409 Appendix B). */
export function phase1Iv(
  crypto: CryptoProvider,
  hash: HashAlgorithm,
  cipher: CbcAlgorithm,
  publicValues: PublicValues,
): Uint8Array {
  return crypto.hash(hash, publicValues.gXI, publicValues.gXR).slice(0, ENCRYPTION[cipher].ivLength);
}

/**
 * IV of the first message of any exchange after phase 1: hash(last phase 1 block | M-ID) (RFC 2409 Appendix B).
 * Not of Quick Mode only: Informational and Transaction exchanges start the same way.
 */
export function phase2Iv(
  crypto: CryptoProvider,
  hash: HashAlgorithm,
  cipher: CbcAlgorithm,
  lastPhase1Block: Uint8Array,
  messageId: number,
): Uint8Array {
  return crypto.hash(hash, lastPhase1Block, uint32(messageId)).slice(0, ENCRYPTION[cipher].ivLength);
}

/** IV of the next message of an exchange: the last block of this one's ciphertext (RFC 2409 Appendix B), as a copy. */
export function nextIv(cipher: CbcAlgorithm, ciphertext: Uint8Array): Uint8Array {
  const length = ENCRYPTION[cipher].ivLength;
  invariant(ciphertext.length >= length, 'an encrypted message has a last block');
  return ciphertext.slice(-length);
}

/** HASH_I, by which the initiator authenticates (RFC 2409 §5). `saI` is SAi_b and `idI` IDii_b: whole bodies, without their headers. */
export function hashI(
  prf: Prf,
  skeyid: Secret,
  publicValues: PublicValues,
  cookies: Cookies,
  saI: Uint8Array,
  idI: Uint8Array,
): Uint8Array {
  const { gXI, gXR } = publicValues;
  return prf(skeyid.reveal(), gXI, gXR, cookies.initiatorCookie, cookies.responderCookie, saI, idI);
}

/** HASH_R, by which the responder authenticates (RFC 2409 §5). `saI` is still the initiator's SA payload, SAi_b. */
export function hashR(
  prf: Prf,
  skeyid: Secret,
  publicValues: PublicValues,
  cookies: Cookies,
  saI: Uint8Array,
  idR: Uint8Array,
): Uint8Array {
  const { gXI, gXR } = publicValues;
  return prf(skeyid.reveal(), gXR, gXI, cookies.responderCookie, cookies.initiatorCookie, saI, idR);
}

/**
 * HASH(1) of Quick Mode (RFC 2409 §5.5), and of Informational (§5.7) and Transaction exchanges.
 * `payloads` is everything after the HASH payload, with payload headers and without the padding of encryption.
 */
export function hash1(prf: Prf, skeyidA: Secret, messageId: number, payloads: Uint8Array): Uint8Array {
  return prf(skeyidA.reveal(), uint32(messageId), payloads);
}

/** HASH(2) of Quick Mode (RFC 2409 §5.5). `payloads` as for `hash1`. */
export function hash2(
  prf: Prf,
  skeyidA: Secret,
  messageId: number,
  nonceI: Uint8Array,
  payloads: Uint8Array,
): Uint8Array {
  return prf(skeyidA.reveal(), uint32(messageId), nonceI, payloads);
}

/** HASH(3) of Quick Mode (RFC 2409 §5.5). */
export function hash3(prf: Prf, skeyidA: Secret, messageId: number, nonces: Nonces): Uint8Array {
  return prf(skeyidA.reveal(), Uint8Array.of(0), uint32(messageId), nonces.nonceI, nonces.nonceR);
}

/** What one direction's KEYMAT is made for. */
export interface KeymatPurpose {
  readonly protocol: IpsecProtocol;
  /** The SPI that the receiver of this direction chose (RFC 2409 §5.5). */
  readonly spi: Spi;
  readonly nonces: Nonces;
  /** g(qm)^xy, where Quick Mode exchanged KE payloads. */
  readonly gQmXY?: Secret;
}

/** `length` octets of KEYMAT (RFC 2409 §5.5). */
function keymat(prf: Prf, skeyidD: Secret, purpose: KeymatPurpose, length: number): Secret {
  const { protocol, spi, nonces, gQmXY } = purpose;
  const seed = [
    ...(gQmXY ? [gQmXY.reveal()] : []),
    Uint8Array.of(PROTOCOL_ID[protocol]),
    uint32(spi),
    nonces.nonceI,
    nonces.nonceR,
  ];
  return new Secret(feedBack(length, (previous) => prf(skeyidD.reveal(), ...(previous ? [previous] : []), ...seed)));
}

/** The keys of one direction of an IPsec SA, as `IpsecSa` wants them. */
export interface IpsecKeys {
  /** Key, then salt (RFC 4106 §8.1). */
  readonly encryptionKey: Uint8Array;
  readonly integrityKey: Uint8Array;
}

/** Cuts KEYMAT into the keys of one direction: encryption first, integrity after it (RFC 4301 §4.5.2). The caller owns them. */
export function ipsecKeys(
  prf: Prf,
  skeyidD: Secret,
  purpose: KeymatPurpose,
  encryption: EncryptionAlgorithm,
  integrity: IntegrityAlgorithm,
): IpsecKeys {
  const { keyLength, saltLength } = encryptionTraits(encryption);
  const encryptionLength = keyLength + saltLength;
  const material = keymat(prf, skeyidD, purpose, encryptionLength + INTEGRITY[integrity].keyLength);
  const keys = {
    encryptionKey: material.reveal().slice(0, encryptionLength),
    integrityKey: material.reveal().slice(encryptionLength),
  };
  material.wipe();
  return keys;
}

function sharedWith(gXY: Secret, cookies: Cookies, which: 0 | 1 | 2): readonly Uint8Array[] {
  return [gXY.reveal(), cookies.initiatorCookie, cookies.responderCookie, Uint8Array.of(which)];
}

/** K1 | K2 | K3 ..., each made from the one before it, cut to `length` (RFC 2409 §5.5, Appendix B). */
function feedBack(length: number, nextBlock: (previous: Uint8Array | undefined) => Uint8Array): Uint8Array {
  const material = new Uint8Array(length);
  let previous: Uint8Array | undefined;
  for (let filled = 0; filled < length; filled += previous.length) {
    const block = nextBlock(previous);
    previous?.fill(0);
    previous = block;
    material.set(block.subarray(0, length - filled), filled);
  }
  previous?.fill(0);
  return material;
}

function uint32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}

// The algorithms and their numbers, as data. Names are Junos' keywords where Junos has one, and in the same spelling where it has none.
// Phase 1 numbers: RFC 2409 Appendix A and its IANA registry. ESP and AH transform IDs: RFC 2407 §4.4.3, §4.4.4 and their registry.

export interface EncryptionTraits {
  readonly cipher:
    | 'null'
    | 'des'
    | '3des'
    | 'aes-cbc'
    | 'aes-ctr'
    | 'aes-gcm'
    | 'aes-ccm'
    | 'aes-gmac'
    | 'chacha20-poly1305';
  /** Octets of key, without salt. */
  readonly keyLength: number;
  /** Octets of salt taken from the keying material after the key (RFC 4106 §8.1, RFC 3686 §5.1, RFC 4309 §7.1). */
  readonly saltLength: number;
  /** Octets of explicit IV in each packet. */
  readonly ivLength: number;
  /** Plaintext is padded to a multiple of this many octets, before ESP's own four-octet alignment. */
  readonly blockLength: number;
  /** Octets of ICV for a cipher that authenticates too, else 0. */
  readonly icvLength: number;
  /** Phase 1 encryption algorithm number; absent where IKEv1 has none. */
  readonly phase1?: number;
  /** ESP transform identifier; absent where IKEv1 has none. */
  readonly esp?: number;
  /** Whether phase 1 and phase 2 carry a key length attribute for it. */
  readonly keyLengthAttribute: boolean;
}

const BLOCK_3DES = { saltLength: 0, ivLength: 8, blockLength: 8, icvLength: 0, keyLengthAttribute: false } as const;
const AES_CBC = {
  cipher: 'aes-cbc',
  saltLength: 0,
  ivLength: 16,
  blockLength: 16,
  icvLength: 0,
  phase1: 7,
  esp: 12,
  keyLengthAttribute: true,
} as const;
const AES_CTR = {
  cipher: 'aes-ctr',
  saltLength: 4,
  ivLength: 8,
  blockLength: 1,
  icvLength: 0,
  esp: 13,
  keyLengthAttribute: true,
} as const;
const AES_CCM = { cipher: 'aes-ccm', saltLength: 3, ivLength: 8, blockLength: 1, keyLengthAttribute: true } as const;
const AES_GCM = { cipher: 'aes-gcm', saltLength: 4, ivLength: 8, blockLength: 1, keyLengthAttribute: true } as const;
const AES_GMAC = {
  cipher: 'aes-gmac',
  saltLength: 4,
  ivLength: 8,
  blockLength: 1,
  icvLength: 16,
  esp: 23,
  keyLengthAttribute: true,
} as const;

export const ENCRYPTION = {
  null: {
    cipher: 'null',
    keyLength: 0,
    saltLength: 0,
    ivLength: 0,
    blockLength: 1,
    icvLength: 0,
    esp: 11,
    keyLengthAttribute: false,
  },
  'des-cbc': { cipher: 'des', keyLength: 8, ...BLOCK_3DES, phase1: 1, esp: 2 },
  '3des-cbc': { cipher: '3des', keyLength: 24, ...BLOCK_3DES, phase1: 5, esp: 3 },
  'aes-128-cbc': { ...AES_CBC, keyLength: 16 },
  'aes-192-cbc': { ...AES_CBC, keyLength: 24 },
  'aes-256-cbc': { ...AES_CBC, keyLength: 32 },
  'aes-128-ctr': { ...AES_CTR, keyLength: 16 },
  'aes-192-ctr': { ...AES_CTR, keyLength: 24 },
  'aes-256-ctr': { ...AES_CTR, keyLength: 32 },
  'aes-128-ccm-8': { ...AES_CCM, keyLength: 16, icvLength: 8, esp: 14 },
  'aes-192-ccm-8': { ...AES_CCM, keyLength: 24, icvLength: 8, esp: 14 },
  'aes-256-ccm-8': { ...AES_CCM, keyLength: 32, icvLength: 8, esp: 14 },
  'aes-128-ccm-12': { ...AES_CCM, keyLength: 16, icvLength: 12, esp: 15 },
  'aes-192-ccm-12': { ...AES_CCM, keyLength: 24, icvLength: 12, esp: 15 },
  'aes-256-ccm-12': { ...AES_CCM, keyLength: 32, icvLength: 12, esp: 15 },
  'aes-128-ccm': { ...AES_CCM, keyLength: 16, icvLength: 16, esp: 16 },
  'aes-192-ccm': { ...AES_CCM, keyLength: 24, icvLength: 16, esp: 16 },
  'aes-256-ccm': { ...AES_CCM, keyLength: 32, icvLength: 16, esp: 16 },
  'aes-128-gcm-8': { ...AES_GCM, keyLength: 16, icvLength: 8, esp: 18 },
  'aes-192-gcm-8': { ...AES_GCM, keyLength: 24, icvLength: 8, esp: 18 },
  'aes-256-gcm-8': { ...AES_GCM, keyLength: 32, icvLength: 8, esp: 18 },
  'aes-128-gcm-12': { ...AES_GCM, keyLength: 16, icvLength: 12, esp: 19 },
  'aes-192-gcm-12': { ...AES_GCM, keyLength: 24, icvLength: 12, esp: 19 },
  'aes-256-gcm-12': { ...AES_GCM, keyLength: 32, icvLength: 12, esp: 19 },
  'aes-128-gcm': { ...AES_GCM, keyLength: 16, icvLength: 16, esp: 20 },
  'aes-192-gcm': { ...AES_GCM, keyLength: 24, icvLength: 16, esp: 20 },
  'aes-256-gcm': { ...AES_GCM, keyLength: 32, icvLength: 16, esp: 20 },
  'aes-128-gmac': { ...AES_GMAC, keyLength: 16 },
  'aes-192-gmac': { ...AES_GMAC, keyLength: 24 },
  'aes-256-gmac': { ...AES_GMAC, keyLength: 32 },
  'chacha20-poly1305': {
    cipher: 'chacha20-poly1305',
    keyLength: 32,
    saltLength: 4,
    ivLength: 8,
    blockLength: 1,
    icvLength: 16,
    keyLengthAttribute: false,
  },
} as const satisfies Record<string, EncryptionTraits>;

export type EncryptionAlgorithm = keyof typeof ENCRYPTION;

/** The traits of an algorithm, with optional members visible. */
export function encryptionTraits(algorithm: EncryptionAlgorithm): EncryptionTraits {
  return ENCRYPTION[algorithm];
}

export interface IntegrityTraits {
  readonly keyLength: number;
  /** Octets of ICV in each packet. */
  readonly icvLength: number;
  /** Phase 2 "Authentication Algorithm" attribute (RFC 2407 §4.5); absent where IKEv1 has none. */
  readonly attribute?: number;
  /** AH transform identifier; absent where IKEv1 has none. */
  readonly ah?: number;
}

export const INTEGRITY = {
  none: { keyLength: 0, icvLength: 0 },
  'hmac-md5-96': { keyLength: 16, icvLength: 12, attribute: 1, ah: 2 },
  'hmac-sha1-96': { keyLength: 20, icvLength: 12, attribute: 2, ah: 3 },
  'hmac-sha-256-128': { keyLength: 32, icvLength: 16, attribute: 5, ah: 5 },
  // Junos' old truncation to 96 bits; on the wire it has the same number as the 128-bit one, so both ends must be told.
  'hmac-sha-256-96': { keyLength: 32, icvLength: 12, attribute: 5, ah: 5 },
  'hmac-sha-384': { keyLength: 48, icvLength: 24, attribute: 6, ah: 6 },
  'hmac-sha-512': { keyLength: 64, icvLength: 32, attribute: 7, ah: 7 },
  'aes-xcbc-96': { keyLength: 16, icvLength: 12, attribute: 9, ah: 9 },
  'aes-cmac-96': { keyLength: 16, icvLength: 12 },
  // AH only (RFC 4543 §4): the key is followed by a four-octet salt.
  'aes-128-gmac': { keyLength: 20, icvLength: 16, attribute: 11, ah: 11 },
  'aes-192-gmac': { keyLength: 28, icvLength: 16, attribute: 12, ah: 12 },
  'aes-256-gmac': { keyLength: 36, icvLength: 16, attribute: 13, ah: 13 },
} as const satisfies Record<string, IntegrityTraits>;

export type IntegrityAlgorithm = keyof typeof INTEGRITY;

export function integrityTraits(algorithm: IntegrityAlgorithm): IntegrityTraits {
  return INTEGRITY[algorithm];
}

/** Phase 1 hash algorithms: number, and octets of digest. The PRF is HMAC with the same hash (RFC 2409 §4). */
export const HASH = {
  md5: { phase1: 1, digestLength: 16 },
  sha1: { phase1: 2, digestLength: 20 },
  'sha-256': { phase1: 4, digestLength: 32 },
  'sha-384': { phase1: 5, digestLength: 48 },
  'sha-512': { phase1: 6, digestLength: 64 },
} as const;

export type HashAlgorithm = keyof typeof HASH;

/** Diffie-Hellman groups: number, kind, and octets of a public value as a KE payload carries it. */
export const DH_GROUPS = {
  group1: { number: 1, kind: 'modp', publicLength: 96 },
  group2: { number: 2, kind: 'modp', publicLength: 128 },
  group5: { number: 5, kind: 'modp', publicLength: 192 },
  group14: { number: 14, kind: 'modp', publicLength: 256 },
  group15: { number: 15, kind: 'modp', publicLength: 384 },
  group16: { number: 16, kind: 'modp', publicLength: 512 },
  group17: { number: 17, kind: 'modp', publicLength: 768 },
  group18: { number: 18, kind: 'modp', publicLength: 1024 },
  group19: { number: 19, kind: 'ecp', publicLength: 64 },
  group20: { number: 20, kind: 'ecp', publicLength: 96 },
  group21: { number: 21, kind: 'ecp', publicLength: 132 },
  group22: { number: 22, kind: 'modp', publicLength: 128 },
  group23: { number: 23, kind: 'modp', publicLength: 256 },
  group24: { number: 24, kind: 'modp', publicLength: 256 },
  group25: { number: 25, kind: 'ecp', publicLength: 48 },
  group26: { number: 26, kind: 'ecp', publicLength: 56 },
  group27: { number: 27, kind: 'ecp', publicLength: 56 },
  group28: { number: 28, kind: 'ecp', publicLength: 64 },
  group29: { number: 29, kind: 'ecp', publicLength: 96 },
  group30: { number: 30, kind: 'ecp', publicLength: 128 },
} as const;

export type DhGroup = keyof typeof DH_GROUPS;

/** Phase 1 authentication methods (RFC 2409 Appendix A) in Junos' spelling. */
export const AUTHENTICATION_METHODS = {
  'pre-shared-keys': 1,
  'dsa-signatures': 2,
  'rsa-signatures': 3,
  'ecdsa-signatures-256': 9,
  'ecdsa-signatures-384': 10,
  'ecdsa-signatures-521': 11,
} as const;

export type AuthenticationMethod = keyof typeof AUTHENTICATION_METHODS;

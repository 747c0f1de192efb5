import type { EncryptionAlgorithm, HashAlgorithm, IntegrityAlgorithm } from '../model/algorithms.ts';

/** Phase 1 ciphers: CBC only (RFC 2409 Appendix B). */
export type CbcAlgorithm = 'des-cbc' | '3des-cbc' | 'aes-128-cbc' | 'aes-192-cbc' | 'aes-256-cbc';

/** The cryptography that IKE needs, synchronous. Randomness is a separate parameter (`RandomSource`). */
export interface CryptoProvider {
  hash(algorithm: HashAlgorithm, ...data: readonly Uint8Array[]): Uint8Array;
  hmac(algorithm: HashAlgorithm, key: Uint8Array, ...data: readonly Uint8Array[]): Uint8Array;
  /** `plaintext` is a multiple of the block length; the result has the same length. */
  encryptCbc(algorithm: CbcAlgorithm, key: Uint8Array, iv: Uint8Array, plaintext: Uint8Array): Uint8Array;
  /** `ciphertext` is a multiple of the block length; the result has the same length. */
  decryptCbc(algorithm: CbcAlgorithm, key: Uint8Array, iv: Uint8Array, ciphertext: Uint8Array): Uint8Array;
}

/** What the data plane needs: objects that hold one SA's key schedule and work on the caller's buffer, in place. */
export interface PacketCryptoProvider {
  /** Completes what `PacketAead.seal` has begun; absent where that never leaves anything to do. */
  finish?(): void;
  /** Forgets what `PacketAead.openAhead` has begun: the octets may be other packets' now. */
  forgetAhead?(): void;
  /** `key` is followed by the salt where the algorithm has one. */
  aead(algorithm: EncryptionAlgorithm, key: Uint8Array): PacketAead;
  cipher(algorithm: EncryptionAlgorithm, key: Uint8Array): PacketCipher;
  integrity(algorithm: IntegrityAlgorithm, key: Uint8Array): PacketIntegrity;
}

/** Encrypts and authenticates in one pass: GCM, CCM, ChaCha20-Poly1305, and GMAC, which only authenticates. */
export interface PacketAead {
  /**
   * Encrypts `buffer[start, end)` in place and writes the ICV at `end`, where the caller has left room. It may do so as late as in the
   * provider's `finish`: until then nobody reads or changes these octets.
   */
  seal(iv: Uint8Array, additionalData: Uint8Array, buffer: Uint8Array, start: number, end: number): void;
  /**
   * Checks the ICV at `buffer[end, end + icvLength)` and decrypts `buffer[start, end)` in place.
   * On `false`, what is in `buffer[start, end)` must not be used.
   */
  open(iv: Uint8Array, additionalData: Uint8Array, buffer: Uint8Array, start: number, end: number): boolean;
  /**
   * Says that `open` is about to be called with these arguments, after it has been for those said before: what several packets need may then be done at
   * once. Nobody looks at the octets meanwhile, or changes them. If `open` is not called, they must not be used either.
   */
  openAhead?(iv: Uint8Array, additionalData: Uint8Array, buffer: Uint8Array, start: number, end: number): void;
}

/** A cipher without authentication: CBC and CTR modes, and NULL. */
export interface PacketCipher {
  encrypt(iv: Uint8Array, buffer: Uint8Array, start: number, end: number): void;
  decrypt(iv: Uint8Array, buffer: Uint8Array, start: number, end: number): void;
}

/**
 * Computes a truncated MAC over `data[start, end)` followed by `suffix` (the high half of an extended sequence number; may be empty).
 * Without `start` and `end` it is all of `data`.
 */
export interface PacketIntegrity {
  /** Writes `icvLength` octets at `out[offset]`. For GMAC in AH, `iv` is the eight octets carried in the packet; else empty. */
  compute(
    iv: Uint8Array,
    data: Uint8Array,
    suffix: Uint8Array,
    out: Uint8Array,
    offset: number,
    start?: number,
    end?: number,
  ): void;
  /** Compares with the `icvLength` octets at `icv[icvStart]`, in constant time; `false` if there are fewer. */
  verify(
    iv: Uint8Array,
    data: Uint8Array,
    suffix: Uint8Array,
    icv: Uint8Array,
    icvStart?: number,
    start?: number,
    end?: number,
  ): boolean;
}

import type { PacketAead, PacketCipher, PacketCryptoProvider, PacketIntegrity } from '../crypto/provider.ts';
import { err, ok, type Result } from '../lib/result.ts';
import { encryptionTraits, integrityTraits } from '../model/algorithms.ts';
import type { IpsecSa } from '../model/ipsec-sa.ts';

const SPI_AND_SEQUENCE_LENGTH = 8;
const SPI_AND_EXTENDED_SEQUENCE_LENGTH = 12;

/** What one SA's algorithms and keys do to a packet, with every length worked out, and scratch space that all of a length share: one packet is worked on at a time. */
export interface Transform {
  /** Encrypts and authenticates in one pass; then `cipher` and `integrity` are absent. */
  readonly aead?: PacketAead;
  /** Absent for NULL encryption. */
  readonly cipher?: PacketCipher;
  /** Absent where nothing authenticates. */
  readonly integrity?: PacketIntegrity;
  /** Octets of explicit IV in each ESP packet, or in each AH ICV field (GMAC, RFC 4543 §4). */
  readonly ivLength: number;
  readonly icvLength: number;
  /** The ESP payload with its trailer is a multiple of this: the cipher's block, at least four octets (RFC 4303 §2.4). */
  readonly alignment: number;
  /** What the ciphertext must be a multiple of for the cipher to take it. */
  readonly blockLength: number;
  /** CBC's IV must be unpredictable (RFC 3602 §3); a counter mode's must only never repeat, so the sequence number serves (RFC 4106 §3.1). */
  readonly isIvRandom: boolean;
  readonly isExtended: boolean;
  readonly iv: Uint8Array;
  /** SPI and sequence number as an authenticated cipher sees them (RFC 4106 §5); GMAC adds the IV by itself. */
  readonly additionalData: Uint8Array;
  /** The implicit high half of an extended sequence number (RFC 4303 §2.2.1); empty without them. */
  readonly suffix: Uint8Array;
}

/** Keys the algorithms of `sa`; an error says in words why this SA cannot be used. */
export function createTransform(crypto: PacketCryptoProvider, sa: IpsecSa): Result<Transform, string> {
  const flaw = keyFlaw(sa);
  if (flaw !== undefined) return err(flaw);
  try {
    return ok(sa.protocol === 'esp' ? espTransform(crypto, sa) : ahTransform(crypto, sa));
  } catch (fault) {
    // The library underneath may lack an algorithm that this program knows.
    return err(fault instanceof Error ? fault.message : 'the cryptographic library refused the key');
  }
}

/** Why these algorithms together would protect nothing; `undefined` if they protect. */
export function serviceFlaw(sa: IpsecSa): string | undefined {
  if (sa.protocol !== 'esp' || sa.integrity !== 'none') return undefined;
  // RFC 4303 §3.2: at least one service must be selected.
  if (sa.encryption === 'null') return 'neither encryption nor integrity was chosen';
  // RFC 3686 §3.3: without integrity, anyone can flip plaintext bits of a counter mode.
  if (encryptionTraits(sa.encryption).cipher === 'aes-ctr') return `${sa.encryption} needs an integrity algorithm`;
  return undefined;
}

function keyFlaw(sa: IpsecSa): string | undefined {
  const cipher = encryptionTraits(sa.encryption);
  const isEncrypting = sa.protocol === 'esp';
  if (isEncrypting && sa.encryptionKey.length !== cipher.keyLength + cipher.saltLength)
    return `${sa.encryption} takes ${cipher.keyLength + cipher.saltLength} octets of key, not ${sa.encryptionKey.length}`;
  const integrity = integrityTraits(sa.integrity);
  if (isEncrypting && cipher.icvLength > 0)
    return sa.integrity === 'none' ? undefined : `${sa.encryption} authenticates by itself`;
  if (sa.integrityKey.length !== integrity.keyLength)
    return `${sa.integrity} takes ${integrity.keyLength} octets of key, not ${sa.integrityKey.length}`;
  if (isEncrypting && sa.integrity.endsWith('-gmac')) return `${sa.integrity} is for AH`;
  if (!isEncrypting && sa.integrity === 'none') return 'AH needs an integrity algorithm';
  return undefined;
}

function espTransform(crypto: PacketCryptoProvider, sa: IpsecSa): Transform {
  const traits = encryptionTraits(sa.encryption);
  const isAead = traits.icvLength > 0;
  const isExtended = sa.extendedSequenceNumbers;
  const prefix = isExtended ? SPI_AND_EXTENDED_SEQUENCE_LENGTH : SPI_AND_SEQUENCE_LENGTH;
  return {
    ...(isAead ? { aead: crypto.aead(sa.encryption, sa.encryptionKey) } : {}),
    ...(isAead || sa.encryption === 'null' ? {} : { cipher: crypto.cipher(sa.encryption, sa.encryptionKey) }),
    ...(isAead || sa.integrity === 'none' ? {} : { integrity: crypto.integrity(sa.integrity, sa.integrityKey) }),
    ivLength: traits.ivLength,
    icvLength: isAead ? traits.icvLength : integrityTraits(sa.integrity).icvLength,
    alignment: Math.max(4, traits.blockLength),
    blockLength: traits.blockLength,
    isIvRandom: traits.blockLength > 1,
    isExtended,
    iv: shared(IVS, traits.ivLength),
    additionalData: shared(ADDITIONAL_DATA, prefix),
    suffix: shared(SUFFIXES, isExtended && !isAead ? 4 : 0),
  };
}

function ahTransform(crypto: PacketCryptoProvider, sa: IpsecSa): Transform {
  const ivLength = sa.integrity.endsWith('-gmac') ? 8 : 0;
  return {
    integrity: crypto.integrity(sa.integrity, sa.integrityKey),
    ivLength,
    icvLength: integrityTraits(sa.integrity).icvLength,
    alignment: 4,
    blockLength: 1,
    isIvRandom: false,
    isExtended: sa.extendedSequenceNumbers,
    iv: shared(IVS, ivLength),
    additionalData: shared(ADDITIONAL_DATA, 0),
    suffix: shared(SUFFIXES, sa.extendedSequenceNumbers ? 4 : 0),
  };
}

// A typed array takes some 200 octets whatever its length: with three for each SA, ten thousand tunnels would hold 12 MB of scratch space.
const IVS = new Map<number, Uint8Array>();
const ADDITIONAL_DATA = new Map<number, Uint8Array>();
const SUFFIXES = new Map<number, Uint8Array>();

function shared(arrays: Map<number, Uint8Array>, length: number): Uint8Array {
  const known = arrays.get(length);
  if (known) return known;
  const made = new Uint8Array(length);
  arrays.set(length, made);
  return made;
}

import { invariant, unreachable } from '../lib/invariant.ts';
import { encryptionTraits, type IntegrityAlgorithm, integrityTraits } from '../model/algorithms.ts';
import { AesCcm, AesGcm, AesGmac, ChaCha20Poly1305 } from './packet-aead.ts';
import { AesCtr, ChainedBlocks, NULL_CIPHER } from './packet-cipher.ts';
import { cmac, GmacIntegrity, HmacIntegrity, NO_INTEGRITY, xcbc } from './packet-integrity.ts';
import type { PacketAead, PacketCipher, PacketCryptoProvider, PacketIntegrity } from './provider.ts';

/**
 * The data plane's cryptography by Node's OpenSSL: for hosts without FFI, for tests and for the simulator.
 * A key of the wrong length, or an algorithm of the wrong kind, is our mistake and throws.
 */
export const nodePacketCrypto: PacketCryptoProvider = {
  aead(algorithm, key): PacketAead {
    const { cipher, keyLength, saltLength, icvLength } = encryptionTraits(algorithm);
    invariant(key.length === keyLength + saltLength, `${algorithm} has a key and salt of its own length`);
    const cipherKey = key.slice(0, keyLength);
    const salt = key.slice(keyLength);
    switch (cipher) {
      case 'aes-gcm':
        return new AesGcm(cipherKey, salt, icvLength);
      case 'aes-ccm':
        return new AesCcm(cipherKey, salt, icvLength);
      case 'aes-gmac':
        return new AesGmac(cipherKey, salt);
      case 'chacha20-poly1305':
        return new ChaCha20Poly1305(cipherKey, salt);
      default:
        invariant(false, `${algorithm} authenticates by itself`);
    }
  },

  cipher(algorithm, key): PacketCipher {
    const { keyLength, saltLength, icvLength } = encryptionTraits(algorithm);
    invariant(icvLength === 0, `${algorithm} is used without its ICV nowhere`);
    invariant(key.length === keyLength + saltLength, `${algorithm} has a key and nonce of its own length`);
    switch (algorithm) {
      case 'null':
        return NULL_CIPHER;
      case 'des-cbc':
      case '3des-cbc':
      case 'aes-128-cbc':
      case 'aes-192-cbc':
      case 'aes-256-cbc':
        return new ChainedBlocks(algorithm, key);
      case 'aes-128-ctr':
      case 'aes-192-ctr':
      case 'aes-256-ctr':
        return new AesCtr(key.slice(0, keyLength), key.slice(keyLength));
      default:
        invariant(false, `${algorithm} is a cipher without authentication`);
    }
  },

  integrity(algorithm, key): PacketIntegrity {
    const { keyLength, icvLength } = integrityTraits(algorithm);
    invariant(key.length === keyLength, `${algorithm} has a key of its own length`);
    return makeIntegrity(algorithm, key.slice(), icvLength);
  },
};

function makeIntegrity(algorithm: IntegrityAlgorithm, key: Uint8Array, icvLength: number): PacketIntegrity {
  switch (algorithm) {
    case 'none':
      return NO_INTEGRITY;
    case 'hmac-md5-96':
      return new HmacIntegrity('md5', key, icvLength);
    case 'hmac-sha1-96':
      return new HmacIntegrity('sha1', key, icvLength);
    case 'hmac-sha-256-128':
    case 'hmac-sha-256-96':
      return new HmacIntegrity('sha-256', key, icvLength);
    case 'hmac-sha-384':
      return new HmacIntegrity('sha-384', key, icvLength);
    case 'hmac-sha-512':
      return new HmacIntegrity('sha-512', key, icvLength);
    case 'aes-xcbc-96':
      return xcbc(key, icvLength);
    case 'aes-cmac-96':
      return cmac(key, icvLength);
    case 'aes-128-gmac':
    case 'aes-192-gmac':
    case 'aes-256-gmac':
      return new GmacIntegrity(key);
    default:
      return unreachable(algorithm);
  }
}

// Integrity for ESP and AH: HMAC (RFC 2403, RFC 2404, RFC 4868), AES-XCBC-MAC-96 (RFC 3566), AES-CMAC-96 (RFC 4494), GMAC (RFC 4543).

import {
  type Cipher,
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  type KeyObject,
} from 'node:crypto';
import { equalInConstantTime } from '../lib/bytes.ts';
import { invariant } from '../lib/invariant.ts';
import type { HashAlgorithm } from '../model/algorithms.ts';
import { aesBits } from './aes-bits.ts';
import { NODE_HASH } from './node-provider.ts';
import { isAuthentic, Nonce } from './packet-aead.ts';
import type { PacketIntegrity } from './provider.ts';

/** For combined modes, which do without: an ICV of no octets. */
export const NO_INTEGRITY: PacketIntegrity = {
  compute: () => undefined,
  verify: (_iv, _data, _suffix, icv) => icv.length === 0,
};

/** HMAC, cut to the ICV's length (RFC 4868 §2.3). */
export class HmacIntegrity implements PacketIntegrity {
  readonly #hash: string;
  readonly #key: KeyObject;
  readonly #icvLength: number;

  constructor(hash: HashAlgorithm, key: Uint8Array, icvLength: number) {
    this.#hash = NODE_HASH[hash];
    this.#key = createSecretKey(key);
    this.#icvLength = icvLength;
  }

  compute(
    _iv: Uint8Array,
    data: Uint8Array,
    suffix: Uint8Array,
    out: Uint8Array,
    offset: number,
    start = 0,
    end = data.length,
  ): void {
    out.set(this.#icv(data.subarray(start, end), suffix), offset);
  }

  verify(
    _iv: Uint8Array,
    data: Uint8Array,
    suffix: Uint8Array,
    icv: Uint8Array,
    icvStart = 0,
    start = 0,
    end = data.length,
  ): boolean {
    const given = icv.subarray(icvStart, icvStart + this.#icvLength);
    return equalInConstantTime(this.#icv(data.subarray(start, end), suffix), given);
  }

  #icv(data: Uint8Array, suffix: Uint8Array): Uint8Array {
    const hmac = createHmac(this.#hash, this.#key).update(data);
    if (suffix.length > 0) hmac.update(suffix);
    return hmac.digest().subarray(0, this.#icvLength);
  }
}

const BLOCK_LENGTH = 16;

/** AES-XCBC-MAC-96, its three keys derived from the SA's (RFC 3566 §4). */
export function xcbc(key: Uint8Array, icvLength: number): PacketIntegrity {
  const encrypt = blockEncryption(key);
  const [k1, k2, k3] = [1, 2, 3].map((octet) => encrypt(new Uint8Array(BLOCK_LENGTH).fill(octet)));
  invariant(k1 !== undefined && k2 !== undefined && k3 !== undefined, 'three keys were made');
  return new CbcMac(k1, k2, k3, icvLength);
}

/** AES-CMAC-96 (RFC 4494 §4), its subkeys by doubling (RFC 4493 §2.3). */
export function cmac(key: Uint8Array, icvLength: number): PacketIntegrity {
  const k1 = double(blockEncryption(key)(new Uint8Array(BLOCK_LENGTH)));
  return new CbcMac(key, k1, double(k1), icvLength);
}

/**
 * CBC-MAC whose last block is masked with one subkey if whole, and padded and masked with another if not: what XCBC and CMAC share.
 * One context serves all packets, as in `ChainedBlocks`: the first block is fed with the last result added.
 */
class CbcMac implements PacketIntegrity {
  readonly #cipher: Cipher;
  readonly #wholeSubkey: Uint8Array;
  readonly #paddedSubkey: Uint8Array;
  readonly #icvLength: number;
  readonly #chain = new Uint8Array(BLOCK_LENGTH);
  readonly #block = new Uint8Array(BLOCK_LENGTH);

  constructor(key: Uint8Array, wholeSubkey: Uint8Array, paddedSubkey: Uint8Array, icvLength: number) {
    this.#cipher = createCipheriv('aes-128-cbc', key, this.#chain).setAutoPadding(false);
    this.#wholeSubkey = wholeSubkey;
    this.#paddedSubkey = paddedSubkey;
    this.#icvLength = icvLength;
  }

  compute(
    _iv: Uint8Array,
    data: Uint8Array,
    suffix: Uint8Array,
    out: Uint8Array,
    offset: number,
    start = 0,
    end = data.length,
  ): void {
    out.set(this.#icv(data.subarray(start, end), suffix), offset);
  }

  verify(
    _iv: Uint8Array,
    data: Uint8Array,
    suffix: Uint8Array,
    icv: Uint8Array,
    icvStart = 0,
    start = 0,
    end = data.length,
  ): boolean {
    const given = icv.subarray(icvStart, icvStart + this.#icvLength);
    return equalInConstantTime(this.#icv(data.subarray(start, end), suffix), given);
  }

  /** Valid until the next call. */
  #icv(data: Uint8Array, suffix: Uint8Array): Uint8Array {
    const length = data.length + suffix.length;
    const lastStart = length === 0 ? 0 : length - 1 - ((length - 1) % BLOCK_LENGTH);
    if (lastStart > 0) {
      this.#load(data, suffix, 0, BLOCK_LENGTH);
      this.#mask(this.#chain);
      this.#cipher.update(this.#block);
      const fromData = data.subarray(BLOCK_LENGTH, lastStart);
      if (fromData.length > 0) this.#cipher.update(fromData);
      const suffixEnd = lastStart - data.length;
      const suffixStart = Math.max(0, BLOCK_LENGTH - data.length);
      if (suffixEnd > suffixStart) this.#cipher.update(suffix.subarray(suffixStart, suffixEnd));
    }
    this.#load(data, suffix, lastStart, length);
    if (length - lastStart < BLOCK_LENGTH) {
      this.#block[length - lastStart] = 0x80;
      this.#mask(this.#paddedSubkey);
    } else {
      this.#mask(this.#wholeSubkey);
    }
    if (lastStart === 0) this.#mask(this.#chain);
    this.#chain.set(this.#cipher.update(this.#block));
    return this.#chain.subarray(0, this.#icvLength);
  }

  /** Copies octets [start, end) of data | suffix into the block, and zeros after them. */
  #load(data: Uint8Array, suffix: Uint8Array, start: number, end: number): void {
    const fromData = data.subarray(start, end);
    this.#block.fill(0);
    this.#block.set(fromData);
    const suffixStart = Math.max(0, start - data.length);
    const suffixEnd = Math.max(suffixStart, end - data.length);
    this.#block.set(suffix.subarray(suffixStart, suffixEnd), fromData.length);
  }

  #mask(mask: Uint8Array): void {
    for (let index = 0; index < BLOCK_LENGTH; index++)
      this.#block[index] = (this.#block[index] ?? 0) ^ (mask[index] ?? 0);
  }
}

function blockEncryption(key: Uint8Array): (block: Uint8Array) => Uint8Array {
  const cipher = createCipheriv('aes-128-ecb', key, null).setAutoPadding(false);
  return (block) => new Uint8Array(cipher.update(block));
}

/** The polynomial that GF(2^128) is reduced by, in the last octet (RFC 4493 §2.3). */
const REDUCTION = 0x87;

/** Times x in GF(2^128), first octet highest. */
function double(block: Uint8Array): Uint8Array {
  const doubled = block.map((octet, index) => (octet << 1) | ((block[index + 1] ?? 0) >>> 7));
  const carry = (block[0] ?? 0) >>> 7;
  doubled[BLOCK_LENGTH - 1] = (doubled[BLOCK_LENGTH - 1] ?? 0) ^ (carry * REDUCTION);
  return doubled;
}

const GMAC_SALT_LENGTH = 4;
const GMAC_ICV_LENGTH = 16;

/** AUTH_AES_GMAC for AH: the key is followed by the salt, and `iv` is what the packet carries (RFC 4543 §4). */
export class GmacIntegrity implements PacketIntegrity {
  readonly #name: `aes-${128 | 192 | 256}-gcm`;
  readonly #key: KeyObject;
  readonly #nonce: Nonce;

  constructor(keyAndSalt: Uint8Array) {
    const key = keyAndSalt.subarray(0, -GMAC_SALT_LENGTH);
    this.#key = createSecretKey(key);
    this.#nonce = new Nonce(keyAndSalt.subarray(-GMAC_SALT_LENGTH));
    this.#name = `aes-${aesBits(key)}-gcm`;
  }

  compute(
    iv: Uint8Array,
    data: Uint8Array,
    suffix: Uint8Array,
    out: Uint8Array,
    offset: number,
    start = 0,
    end = data.length,
  ): void {
    const cipher = createCipheriv(this.#name, this.#key, this.#nonce.with(iv));
    cipher.setAAD(data.subarray(start, end)).setAAD(suffix).final();
    out.set(cipher.getAuthTag(), offset);
  }

  verify(
    iv: Uint8Array,
    data: Uint8Array,
    suffix: Uint8Array,
    icv: Uint8Array,
    icvStart = 0,
    start = 0,
    end = data.length,
  ): boolean {
    const given = icv.subarray(icvStart, icvStart + GMAC_ICV_LENGTH);
    if (given.length !== GMAC_ICV_LENGTH) return false;
    const decipher = createDecipheriv(this.#name, this.#key, this.#nonce.with(iv));
    return isAuthentic(decipher.setAuthTag(given).setAAD(data.subarray(start, end)).setAAD(suffix));
  }
}

// ESP, in place (RFC 4303). A packet on its way out, at buffer[start, end):
//  1. padding 1, 2, 3 ..., pad length and next header are written behind it (§2.4 to §2.6)
//  2. SPI, low half of the sequence number and IV are written in front of it (§2.1, §2.2)
//  3. it is encrypted, then authenticated, the ICV written last (§3.3.2.1); a combined algorithm does both (§3.3.2.2)
// and on its way in:
//  4. lengths are checked, then the ICV over header and ciphertext, and only then is it decrypted (§3.4.4.1)
//  5. padding is checked (§2.4), and what is left is the payload

import type { DropCause } from './counters.ts';
import { writeIv } from './explicit-iv.ts';
import { putUint32, uint8At, uint32At } from './octets.ts';
import type { RandomBlocks } from './random-blocks.ts';
import type { InboundSa, OutboundSa } from './security-association.ts';
import type { Transform } from './transform.ts';

const ESP_HEADER_LENGTH = 8;
const TRAILER_LENGTH = 2;
const NO_IV = new Uint8Array(0);

/** Where the payload of an opened packet lies in its buffer. One object serves for all packets of a data plane. */
export interface OpenedPacket {
  start: number;
  end: number;
  nextHeader: number;
}

/**
 * Wraps the payload at `buffer[start, end)` in ESP, in place, under the sequence number whose
 * halves are `high` and `low`, which the caller took from the SA.
 * Needs `sa.headerLength` octets in front, and up to alignment + 2 + ICV behind. The ESP packet then starts at
 * `start - sa.headerLength`; the result is where it ends. The buffer stays the caller's.
 */
export function protectEsp(
  sa: OutboundSa,
  high: number,
  low: number,
  ivs: RandomBlocks,
  buffer: Uint8Array,
  start: number,
  end: number,
  nextHeader: number,
): number {
  const { transform } = sa;
  const trailerEnd = writeTrailer(transform.alignment, buffer, start, end, nextHeader);
  const headerStart = start - sa.headerLength;
  putUint32(buffer, headerStart, sa.spi);
  putUint32(buffer, headerStart + 4, low);
  writeIv(transform, high, low, ivs);
  copyOctets(transform.iv, 0, buffer, headerStart + ESP_HEADER_LENGTH, transform.ivLength);
  if (transform.aead) {
    writeAdditionalData(transform, sa.spi, high, low);
    transform.aead.seal(transform.iv, transform.additionalData, buffer, start, trailerEnd);
  } else {
    transform.cipher?.encrypt(transform.iv, buffer, start, trailerEnd);
    if (transform.integrity) {
      if (transform.isExtended) putUint32(transform.suffix, 0, high);
      transform.integrity.compute(NO_IV, buffer, transform.suffix, buffer, trailerEnd, headerStart, trailerEnd);
    }
  }
  return trailerEnd + transform.icvLength;
}

/** The low half of the sequence number in the ESP header that starts at `start`. */
export function espSequence(buffer: Uint8Array, start: number): number {
  return uint32At(buffer, start + 4);
}

/**
 * Verifies and decrypts the ESP packet at `buffer[start, end)`, in place; `high` and `low` are the halves of its
 * whole sequence number.
 * On success `opened` says where the payload is; on failure what is in the buffer must not be used.
 */
export function openEsp(
  sa: InboundSa,
  high: number,
  low: number,
  buffer: Uint8Array,
  start: number,
  end: number,
  opened: OpenedPacket,
): DropCause | undefined {
  const { transform } = sa;
  const payloadStart = start + sa.headerLength;
  const cipherEnd = end - transform.icvLength;
  const length = cipherEnd - payloadStart;
  if (length < TRAILER_LENGTH) return 'truncated';
  if (length % transform.blockLength !== 0) return 'partial-block';
  if (transform.ivLength > 0) copyOctets(buffer, start + ESP_HEADER_LENGTH, transform.iv, 0, transform.ivLength);
  if (transform.aead) {
    writeAdditionalData(transform, sa.spi, high, low);
    if (!transform.aead.open(transform.iv, transform.additionalData, buffer, payloadStart, cipherEnd)) return 'bad-icv';
  } else {
    if (transform.integrity) {
      if (transform.isExtended) putUint32(transform.suffix, 0, high);
      if (!transform.integrity.verify(NO_IV, buffer, transform.suffix, buffer, cipherEnd, start, cipherEnd))
        return 'bad-icv';
    }
    transform.cipher?.decrypt(transform.iv, buffer, payloadStart, cipherEnd);
  }
  return readTrailer(buffer, payloadStart, cipherEnd, opened);
}

/** Says that `openEsp` is about to be called with these arguments: many packets at once may take less time than one by one. */
export function expectEsp(
  sa: InboundSa,
  high: number,
  low: number,
  buffer: Uint8Array,
  start: number,
  end: number,
): void {
  const { transform } = sa;
  const payloadStart = start + sa.headerLength;
  const cipherEnd = end - transform.icvLength;
  if (!transform.aead?.openAhead || cipherEnd - payloadStart < TRAILER_LENGTH) return;
  copyOctets(buffer, start + ESP_HEADER_LENGTH, transform.iv, 0, transform.ivLength);
  writeAdditionalData(transform, sa.spi, high, low);
  transform.aead.openAhead(transform.iv, transform.additionalData, buffer, payloadStart, cipherEnd);
}

function writeTrailer(alignment: number, buffer: Uint8Array, start: number, end: number, nextHeader: number): number {
  const excess = (end - start + TRAILER_LENGTH) % alignment;
  const padLength = excess === 0 ? 0 : alignment - excess;
  // RFC 4303 §2.4: padding counts 1, 2, 3 ..., so that the receiver can check it.
  for (let index = 0; index < padLength; index++) buffer[end + index] = index + 1;
  buffer[end + padLength] = padLength;
  buffer[end + padLength + 1] = nextHeader;
  return end + padLength + TRAILER_LENGTH;
}

function writeAdditionalData(transform: Transform, spi: number, high: number, low: number): void {
  const { additionalData } = transform;
  putUint32(additionalData, 0, spi);
  let offset = 4;
  if (transform.isExtended) {
    // RFC 4106 §5: the high half stands in its natural place here, unlike in the packet.
    putUint32(additionalData, offset, high);
    offset += 4;
  }
  putUint32(additionalData, offset, low);
}

function readTrailer(buffer: Uint8Array, start: number, end: number, opened: OpenedPacket): DropCause | undefined {
  const padLength = uint8At(buffer, end - TRAILER_LENGTH);
  const payloadEnd = end - TRAILER_LENGTH - padLength;
  if (payloadEnd < start) return 'bad-padding';
  for (let index = 0; index < padLength; index++)
    if (uint8At(buffer, payloadEnd + index) !== index + 1) return 'bad-padding';
  opened.start = start;
  opened.end = payloadEnd;
  opened.nextHeader = uint8At(buffer, end - 1);
  return undefined;
}

/** A few octets: a loop is faster than what typed arrays have for many. */
function copyOctets(from: Uint8Array, fromOffset: number, to: Uint8Array, toOffset: number, length: number): void {
  for (let index = 0; index < length; index++) to[toOffset + index] = from[fromOffset + index] ?? 0;
}

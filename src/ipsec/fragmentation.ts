// Cutting packets into fragments (RFC 791 §3.2, RFC 8200 §4.5): inner ones before protection, outer ones after it.

import { addToSum, finishChecksum } from './checksum.ts';
import type { PacketSpan } from './encapsulation.ts';
import { IPV4_HEADER_LENGTH, IPV6_HEADER_LENGTH, PROTOCOL_FRAGMENT } from './flow.ts';
import { putUint16, putUint32, uint8At, uint16At } from './octets.ts';

const FLAG_MORE_FRAGMENTS = 0x2000;
const FLAG_DONT_FRAGMENT = 0x4000;
const OFFSET_MASK = 0x1fff;
const FRAGMENT_HEADER_LENGTH = 8;
const OPTION_END = 0;
const OPTION_NO_OPERATION = 1;
const OPTION_COPIED = 0x80;

/**
 * Cuts the IPv4 packet at `buffer[start, end)` into fragments of at most `limit` octets, each built at `target[at, …)`;
 * `emit` is told where the fragment there ends, and it is overwritten when `emit` returns. `false`, and nothing emitted, if
 * the limit has no room for any payload.
 */
export function fragmentIpv4(
  buffer: Uint8Array,
  start: number,
  end: number,
  limit: number,
  target: Uint8Array,
  at: number,
  emit: (fragmentEnd: number) => void,
): boolean {
  const headerLength = (uint8At(buffer, start) & 0x0f) * 4;
  const pieceLength = (limit - headerLength) & ~7;
  if (pieceLength < 8) return false;
  const original = uint16At(buffer, start + 6);
  const payloadStart = start + headerLength;
  let header: Uint8Array = buffer.slice(start, payloadStart);
  for (let offset = payloadStart; offset < end; offset += pieceLength) {
    const pieceEnd = Math.min(offset + pieceLength, end);
    const isLast = pieceEnd === end && (original & FLAG_MORE_FRAGMENTS) === 0;
    const units = (original & OFFSET_MASK) + (offset - payloadStart) / 8;
    // An outer packet that we cut ourselves may carry DF, so that nobody after us cuts it again.
    const flags = (original & FLAG_DONT_FRAGMENT) | (isLast ? 0 : FLAG_MORE_FRAGMENTS);
    const length = pieceEnd - offset;
    writeFragmentHeader(header, header.length + length, flags | units);
    target.set(header, at);
    target.set(buffer.subarray(offset, pieceEnd), at + header.length);
    emit(at + header.length + length);
    if (offset === payloadStart && headerLength > IPV4_HEADER_LENGTH) header = laterHeader(header);
  }
  return true;
}

/**
 * Cuts the IPv6 packet at `buffer[start, end)` likewise, which only its sender may do; the first `protectOffset` octets go into
 * each fragment, and the octet at `nextHeaderOffset` names what follows them. Each fragment is built at `target[0, …)`.
 */
export function fragmentIpv6(
  buffer: Uint8Array,
  span: PacketSpan,
  limit: number,
  identification: number,
  target: Uint8Array,
  emit: (fragmentEnd: number) => void,
): boolean {
  const { start, end, protectOffset, nextHeaderOffset } = span;
  const headerLength = protectOffset + FRAGMENT_HEADER_LENGTH;
  const pieceLength = (limit - headerLength) & ~7;
  if (pieceLength < 8) return false;
  const payloadStart = start + protectOffset;
  target.set(buffer.subarray(start, payloadStart));
  target[protectOffset] = uint8At(buffer, start + nextHeaderOffset);
  target[protectOffset + 1] = 0;
  target[nextHeaderOffset] = PROTOCOL_FRAGMENT;
  putUint32(target, protectOffset + 4, identification);
  for (let offset = payloadStart; offset < end; offset += pieceLength) {
    const pieceEnd = Math.min(offset + pieceLength, end);
    const fragmentEnd = headerLength + (pieceEnd - offset);
    putUint16(target, 4, fragmentEnd - IPV6_HEADER_LENGTH);
    putUint16(target, protectOffset + 2, (offset - payloadStart) | (pieceEnd < end ? 1 : 0));
    target.set(buffer.subarray(offset, pieceEnd), headerLength);
    emit(fragmentEnd);
  }
  return true;
}

function writeFragmentHeader(header: Uint8Array, totalLength: number, flagsAndOffset: number): void {
  header[0] = 0x40 | (header.length / 4);
  putUint16(header, 2, totalLength);
  putUint16(header, 6, flagsAndOffset);
  putUint16(header, 10, 0);
  putUint16(header, 10, finishChecksum(addToSum(0, header, 0, header.length)));
}

/** The header of all fragments but the first: only those options that say so are copied (RFC 791 §3.1). */
function laterHeader(header: Uint8Array): Uint8Array {
  const later = header.slice();
  let written = IPV4_HEADER_LENGTH;
  for (let offset = IPV4_HEADER_LENGTH; offset < header.length; ) {
    const kind = uint8At(header, offset);
    if (kind === OPTION_END) break;
    const length = kind === OPTION_NO_OPERATION ? 1 : uint8At(header, offset + 1);
    if (length === 0 || (kind !== OPTION_NO_OPERATION && length < 2) || offset + length > header.length) break;
    if ((kind & OPTION_COPIED) !== 0) {
      later.set(header.subarray(offset, offset + length), written);
      written += length;
    }
    offset += length;
  }
  while (written % 4 !== 0) later[written++] = OPTION_END;
  return later.subarray(0, written);
}

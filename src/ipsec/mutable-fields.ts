// What AH does not see of an IP header, since it changes on the way (RFC 4302 §3.3.3.1 and Appendix A): it is zero for the ICV.

import { IPV4_HEADER_LENGTH, IPV6_HEADER_LENGTH, PROTOCOL_DESTINATION_OPTIONS, PROTOCOL_HOP_BY_HOP } from './flow.ts';
import { putUint16, putUint32, uint8At } from './octets.ts';
import { predictRoute } from './routing-header.ts';

const OPTION_END = 0;
const OPTION_NO_OPERATION = 1;
const OPTION_LOOSE_SOURCE_ROUTE = 131;
const OPTION_STRICT_SOURCE_ROUTE = 137;
/** Security, extended security, commercial security, router alert, sender-directed delivery (RFC 4302 Appendix A1). */
const IMMUTABLE_OPTIONS: readonly number[] = [130, 133, 134, 148, 149];
/** The bit of an IPv6 option's type that says that its data may change on the way (RFC 8200 §4.2). */
const OPTION_MAY_CHANGE = 0x20;
const OPTION_PAD_ONE = 0;

/** Which end computes the ICV: a source route's last hop is the destination that the receiver will see (RFC 4302 §3.3.3.1.1.1). */
export type Endpoint = 'sender' | 'receiver';

/** Zeroes the mutable fields of the IP headers at `buffer[start, end)`, in place. The caller has a copy to put back. */
export function zeroMutableFields(buffer: Uint8Array, start: number, end: number, endpoint: Endpoint): void {
  if (uint8At(buffer, start) >>> 4 === 4) zeroIpv4(buffer, start, end, endpoint);
  else zeroIpv6(buffer, start, end, endpoint);
}

function zeroIpv4(buffer: Uint8Array, start: number, end: number, endpoint: Endpoint): void {
  buffer[start + 1] = 0; // DSCP and ECN
  putUint16(buffer, start + 6, 0); // flags and fragment offset
  buffer[start + 8] = 0; // TTL
  putUint16(buffer, start + 10, 0); // header checksum
  for (let offset = start + IPV4_HEADER_LENGTH; offset < end; ) {
    const kind = uint8At(buffer, offset);
    if (kind === OPTION_END || kind === OPTION_NO_OPERATION) {
      offset += 1;
      continue;
    }
    const length = offset + 1 < end ? uint8At(buffer, offset + 1) : 0;
    // An option that does not fit cannot be told apart from what follows it: all of the rest is taken as mutable.
    const optionEnd = length < 2 || offset + length > end ? end : offset + length;
    const isSourceRoute = kind === OPTION_LOOSE_SOURCE_ROUTE || kind === OPTION_STRICT_SOURCE_ROUTE;
    if (isSourceRoute && endpoint === 'sender') predictDestination(buffer, start, offset, optionEnd);
    if (!IMMUTABLE_OPTIONS.includes(kind)) buffer.fill(0, offset, optionEnd);
    offset = optionEnd;
  }
}

/** Puts the last hop of a source route that is still to be travelled into the destination address. */
function predictDestination(buffer: Uint8Array, start: number, option: number, optionEnd: number): void {
  const length = optionEnd - option;
  const isTravelled = uint8At(buffer, option + 2) > length;
  if (!isTravelled && length >= 7) buffer.copyWithin(start + 16, optionEnd - 4, optionEnd);
}

function zeroIpv6(buffer: Uint8Array, start: number, end: number, endpoint: Endpoint): void {
  if (endpoint === 'sender') predictRoute(buffer, start, end);
  putUint32(buffer, start, 0x60000000); // DSCP, ECN and flow label
  buffer[start + 7] = 0; // hop limit
  let next = uint8At(buffer, start + 6);
  for (let offset = start + IPV6_HEADER_LENGTH; offset + 8 <= end; ) {
    const headerEnd = Math.min(offset + (uint8At(buffer, offset + 1) + 1) * 8, end);
    if (next === PROTOCOL_HOP_BY_HOP || next === PROTOCOL_DESTINATION_OPTIONS)
      zeroOptions(buffer, offset + 2, headerEnd);
    next = uint8At(buffer, offset);
    offset = headerEnd;
  }
}

function zeroOptions(buffer: Uint8Array, start: number, end: number): void {
  for (let offset = start; offset + 1 < end; ) {
    const type = uint8At(buffer, offset);
    if (type === OPTION_PAD_ONE) {
      offset += 1;
      continue;
    }
    const dataEnd = Math.min(offset + 2 + uint8At(buffer, offset + 1), end);
    if ((type & OPTION_MAY_CHANGE) !== 0) buffer.fill(0, offset + 2, dataEnd);
    offset = dataEnd;
  }
}

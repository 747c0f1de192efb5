// IPv6 routing headers and AH (RFC 4302 Appendix A2): with segments left, destination and addresses change on the way, and the ICV covers
// what the receiver will see. That is known for headers that exchange the destination with one of their addresses: type 0, and type 2 of
// mobile hosts. What other types do to a packet on its way, AH has no rule for.

import { IPV6_HEADER_LENGTH, PROTOCOL_AH, PROTOCOL_ROUTING } from './flow.ts';
import { uint8At } from './octets.ts';

const ADDRESS_LENGTH = 16;
const DESTINATION_OFFSET = 24;
const ADDRESSES_OFFSET = 8;
const EXCHANGING_TYPES: readonly number[] = [0, 2];

/** Whether the receiver's view of the IPv6 headers at `buffer[start, end)` can be known before they are sent (RFC 4302 §3.3.3.1.2). */
export function isRoutePredictable(buffer: Uint8Array, start: number, end: number): boolean {
  const at = routingHeaderWithSegmentsLeft(buffer, start, end);
  if (at === undefined) return true;
  // Two such headers, one after the other, are nothing that anybody sends.
  if (routingHeaderWithSegmentsLeft(buffer, start, end, at) !== undefined) return false;
  const isExchanging = EXCHANGING_TYPES.includes(uint8At(buffer, at + 2));
  return isExchanging && uint8At(buffer, at + 1) % 2 === 0 && uint8At(buffer, at + 3) <= uint8At(buffer, at + 1) / 2;
}

/** Whether the packet has come to the end of its route, as one that is to be verified must have. */
export function isRouteTravelled(buffer: Uint8Array, start: number, end: number): boolean {
  return routingHeaderWithSegmentsLeft(buffer, start, end) === undefined;
}

/** Turns predictable headers into what the receiver will see, in place: no segment is left, and each address is where the last exchange puts it. */
export function predictRoute(buffer: Uint8Array, start: number, end: number): void {
  const at = routingHeaderWithSegmentsLeft(buffer, start, end);
  if (at === undefined) return;
  const destination = start + DESTINATION_OFFSET;
  const addressesEnd = at + ADDRESSES_OFFSET + uint8At(buffer, at + 1) * 8;
  const next = addressesEnd - uint8At(buffer, at + 3) * ADDRESS_LENGTH;
  const first = buffer.slice(destination, destination + ADDRESS_LENGTH);
  buffer.copyWithin(destination, addressesEnd - ADDRESS_LENGTH, addressesEnd);
  buffer.copyWithin(next + ADDRESS_LENGTH, next, addressesEnd - ADDRESS_LENGTH);
  buffer.set(first, next);
  buffer[at + 3] = 0;
}

function routingHeaderWithSegmentsLeft(buffer: Uint8Array, start: number, end: number, after = 0): number | undefined {
  if (uint8At(buffer, start) >>> 4 !== 6) return undefined;
  let next = uint8At(buffer, start + 6);
  for (let at = start + IPV6_HEADER_LENGTH; at + 8 <= end && next !== PROTOCOL_AH; ) {
    if (next === PROTOCOL_ROUTING && uint8At(buffer, at + 3) !== 0 && at > after) return at;
    next = uint8At(buffer, at);
    at += (uint8At(buffer, at + 1) + 1) * 8;
  }
  return undefined;
}

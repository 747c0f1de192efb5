// AH, in place (RFC 4302). The ICV covers the whole IP packet, AH included, with the ICV itself and mutable fields zero (§3.3.3).
// The headers in front of AH are kept aside, zeroed where they may change, and put back after the computation.

import type { DropCause } from './counters.ts';
import type { OpenedPacket } from './esp.ts';
import { writeIv } from './explicit-iv.ts';
import { type Endpoint, zeroMutableFields } from './mutable-fields.ts';
import { putUint32, uint8At, uint32At } from './octets.ts';
import type { RandomBlocks } from './random-blocks.ts';
import { isRouteTravelled } from './routing-header.ts';
import type { InboundSa, OutboundSa } from './security-association.ts';

const FIXED_LENGTH = 12;
/** An IPv6 header and eight extension headers of the greatest length. */
const HEADERS_LENGTH_MAX = 40 + 8 * 2048;
const ICV_LENGTH_MAX = 32;
/** Some stacks pad the ICV field to eight octets in IPv4 too; that is excess (RFC 4302 §3.3.3.2.1), but harmless to accept. */
const ICV_PADDING_MAX = 7;

/** Computes and checks AH's ICV; owns the space for what it must put aside. */
export class AuthenticationHeader {
  readonly #headers = new Uint8Array(HEADERS_LENGTH_MAX);
  readonly #icv = new Uint8Array(ICV_LENGTH_MAX);

  /**
   * Writes AH, under the sequence number whose halves are `high` and `low`, at `buffer[ahStart, ahStart + sa.headerLength)` of the IP packet `buffer[start, end)`, whose other headers are final.
   */
  protect(
    sa: OutboundSa,
    high: number,
    low: number,
    ivs: RandomBlocks,
    buffer: Uint8Array,
    start: number,
    ahStart: number,
    end: number,
    nextHeader: number,
  ): void {
    const { transform } = sa;
    buffer[ahStart] = nextHeader;
    // RFC 4302 §2.2: in units of four octets, minus two.
    buffer[ahStart + 1] = sa.headerLength / 4 - 2;
    buffer[ahStart + 2] = buffer[ahStart + 3] = 0;
    putUint32(buffer, ahStart + 4, sa.spi);
    putUint32(buffer, ahStart + 8, low);
    buffer.fill(0, ahStart + FIXED_LENGTH, ahStart + sa.headerLength);
    writeIv(transform, high, low, ivs);
    buffer.set(transform.iv, ahStart + FIXED_LENGTH);
    this.#setAside(buffer, start, ahStart, 'sender');
    if (transform.isExtended) putUint32(transform.suffix, 0, high);
    const icvStart = ahStart + FIXED_LENGTH + transform.ivLength;
    transform.integrity?.compute(transform.iv, buffer, transform.suffix, buffer, icvStart, start, end);
    this.#putBack(buffer, start, ahStart);
  }

  /** Verifies the AH at `ahStart` of the IP packet `buffer[start, end)`; on success `opened` is what follows. */
  open(
    sa: InboundSa,
    high: number,
    buffer: Uint8Array,
    start: number,
    ahStart: number,
    end: number,
    opened: OpenedPacket,
  ): DropCause | undefined {
    const { transform } = sa;
    const { ivLength, icvLength, iv, integrity } = transform;
    if (!isRouteTravelled(buffer, start, ahStart)) return 'malformed-outer';
    const length = (uint8At(buffer, ahStart + 1) + 2) * 4;
    const padding = length - FIXED_LENGTH - ivLength - icvLength;
    if (padding < 0 || ahStart + length > end) return 'truncated';
    if (padding > ICV_PADDING_MAX) return 'malformed-outer';
    const icvStart = ahStart + FIXED_LENGTH + ivLength;
    for (let index = 0; index < ivLength; index++) iv[index] = uint8At(buffer, ahStart + FIXED_LENGTH + index);
    const icv = this.#icv.subarray(0, icvLength);
    icv.set(buffer.subarray(icvStart, icvStart + icvLength));
    buffer.fill(0, icvStart, icvStart + icvLength);
    this.#setAside(buffer, start, ahStart, 'receiver');
    if (transform.isExtended) putUint32(transform.suffix, 0, high);
    const isGood = integrity?.verify(iv, buffer, transform.suffix, icv, 0, start, end) === true;
    this.#putBack(buffer, start, ahStart);
    if (!isGood) return 'bad-icv';
    opened.start = ahStart + length;
    opened.end = end;
    opened.nextHeader = uint8At(buffer, ahStart);
    return undefined;
  }

  #setAside(buffer: Uint8Array, start: number, end: number, endpoint: Endpoint): void {
    this.#headers.set(buffer.subarray(start, end));
    zeroMutableFields(buffer, start, end, endpoint);
  }

  #putBack(buffer: Uint8Array, start: number, end: number): void {
    buffer.set(this.#headers.subarray(0, end - start), start);
  }
}

/** The low half of the sequence number in the AH that starts at `start`. */
export function ahSequence(buffer: Uint8Array, start: number): number {
  return uint32At(buffer, start + 8);
}

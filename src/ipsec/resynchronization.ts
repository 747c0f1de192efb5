// Finding the high half of extended sequence numbers again after 2^32 packets or more were lost in a row (RFC 4303 Appendix A3): what comes
// then seems forged. Whoever forges packets can ask for it too, so it begins late, and tries little, seldom.

import type { Instant } from '../lib/time.ts';
import type { DropCause } from './counters.ts';
import { PACKET_LENGTH_MAX } from './packet-room.ts';
import { RateLimit } from './rate-limit.ts';
import type { InboundSa } from './security-association.ts';

/** So many packets of an SA must fail one after another before one is tried again (RFC 4303 Appendix A3.1). */
const FAILURES_MIN = 64;
/** High halves to try: as many times 2^32 packets may be lost. */
const TRIES_MAX = 16;
/** Packets tried again in a second, for the whole data plane: it has no background to do it in. */
const RETRIES_PER_SECOND_MAX = 10;
const SUBSPACE = 2 ** 32;

/** Tries packets again under other high halves. Owned by one data plane. */
export class Resynchronization {
  readonly #rate = new RateLimit(RETRIES_PER_SECOND_MAX);
  /** Opening a packet that is not what it seems destroys it. */
  readonly #copy = new Uint8Array(PACKET_LENGTH_MAX);

  /** Whether the packet at `buffer[start, end)` may be tried again should it fail; if so, a copy is kept. */
  prepare(now: Instant, sa: InboundSa, buffer: Uint8Array, start: number, end: number): boolean {
    if (sa.failuresInARow < FAILURES_MIN || !sa.transform.isExtended) return false;
    if (end - start > PACKET_LENGTH_MAX || !this.#rate.take(now)) return false;
    this.#copy.set(buffer.subarray(start, end));
    return true;
  }

  /**
   * Tries the prepared packet, which failed under `sequence`, with the next high halves, one after another. The result is the number
   * under which `open` found it genuine; then it is open in `buffer`. Else `undefined`, and what is in `buffer` must not be used.
   */
  retry(
    sequence: number,
    buffer: Uint8Array,
    start: number,
    end: number,
    open: (sequence: number) => DropCause | undefined,
  ): number | undefined {
    for (let tries = 1; tries <= TRIES_MAX; tries++) {
      const candidate = sequence + tries * SUBSPACE;
      if (candidate > Number.MAX_SAFE_INTEGER) return undefined;
      buffer.set(this.#copy.subarray(0, end - start), start);
      const cause = open(candidate);
      if (cause === undefined || cause === 'bad-padding') return candidate;
    }
    return undefined;
  }
}

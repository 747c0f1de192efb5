// Who may begin: how much state peers get before they have proven anything, and what those are told who get none.

import { BoundedMap } from '../lib/bounded.ts';
import { err, ok, type Result } from '../lib/result.ts';
import { after, type Instant, milliseconds } from '../lib/time.ts';
import type { IpAddress } from '../model/address.ts';

/** Half-open exchanges at a time where `security ike session half-open` says nothing. */
const HALF_OPEN_MAX = 1000;
/** Half-open exchanges from one address: peers behind one NAT share it, but one attacker does too. */
const HALF_OPEN_PER_SOURCE_MAX = 32;
/** Refused first messages that are remembered, so that a retransmission gets the same answer and no second line in the log. */
const REFUSALS_MAX = 256;
const REFUSAL_MEMORY = milliseconds(60_000);

interface RememberedRefusal {
  readonly answer: Uint8Array | undefined;
  readonly until: Instant;
}

/** Whoever forges a known peer's address could fill the log otherwise: one line for each gateway and fault in this time. */
const REPORT_PAUSE = milliseconds(5000);

/** Counts half-open exchanges of responders, and remembers refused ones. */
export class Admission {
  #limit = HALF_OPEN_MAX;
  #halfOpenCount = 0;
  readonly #bySource = new Map<IpAddress, number>();
  readonly #reportedAt = new Map<string, Instant>();
  readonly #refusals = new BoundedMap<string, RememberedRefusal>(REFUSALS_MAX);

  configure(halfOpenMax: number | undefined): void {
    this.#limit = halfOpenMax ?? HALF_OPEN_MAX;
  }

  get halfOpenCount(): number {
    return this.#halfOpenCount;
  }

  /** Takes a place; each is given back by `release`. */
  admit(source: IpAddress): Result<true, 'half-open-limit'> {
    const ofSource = this.#bySource.get(source) ?? 0;
    if (this.#halfOpenCount >= this.#limit || ofSource >= HALF_OPEN_PER_SOURCE_MAX) return err('half-open-limit');
    this.#halfOpenCount++;
    this.#bySource.set(source, ofSource + 1);
    return ok(true);
  }

  release(source: IpAddress): void {
    this.#halfOpenCount--;
    const ofSource = (this.#bySource.get(source) ?? 1) - 1;
    if (ofSource > 0) this.#bySource.set(source, ofSource);
    else this.#bySource.delete(source);
  }

  /** Whether a refusal may have its line in the log; `subject` is one of few: a gateway with a fault. */
  mayReport(now: Instant, subject: string): boolean {
    const last = this.#reportedAt.get(subject);
    if (last !== undefined && now < after(last, REPORT_PAUSE)) return false;
    this.#reportedAt.set(subject, now);
    return true;
  }

  rememberRefusal(now: Instant, key: string, answer: Uint8Array | undefined): void {
    if (this.#refusals.isFull) {
      const [oldest] = this.#refusals.keys();
      if (oldest !== undefined) this.#refusals.delete(oldest);
    }
    this.#refusals.set(key, { answer, until: after(now, REFUSAL_MEMORY) });
  }

  /** The answer that this first message got before; `undefined` if it is new. */
  findRefusal(now: Instant, key: string): { readonly answer: Uint8Array | undefined } | undefined {
    const refusal = this.#refusals.get(key);
    return refusal !== undefined && now < refusal.until ? refusal : undefined;
  }
}

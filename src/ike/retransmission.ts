import { after, type Instant, type Milliseconds, milliseconds, NEVER } from '../lib/time.ts';

/** How often one message is sent, and how long its sender waits for the answer (RFC 2408 §5.1). */
export interface RetransmissionPolicy {
  readonly initial: Milliseconds;
  /** Each wait is this many times as long as the one before. */
  readonly factor: number;
  readonly longest: Milliseconds;
  /** Times that the message is sent in all, the first included. */
  readonly sendsMax: number;
}

/** Waits 1, 2, 4, 8 and 16 seconds: an unreachable peer is given up after 31 seconds. */
export const PATIENT: RetransmissionPolicy = {
  initial: milliseconds(1000),
  factor: 2,
  longest: milliseconds(16_000),
  sendsMax: 5,
};

/**
 * For a responder whose peer has not proven anything yet but owes the last message of the exchange (Aggressive Mode):
 * few repeats, since whoever forged the sender's address would have us send them to a stranger.
 */
export const RELUCTANT: RetransmissionPolicy = { ...PATIENT, initial: milliseconds(2000), sendsMax: 3 };

/** How long after the first sending the sender gives up. */
export function patienceOf(policy: RetransmissionPolicy): Milliseconds {
  let total = 0;
  let wait: number = policy.initial;
  for (let send = 0; send < policy.sendsMax; send++) {
    total += wait;
    wait = Math.min(wait * policy.factor, policy.longest);
  }
  return milliseconds(total);
}

/** The timer of one message that awaits an answer. A new one is made for each message. */
export class Retransmission {
  readonly #policy: RetransmissionPolicy;
  #wait: Milliseconds;
  #dueAt: Instant;
  #sendCount = 1;

  /** The message has just been sent for the first time. */
  constructor(now: Instant, policy: RetransmissionPolicy) {
    this.#policy = policy;
    this.#wait = policy.initial;
    this.#dueAt = after(now, this.#wait);
  }

  get sendCount(): number {
    return this.#sendCount;
  }

  nextTimeout(): Instant {
    return this.#dueAt;
  }

  /** What is to be done at `now`: nothing yet, send again, or give up. */
  handleTimeout(now: Instant): 'wait' | 'send-again' | 'give-up' {
    if (now < this.#dueAt) return 'wait';
    if (this.#sendCount >= this.#policy.sendsMax) {
      this.#dueAt = NEVER;
      return 'give-up';
    }
    this.#sendCount++;
    this.#wait = milliseconds(Math.min(this.#wait * this.#policy.factor, this.#policy.longest));
    this.#dueAt = after(now, this.#wait);
    return 'send-again';
  }
}

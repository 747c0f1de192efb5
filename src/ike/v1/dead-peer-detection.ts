// Asks a silent peer whether it is still there (RFC 3706 §5). Junos' three modes differ in what counts as a reason to ask:
// `optimized`: we send and nothing comes back; `probe-idle-tunnel`: also when the tunnel is idle; `always-send`: at every interval.

import { after, type Instant, type Milliseconds, milliseconds, NEVER, toMilliseconds } from '../../lib/time.ts';
import type { DeadPeerDetectionConfig } from '../../model/gateway-config.ts';

/** What is due: nothing, a probe with this sequence number, or giving the peer up. */
export type LivenessAction =
  | { readonly kind: 'none' }
  | { readonly kind: 'probe'; readonly sequence: number }
  | { readonly kind: 'dead' };

const LAST_ANSWER_WAIT = milliseconds(5000);

export class DeadPeerDetection {
  readonly #config: DeadPeerDetectionConfig;
  readonly #interval: Milliseconds;
  #nextSequence: number;
  #dueAt: Instant;
  #lastInboundAt: Instant;
  #lastOutboundAt: Instant;
  #unansweredCount = 0;

  /** `firstSequence` is random and below 2^31, so that it does not overflow (RFC 3706 §6.2). */
  constructor(now: Instant, config: DeadPeerDetectionConfig, firstSequence: number) {
    this.#config = config;
    this.#interval = toMilliseconds(config.interval);
    this.#nextSequence = firstSequence;
    this.#dueAt = after(now, this.#interval);
    this.#lastInboundAt = now;
    this.#lastOutboundAt = now;
  }

  /** Anything authenticated from the peer, IKE or IPsec, proves that it lives (RFC 3706 §5.4). */
  handleInboundTraffic(now: Instant): void {
    this.#lastInboundAt = now;
    if (this.#unansweredCount > 0) this.#dueAt = after(now, this.#interval);
    this.#unansweredCount = 0;
  }

  handleOutboundTraffic(now: Instant): void {
    this.#lastOutboundAt = now;
  }

  /** An acknowledgement; `false` if it answers no probe that is out (RFC 3706 §6.1). */
  handleAcknowledgement(now: Instant, sequence: number): boolean {
    const oldest = this.#nextSequence - this.#unansweredCount;
    if (this.#unansweredCount === 0 || sequence < oldest || sequence >= this.#nextSequence) return false;
    this.handleInboundTraffic(now);
    return true;
  }

  nextTimeout(): Instant {
    return this.#dueAt;
  }

  handleTimeout(now: Instant): LivenessAction {
    if (now < this.#dueAt) return { kind: 'none' };
    if (this.#unansweredCount >= this.#config.threshold) {
      this.#dueAt = NEVER;
      return { kind: 'dead' };
    }
    if (this.#unansweredCount === 0 && !this.#hasReason(now)) {
      const quietUntil = after(this.#lastInboundAt, this.#interval);
      this.#dueAt = quietUntil > now ? quietUntil : after(now, this.#interval);
      return { kind: 'none' };
    }
    this.#unansweredCount++;
    // Nothing is gained by waiting a whole interval for the answer to the last probe.
    const isLast = this.#unansweredCount >= this.#config.threshold;
    this.#dueAt = after(now, isLast ? milliseconds(Math.min(this.#interval, LAST_ANSWER_WAIT)) : this.#interval);
    return { kind: 'probe', sequence: this.#nextSequence++ };
  }

  #hasReason(now: Instant): boolean {
    if (this.#config.mode === 'always-send') return true;
    if (now < after(this.#lastInboundAt, this.#interval)) return false;
    return this.#config.mode === 'probe-idle-tunnel' || this.#lastOutboundAt > this.#lastInboundAt;
  }
}

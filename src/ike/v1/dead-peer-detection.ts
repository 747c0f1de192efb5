// Asks a silent peer whether it is still there (RFC 3706 §5). Junos' three modes differ in what counts as a reason to ask:
// `optimized`: we send and nothing comes back; `probe-idle-tunnel`: also when the tunnel is idle; `always-send`: at every interval.
// Packets of IPsec SAs prove that the peer lives, but not that it still has the ISAKMP SA: a Delete may have been lost. So in every
// mode that is asked now and then too, and only IKE's answer counts.

import { after, type Instant, type Milliseconds, milliseconds, NEVER, toMilliseconds } from '../../lib/time.ts';
import type { DeadPeerDetectionConfig } from '../../model/gateway-config.ts';

/** What is due: nothing, a probe with this sequence number, giving the peer up, or giving up only the SA, which it has lost. */
export type LivenessAction =
  | { readonly kind: 'none' }
  | { readonly kind: 'probe'; readonly sequence: number }
  | { readonly kind: 'dead' }
  | { readonly kind: 'lost' };

/** After so many intervals without an IKE message the peer is asked whether it still has the SA, whatever else comes from it. */
export const INTERVALS_TO_VERIFY = 6;

const LAST_ANSWER_WAIT = milliseconds(5000);

export class DeadPeerDetection {
  readonly #config: DeadPeerDetectionConfig;
  readonly #interval: Milliseconds;
  #nextSequence: number;
  #dueAt: Instant;
  #lastInboundAt: Instant;
  #lastOutboundAt: Instant;
  #verifiedAt: Instant;
  #isVerifying = false;
  #unansweredCount = 0;

  /** `firstSequence` is random and below 2^31, so that it does not overflow (RFC 3706 §6.2). */
  constructor(now: Instant, config: DeadPeerDetectionConfig, firstSequence: number) {
    this.#config = config;
    this.#interval = toMilliseconds(config.interval);
    this.#nextSequence = firstSequence;
    this.#dueAt = after(now, this.#interval);
    this.#lastInboundAt = now;
    this.#lastOutboundAt = now;
    this.#verifiedAt = now;
  }

  /** An authenticated IKE message proves that the peer lives and has the SA. */
  handleIkeMessage(now: Instant): void {
    this.#verifiedAt = now;
    this.#isVerifying = false;
    this.handleInboundTraffic(now);
  }

  /** Anything authenticated from the peer, IKE or IPsec, proves that it lives (RFC 3706 §5.4). */
  handleInboundTraffic(now: Instant): void {
    this.#lastInboundAt = now;
    if (this.#isVerifying) return;
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
      return { kind: this.#isVerifying && now < after(this.#lastInboundAt, this.#interval) ? 'lost' : 'dead' };
    }
    if (this.#unansweredCount === 0) this.#isVerifying = this.#isDoubtful(now);
    if (this.#unansweredCount === 0 && !this.#isVerifying && !this.#hasReason(now)) {
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

  /** Packets of IPsec SAs have come, but for a long time no IKE message. */
  #isDoubtful(now: Instant): boolean {
    const verificationDueAt = after(this.#verifiedAt, milliseconds(this.#interval * INTERVALS_TO_VERIFY));
    return this.#lastInboundAt > this.#verifiedAt && now >= verificationDueAt;
  }

  #hasReason(now: Instant): boolean {
    if (this.#config.mode === 'always-send') return true;
    if (now < after(this.#lastInboundAt, this.#interval)) return false;
    return this.#config.mode === 'probe-idle-tunnel' || this.#lastOutboundAt > this.#lastInboundAt;
  }
}

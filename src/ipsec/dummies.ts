// Dummy packets (RFC 4303 §2.6): where a policy asks for them, its tunnel is never silent for long, whether there is something to say or not.

import type { RandomSource } from '../lib/random.ts';
import { after, earliest, type Instant, NEVER, toMilliseconds } from '../lib/time.ts';
import type { PolicyId } from '../model/ipsec-sa.ts';
import { uint16At } from './octets.ts';
import type { Outbound } from './outbound.ts';
import type { DataPlaneOutbox } from './outbox.ts';
import type { OutboundSa } from './security-association.ts';
import type { PolicyEntry, SecurityPolicyDatabase } from './security-policy-database.ts';

/** IPv4 and UDP headers with nothing behind: real packets are rarely shorter. */
const LENGTH_MIN = 28;
const SUBSPACE = 2 ** 16;

/** An interval under way, and the last sequence number that was used before it. */
interface Countdown {
  readonly sa: OutboundSa;
  readonly sequence: number;
  readonly dueAt: Instant;
}

/** Sends what is due. Packets cost nothing here: their sequence numbers tell whether there were any. */
export class Dummies {
  readonly #policies: SecurityPolicyDatabase;
  readonly #outbound: Outbound;
  readonly #random: RandomSource;
  /** Of policies that ask for dummies and have an SA: as many as are configured. */
  readonly #countdowns = new Map<PolicyId, Countdown>();
  #nextTimeout: Instant = NEVER;

  constructor(policies: SecurityPolicyDatabase, outbound: Outbound, random: RandomSource) {
    this.#policies = policies;
    this.#outbound = outbound;
    this.#random = random;
  }

  /** Begins an interval, if the policy asks for dummies and its SA can carry them; called when either is new. */
  watch(now: Instant, entry: PolicyEntry): void {
    const { id, dummyInterval } = entry.policy;
    const sa = entry.outbound;
    // AH has no dummies, and what transport mode would send them in has no addresses but those of real packets.
    if (dummyInterval === undefined || sa?.protocol !== 'esp' || sa.mode !== 'tunnel') return this.forget(id);
    const dueAt = after(now, toMilliseconds(dummyInterval));
    this.#countdowns.set(id, { sa, sequence: sa.sequence, dueAt });
    this.#nextTimeout = earliest(this.#nextTimeout, dueAt);
  }

  forget(id: PolicyId): void {
    this.#countdowns.delete(id);
  }

  /** Sends a dummy for each interval that has passed in silence. */
  handleTimeout(now: Instant, out: DataPlaneOutbox): void {
    if (now < this.#nextTimeout) return;
    this.#nextTimeout = NEVER;
    for (const [id, countdown] of [...this.#countdowns]) {
      if (countdown.dueAt > now) this.#nextTimeout = earliest(this.#nextTimeout, countdown.dueAt);
      else this.#elapse(now, id, countdown, out);
    }
  }

  nextTimeout(): Instant {
    return this.#nextTimeout;
  }

  #elapse(now: Instant, id: PolicyId, { sa, sequence }: Countdown, out: DataPlaneOutbox): void {
    const entry = this.#policies.get(id);
    if (entry?.outbound !== sa || sa.usage.isHardExpired) return this.forget(id);
    if (sa.sequence === sequence) this.#outbound.sendDummy(entry, sa, this.#length(entry, sa), out);
    this.watch(now, entry);
  }

  /** That of padded packets, where packets are padded; else any. */
  #length({ policy }: PolicyEntry, sa: OutboundSa): number {
    if (policy.tfcPadding !== undefined) return Math.min(policy.tfcPadding, sa.innerMtu);
    const span = Math.min(sa.innerMtu, policy.mtu ?? sa.innerMtu) - LENGTH_MIN;
    return LENGTH_MIN + Math.floor((uint16At(this.#random.bytes(2), 0) * (span + 1)) / SUBSPACE);
  }
}

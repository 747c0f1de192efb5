import { BoundedMap, BoundedQueue } from '../lib/bounded.ts';
import { elapsed, type Instant } from '../lib/time.ts';
import type { PolicyId } from '../model/ipsec-sa.ts';
import type { Counters } from './counters.ts';
import { copyWithRoom } from './packet-room.ts';

const WAITING_PER_POLICY_MAX = 8;
const WAITING_POLICIES_MAX = 1024;
/** After this many milliseconds the sender has long sent the packet again. */
const PATIENCE = 15_000;

/**
 * Packets that wait for their policy's SA, a few for each: the oldest goes first, since a late packet is worth least.
 * RFC 4301 §5.1 does not require it, but without it the first packet of each connection would be lost.
 */
export class WaitingPackets {
  readonly #queues = new BoundedMap<PolicyId, BoundedQueue<{ readonly since: Instant; readonly packet: Uint8Array }>>(
    WAITING_POLICIES_MAX,
  );
  readonly #counters: Counters;

  constructor(counters: Counters) {
    this.#counters = counters;
  }

  /** Keeps a copy of `buffer[start, end)`. */
  add(now: Instant, policy: PolicyId, buffer: Uint8Array, start: number, end: number): void {
    let queue = this.#queues.get(policy);
    if (!queue) {
      queue = new BoundedQueue(WAITING_PER_POLICY_MAX);
      if (!this.#queues.set(policy, queue)) {
        this.#counters.drop('no-sa');
        return;
      }
    }
    if (queue.size === queue.limit) this.#counters.drop('no-sa');
    queue.push({ since: now, packet: copyWithRoom(buffer, start, end) });
  }

  /** What waits for this policy and is not too old, oldest first, each with room around it; nothing waits afterwards. */
  take(now: Instant, policy: PolicyId): readonly Uint8Array[] {
    const queue = this.#queues.get(policy);
    if (!queue) return [];
    this.#queues.delete(policy);
    const packets: Uint8Array[] = [];
    for (const { since, packet } of queue.drain()) {
      if (elapsed(since, now) <= PATIENCE) packets.push(packet);
      else this.#counters.drop('no-sa');
    }
    return packets;
  }

  forget(policy: PolicyId): void {
    for (const _ of this.#queues.get(policy) ?? []) this.#counters.drop('no-sa');
    this.#queues.delete(policy);
  }
}

// The SPD (RFC 4301 §4.4.1): ordered, the first match decides. One table for each tunnel interface, since the route into it is
// the first selector of a route-based VPN, and one for packets that come from the host's own stack.

import { type Instant, instant } from '../lib/time.ts';
import type { SecurityPolicy } from '../model/data-plane.ts';
import type { PolicyId } from '../model/ipsec-sa.ts';
import type { Flow } from './flow.ts';
import { PolicyTable } from './policy-table.ts';
import type { OutboundSa } from './security-association.ts';
import { SelectorMatcher } from './selector-matcher.ts';

/** A policy in use: its selectors ready to match, and the SA that its packets leave under. */
export class PolicyEntry {
  readonly policy: SecurityPolicy;
  readonly matcher: SelectorMatcher;
  /** Absent until an SA is negotiated. */
  outbound: OutboundSa | undefined = undefined;
  /** When the next `acquire` may be emitted. */
  acquireDueAt: Instant = instant(0);

  constructor(policy: SecurityPolicy) {
    this.policy = policy;
    this.matcher = new SelectorMatcher(policy.selectors);
  }
}

/** All policies, by name and by what they match. */
export class SecurityPolicyDatabase {
  readonly #byId = new Map<PolicyId, PolicyEntry>();
  /** Packets come in runs of one policy. */
  #last: PolicyEntry | undefined;
  readonly #tables = new Map<string | undefined, PolicyTable<PolicyEntry>>();

  get(id: PolicyId): PolicyEntry | undefined {
    if (this.#last?.policy.id === id) return this.#last;
    this.#last = this.#byId.get(id);
    return this.#last;
  }

  entries(): IterableIterator<PolicyEntry> {
    return this.#byId.values();
  }

  /** Adds a policy, or replaces the one of the same name; the SA in use stays in use. */
  put(policy: SecurityPolicy): PolicyEntry {
    const entry = new PolicyEntry(policy);
    const previous = this.#byId.get(policy.id);
    this.#last = undefined;
    if (previous) {
      entry.outbound = previous.outbound;
      entry.acquireDueAt = previous.acquireDueAt;
      this.#table(previous.policy.tunnelInterface).delete(previous);
    }
    this.#byId.set(policy.id, entry);
    this.#table(policy.tunnelInterface).add(entry);
    return entry;
  }

  delete(id: PolicyId): PolicyEntry | undefined {
    const entry = this.#byId.get(id);
    if (!entry) return undefined;
    this.#byId.delete(id);
    this.#last = undefined;
    this.#table(entry.policy.tunnelInterface).delete(entry);
    return entry;
  }

  /** The first policy of this interface that covers the outbound packet in `flow`. */
  lookup(tunnelInterface: string | undefined, flow: Flow): PolicyEntry | undefined {
    return this.#tables.get(tunnelInterface)?.lookup(flow);
  }

  /** Whether a fragment from this interface must be put together with the others before a policy can be chosen (RFC 4301 §7). */
  needsWholePackets(tunnelInterface: string | undefined): boolean {
    return this.#tables.get(tunnelInterface)?.namesPorts === true;
  }

  #table(tunnelInterface: string | undefined): PolicyTable<PolicyEntry> {
    let table = this.#tables.get(tunnelInterface);
    if (!table) {
      table = new PolicyTable();
      this.#tables.set(tunnelInterface, table);
    }
    return table;
  }
}

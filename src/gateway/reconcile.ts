// Old configuration x new configuration -> changes, in proportion to the change and in linear time: a VPN whose policies read the
// same keeps them, and its SAs carry on. What a change does to negotiated SAs is IKE's decision; this is about the policies.

import type { SecurityPolicy } from '../model/data-plane.ts';
import type { GatewayConfig } from '../model/gateway-config.ts';
import type { PolicyId } from '../model/ipsec-sa.ts';
import { policiesOf, samePolicy, type UnorderedPolicy } from './policies.ts';

/** Every policy in force, by its name. */
export type PolicyTable = ReadonlyMap<PolicyId, SecurityPolicy>;

/** What the data plane must be told, and the table afterwards. */
export interface PolicyChanges {
  readonly puts: readonly SecurityPolicy[];
  readonly deletes: readonly PolicyId[];
  readonly table: PolicyTable;
}

/** The least that turns the policies in force into those of `config`. */
export function reconcilePolicies(current: PolicyTable, config: GatewayConfig): PolicyChanges {
  const wanted = policiesOf(config);
  const table = new Map<PolicyId, SecurityPolicy>();
  const puts: SecurityPolicy[] = [];
  for (const group of byInterface(wanted)) {
    const orders = placeInOrder(group.map((policy) => current.get(policy.id)?.order));
    for (const [index, unordered] of group.entries()) {
      const before = current.get(unordered.id);
      const order = orders[index] ?? index;
      const isUnchanged = before !== undefined && before.order === order && samePolicy(before, unordered);
      const policy = isUnchanged ? before : { ...unordered, order };
      table.set(policy.id, policy);
      if (!isUnchanged) puts.push(policy);
    }
  }
  const deletes = [...current.keys()].filter((id) => !table.has(id));
  return { puts, deletes, table };
}

/** Two policies compete for a packet only if both see it, so order matters within one tunnel interface (or the host's stack) alone. */
function byInterface(policies: readonly UnorderedPolicy[]): Iterable<readonly UnorderedPolicy[]> {
  const groups = new Map<string | undefined, UnorderedPolicy[]>();
  for (const policy of policies) {
    const group = groups.get(policy.tunnelInterface);
    if (group) group.push(policy);
    else groups.set(policy.tunnelInterface, [policy]);
  }
  return groups.values();
}

/**
 * Numbers for a list of which some members have one already: those keep theirs, and newcomers get numbers in between, so that a
 * policy inserted among a thousand touches no other. If the old numbers no longer ascend, or there is no number left in a gap,
 * the whole list is numbered anew.
 */
function placeInOrder(before: readonly (number | undefined)[]): readonly number[] {
  const orders: number[] = [];
  for (let index = 0; index < before.length; ) {
    const kept = before[index];
    if (kept !== undefined) {
      orders.push(kept);
      index++;
      continue;
    }
    const start = index;
    while (index < before.length && before[index] === undefined) index++;
    orders.push(...spread(orders[start - 1], before[index], index - start));
  }
  const ascends = orders.every((order, index) => index === 0 || order > (orders[index - 1] ?? order));
  return ascends ? orders : before.map((_, index) => index);
}

/** `count` ascending numbers between two neighbours, either of which may be absent. */
function spread(low: number | undefined, high: number | undefined, count: number): readonly number[] {
  const first = low ?? (high === undefined ? -1 : high - count - 1);
  const step = high === undefined ? 1 : (high - first) / (count + 1);
  return Array.from({ length: count }, (_, index) => first + step * (index + 1));
}

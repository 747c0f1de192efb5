// Policies of dial-in clients: each is its VPN's policy, narrowed to the client's address and looked at before it.

import type { SecurityPolicy } from '../model/data-plane.ts';
import type { PolicyId } from '../model/ipsec-sa.ts';
import type { TrafficSelector } from '../model/traffic-selector.ts';
import { samePolicy } from './policies.ts';
import type { PolicyTable } from './reconcile.ts';

/** A client's policy before it has a place: the configured policy that it narrows, and to what. */
export interface ClientPolicy {
  readonly id: PolicyId;
  readonly template: PolicyId;
  readonly remote: TrafficSelector;
}

/** The clients that are there, each with its policy as the data plane has it; as many as have SAs. */
export class ClientPolicies {
  readonly #clients = new Map<PolicyId, { readonly client: ClientPolicy; readonly policy: SecurityPolicy }>();

  /** The policy to put; `undefined` if its template is not configured (any more). */
  put(client: ClientPolicy, table: PolicyTable): SecurityPolicy | undefined {
    const policy = narrowed(client, table);
    if (policy) this.#clients.set(client.id, { client, policy });
    return policy;
  }

  /** Whether there was such a policy. */
  delete(id: PolicyId): boolean {
    return this.#clients.delete(id);
  }

  /** What must be put again under a new table. A client whose template is gone is left alone: IKE ends it. */
  reconcile(table: PolicyTable): readonly SecurityPolicy[] {
    const puts: SecurityPolicy[] = [];
    for (const { client, policy } of [...this.#clients.values()]) {
      const wanted = narrowed(client, table);
      if (wanted === undefined || (wanted.order === policy.order && samePolicy(wanted, policy))) continue;
      this.#clients.set(client.id, { client, policy: wanted });
      puts.push(wanted);
    }
    return puts;
  }
}

function narrowed({ id, template, remote }: ClientPolicy, table: PolicyTable): SecurityPolicy | undefined {
  const whole = table.get(template);
  if (whole === undefined) return undefined;
  return { ...whole, id, order: orderBefore(whole, table), selectors: { local: whole.selectors.local, remote } };
}

/** Between the policy and the one before it on the same interface, so that what the operator wrote first is still looked at first. */
function orderBefore(policy: SecurityPolicy, table: PolicyTable): number {
  let previous = policy.order - 2;
  for (const other of table.values()) {
    if (other.tunnelInterface !== policy.tunnelInterface || other.order >= policy.order) continue;
    previous = Math.max(previous, other.order);
  }
  return (previous + policy.order) / 2;
}

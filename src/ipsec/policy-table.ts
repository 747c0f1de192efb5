import type { Flow } from './flow.ts';
import { PolicyIndex, type TableEntry } from './policy-index.ts';

/** As many policies are compared one after another; an index would only be slower. */
const LINEAR_MAX = 8;

/** Ordered policies of one interface; the first that matches an outbound packet decides (RFC 4301 §4.4.1). */
export class PolicyTable<E extends TableEntry> {
  /** Whether some policy needs to see the ports. */
  namesPorts = false;
  #ordered: E[] = [];
  #indexIpv4: PolicyIndex<E> | undefined;
  #indexIpv6: PolicyIndex<E> | undefined;

  /** Behind all others of the same order. */
  add(entry: E): void {
    this.#forgetIndex();
    this.namesPorts ||= entry.matcher.namesPorts;
    const last = this.#ordered.at(-1);
    if (!last || last.policy.order <= entry.policy.order) {
      this.#ordered.push(entry);
      return;
    }
    const position = this.#ordered.findIndex((other) => other.policy.order > entry.policy.order);
    this.#ordered.splice(position, 0, entry);
  }

  delete(entry: E): void {
    this.#forgetIndex();
    this.#ordered = this.#ordered.filter((other) => other !== entry);
    if (entry.matcher.namesPorts) this.namesPorts = this.#ordered.some(({ matcher }) => matcher.namesPorts);
  }

  lookup(flow: Flow): E | undefined {
    if (this.#ordered.length > LINEAR_MAX) return this.#index(flow).lookup(flow);
    for (const entry of this.#ordered) if (entry.matcher.matches(flow, 'outbound')) return entry;
    return undefined;
  }

  /** Built at the first packet after a change, so that a commit of many policies builds it once. */
  #index(flow: Flow): PolicyIndex<E> {
    if (flow.family === 4) {
      this.#indexIpv4 ??= new PolicyIndex(this.#ordered, 4);
      return this.#indexIpv4;
    }
    this.#indexIpv6 ??= new PolicyIndex(this.#ordered, 6);
    return this.#indexIpv6;
  }

  #forgetIndex(): void {
    this.#indexIpv4 = undefined;
    this.#indexIpv6 = undefined;
  }
}

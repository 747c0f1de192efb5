import type { Flow } from './flow.ts';
import type { SelectorMatcher } from './selector-matcher.ts';

/** What a table needs to know of an entry. */
export interface TableEntry {
  readonly policy: { readonly order: number };
  readonly matcher: SelectorMatcher;
}

/** Ordered policies of one interface; the first that matches an outbound packet decides. */
export class PolicyTable<E extends TableEntry> {
  #ordered: E[] = [];

  add(entry: E): void {
    const position = this.#ordered.findIndex((other) => other.policy.order > entry.policy.order);
    this.#ordered.splice(position < 0 ? this.#ordered.length : position, 0, entry);
  }

  delete(entry: E): void {
    this.#ordered = this.#ordered.filter((other) => other !== entry);
  }

  lookup(flow: Flow): E | undefined {
    for (const entry of this.#ordered) if (entry.matcher.matches(flow, 'outbound')) return entry;
    return undefined;
  }
}

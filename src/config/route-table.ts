import { addressFamily, formatPrefix, type IpAddress, network, parsePrefix } from '../model/address.ts';
import type { Statement } from './compilation.ts';
import { staticRoutes, tunnelName } from './compile-network.ts';

export interface TableEntry {
  readonly statement: Statement;
  /** Where the route leads into a tunnel. */
  readonly tunnel?: string;
}

/** The routes that the configuration makes: static ones and those of its interfaces. Finds the longest match. */
export class RouteTable {
  readonly #byLength = new Map<number, Map<string, TableEntry>>();
  readonly #tunnels = new Set<string>();

  constructor(root: Statement) {
    for (const statement of staticRoutes(root)) {
      const hops = [...statement.words('next-hop'), ...statement.words('qualified-next-hop')];
      const tunnel = hops.map(tunnelName).find((name) => name !== undefined);
      for (const name of hops.map(tunnelName)) if (name !== undefined) this.#tunnels.add(name);
      this.#add(statement.name, { statement, ...(tunnel !== undefined && { tunnel }) });
    }
    for (const device of root.entries('interfaces')) {
      for (const unit of device.entries('unit')) {
        const tunnel = device.name === 'st0' ? `st0.${unit.name}` : undefined;
        for (const family of ['inet', 'inet6']) {
          for (const statement of unit.entries('family', family, 'address')) {
            this.#add(statement.name, { statement, ...(tunnel !== undefined && { tunnel }) });
          }
        }
      }
    }
  }

  /** Whether a static route leads into this tunnel. */
  leadsInto(tunnel: string): boolean {
    return this.#tunnels.has(tunnel);
  }

  lookUp(address: IpAddress): TableEntry | undefined {
    const lengths = [...this.#byLength.keys()].toSorted((a, b) => b - a);
    for (const length of lengths) {
      if (length > (addressFamily(address) === 4 ? 32 : 128)) continue;
      const entry = this.#byLength.get(length)?.get(formatPrefix(network({ address, length })));
      if (entry) return entry;
    }
    return undefined;
  }

  #add(text: string, entry: TableEntry): void {
    const prefix = parsePrefix(text);
    if (prefix === undefined) return;
    const table = this.#byLength.get(prefix.length) ?? new Map<string, TableEntry>();
    this.#byLength.set(prefix.length, table);
    const key = formatPrefix(network(prefix));
    if (!table.has(key)) table.set(key, entry);
  }
}

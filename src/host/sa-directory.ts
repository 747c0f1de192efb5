import { readSaCounters, SA_COUNTER_CELLS } from '../ipsec/counters.ts';
import { samePath } from '../ipsec/security-association-database.ts';
import type { IpAddress, UdpPath } from '../model/address.ts';
import type { DataPlaneCommand, SaCounters } from '../model/data-plane.ts';
import type { IpsecSa, PolicyId, Spi } from '../model/ipsec-sa.ts';
import { sharedCells } from './packet-engine/engine-counters.ts';

/** An SA as the data plane names it; the address only decides between several outbound ones that peers have chosen the same SPI for. */
export interface SaName {
  readonly direction: 'inbound' | 'outbound';
  readonly spi: Spi;
  readonly remoteAddress?: IpAddress;
}

/** Where a command goes: to one engine, or, without, to all. The cells are for an SA that it adds to count in. */
export interface CommandRoute {
  readonly engine?: number;
  readonly cells?: Float64Array;
}

interface Entry {
  readonly policy: PolicyId;
  readonly remoteAddress: IpAddress;
  udp: UdpPath | undefined;
  readonly engine: number;
  readonly cells: Float64Array;
}

const ALL: CommandRoute = {};

/** Which engine has each SA, and where its counters lie: kept from the commands that make and end SAs. */
export class SaDirectory {
  readonly #engines: number;
  readonly #engineOfTunnel: (device: string | undefined) => number;
  readonly #devices = new Map<PolicyId, string | undefined>();
  readonly #byName = new Map<string, readonly Entry[]>();

  /** An inbound SA belongs to the engine that is its SPI modulo `engines`, an outbound one to that of the tunnel device that its packets are read from. */
  constructor(engines: number, engineOfTunnel: (device: string | undefined) => number) {
    this.#engines = engines;
    this.#engineOfTunnel = engineOfTunnel;
  }

  /** Follows a command, and says where it goes. */
  handleCommand(command: DataPlaneCommand): CommandRoute {
    switch (command.kind) {
      case 'reserve-spi':
        return { engine: command.spi % this.#engines };
      case 'add-inbound':
      case 'add-outbound':
        return this.#add(command.sa);
      case 'use-outbound':
        return { engine: this.#findOfPolicy(command.spi, command.policy)?.engine ?? 0 };
      case 'remove':
        return this.#remove(command);
      case 'put-policy':
        this.#devices.set(command.policy.id, command.policy.tunnelInterface);
        return ALL;
      case 'delete-policy':
        this.#devices.delete(command.id);
        return ALL;
      case 'move-path':
        for (const entry of [...this.#byName.values()].flat())
          if (entry.udp && samePath(entry.udp, command.from)) entry.udp = command.to;
        return ALL;
    }
  }

  /** `undefined` for an SA that there is not. */
  counters(name: SaName): SaCounters | undefined {
    const entry = this.#find(name);
    return entry && readSaCounters(entry.cells);
  }

  #add(sa: IpsecSa): CommandRoute {
    const { direction, spi, policy, remoteAddress, udp } = sa;
    // What is inside of AH is found where that is opened.
    const inboundSpi = sa.wrappedInAh ?? spi;
    const engine =
      direction === 'inbound' ? inboundSpi % this.#engines : this.#engineOfTunnel(this.#devices.get(policy));
    const entry: Entry = { policy, remoteAddress, udp, engine, cells: sharedCells(SA_COUNTER_CELLS) };
    const others = direction === 'inbound' ? [] : this.#entries({ direction, spi });
    const left = others.filter((other) => other.remoteAddress !== remoteAddress);
    this.#byName.set(keyOf({ direction, spi }), [...left, entry]);
    return entry;
  }

  #remove(name: SaName): CommandRoute {
    const entry = this.#find(name);
    const left = this.#entries(name).filter((other) => other !== entry);
    if (left.length > 0) this.#byName.set(keyOf(name), left);
    else this.#byName.delete(keyOf(name));
    // Without an SA it is a reservation that is given back.
    return { engine: entry?.engine ?? name.spi % this.#engines };
  }

  /** As the data plane finds it: the peer's address may have moved since the SA was made. */
  #find(name: SaName): Entry | undefined {
    const entries = this.#entries(name);
    const { remoteAddress } = name;
    const named = entries.find(
      (each) => each.remoteAddress === remoteAddress || each.udp?.remote.address === remoteAddress,
    );
    return named ?? (entries.length === 1 ? entries[0] : undefined);
  }

  #findOfPolicy(spi: Spi, policy: PolicyId): Entry | undefined {
    return this.#entries({ direction: 'outbound', spi }).find((entry) => entry.policy === policy);
  }

  #entries(name: SaName): readonly Entry[] {
    return this.#byName.get(keyOf(name)) ?? [];
  }
}

function keyOf({ direction, spi }: SaName): string {
  return `${direction} ${spi}`;
}

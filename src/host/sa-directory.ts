import { readSaCounters, SA_COUNTER_CELLS } from '../ipsec/counters.ts';
import { samePath } from '../ipsec/security-association-database.ts';
import type { IpAddress, UdpPath } from '../model/address.ts';
import type { DataPlaneCommand, SaCounters } from '../model/data-plane.ts';
import type { IpsecSa, Spi } from '../model/ipsec-sa.ts';
import { sharedCells } from './packet-engine/engine-counters.ts';

/** An SA as the data plane names it; the address only decides between several outbound ones that peers have chosen the same SPI for. */
export interface SaName {
  readonly direction: 'inbound' | 'outbound';
  readonly spi: Spi;
  readonly remoteAddress?: IpAddress;
}

interface Entry {
  readonly remoteAddress: IpAddress;
  udp: UdpPath | undefined;
  readonly cells: Float64Array;
}

/** Where the counters of each SA of the data plane lie: kept from the commands that make and end SAs. */
export class SaDirectory {
  readonly #byName = new Map<string, Entry[]>();

  /** Follows a command; the cells are for an SA that it adds to count in. */
  handleCommand(command: DataPlaneCommand): Float64Array | undefined {
    switch (command.kind) {
      case 'add-inbound':
      case 'add-outbound':
        return this.#add(command.sa);
      case 'remove':
        this.#remove(command);
        return undefined;
      case 'move-path':
        for (const entry of [...this.#byName.values()].flat())
          if (entry.udp && samePath(entry.udp, command.from)) entry.udp = command.to;
        return undefined;
      default:
        return undefined;
    }
  }

  /** `undefined` for an SA that there is not. */
  counters(name: SaName): SaCounters | undefined {
    const entry = this.#find(name);
    return entry && readSaCounters(entry.cells);
  }

  #add({ direction, spi, remoteAddress, udp }: IpsecSa): Float64Array {
    const entry = { remoteAddress, udp, cells: sharedCells(SA_COUNTER_CELLS) };
    const others = direction === 'inbound' ? [] : this.#entries({ direction, spi });
    this.#byName.set(keyOf({ direction, spi }), [
      ...others.filter((other) => other.remoteAddress !== remoteAddress),
      entry,
    ]);
    return entry.cells;
  }

  #remove(name: SaName): void {
    const entry = this.#find(name);
    const left = this.#entries(name).filter((other) => other !== entry);
    if (left.length > 0) this.#byName.set(keyOf(name), left);
    else this.#byName.delete(keyOf(name));
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

  #entries(name: SaName): readonly Entry[] {
    return this.#byName.get(keyOf(name)) ?? [];
  }
}

function keyOf({ direction, spi }: SaName): string {
  return `${direction} ${spi}`;
}

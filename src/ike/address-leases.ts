import { addressFamily, addressFromOctets, addressOctets, type IpAddress } from '../model/address.ts';
import type { IkeGatewayConfig } from '../model/gateway-config.ts';

/** Addresses looked at for a free one: a pool may be larger than anybody has users. */
const SEARCH_MAX = 65_536;

/** Which user of a gateway has which address. As many as there are configured users. */
export class AddressLeases {
  readonly #byUser = new Map<string, IpAddress>();

  /** The user's own address, the one it had before, or a free one of the pool; `undefined` if there is none. */
  lease(gateway: IkeGatewayConfig, userName: string): IpAddress | undefined {
    const { xauth } = gateway;
    if (xauth?.role !== 'server') return undefined;
    const fixed = xauth.users.find(({ name }) => name === userName)?.address;
    if (fixed !== undefined) return fixed;
    const key = `${gateway.name} ${userName}`;
    const standing = this.#byUser.get(key);
    if (standing !== undefined || xauth.pool === undefined) return standing;
    const taken = new Set([...this.#byUser.values(), ...xauth.users.flatMap(({ address }) => address ?? [])]);
    let candidate: IpAddress | undefined = xauth.pool.first;
    for (let count = 0; candidate !== undefined && count < SEARCH_MAX; count++) {
      if (!taken.has(candidate)) {
        this.#byUser.set(key, candidate);
        return candidate;
      }
      candidate = candidate === xauth.pool.last ? undefined : successor(candidate);
    }
    return undefined;
  }

  /** The gateway has changed, or is gone: its users have no addresses. */
  forget(gatewayName: string): void {
    for (const key of [...this.#byUser.keys()]) if (key.startsWith(`${gatewayName} `)) this.#byUser.delete(key);
  }
}

function successor(address: IpAddress): IpAddress | undefined {
  const octets = addressOctets(address);
  for (let index = octets.length - 1; index >= 0; index--) {
    octets[index] = ((octets[index] ?? 0) + 1) & 0xff;
    if (octets[index] !== 0) {
      const next = addressFromOctets(octets);
      return addressFamily(next) === addressFamily(address) ? next : undefined;
    }
  }
  return undefined;
}

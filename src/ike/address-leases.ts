import {
  type AddressRange,
  addressFamily,
  addressFromOctets,
  addressOctets,
  type IpAddress,
  rangeContains,
} from '../model/address.ts';
import type { IkeGatewayConfig } from '../model/gateway-config.ts';

/** Addresses looked at for a free one: a pool may be larger than anybody has users. */
const SEARCH_MAX = 65_536;

interface Lease {
  readonly gateway: string;
  readonly user: string;
  readonly address: IpAddress;
}

/**
 * Which user of a gateway has which address. As many as there are configured users. A user who is away keeps the address for the next
 * time, until the pool has no other: then whoever has been away longest loses it.
 */
export class AddressLeases {
  /** By gateway and user; whoever was seen last is last. */
  readonly #leases = new Map<string, Lease>();
  readonly #isPresent: (gateway: string, user: string) => boolean;

  /** `isPresent` says whether the user has SAs now. */
  constructor(isPresent: (gateway: string, user: string) => boolean) {
    this.#isPresent = isPresent;
  }

  /** The user's own address, the one it had before, or one of the pool that nobody uses; `undefined` if there is none. */
  lease(gateway: IkeGatewayConfig, userName: string): IpAddress | undefined {
    const { xauth } = gateway;
    if (xauth?.role !== 'server') return undefined;
    const fixed = xauth.users.find(({ name }) => name === userName)?.address;
    if (fixed !== undefined) return fixed;
    const { pool } = xauth;
    const standing = this.#leases.get(keyOf(gateway.name, userName));
    if (pool === undefined) return standing?.address;
    const own = new Set(xauth.users.flatMap(({ address }) => address ?? []));
    const address = standing?.address ?? this.#free(pool, own) ?? this.#reclaim(pool, own);
    if (address !== undefined) this.#put({ gateway: gateway.name, user: userName, address });
    return address;
  }

  /** The user has just had an SA. */
  noteSeen(gateway: string, user: string): void {
    const lease = this.#leases.get(keyOf(gateway, user));
    if (lease) this.#put(lease);
  }

  /** The gateway has changed, or is gone: its users have no addresses. */
  forget(gateway: string): void {
    for (const [key, lease] of [...this.#leases]) if (lease.gateway === gateway) this.#leases.delete(key);
  }

  #put(lease: Lease): void {
    const key = keyOf(lease.gateway, lease.user);
    this.#leases.delete(key);
    this.#leases.set(key, lease);
  }

  #free(pool: AddressRange, own: ReadonlySet<IpAddress>): IpAddress | undefined {
    const taken = new Set([...this.#leases.values()].map(({ address }) => address));
    let candidate: IpAddress | undefined = pool.first;
    for (let count = 0; candidate !== undefined && count < SEARCH_MAX; count++) {
      if (!taken.has(candidate) && !own.has(candidate)) return candidate;
      candidate = candidate === pool.last ? undefined : successor(candidate);
    }
    return undefined;
  }

  /** Takes the address of the user who has been away longest. */
  #reclaim(pool: AddressRange, own: ReadonlySet<IpAddress>): IpAddress | undefined {
    for (const [key, { gateway, user, address }] of this.#leases) {
      if (own.has(address) || !rangeContains(pool, address) || this.#isPresent(gateway, user)) continue;
      this.#leases.delete(key);
      return address;
    }
    return undefined;
  }
}

function keyOf(gateway: string, user: string): string {
  return `${gateway} ${user}`;
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

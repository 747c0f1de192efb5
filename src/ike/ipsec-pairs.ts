import { invariant } from '../lib/invariant.ts';
import type { RandomSource } from '../lib/random.ts';
import { type PolicyId, SPI_MIN, type Spi, spi } from '../model/ipsec-sa.ts';
import type { IpsecPair } from './ipsec-pair.ts';

/** All pairs of IPsec SAs by our SPI, by policy and by gateway, and the SPIs that are promised to negotiations. */
export class IpsecPairs {
  readonly #random: RandomSource;
  readonly #byInboundSpi = new Map<Spi, IpsecPair>();
  readonly #byPolicy = new Map<PolicyId, Set<IpsecPair>>();
  readonly #byGateway = new Map<string, Set<IpsecPair>>();
  readonly #reserved = new Set<Spi>();

  constructor(random: RandomSource) {
    this.#random = random;
  }

  /** An SPI that no SA of ours has (RFC 4301 §4.4.2.1: the receiver chooses it), and that is accepted; it is kept for the caller. */
  reserveSpi(accepts: (spi: Spi) => boolean = () => true): Spi {
    for (let attempt = 0; attempt < 1000; attempt++) {
      const octets = this.#random.bytes(4);
      const candidate = spi(new DataView(octets.buffer, octets.byteOffset, 4).getUint32(0));
      const isTaken = candidate < SPI_MIN || this.#reserved.has(candidate) || this.#byInboundSpi.has(candidate);
      if (isTaken || !accepts(candidate)) continue;
      this.#reserved.add(candidate);
      return candidate;
    }
    invariant(false, 'randomness yields a new SPI');
  }

  release(value: Spi): void {
    this.#reserved.delete(value);
  }

  /** The pair takes over the SPI that was reserved for it. */
  add(pair: IpsecPair): void {
    this.#reserved.delete(pair.inboundSpi);
    this.#byInboundSpi.set(pair.inboundSpi, pair);
    addTo(this.#byPolicy, pair.policy, pair);
    addTo(this.#byGateway, pair.gateway, pair);
  }

  delete(pair: IpsecPair): void {
    this.#byInboundSpi.delete(pair.inboundSpi);
    deleteFrom(this.#byPolicy, pair.policy, pair);
    deleteFrom(this.#byGateway, pair.gateway, pair);
  }

  findInbound(value: Spi): IpsecPair | undefined {
    return this.#byInboundSpi.get(value);
  }

  /** The peer's SPI is unique only together with the peer: the gateway, and the client where there are several. */
  findOutbound(gateway: string, client: string | undefined, value: Spi): IpsecPair | undefined {
    return this.ofGateway(gateway).find((pair) => pair.outboundSpi === value && pair.client === client);
  }

  /** Whether the policy has a pair in any state, if only one that lingers. */
  hasAny(policy: PolicyId): boolean {
    return this.#byPolicy.has(policy);
  }

  live(policy: PolicyId): readonly IpsecPair[] {
    return [...(this.#byPolicy.get(policy) ?? [])].filter((pair) => pair.state === 'live');
  }

  /** The pair under which packets of the policy leave. */
  current(policy: PolicyId): IpsecPair | undefined {
    let best: IpsecPair | undefined;
    for (const pair of this.live(policy)) if (best === undefined || pair.isPreferredTo(best)) best = pair;
    return best;
  }

  /** Pairs with this gateway that have not ended. */
  ofGateway(gateway: string): readonly IpsecPair[] {
    return [...(this.#byGateway.get(gateway) ?? [])].filter((pair) => pair.state !== 'ended');
  }

  all(): readonly IpsecPair[] {
    return [...this.#byInboundSpi.values()];
  }
}

function addTo<K>(index: Map<K, Set<IpsecPair>>, key: K, pair: IpsecPair): void {
  const siblings = index.get(key) ?? new Set();
  siblings.add(pair);
  index.set(key, siblings);
}

function deleteFrom<K>(index: Map<K, Set<IpsecPair>>, key: K, pair: IpsecPair): void {
  const siblings = index.get(key);
  siblings?.delete(pair);
  if (siblings?.size === 0) index.delete(key);
}

import { toHex } from '../lib/bytes.ts';
import { elapsed, milliseconds } from '../lib/time.ts';
import type { IpAddress } from '../model/address.ts';
import type { IkeGatewayConfig } from '../model/gateway-config.ts';
import { clientOf, leasedAddress } from './dial-in-client.ts';
import type { IsakmpSa } from './v1/isakmp-sa.ts';

/** Two ISAKMP SAs that came up this close together may be the two sides' simultaneous attempts. */
const RIVALRY = milliseconds(30_000);

/** One configured gateway: its ISAKMP SAs, and which of its addresses is tried. */
export class Peer {
  readonly gateway: IkeGatewayConfig;
  /** Our own phase 1 that is under way. */
  initiating: IsakmpSa | undefined;
  readonly #established = new Set<IsakmpSa>();
  #addressIndex = 0;

  constructor(gateway: IkeGatewayConfig) {
    this.gateway = gateway;
  }

  /** The address to try now: the primary, or the backup whose turn it is. */
  get remoteAddress(): IpAddress | undefined {
    const { remoteAddresses } = this.gateway;
    return remoteAddresses[this.#addressIndex % Math.max(1, remoteAddresses.length)];
  }

  /** The SA under which new exchanges start. */
  get current(): IsakmpSa | undefined {
    return this.#best(() => true);
  }

  /** The same for one of several clients of the gateway (`clientOf`). */
  currentOf(client: string | undefined): IsakmpSa | undefined {
    return this.#best((sa) => clientOf(sa) === client);
  }

  /** The SA for what the configuration itself asks for: not that of a client with an address, which has a tunnel of its own. */
  get currentWithoutLease(): IsakmpSa | undefined {
    return this.#best((sa) => leasedAddress(sa) === undefined);
  }

  get established(): readonly IsakmpSa[] {
    return [...this.#established];
  }

  add(sa: IsakmpSa): void {
    this.#established.add(sa);
  }

  delete(sa: IsakmpSa): void {
    this.#established.delete(sa);
    if (this.initiating === sa) this.initiating = undefined;
  }

  /** The address did not answer: the next one is tried. */
  tryNextAddress(): void {
    this.#addressIndex++;
  }

  #best(isEligible: (sa: IsakmpSa) => boolean): IsakmpSa | undefined {
    let best: IsakmpSa | undefined;
    for (const sa of this.#established) {
      if (isEligible(sa) && (best === undefined || isPreferred(sa, best))) best = sa;
    }
    return best;
  }
}

/** The newer SA; of two that each side initiated at the same time, the one that both sides can name: with the greater cookie. */
function isPreferred(sa: IsakmpSa, other: IsakmpSa): boolean {
  const areRivals = Math.abs(elapsed(sa.establishedAt, other.establishedAt)) <= RIVALRY && sa.role !== other.role;
  if (areRivals) return toHex(sa.cookies.initiatorCookie) > toHex(other.cookies.initiatorCookie);
  return sa.establishedAt >= other.establishedAt;
}

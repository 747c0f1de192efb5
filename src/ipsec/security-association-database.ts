// The SAD (RFC 4301 §4.4.2). Inbound SAs are found by SPI alone: we choose those numbers (§4.1). Outbound ones are named by the
// peer's SPI and address, and found on the way out through the policy that selected them.

import { BoundedMap } from '../lib/bounded.ts';
import { type Instant, NEVER } from '../lib/time.ts';
import type { UdpPath } from '../model/address.ts';
import { type IpsecProtocol, type Spi, spi } from '../model/ipsec-sa.ts';
import { int32At, uint32At } from './octets.ts';
import type { InboundSa, OutboundSa } from './security-association.ts';

const INBOUND_SAS_MAX = 131_072;
const OUTBOUND_SPIS_MAX = 131_072;
const RESERVED_SPIS_MAX = 16_384;

/** All SAs of a data plane, and the SPIs that are being negotiated. */
export class SecurityAssociationDatabase {
  readonly #inbound = new BoundedMap<Spi, InboundSa>(INBOUND_SAS_MAX);
  /** Different peers may have chosen the same SPI. */
  readonly #outbound = new BoundedMap<Spi, readonly OutboundSa[]>(OUTBOUND_SPIS_MAX);
  readonly #reserved = new BoundedMap<Spi, IpsecProtocol>(RESERVED_SPIS_MAX);
  #lastInbound: InboundSa | undefined;

  /** `false` if there is no room for more. */
  reserve(spi: Spi, protocol: IpsecProtocol): boolean {
    return this.#reserved.set(spi, protocol);
  }

  isReserved(spi: Spi, protocol: IpsecProtocol): boolean {
    return this.#reserved.get(spi) === protocol;
  }

  release(spi: Spi): boolean {
    return this.#reserved.delete(spi);
  }

  /** The SA of the SPI at `buffer[start]`: packets come in runs of one SA. */
  inboundAt(buffer: Uint8Array, start: number): InboundSa | undefined {
    const last = this.#lastInbound;
    return last?.spiWord === int32At(buffer, start) ? last : this.inbound(spi(uint32At(buffer, start)));
  }

  inbound(spi: Spi): InboundSa | undefined {
    const found = this.#inbound.get(spi);
    if (found) this.#lastInbound = found;
    return found;
  }

  /** Outbound SAs with this SPI; more than one only if several peers chose it. */
  outbound(spi: Spi): readonly OutboundSa[] {
    return this.#outbound.get(spi) ?? [];
  }

  /** Replaces a reservation of the SPI; `false` if there is no room for more. */
  addInbound(sa: InboundSa): boolean {
    this.#reserved.delete(sa.spi);
    this.#lastInbound = undefined;
    return this.#inbound.set(sa.spi, sa);
  }

  /** Replaces an SA of the same SPI and peer; `false` if there is no room for more. */
  addOutbound(sa: OutboundSa): boolean {
    const others = this.outbound(sa.spi).filter((other) => other.remoteAddress !== sa.remoteAddress);
    return this.#outbound.set(sa.spi, [...others, sa]);
  }

  removeInbound(spi: Spi): boolean {
    this.#lastInbound = undefined;
    return this.#inbound.delete(spi);
  }

  removeOutbound(sa: OutboundSa): void {
    const others = this.outbound(sa.spi).filter((other) => other !== sa);
    if (others.length > 0) this.#outbound.set(sa.spi, others);
    else this.#outbound.delete(sa.spi);
  }

  inboundSas(): IterableIterator<InboundSa> {
    return this.#inbound.values();
  }

  *outboundSas(): IterableIterator<OutboundSa> {
    for (const sas of this.#outbound.values()) yield* sas;
  }

  /** Every SA of the path `from` sends to `to` from now on, and expects to receive from there. */
  movePath(from: UdpPath, to: UdpPath): void {
    for (const sa of this.#inbound.values()) if (sa.udp && samePath(sa.udp, from)) sa.udp = to;
    for (const sa of this.outboundSas()) if (sa.udp && samePath(sa.udp, from)) sa.udp = to;
  }

  /** When the age of some SA reaches a limit next. */
  nextTimeout(): Instant {
    let first = NEVER;
    for (const sa of this.#inbound.values()) if (sa.usage.nextTimeout < first) first = sa.usage.nextTimeout;
    for (const sa of this.outboundSas()) if (sa.usage.nextTimeout < first) first = sa.usage.nextTimeout;
    return first;
  }
}

export function samePath(a: UdpPath, b: UdpPath): boolean {
  return (
    a.remote.port === b.remote.port &&
    a.local.port === b.local.port &&
    a.remote.address === b.remote.address &&
    a.local.address === b.local.address
  );
}

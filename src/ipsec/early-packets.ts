import { BoundedMap } from '../lib/bounded.ts';
import type { UdpPath } from '../model/address.ts';
import type { Spi } from '../model/ipsec-sa.ts';

const EARLY_PER_SPI_MAX = 4;
const EARLY_SPIS_MAX = 16;

interface EarlyPacket {
  /** Absent for a raw IP packet. */
  readonly path: UdpPath | undefined;
  readonly packet: Uint8Array;
  /** Of the IP header in front of UDP. */
  readonly trafficClass: number;
}

/**
 * Packets that came under a reserved SPI before its SA was there, since ESP may overtake IKE: a few, for a few SPIs.
 * Without that they would be packets without an SA, to be discarded (RFC 4303 §3.4.2).
 */
export class EarlyPackets {
  readonly #held = new BoundedMap<Spi, readonly EarlyPacket[]>(EARLY_SPIS_MAX);

  /** Keeps a copy; `false` if the places are taken. */
  hold(spi: Spi, path: UdpPath | undefined, packet: Uint8Array, trafficClass: number): boolean {
    const held = this.#held.get(spi) ?? [];
    if (held.length >= EARLY_PER_SPI_MAX) return false;
    return this.#held.set(spi, [...held, { path, packet: packet.slice(), trafficClass }]);
  }

  /** What is held for this SPI, in order of arrival; nothing is held afterwards. */
  take(spi: Spi): readonly EarlyPacket[] {
    const held = this.#held.get(spi) ?? [];
    this.#held.delete(spi);
    return held;
  }
}

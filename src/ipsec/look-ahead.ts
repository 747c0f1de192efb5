import type { PacketCryptoProvider } from '../crypto/provider.ts';
import { espSequence, expectEsp } from './esp.ts';
import type { SecurityAssociationDatabase } from './security-association-database.ts';

const ESP_HEADER_LENGTH = 8;
const SUBSPACE = 2 ** 32;

/**
 * Tells the crypto provider of packets that are about to be opened: many at once may take less time than one by one. What is done for them already
 * changes nothing but their own octets; what else has happened when their turn comes decides then.
 */
export class LookAhead {
  readonly #associations: SecurityAssociationDatabase;
  readonly #crypto: PacketCryptoProvider;

  constructor(associations: SecurityAssociationDatabase, crypto: PacketCryptoProvider) {
    this.#associations = associations;
    this.#crypto = crypto;
  }

  /** The UDP payload at `buffer[start, end)` comes next, after those that this was said of before. */
  expectUdpPacket(buffer: Uint8Array, start: number, end: number): void {
    if (end - start < ESP_HEADER_LENGTH) return;
    const sa = this.#associations.inboundAt(buffer, start);
    if (sa?.protocol !== 'esp' || !sa.udp || sa.usage.isHardExpired) return;
    // What cannot be opened may have to be tried again under another number, and must then be what it was.
    if (sa.failuresInARow > 0) return;
    const low = espSequence(buffer, start);
    const sequence = sa.transform.isExtended ? sa.window.extend(low) : low;
    // Replays cost nothing here either (RFC 4303 §3.4.3).
    if (!sa.window.isFresh(sequence)) return;
    expectEsp(sa, Math.floor(sequence / SUBSPACE), sequence % SUBSPACE, buffer, start, end);
  }

  /** What is still expected will not come: the octets are their owner's. */
  forget(): void {
    this.#crypto.forgetAhead?.();
  }
}

// What must hold whatever happens. Each checker watches from outside and says what it saw in words; none of them looks into the
// gateway's private state.

import type {
  CbcAlgorithm,
  CryptoProvider,
  PacketAead,
  PacketCipher,
  PacketCryptoProvider,
} from '../crypto/provider.ts';
import { toHex } from '../lib/bytes.ts';
import type { EncryptionAlgorithm } from '../model/algorithms.ts';
import type { DataPlaneCommand } from '../model/data-plane.ts';
import { formatSpi } from '../model/ipsec-sa.ts';
import type { WirePacket } from './fabric.ts';
import { containsMarker } from './lan.ts';

/** Where checkers put what must not have happened. */
export type Complain = (violation: string) => void;

/** Keys whose initialization vectors are remembered at a time; older keys are no longer in use by then. */
const KEYS_REMEMBERED_MAX = 64;

/** No two living inbound SAs of a host share an SPI, and no two SAs of a run share a key. */
export class SaChecker {
  readonly #complain: Complain;
  readonly #inbound = new Map<string, Set<string>>();
  readonly #keys = new Set<string>();
  #liveMax = 0;

  constructor(complain: Complain) {
    this.#complain = complain;
  }

  /** The most inbound SAs that any host had at a time. */
  get liveMax(): number {
    return this.#liveMax;
  }

  start(host: string): void {
    this.#inbound.set(host, new Set());
  }

  command(host: string, command: DataPlaneCommand): void {
    const live = this.#inbound.get(host) ?? new Set();
    switch (command.kind) {
      case 'add-inbound': {
        const name = `${command.sa.protocol} ${formatSpi(command.sa.spi)}`;
        if (live.has(name)) this.#complain(`${host} has two inbound SAs ${name}`);
        live.add(name);
        this.#liveMax = Math.max(this.#liveMax, live.size);
        return;
      }
      case 'add-outbound': {
        // The same SA has the same keys at both ends, so only one end's view of it may be counted: the sender's.
        const key = `${toHex(command.sa.encryptionKey)} ${toHex(command.sa.integrityKey)}`;
        if (this.#keys.has(key)) this.#complain(`${host} sends under keys that were used before`);
        this.#keys.add(key);
        return;
      }
      case 'remove':
        if (command.direction !== 'inbound') return;
        live.delete(`esp ${formatSpi(command.spi)}`);
        live.delete(`ah ${formatSpi(command.spi)}`);
        return;
      default:
        return;
    }
  }
}

/** No inner packet, or piece of one, is seen on the wire. With AH it may be: that is what AH does. */
export function cleartextChecker(complain: Complain): (packet: WirePacket) => void {
  return (packet) => {
    if (!containsMarker(packet.octets)) return;
    const source = packet.kind === 'udp' ? packet.source.address : packet.source;
    complain(`${source} sent an inner packet in clear`);
  };
}

/** Remembers which initialization vectors each key was used with. */
class IvLedger {
  readonly #byKey = new Map<string, Map<string, string>>();

  /** Whether this key was used with this vector before, for something else than `what`. */
  isReused(key: string, iv: string, what: string): boolean {
    let used = this.#byKey.get(key);
    if (used === undefined) {
      used = new Map();
      this.#byKey.set(key, used);
      this.#forgetOldest();
    }
    const before = used.get(iv);
    if (before === undefined) used.set(iv, what);
    return before !== undefined && before !== what;
  }

  #forgetOldest(): void {
    if (this.#byKey.size <= KEYS_REMEMBERED_MAX) return;
    for (const oldest of this.#byKey.keys()) {
      this.#byKey.delete(oldest);
      return;
    }
  }
}

/** The same packet cryptography, complaining when a packet is encrypted with a vector that its key has seen (RFC 4106 §3.1). */
export function watchPacketCrypto(provider: PacketCryptoProvider, complain: Complain): PacketCryptoProvider {
  const ledger = new IvLedger();
  let packetCount = 0;
  const note = (algorithm: EncryptionAlgorithm, key: string, iv: Uint8Array): void => {
    // Every packet is a new message, even if it happens to read the same.
    if (!ledger.isReused(key, toHex(iv), `packet ${packetCount++}`)) return;
    complain(`an initialization vector was used twice with one ${algorithm} key`);
  };
  return {
    aead: (algorithm, key) => {
      const name = toHex(key);
      const aead: PacketAead = provider.aead(algorithm, key);
      return {
        seal: (iv, additionalData, buffer, start, end) => {
          note(algorithm, name, iv);
          aead.seal(iv, additionalData, buffer, start, end);
        },
        open: (iv, additionalData, buffer, start, end) => aead.open(iv, additionalData, buffer, start, end),
      };
    },
    cipher: (algorithm, key) => {
      const name = toHex(key);
      const cipher: PacketCipher = provider.cipher(algorithm, key);
      return {
        encrypt: (iv, buffer, start, end) => {
          if (iv.length > 0) note(algorithm, name, iv);
          cipher.encrypt(iv, buffer, start, end);
        },
        decrypt: (iv, buffer, start, end) => cipher.decrypt(iv, buffer, start, end),
      };
    },
    integrity: (algorithm, key) => provider.integrity(algorithm, key),
  };
}

/** The same cryptography, complaining when IKE encrypts two different messages with one key and vector (RFC 2409 Appendix B). */
export function watchIkeCrypto(provider: CryptoProvider, complain: Complain): CryptoProvider {
  const ledger = new IvLedger();
  return {
    hash: (algorithm, ...data) => provider.hash(algorithm, ...data),
    hmac: (algorithm, key, ...data) => provider.hmac(algorithm, key, ...data),
    encryptCbc: (algorithm: CbcAlgorithm, key, iv, plaintext) => {
      if (ledger.isReused(toHex(key), toHex(iv), toHex(plaintext))) {
        complain(`IKE encrypted two different messages with one ${algorithm} key and initialization vector`);
      }
      return provider.encryptCbc(algorithm, key, iv, plaintext);
    },
    decryptCbc: (algorithm, key, iv, ciphertext) => provider.decryptCbc(algorithm, key, iv, ciphertext),
  };
}

/** No host holds more SAs than retries and rekeys with its peers explain. */
export class StateBoundChecker {
  readonly #complain: Complain;
  readonly #accused = new Set<string>();
  #ikeSasMax = 0;
  #ipsecSasMax = 0;

  constructor(complain: Complain) {
    this.#complain = complain;
  }

  /** The most of each that any host had. */
  get seen(): { readonly ikeSas: number; readonly ipsecSas: number } {
    return { ikeSas: this.#ikeSasMax, ipsecSas: this.#ipsecSasMax };
  }

  look(host: string, ikeSas: number, pairs: number, limits: { readonly ikeSas: number; readonly pairs: number }): void {
    this.#ikeSasMax = Math.max(this.#ikeSasMax, ikeSas);
    this.#ipsecSasMax = Math.max(this.#ipsecSasMax, pairs);
    if (this.#accused.has(host) || (ikeSas <= limits.ikeSas && pairs <= limits.pairs)) return;
    this.#accused.add(host);
    this.#complain(`${host} holds ${ikeSas} IKE SAs and ${pairs} IPsec SA pairs`);
  }
}

import type { Instant } from '../lib/time.ts';
import { type AddressFamily, addressFamily, type IpAddress, type UdpPath } from '../model/address.ts';
import type { IpsecMode, IpsecProtocol, IpsecSa, PolicyId, Spi } from '../model/ipsec-sa.ts';
import { OuterHeader } from './outer-header.ts';
import { ReplayWindow } from './replay-window.ts';
import { SaUsage } from './sa-usage.ts';
import { type SelectorMatcher, selectorMatcher } from './selector-matcher.ts';
import type { Transform } from './transform.ts';
import { addressWords } from './vpn-monitor.ts';

const ESP_HEADER_LENGTH = 8;
const ESP_TRAILER_LENGTH = 2;
const AH_FIXED_LENGTH = 12;
const UDP_HEADER_LENGTH = 8;
const SEQUENCE_LIMIT = 2 ** 32 - 1;
// 2^64 in the standard; numbers stay exact to 2^53, which at 100 million packets a second lasts for three years.
const EXTENDED_SEQUENCE_LIMIT = Number.MAX_SAFE_INTEGER;
/** What a path carries if nobody has said otherwise: Ethernet. */
export const PATH_MTU_DEFAULT = 1500;

/** What both directions of an SA have in common. */
abstract class SecurityAssociation {
  readonly spi: Spi;
  readonly protocol: IpsecProtocol;
  readonly mode: IpsecMode;
  readonly policy: PolicyId;
  readonly localAddress: IpAddress;
  readonly remoteAddress: IpAddress;
  /** Of the outer header. */
  readonly family: AddressFamily;
  /** The SPI of the AH around this ESP, in a bundle. */
  readonly wrappedInAh: Spi | undefined;
  readonly selectors: SelectorMatcher;
  readonly transform: Transform;
  readonly usage: SaUsage;
  /** Octets of ESP header and IV, or of the whole AH. */
  readonly headerLength: number;

  constructor(now: Instant, sa: IpsecSa, transform: Transform, cells: Float64Array | undefined) {
    this.spi = sa.spi;
    this.protocol = sa.protocol;
    this.mode = sa.mode;
    this.policy = sa.policy;
    this.localAddress = sa.localAddress;
    this.remoteAddress = sa.remoteAddress;
    this.family = addressFamily(sa.remoteAddress);
    this.wrappedInAh = sa.wrappedInAh;
    this.selectors = selectorMatcher(sa.selectors);
    this.transform = transform;
    this.usage = new SaUsage(now, sa.lifetime, cells);
    this.headerLength =
      sa.protocol === 'esp'
        ? ESP_HEADER_LENGTH + transform.ivLength
        : ahLength(this.family, transform.ivLength + transform.icvLength);
  }
}

/** UDP carries ESP only (RFC 3948 §1): AH goes as it is, even between peers that believe in a NAT. */
function udpPathOf(sa: IpsecSa): UdpPath | undefined {
  return sa.protocol === 'esp' ? sa.udp : undefined;
}

/** Octets of AH with an ICV field of this many octets: a multiple of four in IPv4, of eight in IPv6 (RFC 4302 §2.6). */
function ahLength(family: AddressFamily, icvFieldLength: number): number {
  const unit = family === 4 ? 4 : 8;
  return Math.ceil((AH_FIXED_LENGTH + icvFieldLength) / unit) * unit;
}

/** An SA that sends. Holds the sequence number counter, which stops at its end instead of wrapping (RFC 4303 §3.3.3). */
export class OutboundSa extends SecurityAssociation {
  /** UDP encapsulation (RFC 3948); replaced when the path moves. */
  udp: UdpPath | undefined;
  #sequence = 0;
  readonly #sequenceLimit: number;
  /** What goes in front in tunnel mode. */
  readonly outer: OuterHeader;
  #pathMtu = PATH_MTU_DEFAULT;
  #innerMtu = 0;
  #bundled: OutboundSa | undefined;

  constructor(now: Instant, sa: IpsecSa, transform: Transform, pathMtu = PATH_MTU_DEFAULT, cells?: Float64Array) {
    super(now, sa, transform, cells);
    this.udp = udpPathOf(sa);
    this.#sequenceLimit = sa.extendedSequenceNumbers ? EXTENDED_SEQUENCE_LIMIT : SEQUENCE_LIMIT;
    this.outer = new OuterHeader(sa.localAddress, sa.remoteAddress, sa.protocol);
    this.pathMtu = pathMtu;
  }

  /** The last sequence number used. */
  get sequence(): number {
    return this.#sequence;
  }

  /** Takes the next sequence number; `undefined` once the last one has been used: this SA must send no more. */
  nextSequence(): number | undefined {
    if (this.#sequence >= this.#sequenceLimit) return undefined;
    this.#sequence += 1;
    return this.#sequence;
  }

  /** Continues from a number used before, as an SA that is handed over, or keyed by hand, does. */
  resumeAfter(sequence: number): void {
    this.#sequence = sequence;
  }

  get pathMtu(): number {
    return this.#pathMtu;
  }

  /** Octets that the path to the peer carries in one packet, outer IP header included. */
  set pathMtu(octets: number) {
    this.#pathMtu = octets;
    const { transform } = this;
    let room = octets - this.headerLength - (this.#bundled?.headerLength ?? 0);
    if (this.mode === 'tunnel') room -= this.outer.length;
    if (this.udp !== undefined) room -= UDP_HEADER_LENGTH;
    if (this.protocol === 'esp') {
      room -= transform.icvLength;
      room = room - (room % transform.alignment) - ESP_TRAILER_LENGTH;
    }
    this.#innerMtu = room;
  }

  /** The AH SA that goes around this ESP SA, in a bundle. */
  get bundled(): OutboundSa | undefined {
    return this.#bundled;
  }

  set bundled(ah: OutboundSa | undefined) {
    this.#bundled = ah;
    this.pathMtu = this.#pathMtu;
  }

  /** Octets of the largest inner packet (in transport mode: packet) that fits the path in one piece. */
  get innerMtu(): number {
    return this.#innerMtu;
  }
}

/** An SA that receives. */
export class InboundSa extends SecurityAssociation {
  udp: UdpPath | undefined;
  /** Our outer address, to recognise probes for it. */
  readonly localWords: Uint32Array;
  readonly window: ReplayWindow;
  /** Packets that have failed verification since one did not (RFC 4303 Appendix A3.1). */
  failuresInARow = 0;
  /** The SPI as `int32At` reads it. */
  readonly spiWord: number;
  /** Whether a packet that opens is known to come from the peer. */
  readonly isVerifying: boolean;

  constructor(now: Instant, sa: IpsecSa, transform: Transform, cells?: Float64Array) {
    super(now, sa, transform, cells);
    this.udp = udpPathOf(sa);
    this.spiWord = sa.spi | 0;
    this.localWords = addressWords(sa.localAddress);
    this.isVerifying = transform.icvLength > 0;
    // RFC 4303 §3.4.3: without integrity a forged number would move the window, so there is no anti-replay then.
    this.window = new ReplayWindow(this.isVerifying ? sa.replayWindow : 0);
  }
}

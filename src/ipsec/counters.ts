// What the data plane counts: every auditable event of RFC 4301 §9 under its own name, and Junos' totals.

import type { SaCounters } from '../model/data-plane.ts';

/** The counters that Junos' `show security ipsec statistics` prints, in its order. */
export interface IpsecStatistics {
  /** Octets and packets that ESP sent and received; the octets are those of inner packets. */
  readonly espEncryptedBytes: number;
  readonly espDecryptedBytes: number;
  readonly espEncryptedPackets: number;
  readonly espDecryptedPackets: number;
  readonly ahInputBytes: number;
  readonly ahOutputBytes: number;
  readonly ahInputPackets: number;
  readonly ahOutputPackets: number;
  readonly ahAuthenticationFailures: number;
  readonly replayErrors: number;
  readonly espAuthenticationFailures: number;
  readonly espDecryptionFailures: number;
  readonly badHeaders: number;
  readonly badTrailers: number;
  readonly invalidSpi: number;
  readonly tsCheckFail: number;
  readonly exceedsTunnelMtu: number;
  /** Every packet that was dropped, for whatever cause. */
  readonly discarded: number;
}

/** Why a packet was dropped, and the Junos error counter that it also counts under. */
const DROP_CAUSES = {
  /** Inbound: not an IP packet, or none that carries ESP or AH. */
  'malformed-outer': 'badHeaders',
  /** Inbound: shorter than header, IV, trailer and ICV. */
  truncated: 'badHeaders',
  /** Inbound: the ciphertext is no whole number of cipher blocks. */
  'partial-block': 'espDecryptionFailures',
  'unknown-spi': 'invalidSpi',
  /** Inbound: the SPI is still being negotiated and the few places for such packets were taken. */
  'early-packet': 'invalidSpi',
  'wrong-encapsulation': 'badHeaders',
  'expired-sa': undefined,
  replayed: 'replayErrors',
  'bad-icv': undefined,
  'bad-padding': 'badTrailers',
  'bad-next-header': 'badTrailers',
  /** Inbound: what was inside is no IP packet. Outbound: neither was what came from the host. */
  'malformed-inner': 'badHeaders',
  'selector-mismatch': 'tsCheckFail',
  /** Inbound: congestion was marked on the outer header, and the inner one cannot say so (RFC 6040 §4.2). */
  'ecn-not-capable': undefined,
  'no-policy': undefined,
  /** Outer fragments that never became a whole packet, or contradicted each other. */
  'reassembly-failed': undefined,
  /** Outbound: no policy of its tunnel interface covers the packet. */
  'outside-selectors': 'tsCheckFail',
  'discard-policy': undefined,
  /** Outbound: waited for an SA, and lost its place or its patience. */
  'no-sa': undefined,
  'sequence-exhausted': undefined,
  'exceeds-mtu': 'exceedsTunnelMtu',
  /** Outbound: transport mode protects whole datagrams of one family only (RFC 4303 §3.1.1). */
  'unsuitable-for-transport': undefined,
  /** Outbound: a routing header that AH cannot know the end of (RFC 4302 Appendix A2). */
  'unpredictable-route': undefined,
} as const satisfies Record<string, keyof IpsecStatistics | undefined>;

export type DropCause = keyof typeof DROP_CAUSES;

/** Totals of a data plane since it started. Plain data, so that it crosses threads. */
export interface DataPlaneCounters extends IpsecStatistics {
  readonly drops: Readonly<Record<DropCause, number>>;
  /** ESP packets received whose next header said that they are dummies (RFC 4303 §2.6). */
  readonly dummyPackets: number;
  /** Dummies sent, which count among no other packets. */
  readonly dummiesSent: number;
  readonly bypassedPackets: number;
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** Counts for one data plane. Everything that is dropped passes through `drop`, under its own name. */
export class Counters {
  readonly #totals: Writable<Omit<DataPlaneCounters, 'drops'>> = {
    espEncryptedBytes: 0,
    espDecryptedBytes: 0,
    espEncryptedPackets: 0,
    espDecryptedPackets: 0,
    ahInputBytes: 0,
    ahOutputBytes: 0,
    ahInputPackets: 0,
    ahOutputPackets: 0,
    ahAuthenticationFailures: 0,
    replayErrors: 0,
    espAuthenticationFailures: 0,
    espDecryptionFailures: 0,
    badHeaders: 0,
    badTrailers: 0,
    invalidSpi: 0,
    tsCheckFail: 0,
    exceedsTunnelMtu: 0,
    discarded: 0,
    dummyPackets: 0,
    dummiesSent: 0,
    bypassedPackets: 0,
  };
  readonly #drops: Record<DropCause, number> = noDrops();

  countProtected(protocol: 'esp' | 'ah', octets: number): void {
    const totals = this.#totals;
    if (protocol === 'esp') {
      totals.espEncryptedPackets += 1;
      totals.espEncryptedBytes += octets;
    } else {
      totals.ahOutputPackets += 1;
      totals.ahOutputBytes += octets;
    }
  }

  countOpened(protocol: 'esp' | 'ah', octets: number): void {
    const totals = this.#totals;
    if (protocol === 'esp') {
      totals.espDecryptedPackets += 1;
      totals.espDecryptedBytes += octets;
    } else {
      totals.ahInputPackets += 1;
      totals.ahInputBytes += octets;
    }
  }

  countDummy(): void {
    this.#totals.dummyPackets += 1;
  }

  countDummySent(): void {
    this.#totals.dummiesSent += 1;
  }

  countBypass(): void {
    this.#totals.bypassedPackets += 1;
  }

  /** Counts dropped packets; `protocol` tells whose authentication failed. */
  drop(cause: DropCause, protocol: 'esp' | 'ah' = 'esp', count = 1): void {
    const totals = this.#totals;
    this.#drops[cause] += count;
    totals.discarded += count;
    const statistic = DROP_CAUSES[cause];
    if (statistic !== undefined) totals[statistic] += count;
    if (cause !== 'bad-icv') return;
    if (protocol === 'esp') totals.espAuthenticationFailures += count;
    else totals.ahAuthenticationFailures += count;
  }

  /** Adds what one SA has counted. */
  addSa(protocol: 'esp' | 'ah', direction: 'inbound' | 'outbound', { packets, octets, drops = {} }: SaCounters): void {
    const [packetsName, octetsName] = SA_STATISTICS[protocol][direction];
    this.#totals[packetsName] += packets;
    this.#totals[octetsName] += octets;
    for (const [cause, count] of Object.entries(drops)) if (isDropCause(cause)) this.drop(cause, protocol, count);
  }

  snapshot(): DataPlaneCounters {
    return { ...this.#totals, drops: { ...this.#drops } };
  }
}

const SA_STATISTICS = {
  esp: {
    inbound: ['espDecryptedPackets', 'espDecryptedBytes'],
    outbound: ['espEncryptedPackets', 'espEncryptedBytes'],
  },
  ah: { inbound: ['ahInputPackets', 'ahInputBytes'], outbound: ['ahOutputPackets', 'ahOutputBytes'] },
} as const;

function isDropCause(text: string): text is DropCause {
  return Object.hasOwn(DROP_CAUSES, text);
}

function noDrops(): Record<DropCause, number> {
  return {
    'malformed-outer': 0,
    truncated: 0,
    'partial-block': 0,
    'unknown-spi': 0,
    'early-packet': 0,
    'wrong-encapsulation': 0,
    'expired-sa': 0,
    replayed: 0,
    'bad-icv': 0,
    'bad-padding': 0,
    'bad-next-header': 0,
    'malformed-inner': 0,
    'selector-mismatch': 0,
    'ecn-not-capable': 0,
    'no-policy': 0,
    'reassembly-failed': 0,
    'outside-selectors': 0,
    'discard-policy': 0,
    'no-sa': 0,
    'sequence-exhausted': 0,
    'exceeds-mtu': 0,
    'unsuitable-for-transport': 0,
    'unpredictable-route': 0,
  };
}

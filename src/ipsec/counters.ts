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

type TotalName = keyof Omit<DataPlaneCounters, 'drops'>;

/** Where each total lies among the cells; the drops come behind them. */
const CELL: Readonly<Record<TotalName, number>> = {
  espEncryptedBytes: 0,
  espDecryptedBytes: 1,
  espEncryptedPackets: 2,
  espDecryptedPackets: 3,
  ahInputBytes: 4,
  ahOutputBytes: 5,
  ahInputPackets: 6,
  ahOutputPackets: 7,
  ahAuthenticationFailures: 8,
  replayErrors: 9,
  espAuthenticationFailures: 10,
  espDecryptionFailures: 11,
  badHeaders: 12,
  badTrailers: 13,
  invalidSpi: 14,
  tsCheckFail: 15,
  exceedsTunnelMtu: 16,
  discarded: 17,
  dummyPackets: 18,
  dummiesSent: 19,
  bypassedPackets: 20,
};
const TOTAL_NAMES = Object.keys(CELL).filter((name): name is TotalName => Object.hasOwn(CELL, name));
/** In the order of their cells. */
const CAUSE_INDEX: Readonly<Record<DropCause, number>> = {
  'malformed-outer': 0,
  truncated: 1,
  'partial-block': 2,
  'unknown-spi': 3,
  'early-packet': 4,
  'wrong-encapsulation': 5,
  'expired-sa': 6,
  replayed: 7,
  'bad-icv': 8,
  'bad-padding': 9,
  'bad-next-header': 10,
  'malformed-inner': 11,
  'selector-mismatch': 12,
  'ecn-not-capable': 13,
  'no-policy': 14,
  'reassembly-failed': 15,
  'outside-selectors': 16,
  'discard-policy': 17,
  'no-sa': 18,
  'sequence-exhausted': 19,
  'exceeds-mtu': 20,
  'unsuitable-for-transport': 21,
  'unpredictable-route': 22,
};
const CAUSES = Object.keys(CAUSE_INDEX).filter(isDropCause);

/** How many cells the totals of a data plane take. */
export const COUNTER_CELLS = TOTAL_NAMES.length + CAUSES.length;

/**
 * Counts for one data plane. Everything that is dropped passes through `drop`, under its own name. The cells, COUNTER_CELLS of them, may lie
 * where another thread reads them: nobody else writes them.
 */
export class Counters {
  readonly #cells: Float64Array;

  constructor(cells: Float64Array = new Float64Array(COUNTER_CELLS)) {
    this.#cells = cells;
  }

  countProtected(protocol: 'esp' | 'ah', octets: number): void {
    if (protocol === 'esp') {
      this.#add(CELL.espEncryptedPackets, 1);
      this.#add(CELL.espEncryptedBytes, octets);
    } else {
      this.#add(CELL.ahOutputPackets, 1);
      this.#add(CELL.ahOutputBytes, octets);
    }
  }

  countOpened(protocol: 'esp' | 'ah', octets: number): void {
    if (protocol === 'esp') {
      this.#add(CELL.espDecryptedPackets, 1);
      this.#add(CELL.espDecryptedBytes, octets);
    } else {
      this.#add(CELL.ahInputPackets, 1);
      this.#add(CELL.ahInputBytes, octets);
    }
  }

  countDummy(): void {
    this.#add(CELL.dummyPackets, 1);
  }

  countDummySent(): void {
    this.#add(CELL.dummiesSent, 1);
  }

  countBypass(): void {
    this.#add(CELL.bypassedPackets, 1);
  }

  /** Counts dropped packets; `protocol` tells whose authentication failed. */
  drop(cause: DropCause, protocol: 'esp' | 'ah' = 'esp', count = 1): void {
    this.#add(TOTAL_NAMES.length + CAUSE_INDEX[cause], count);
    this.#add(CELL.discarded, count);
    const statistic = DROP_CAUSES[cause];
    if (statistic !== undefined) this.#add(CELL[statistic], count);
    if (cause === 'bad-icv')
      this.#add(protocol === 'esp' ? CELL.espAuthenticationFailures : CELL.ahAuthenticationFailures, count);
  }

  /** Adds what one SA has counted. */
  addSa(protocol: 'esp' | 'ah', direction: 'inbound' | 'outbound', { packets, octets, drops = {} }: SaCounters): void {
    const [packetsName, octetsName] = SA_STATISTICS[protocol][direction];
    this.#add(CELL[packetsName], packets);
    this.#add(CELL[octetsName], octets);
    for (const [cause, count] of Object.entries(drops)) if (isDropCause(cause)) this.drop(cause, protocol, count);
  }

  /** Adds what another data plane has counted, from its cells. */
  addAll(cells: Float64Array): void {
    for (const [index, count] of cells.entries()) this.#add(index, count);
  }

  snapshot(): DataPlaneCounters {
    const totals: Record<TotalName, number> = { ...CELL };
    for (const name of TOTAL_NAMES) totals[name] = this.#cells[CELL[name]] ?? 0;
    const drops: Record<DropCause, number> = { ...CAUSE_INDEX };
    for (const [index, cause] of CAUSES.entries()) drops[cause] = this.#cells[TOTAL_NAMES.length + index] ?? 0;
    return { ...totals, drops };
  }

  #add(index: number, count: number): void {
    this.#cells[index] = (this.#cells[index] ?? 0) + count;
  }
}

const SA_STATISTICS = {
  esp: {
    inbound: ['espDecryptedPackets', 'espDecryptedBytes'],
    outbound: ['espEncryptedPackets', 'espEncryptedBytes'],
  },
  ah: { inbound: ['ahInputPackets', 'ahInputBytes'], outbound: ['ahOutputPackets', 'ahOutputBytes'] },
} as const;

/** Where packets and octets of inner packets lie among the cells of an SA; its drops, by cause, come behind them. */
export const SA_PACKETS_CELL = 0;
export const SA_OCTETS_CELL = 1;
const SA_DROPS_CELL = 2;

/** How many cells the counters of one SA take. */
export const SA_COUNTER_CELLS = SA_DROPS_CELL + CAUSES.length;

/** Counts a packet that was dropped after it had found its SA, in the cells of that SA. */
export function countSaDrop(cells: Float64Array, cause: DropCause): void {
  const index = SA_DROPS_CELL + CAUSE_INDEX[cause];
  cells[index] = (cells[index] ?? 0) + 1;
}

/** What the cells of an SA say, as plain data. */
export function readSaCounters(cells: Float64Array): SaCounters {
  const drops = CAUSES.map((cause, index): [DropCause, number] => [cause, cells[SA_DROPS_CELL + index] ?? 0]);
  const seen = drops.filter(([, count]) => count > 0);
  return {
    packets: cells[SA_PACKETS_CELL] ?? 0,
    octets: cells[SA_OCTETS_CELL] ?? 0,
    ...(seen.length > 0 && { drops: Object.fromEntries(seen) }),
  };
}

function isDropCause(text: string): text is DropCause {
  return Object.hasOwn(DROP_CAUSES, text);
}

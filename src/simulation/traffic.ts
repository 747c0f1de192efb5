// Traffic between the LANs, and what became of it: who got what, when it was sent, and whether every tunnel has recovered.

import { type Instant, NEVER } from '../lib/time.ts';
import type { IpAddress } from '../model/address.ts';
import type { Complain } from './checkers.ts';
import { answerTo, decodeProbe, encodeProbe, type ProbeKind } from './lan.ts';

/** Packets of one site. */
export interface SiteTraffic {
  readonly sent: number;
  /** At the other end, of those. */
  readonly received: number;
}

/** One direction of one selector between two sites. */
export interface Flow {
  readonly from: string;
  readonly to: string;
  readonly source: IpAddress;
  readonly destination: IpAddress;
  /** Into which the sender's LAN routes these packets, and out of which they come. */
  readonly fromInterface: string;
  readonly toInterface: string;
}

/** An inner packet, and where its sender's LAN routes it. */
export interface RoutedPacket {
  readonly tunnelInterface: string;
  readonly packet: Uint8Array;
}

interface Flight {
  readonly flow: Flow;
  readonly sentAt: Instant;
  isReceived: boolean;
}

/** A ledger of every inner packet of a run. */
export class Traffic {
  readonly #complain: Complain;
  readonly #flows: readonly Flow[];
  readonly #flights: Flight[] = [];
  readonly #turns = new Map<string, number>();
  // Flows through which nothing has come yet that was sent after the faults stopped.
  readonly #silent = new Set<Flow>();
  #calmFrom: Instant = NEVER;
  #recoveredAt: Instant | undefined;

  constructor(flows: readonly Flow[], complain: Complain) {
    this.#flows = flows;
    this.#complain = complain;
  }

  /** When traffic sent after `expectRecovery` had come through for every selector, both ways. */
  get recoveredAt(): Instant | undefined {
    return this.#recoveredAt;
  }

  /** The faults have stopped: packets sent from now on show whether the tunnels work again. */
  expectRecovery(now: Instant): void {
    this.#calmFrom = now;
    for (const flow of this.#flows) this.#silent.add(flow);
  }

  /** Who has not heard from whom since the faults stopped. */
  silentFlows(): readonly string[] {
    return [...this.#silent].map(({ from, to, destination }) => `${from} to ${to} (${destination})`);
  }

  /** The next packet of a site, entered in the ledger; its flows take turns. */
  nextPacket(now: Instant, from: string, kind: ProbeKind, fill: number): RoutedPacket | undefined {
    const flows = this.#flows.filter((flow) => flow.from === from);
    const turn = this.#turns.get(from) ?? 0;
    this.#turns.set(from, turn + 1);
    const flow = flows[turn % flows.length];
    return flow && this.#send(now, flow, kind, fill);
  }

  /** A packet that came out of a tunnel; returns the answer that the LAN host sends back, if it does. */
  handleDelivered(
    now: Instant,
    at: string,
    tunnelInterface: string | undefined,
    packet: Uint8Array,
  ): RoutedPacket | undefined {
    const probe = decodeProbe(packet);
    if (probe === undefined) return this.#refuse(`${at} let a packet out of the tunnel that nobody sent`);
    const name = `packet ${probe.serial}`;
    const flight = this.#flights[probe.serial];
    if (flight === undefined || flight.flow.to !== at || flight.flow.toInterface !== tunnelInterface) {
      return this.#refuse(`${at} let ${name} out of ${tunnelInterface}, where it does not belong`);
    }
    if (flight.isReceived) return this.#refuse(`${at} let ${name} out of the tunnel twice`);
    flight.isReceived = true;
    this.#noteRecovery(now, flight);
    const answer = answerTo(probe, this.#flights.length);
    const back = this.#flows.find(
      ({ source, destination }) => source === answer?.source && destination === answer.destination,
    );
    return answer && back && this.#send(now, back, answer.kind, answer.fill);
  }

  /** Packets that a site sent in [from, until), and how many of them arrived. */
  of(site: string, from: Instant, until: Instant): SiteTraffic {
    let sent = 0;
    let received = 0;
    // The ledger is in the order of sending, so the interesting part is at its end.
    for (let index = this.#flights.length - 1; index >= 0; index--) {
      const flight = this.#flights[index];
      if (flight === undefined || flight.sentAt < from) break;
      if (flight.flow.from !== site || flight.sentAt >= until) continue;
      sent++;
      if (flight.isReceived) received++;
    }
    return { sent, received };
  }

  /** When the first packet lost in [from, until) was sent. */
  firstLost(from: Instant, until: Instant): Instant | undefined {
    return this.#flights.find((flight) => !flight.isReceived && flight.sentAt >= from && flight.sentAt < until)?.sentAt;
  }

  #send(now: Instant, flow: Flow, kind: ProbeKind, fill: number): RoutedPacket {
    const serial = this.#flights.length;
    this.#flights.push({ flow, sentAt: now, isReceived: false });
    const { source, destination, fromInterface } = flow;
    return { tunnelInterface: fromInterface, packet: encodeProbe({ kind, source, destination, serial, fill }) };
  }

  #noteRecovery(now: Instant, flight: Flight): void {
    if (this.#recoveredAt !== undefined || flight.sentAt < this.#calmFrom) return;
    this.#silent.delete(flight.flow);
    if (this.#silent.size === 0) this.#recoveredAt = now;
  }

  #refuse(violation: string): undefined {
    this.#complain(violation);
    return undefined;
  }
}

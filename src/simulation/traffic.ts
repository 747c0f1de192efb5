// Traffic between the two LANs, and what became of it: who got what, when it was sent, and whether the tunnel has recovered.

import { type Instant, NEVER } from '../lib/time.ts';
import type { Complain } from './checkers.ts';
import { answerTo, decodeProbe, encodeProbe, type Probe, type ProbeKind } from './lan.ts';
import { lanHost, type Office } from './two-offices.ts';

/** Packets of one office. */
export interface OfficeTraffic {
  readonly sent: number;
  /** By the other office, of those. */
  readonly received: number;
}

interface Flight {
  readonly from: Office;
  readonly selector: number;
  readonly sentAt: Instant;
  isReceived: boolean;
}

/** A ledger of every inner packet of a run. */
export class Traffic {
  readonly #complain: Complain;
  readonly #flights: Flight[] = [];
  readonly #selectorCount: number;
  // Directions of selectors through which nothing has come yet that was sent after the faults stopped.
  readonly #silent = new Set<string>();
  #turn = 0;
  #calmFrom: Instant = NEVER;
  #recoveredAt: Instant | undefined;

  constructor(selectorCount: number, complain: Complain) {
    this.#selectorCount = selectorCount;
    this.#complain = complain;
  }

  /** When traffic sent after `expectRecovery` had come through for every selector, both ways. */
  get recoveredAt(): Instant | undefined {
    return this.#recoveredAt;
  }

  /** The faults have stopped: packets sent from now on show whether the tunnel works again. */
  expectRecovery(now: Instant): void {
    this.#calmFrom = now;
    for (let index = 0; index < this.#selectorCount; index++) this.#silent.add(`main ${index}`).add(`branch ${index}`);
  }

  /** The next packet of an office, entered in the ledger. */
  nextPacket(now: Instant, from: Office, kind: ProbeKind, fill: number): Uint8Array {
    const serial = this.#flights.length;
    const selector = this.#turn++ % this.#selectorCount;
    const to = from === 'main' ? 'branch' : 'main';
    this.#flights.push({ from, selector, sentAt: now, isReceived: false });
    return encodeProbe({ kind, source: lanHost(from, selector), destination: lanHost(to, selector), serial, fill });
  }

  /** A packet that came out of a tunnel; returns the answer that the LAN host sends back, if it does. */
  handleDelivered(now: Instant, at: Office, packet: Uint8Array): Uint8Array | undefined {
    const probe = decodeProbe(packet);
    if (probe === undefined) {
      this.#complain(`${at} let a packet out of the tunnel that nobody sent`);
      return undefined;
    }
    const flight = this.#flights[probe.serial];
    if (flight === undefined || flight.from === at) {
      this.#complain(`${at} let packet ${probe.serial} out of the tunnel, which was not for it`);
      return undefined;
    }
    if (flight.isReceived) {
      this.#complain(`${at} let packet ${probe.serial} out of the tunnel twice`);
      return undefined;
    }
    flight.isReceived = true;
    this.#noteRecovery(now, flight);
    return this.#answer(now, at, flight.selector, probe);
  }

  /** Packets that an office sent in [from, until), and how many of them arrived. */
  of(office: Office, from: Instant, until: Instant): OfficeTraffic {
    let sent = 0;
    let received = 0;
    // The ledger is in the order of sending, so the interesting part is at its end.
    for (let index = this.#flights.length - 1; index >= 0; index--) {
      const flight = this.#flights[index];
      if (flight === undefined || flight.sentAt < from) break;
      if (flight.from !== office || flight.sentAt >= until) continue;
      sent++;
      if (flight.isReceived) received++;
    }
    return { sent, received };
  }

  /** When the first packet lost in [from, until) was sent. */
  firstLost(from: Instant, until: Instant): Instant | undefined {
    return this.#flights.find((flight) => !flight.isReceived && flight.sentAt >= from && flight.sentAt < until)?.sentAt;
  }

  #noteRecovery(now: Instant, flight: Flight): void {
    if (this.#recoveredAt !== undefined || flight.sentAt < this.#calmFrom) return;
    this.#silent.delete(`${flight.from} ${flight.selector}`);
    if (this.#silent.size === 0) this.#recoveredAt = now;
  }

  #answer(now: Instant, at: Office, selector: number, probe: Probe): Uint8Array | undefined {
    const answer = answerTo(probe, this.#flights.length);
    if (answer === undefined) return undefined;
    this.#flights.push({ from: at, selector, sentAt: now, isReceived: false });
    return encodeProbe(answer);
  }
}

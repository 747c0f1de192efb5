// Somebody on the path who reads everything, holds no key, and can put any packet on the wire: what he sends may cost a negotiation
// that is under way, and nothing else.

import { concat } from '../lib/bytes.ts';
import { elapsed, type Instant, milliseconds } from '../lib/time.ts';
import { EXCHANGE_TYPE, type IsakmpHeader, NO_FLAGS } from '../wire/isakmp-header.ts';
import { NOTIFY_TYPE } from '../wire/isakmp-notify.ts';
import { encodeMessage, type Payload } from '../wire/isakmp-payloads.ts';
import { IPSEC_DOI, PROTOCOL_ID } from '../wire/isakmp-sa-payload.ts';
import { addNonEspMarker } from '../wire/udp-encapsulation.ts';
import type { Chance } from './chance.ts';
import { isakmpHeaderOf, isClearMessage } from './clear-message.ts';
import type { Fabric, WirePacket } from './fabric.ts';
import type { Scheduler } from './scheduler.ts';

interface Overheard {
  readonly packet: WirePacket;
  /** Whether its receiver has had it. One that it has not had is not a replay: IKEv1 has no way to tell it from a late one. */
  readonly isIntact: boolean;
  readonly at: Instant;
}

/** Packets that the attacker remembers; when full, a random one makes room, so that old and new ones are both there. */
const MEMORY_MAX = 400;
/** How old a packet is when nothing that it belongs to is under way any more. */
const STALE = milliseconds(120_000);
const FLIPS_MAX = 4;

/** An attacker, who strikes on average once in `interval` milliseconds. */
export class Attacker {
  readonly #scheduler: Scheduler;
  readonly #fabric: Fabric;
  readonly #chance: Chance;
  readonly #interval: number;
  readonly #damagesClear: boolean;
  readonly #memory: Overheard[] = [];
  #isOnlyReplaying = false;
  #strikeCount = 0;

  constructor(scheduler: Scheduler, fabric: Fabric, chance: Chance, interval: number, damagesClear: boolean) {
    this.#scheduler = scheduler;
    this.#fabric = fabric;
    this.#chance = chance;
    this.#interval = interval;
    this.#damagesClear = damagesClear;
    fabric.tap((packet, isIntact) => this.#remember(packet, isIntact));
    this.#scheduleNext();
  }

  get strikeCount(): number {
    return this.#strikeCount;
  }

  /** From now on he only repeats what is long over: not even a negotiation may be lost to that. */
  onlyReplay(): void {
    this.#isOnlyReplaying = true;
  }

  #scheduleNext(): void {
    this.#scheduler.in(milliseconds(Math.ceil(this.#chance.between(0.2, 1.8) * this.#interval)), () => {
      this.#strike();
      this.#scheduleNext();
    });
  }

  #remember(packet: WirePacket, isIntact: boolean): void {
    const overheard = { packet: { ...packet, octets: packet.octets.slice() }, isIntact, at: this.#scheduler.now };
    if (this.#memory.length < MEMORY_MAX) this.#memory.push(overheard);
    else this.#memory[this.#chance.integer(0, MEMORY_MAX - 1)] = overheard;
  }

  #strike(): void {
    if (this.#memory.length === 0) return;
    const overheard = this.#memory[this.#chance.integer(0, this.#memory.length - 1)];
    if (overheard === undefined) return;
    const isStale = overheard.isIntact && elapsed(overheard.at, this.#scheduler.now) >= STALE;
    if (this.#isOnlyReplaying && !isStale) return;
    this.#strikeCount++;
    const { packet } = overheard;
    const kind = this.#isOnlyReplaying
      ? 'replay'
      : this.#chance.pick(['replay', 'reflect', 'damage', 'forge', 'forge']);
    switch (kind) {
      case 'replay':
        this.#fabric.inject(packet);
        break;
      case 'reflect':
        this.#fabric.inject(reversed(packet));
        break;
      case 'damage':
        if (!this.#damagesClear && isClearMessage(packet)) break;
        this.#fabric.inject({ ...packet, octets: this.#damage(packet.octets) });
        break;
      case 'forge':
        this.#forge(packet);
        break;
    }
  }

  #damage(octets: Uint8Array): Uint8Array {
    const damaged = octets.slice(0, this.#chance.happens(0.2) ? this.#chance.integer(0, octets.length) : octets.length);
    for (let count = this.#chance.integer(0, FLIPS_MAX); count > 0 && damaged.length > 0; count--) {
      damaged[this.#chance.integer(0, damaged.length - 1)] = this.#chance.integer(0, 255);
    }
    return damaged;
  }

  /** What a peer might say about an SA, in clear and with its true cookies (RFC 2408 §3.14, §3.15): nobody may believe it. */
  #forge(packet: WirePacket): void {
    const header = isakmpHeaderOf(packet);
    if (header === undefined) return;
    const message = this.#forgedNotice(header);
    const octets = packet.octets[0] === 0 && packet.octets[1] === 0 ? addNonEspMarker(message) : message;
    const forged = { ...packet, octets };
    this.#fabric.inject(this.#chance.happens(0.5) ? forged : reversed(forged));
  }

  #forgedNotice(header: IsakmpHeader): Uint8Array {
    const { initiatorCookie, responderCookie } = header;
    const cookies = concat(initiatorCookie, responderCookie);
    const about = { doi: IPSEC_DOI, protocolId: PROTOCOL_ID.isakmp } as const;
    const notifyTypes = Object.values(NOTIFY_TYPE);
    const notifyType = notifyTypes[this.#chance.integer(0, notifyTypes.length - 1)] ?? 0;
    const payload: Payload = this.#chance.happens(0.3)
      ? { kind: 'delete', ...about, spiSize: cookies.length, spis: [cookies] }
      : { kind: 'notification', ...about, spi: cookies, notifyType, data: new Uint8Array(0) };
    const messageId = this.#chance.happens(0.5) ? this.#chance.random.uint32() : 0;
    const fields = {
      initiatorCookie,
      responderCookie,
      exchangeType: EXCHANGE_TYPE.informational,
      flags: NO_FLAGS,
      messageId,
    };
    return encodeMessage(fields, [payload]);
  }
}

/** The same octets, sent back to where they came from. */
function reversed(packet: WirePacket): WirePacket {
  return packet.kind === 'udp'
    ? { ...packet, source: packet.destination, destination: packet.source }
    : { ...packet, source: packet.destination, destination: packet.source };
}

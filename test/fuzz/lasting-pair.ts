// Two gateways that live through all inputs of a fuzz target, as gateways do: what one input leaves behind meets the next, and nothing
// of it may pile up. A tunnel that an input has ended is negotiated again: whatever was said to a gateway, it must be possible.

import assert from 'node:assert/strict';
import { fromHex } from '../../src/lib/bytes.ts';
import type { BenchOptions, TwoGateways } from '../scenarios/two-gateways.ts';
import { established, isEstablished, markerLength, settleBetweenGateways } from './gateway-frames.ts';

const COOKIES_LENGTH = 16;
const MESSAGE_ID_OFFSET = 20;
/** Half-open exchanges that were begun in the peer's name stand in the way of the peer's own, until they time out. */
const ATTEMPTS_MAX = 6;
const ATTEMPT_PAUSE = '30s';

export class LastingPair {
  readonly #options: BenchOptions;
  #lab: TwoGateways | undefined;
  /** Of the first IKE SA: those in what `recordNegotiation` has recorded with the same options. */
  #recordedCookies = new Uint8Array();
  #cookies = new Uint8Array();
  #renewals = 0;
  #inputs = 0;

  constructor(options: BenchOptions = {}) {
    this.#options = options;
  }

  /** The pair with one tunnel up. */
  ready(): TwoGateways {
    this.#inputs++;
    const lab = this.#lab ?? established(this.#options);
    forget(lab);
    if (!isEstablished(lab)) this.#renew(lab);
    this.#cookies = cookiesOf(lab);
    if (this.#lab === undefined) this.#recordedCookies = this.#cookies;
    this.#lab = lab;
    return lab;
  }

  /** A recorded datagram as one of the IKE SA of today: under its cookies, where it was under those of the first. */
  current(flags: number, datagram: Uint8Array): Uint8Array {
    const offset = markerLength(flags);
    const { length } = this.#recordedCookies;
    if (datagram.length < offset + length) return datagram;
    for (let index = 0; index < length; index++) {
      if (datagram[offset + index] !== this.#recordedCookies[index]) return datagram;
    }
    const copy = datagram.slice();
    copy.set(this.#cookies, offset);
    return copy;
  }

  /** The same, and of a new exchange: a message ID is for once. */
  renumbered(flags: number, datagram: Uint8Array): Uint8Array {
    const copy = this.current(flags, datagram).slice();
    const offset = MESSAGE_ID_OFFSET + markerLength(flags);
    if (copy.length < offset + 4) return copy;
    const view = new DataView(copy.buffer);
    const messageId = view.getUint32(offset);
    if (messageId !== 0) view.setUint32(offset, (messageId + Math.imul(this.#inputs, 0x10001)) >>> 0);
    return copy;
  }

  /** Ends whatever there is on both sides, and begins anew. */
  #renew(lab: TwoGateways): void {
    this.#renewals++;
    for (const side of [lab.initiator, lab.responder]) {
      side.gateway.clearIpsec(lab.now, {}, side);
      side.gateway.clearIke(lab.now, {}, side);
    }
    lab.compute();
    settleBetweenGateways(lab);
    for (let attempts = 0; attempts < ATTEMPTS_MAX && !isEstablished(lab); attempts++) {
      if (attempts > 0) lab.advance(ATTEMPT_PAUSE);
      lab.initiate();
      settleBetweenGateways(lab);
    }
    assert.ok(isEstablished(lab), `two gateways find together again (for the ${this.#renewals}th time)`);
  }
}

/** What a bench remembers for tests that ask. */
export function forget(lab: TwoGateways): void {
  lab.inFlight.length = 0;
  for (const side of [lab.initiator, lab.responder]) {
    side.events.length = 0;
    side.commands.length = 0;
  }
}

function cookiesOf(lab: TwoGateways): Uint8Array<ArrayBuffer> {
  const up = lab.initiator.gateway.ikeSas(lab.now).find(({ state }) => state === 'up');
  const cookies = new Uint8Array(COOKIES_LENGTH);
  if (up) cookies.set(fromHex(up.initiatorCookie + up.responderCookie));
  return cookies;
}

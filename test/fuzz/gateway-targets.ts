// Whole gateways: an established pair under datagrams from people without keys, and a pair whose negotiation is interfered with.

import assert from 'node:assert/strict';
import { concat } from '../../src/lib/bytes.ts';
import { type BenchOptions, type Side, type TwoGateways, twoGateways } from '../scenarios/two-gateways.ts';
import type { FuzzTarget } from './fuzzer.ts';
import {
  FLAG,
  flagsOf,
  frame,
  frames,
  pathTo,
  recordNegotiation,
  settleBetweenGateways,
  sideFor,
} from './gateway-frames.ts';
import { LastingPair } from './lasting-pair.ts';
import { computeTransparently, TRANSPARENT } from './transparent-crypto.ts';

const DATAGRAMS_MAX = 12;
const OPERATIONS_MAX = 60;
/** Exchanges that one source may have half-open, in its own name and in the peer's, and what there was. */
const IKE_SAS_MAX = 2 * 32 + 2;
const GATEWAYS_SHARE = 3;

const UNDER_FIRE = new LastingPair();

/** What strangers send, and what they replay, must leave an established tunnel as it is. */
export const UNDER_FIRE_TARGET: FuzzTarget = {
  name: 'gateway-under-fire',
  shortRuns: 1500,
  keepsState: true,
  share: GATEWAYS_SHARE,
  seeds: () => {
    const genuine = recordNegotiation();
    const phase1 = genuine.slice(0, 6);
    return [
      ...genuine.map((entry) => frame(flagsOf(entry), entry.datagram)),
      concat(...phase1.map((entry) => frame(flagsOf(entry) | FLAG.fromStranger, entry.datagram))),
    ];
  },
  run: (input) => {
    const lab = UNDER_FIRE.ready();
    const before = standing(lab);
    let count = 0;
    for (const { flags, datagram } of frames(input)) {
      if (count++ === DATAGRAMS_MAX) break;
      lab.inject(sideFor(lab, flags), pathTo(lab, flags), UNDER_FIRE.current(flags, datagram));
      // Answers go to whoever is said to have sent this: if that is the peer, it did not ask.
      settleBetweenGateways(lab);
    }
    assert.deepEqual(standing(lab), before, 'an established tunnel was changed by somebody without its keys');
    for (const side of [lab.initiator, lab.responder]) {
      assert.ok(
        side.gateway.ikeSas(lab.now).length <= IKE_SAS_MAX,
        'strangers have so many half-open exchanges at most',
      );
    }
    // Exchanges that strangers began time out, and the pair renews its SAs when their time comes.
    lab.advance('2s');
    settleBetweenGateways(lab);
  },
};

/** What to start from: see `operate` for what each octet does. */
const SCRIPTS: readonly Uint8Array[] = [
  // Initiate, then let all arrive.
  Uint8Array.of(7, ...new Array<number>(12).fill(0)),
  // Lose a message and let time bring it back, double the next, change another.
  Uint8Array.of(7, 1, 5, 60, 0, 2, 0, 3, 40, 0x80, 0, 0, 4, 30, 5, 90, 0, 0, 0, 0),
  // Both start at once; then clear, and start again.
  Uint8Array.of(7, 8, 0, 0, 9, 0, 0, 0, 0, 0, 10, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11, 6, 30, 0, 0),
];

const SCRIPT_SEEDS = [0, 1, 2, 3, 5, 8, 17, 19].flatMap((options) =>
  SCRIPTS.map((script) => concat(Uint8Array.of(options), script)),
);

/** A negotiation whose messages are lost, doubled, reordered and changed, while operators type and time passes: nothing may throw or spin. */
export const INTERFERENCE_TARGET: FuzzTarget = {
  name: 'gateway-interference',
  shortRuns: 300,
  share: GATEWAYS_SHARE,
  seeds: () => SCRIPT_SEEDS,
  run: (input) => {
    const operations = new Operations(input);
    const lab = twoGateways(benchOptions(operations.next()));
    operateAll(lab, operations);
    for (const side of [lab.initiator, lab.responder]) {
      assert.ok(side.gateway.ikeSas(lab.now).length < OPERATIONS_MAX);
      side.gateway.shutdown(lab.now, side);
      assert.deepEqual(side.gateway.ipsecSas(lab.now), [], 'a gateway that was shut down has no SAs');
    }
  },
};

/** Pairs that live on, by the lower bits of the options. */
const LASTING_OPTIONS = 8;
const LASTING = Array.from({ length: LASTING_OPTIONS }, (_, options) => new LastingPair(benchOptions(options)));

/** The same done to gateways that live through it all: the tunnel must come up again each time, and nothing may pile up. */
export const LIFETIME_TARGET: FuzzTarget = {
  name: 'gateway-lifetime',
  shortRuns: 600,
  keepsState: true,
  share: GATEWAYS_SHARE,
  seeds: () => SCRIPT_SEEDS,
  run: (input) => {
    const operations = new Operations(input);
    const lab = LASTING[operations.next() % LASTING_OPTIONS]?.ready();
    assert.ok(lab);
    operateAll(lab, operations);
    for (const side of [lab.initiator, lab.responder]) {
      assert.ok(side.gateway.ikeSas(lab.now).length < OPERATIONS_MAX);
      assert.ok(side.gateway.ipsecSas(lab.now).length < OPERATIONS_MAX);
    }
  },
};

function operateAll(lab: TwoGateways, operations: Operations): void {
  for (let count = 0; count < OPERATIONS_MAX && !operations.isOver; count++) operate(lab, operations);
  settleBetweenGateways(lab);
  lab.advance('120s');
  settleBetweenGateways(lab);
}

class Operations {
  readonly #octets: Uint8Array;
  #offset = 0;

  constructor(octets: Uint8Array) {
    this.#octets = octets;
  }

  get isOver(): boolean {
    return this.#offset >= this.#octets.length;
  }

  next(): number {
    return this.#octets[this.#offset++] ?? 0;
  }

  take(length: number): Uint8Array {
    const start = this.#offset;
    this.#offset += length;
    return this.#octets.slice(start, start + length);
  }
}

/** An input's first octet says how the two gateways are configured, and whether what is changed on the way is believed. */
function benchOptions(flags: number): BenchOptions {
  return {
    ...(flags & 1 ? { crypto: TRANSPARENT, computation: computeTransparently } : {}),
    mode: flags & 2 ? 'aggressive' : 'main',
    establishMain: flags & 4 ? 'immediately' : 'on-traffic',
    isBranchBehindNat: (flags & 8) !== 0,
    selectorCount: flags & 16 ? 3 : 1,
  };
}

function operate(lab: TwoGateways, operations: Operations): void {
  const [oldest] = lab.inFlight;
  switch (operations.next() % 14) {
    case 0:
      lab.inFlight.shift();
      if (oldest) lab.deliver(oldest);
      return;
    case 1:
      lab.inFlight.shift();
      return;
    case 2:
      if (oldest) lab.deliver(oldest);
      return;
    case 3:
      if (oldest) lab.deliver(oldest, changed(oldest.datagram, operations));
      return;
    case 4:
      if (oldest) lab.deliver(oldest, oldest.datagram.subarray(0, operations.next() * 2));
      return;
    case 5:
      return lab.advance(`${operations.next() * 100}ms`);
    case 6:
      return lab.advance(`${operations.next()}s`);
    case 7:
      return lab.initiate(lab.initiator);
    case 8:
      return lab.initiate(lab.responder);
    case 9:
      lab.inFlight.shift();
      if (oldest) lab.inFlight.push(oldest);
      return;
    case 10:
      lab.initiator.gateway.clearIke(lab.now, {}, lab.initiator);
      return;
    case 11:
      lab.responder.gateway.clearIpsec(lab.now, {}, lab.responder);
      return;
    case 12:
      return expireSoftly(lab, operations.next() % 2 === 0 ? lab.initiator : lab.responder);
    default: {
      const flags = operations.next();
      lab.inject(sideFor(lab, flags), pathTo(lab, flags), operations.take(operations.next()));
    }
  }
}

function expireSoftly(lab: TwoGateways, side: Side): void {
  for (const pair of side.gateway.ipsecSas(lab.now)) {
    const { policy, inboundSpi } = pair;
    lab.dataPlane(side, { kind: 'soft-expired', direction: 'inbound', spi: inboundSpi, policy });
  }
}

function changed(datagram: Uint8Array, operations: Operations): Uint8Array {
  const copy = datagram.slice();
  const offset = operations.next() % Math.max(copy.length, 1);
  copy[offset] = (copy[offset] ?? 0) ^ operations.next();
  return copy;
}

/** What must not change: the SAs that are up, on both sides. */
function standing(lab: TwoGateways): unknown {
  return [lab.initiator, lab.responder].map((side) => ({
    ike: side.gateway
      .ikeSas(lab.now)
      .filter(({ state }) => state === 'up')
      .map(({ id }) => id),
    ipsec: side.gateway
      .ipsecSas(lab.now)
      .map(({ inboundSpi, outboundSpi, isCurrent }) => [inboundSpi, outboundSpi, isCurrent]),
  }));
}

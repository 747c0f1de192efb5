// A peer that holds the keys and says anything: both gateways are lent cryptography that hides nothing, so that what is changed in an
// encrypted message is changed in its payloads, and every keyed hash is right. What the fuzzer reaches so is what an authenticated peer can.

import assert from 'node:assert/strict';
import fc from 'fast-check';
import { concat } from '../../src/lib/bytes.ts';
import { HASH } from '../../src/model/algorithms.ts';
import {
  decodeIsakmpHeader,
  EXCHANGE_TYPE,
  encodeIsakmpHeader,
  ISAKMP_HEADER_LENGTH,
  type IsakmpHeader,
} from '../../src/wire/isakmp-header.ts';
import { encodePayloadChain, type Payload } from '../../src/wire/isakmp-payloads.ts';
import { addNonEspMarker } from '../../src/wire/udp-encapsulation.ts';
import type { InFlight } from '../scenarios/two-gateways.ts';
import type { FuzzTarget } from './fuzzer.ts';
import {
  FLAG,
  flagsOf,
  frame,
  frames,
  markerLength,
  pathTo,
  recordNegotiation,
  settleBetweenGateways,
  sideFor,
} from './gateway-frames.ts';
import { LastingPair } from './lasting-pair.ts';
import { anyPayloads } from './payload-arbitraries.ts';
import { computeTransparently, TRANSPARENT } from './transparent-crypto.ts';

const SEED = 20_240_402;
const DATAGRAMS_MAX = 8;
/** IPsec SA pairs of a gateway after a few messages: a peer may ask for new ones, and old ones linger. */
const PAIRS_MAX = DATAGRAMS_MAX + 2;

const OPTIONS = { crypto: TRANSPARENT, computation: computeTransparently };
const TRUSTED = new LastingPair(OPTIONS);
const RIGHT_HASH: Payload = { kind: 'hash', data: new Uint8Array(HASH['sha-256'].digestLength) };

export const TRUSTED_PEER_TARGET: FuzzTarget = {
  name: 'gateway-trusted-peer',
  shortRuns: 1500,
  keepsState: true,
  share: 3,
  seeds: () => {
    const genuine = recordNegotiation(OPTIONS);
    return [...genuine.map((entry) => frame(flagsOf(entry), entry.datagram)), ...inventedMessages(genuine)];
  },
  repair: (input) =>
    concat(...[...frames(input)].map(({ flags, datagram }) => frame(flags, withTrueLength(flags, datagram)))),
  run: (input) => {
    const lab = TRUSTED.ready();
    let count = 0;
    for (const { flags, datagram } of frames(input)) {
      if (count++ === DATAGRAMS_MAX) break;
      lab.inject(sideFor(lab, flags), pathTo(lab, flags), TRUSTED.renumbered(flags, datagram));
    }
    // What the gateways say to that goes to the true peer, which did not ask.
    settleBetweenGateways(lab);
    lab.advance('90s');
    settleBetweenGateways(lab);
    for (const side of [lab.initiator, lab.responder]) {
      assert.ok(
        side.gateway.ipsecSas(lab.now).length <= PAIRS_MAX,
        'a message makes one pair at most, and old ones go',
      );
    }
  },
};

/** Messages of the established SA with payloads of every kind behind a hash that is right. */
function inventedMessages(genuine: readonly InFlight[]): readonly Uint8Array[] {
  const last = genuine.at(-1);
  assert.ok(last);
  const flags = flagsOf(last) ^ FLAG.toResponder;
  const header = decodeIsakmpHeader(stripMarker(flags, last.datagram));
  assert.ok(header.ok);
  const { value } = header;
  const types = [EXCHANGE_TYPE.informational, EXCHANGE_TYPE.quick, EXCHANGE_TYPE.transaction];
  return fc.sample(anyPayloads, { seed: SEED, numRuns: 24 }).map((payloads, index) => {
    const exchangeType = types[index % types.length] ?? EXCHANGE_TYPE.informational;
    return frame(
      flags,
      withMarker(flags, encryptedMessage({ ...value, exchangeType, messageId: 0x2000 + index }, payloads)),
    );
  });
}

function encryptedMessage(header: IsakmpHeader, payloads: readonly Payload[]): Uint8Array {
  const { firstType, bytes } = encodePayloadChain([RIGHT_HASH, ...payloads]);
  const body = concat(bytes, new Uint8Array(-bytes.length & 15));
  return concat(
    encodeIsakmpHeader({ ...header, nextPayload: firstType, length: ISAKMP_HEADER_LENGTH + body.length }),
    body,
  );
}

/** With the length field that the header's check wants, and whole cipher blocks. */
function withTrueLength(flags: number, datagram: Uint8Array): Uint8Array {
  const message = stripMarker(flags, datagram);
  if (message.length < ISAKMP_HEADER_LENGTH) return datagram;
  const whole = concat(message, new Uint8Array(-(message.length - ISAKMP_HEADER_LENGTH) & 15));
  new DataView(whole.buffer).setUint32(24, whole.length);
  return withMarker(flags, whole);
}

function stripMarker(flags: number, datagram: Uint8Array): Uint8Array {
  return datagram.subarray(markerLength(flags));
}

function withMarker(flags: number, message: Uint8Array): Uint8Array {
  return flags & FLAG.onPort4500 ? addNonEspMarker(message) : message;
}

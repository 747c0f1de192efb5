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
import { established, FLAG, flagsOf, frame, frames, pathTo, recordNegotiation, sideFor } from './gateway-frames.ts';
import { anyPayloads } from './payload-arbitraries.ts';
import { TRANSPARENT } from './transparent-crypto.ts';

const SEED = 20_240_402;
const DATAGRAMS_MAX = 8;
/** IPsec SA pairs of a gateway after a few messages: a peer may ask for new ones, and old ones linger. */
const PAIRS_MAX = DATAGRAMS_MAX + 2;
const MARKER_LENGTH = 4;

const OPTIONS = { crypto: TRANSPARENT };
const RIGHT_HASH: Payload = { kind: 'hash', data: new Uint8Array(HASH['sha-256'].digestLength) };

export const TRUSTED_PEER_TARGET: FuzzTarget = {
  name: 'gateway-trusted-peer',
  shortRuns: 150,
  seeds: () => {
    const genuine = recordNegotiation(OPTIONS);
    const again = genuine.map((entry) => frame(flagsOf(entry), renumbered(flagsOf(entry), entry.datagram, 0x1000)));
    return [...again, ...inventedMessages(genuine)];
  },
  repair: (input) =>
    concat(...[...frames(input)].map(({ flags, datagram }) => frame(flags, withTrueLength(flags, datagram)))),
  run: (input) => {
    const lab = established(OPTIONS);
    let count = 0;
    for (const { flags, datagram } of frames(input)) {
      if (count++ === DATAGRAMS_MAX) break;
      lab.inject(sideFor(lab, flags), pathTo(lab, flags), datagram);
    }
    // What the gateways say to that goes to the true peer, which did not ask.
    lab.settle();
    lab.advance('90s');
    lab.settle();
    for (const side of [lab.initiator, lab.responder]) {
      assert.ok(side.gateway.ipsecSas(lab.now).length <= PAIRS_MAX, 'a message makes one pair at most');
      side.gateway.shutdown(lab.now, side);
      assert.deepEqual(side.gateway.ipsecSas(lab.now), [], 'a gateway that was shut down has no SAs');
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

/** The same message under another message ID, so that it is no retransmission; phase 1 has none. */
function renumbered(flags: number, datagram: Uint8Array, difference: number): Uint8Array {
  const copy = datagram.slice();
  const view = new DataView(copy.buffer);
  const offset = 20 + markerLength(flags);
  const messageId = view.getUint32(offset);
  if (messageId !== 0) view.setUint32(offset, (messageId + difference) >>> 0);
  return copy;
}

/** With the length field that the header's check wants, and whole cipher blocks. */
function withTrueLength(flags: number, datagram: Uint8Array): Uint8Array {
  const message = stripMarker(flags, datagram);
  if (message.length < ISAKMP_HEADER_LENGTH) return datagram;
  const whole = concat(message, new Uint8Array(-(message.length - ISAKMP_HEADER_LENGTH) & 15));
  new DataView(whole.buffer).setUint32(24, whole.length);
  return withMarker(flags, whole);
}

function markerLength(flags: number): number {
  return flags & FLAG.onPort4500 ? MARKER_LENGTH : 0;
}

function stripMarker(flags: number, datagram: Uint8Array): Uint8Array {
  return datagram.subarray(markerLength(flags));
}

function withMarker(flags: number, message: Uint8Array): Uint8Array {
  return flags & FLAG.onPort4500 ? addNonEspMarker(message) : message;
}

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeededRandom } from '../../src/lib/random.ts';
import { addressFromOctets, type UdpPath } from '../../src/model/address.ts';
import { type Side, type TwoGateways, twoGateways } from './two-gateways.ts';

const MESSAGES = 5000;
const COOKIE_LENGTH = 8;

test('thousands of first messages from strangers: none is answered, nothing is kept, and the peer gets in', () => {
  const lab = twoGateways();
  const random = new SeededRandom(7);
  flood(lab, lab.responder, () => strangersPath(lab.responder, random));
  assert.equal(lab.inFlight.length, 0);
  assert.deepEqual(lab.responder.gateway.ikeSas(lab.now), []);
  assert.equal(lab.responder.gateway.counters().dropped['unknown-peer'], MESSAGES);
  connect(lab);
});

test('CVE-2007-6750-like: thousands of first messages in the name of the peer: few are kept, and in the end the peer gets in', () => {
  const lab = twoGateways();
  const path = { local: end(lab.responder), remote: end(lab.initiator) };
  flood(lab, lab.responder, () => path);
  lab.inFlight.length = 0;
  const { length } = lab.responder.gateway.ikeSas(lab.now);
  assert.ok(length <= 64, `${length} half-open SAs are kept for one address`);
  // Each half-open SA is given up after a while; the peer only has to outlast them.
  lab.advance('90s');
  lab.inFlight.length = 0;
  assert.deepEqual(lab.responder.gateway.ikeSas(lab.now), []);
  connect(lab);
});

test('CVE-2007-6750-like: a tunnel that is up stays up while its peer is being impersonated', () => {
  const lab = twoGateways();
  connect(lab);
  const path = { local: end(lab.responder), remote: end(lab.initiator) };
  flood(lab, lab.responder, () => path);
  lab.inFlight.length = 0;
  lab.advance('5s');
  lab.settle();
  lab.expectEstablished();
});

/** First messages as an honest initiator would send them, each with a cookie of its own. */
function flood(lab: TwoGateways, side: Side, path: () => UdpPath): void {
  const template = firstMessage();
  const random = new SeededRandom(99);
  for (let count = 0; count < MESSAGES; count++) {
    template.set(random.bytes(COOKIE_LENGTH));
    lab.inject(side, path(), template);
  }
}

function firstMessage(): Uint8Array {
  const lab = twoGateways({ seed: 31 });
  lab.initiate();
  return lab.drop('-->  HDR, SA, VID').datagram.slice();
}

function strangersPath(side: Side, random: SeededRandom): UdpPath {
  return { local: end(side), remote: { address: addressFromOctets(random.bytes(4)), port: 500 } };
}

function end(side: Side): UdpPath['local'] {
  return { address: side.address, port: 500 };
}

function connect(lab: TwoGateways): void {
  lab.initiate();
  lab.settle();
  lab.expectEstablished();
}

// Informational exchanges: both ends as they ship, message by message.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seconds } from '../../src/lib/time.ts';
import { play, type Script, tryEverythingAtEachStep } from './each-step.fixture.ts';
import { type Side, type TwoGateways, twoGateways } from './two-gateways.ts';

const DEAD_PEER_DETECTION = { mode: 'optimized', interval: seconds(10), threshold: 3 } as const;

const SCRIPTS: Readonly<Record<string, Script>> = {
  'RFC 2408 §3.15: a Delete of a pair ends that pair and not the IKE SA': {
    options: {},
    prepare: establish,
    begin: (lab) => lab.initiator.gateway.clearIpsec(lab.now, {}, lab.initiator),
    ladder: ['-->  HDR*, HASH(1), D'],
    expectEnd: (lab) => expectSas(lab, 1, 0),
  },
  'RFC 2408 §3.15: a Delete of the IKE SA ends it, and its pairs live on': {
    options: {},
    prepare: establish,
    begin: (lab) => lab.responder.gateway.clearIke(lab.now, {}, lab.responder),
    ladder: ['<--  HDR*, HASH(1), D'],
    expectEnd: (lab) => assert.deepEqual(ended(lab.initiator), ['peer-deleted']),
  },
  'RFC 3706 §5.2: a question whether the peer is there, and its answer': {
    options: { deadPeerDetection: DEAD_PEER_DETECTION },
    prepare: establish,
    begin: (lab) => {
      const [pair] = lab.initiator.gateway.ipsecSas(lab.now);
      assert.ok(pair);
      lab.advance('1s');
      lab.dataPlane(lab.initiator, { kind: 'outbound-traffic', spi: pair.outboundSpi, policy: pair.policy });
      lab.advance('10s');
    },
    ladder: ['-->  HDR*, HASH(1), N(R-U-THERE)', '<--  HDR*, HASH(1), N(R-U-THERE-ACK)'],
    expectEnd: (lab) => {
      passTime(lab, 60);
      lab.expectEstablished();
    },
  },
  'RFC 2408 §3.14.1: INVALID-SPI inside the SA: the peer gives up the pair that is unknown here': {
    options: {},
    prepare: (lab) => {
      establish(lab);
      // The Delete is lost.
      lab.initiator.gateway.clearIpsec(lab.now, {}, lab.initiator);
      lab.inFlight.length = 0;
    },
    begin: (lab) => {
      const [pair] = lab.responder.gateway.ipsecSas(lab.now);
      assert.ok(pair);
      const addresses = { localAddress: lab.initiator.address, remoteAddress: lab.responder.address };
      lab.dataPlane(lab.initiator, { kind: 'unknown-spi', spi: pair.outboundSpi, protocol: 'esp', ...addresses });
    },
    ladder: ['-->  HDR*, HASH(1), N(INVALID-SPI)', '<--  HDR*, HASH(1), D'],
    expectEnd: (lab) => expectSas(lab, 1, 0),
  },
};

for (const [title, script] of Object.entries(SCRIPTS)) {
  test(title, () => play(script));

  test(`${title}; before it arrives, nothing that is not due changes anything`, () => tryEverythingAtEachStep(script));
}

test('RFC 3706 §5.5: three questions without an answer, and the peer is given up with all its SAs', () => {
  const deadPeerDetection = { ...DEAD_PEER_DETECTION, mode: 'probe-idle-tunnel' } as const;
  const lab = twoGateways({ deadPeerDetection });
  establish(lab);
  const asked: string[] = [];
  for (let second = 0; second < 40; second++) {
    lab.advance('1s');
    asked.push(...lab.inFlight.splice(0).map(({ from, notation }) => `${from.office} ${notation}`));
  }
  assert.equal(asked.filter((line) => line === 'main HDR*, HASH(1), N(R-U-THERE)').length, 3);
  assert.deepEqual(ended(lab.initiator), ['peer-dead']);
  expectSas(lab, 0, 0);
});

test('RFC 2407 §4.6.3.3: INITIAL-CONTACT of a peer that has restarted ends what was before it, here too', () => {
  const lab = twoGateways();
  establish(lab);
  const restarted = twoGateways({ seed: 77 });
  for (const bench of [lab, restarted]) bench.advance('5s');
  restarted.initiate();
  // The other bench's initiator calls this bench's responder: the same peer, without its memory.
  for (let count = 0; count < 9; count++) {
    const entry = restarted.inFlight.shift() ?? lab.inFlight.shift();
    assert.ok(entry);
    if (entry.from === restarted.initiator) lab.deliver({ ...entry, from: lab.initiator });
    else restarted.deliver({ ...entry, from: restarted.responder });
  }
  assert.deepEqual(ended(lab.responder), ['peer-restarted']);
  assert.equal(lab.responder.gateway.ikeSas(lab.now).length, 1);
});

function establish(lab: TwoGateways): void {
  lab.initiate();
  lab.settle();
  lab.expectEstablished();
}

function ended(side: Side): readonly string[] {
  return side.eventsOf('ike-sa-deleted').map(({ reason }) => reason);
}

function expectSas(lab: TwoGateways, ikeSas: number, pairs: number): void {
  for (const { gateway } of [lab.initiator, lab.responder]) {
    assert.equal(gateway.ikeSas(lab.now).length, ikeSas);
    assert.equal(gateway.ipsecSas(lab.now).length, pairs);
  }
}

function passTime(lab: TwoGateways, duration: number): void {
  for (let second = 0; second < duration; second++) {
    lab.advance('1s');
    lab.settle();
  }
}

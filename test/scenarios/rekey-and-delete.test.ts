import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seconds } from '../../src/lib/time.ts';
import { type Side, type TwoGateways, twoGateways } from './two-gateways.ts';

test('RFC 2409 §5.5: phase 2 is rekeyed before it expires, and the old pair receives until the new one is in use', () => {
  const lab = established({ ipsecLifetime: seconds(180) });
  const [before] = current(lab, lab.initiator);
  passTime(lab, 180);
  const [now] = current(lab, lab.initiator);
  assert.notEqual(now?.inboundSpi, before?.inboundSpi);
  assert.equal(current(lab, lab.initiator).length, 1);
  assert.ok(lab.initiator.eventsOf('ipsec-sa-established').some((event) => event.isRekey));
  lab.expectEstablished();
  expectNoGap(lab.initiator);
  expectNoGap(lab.responder);
});

test('RFC 2408 §5.1: phase 1 is renewed before it expires, and phase 2 does not notice', () => {
  const lab = established({ ikeLifetime: seconds(180) });
  const [ikeSa] = lab.initiator.gateway.ikeSas(lab.now);
  const pairs = current(lab, lab.initiator).map((pair) => pair.inboundSpi);
  passTime(lab, 200);
  const ids = lab.initiator.gateway.ikeSas(lab.now).map((sa) => sa.id);
  assert.equal(ids.length, 1);
  assert.notEqual(ids[0], ikeSa?.id);
  assert.deepEqual(
    current(lab, lab.initiator).map((pair) => pair.inboundSpi),
    pairs,
  );
  lab.expectEstablished();
});

test('an hour of short lifetimes leaves one IKE SA and one pair at each end', () => {
  const lab = established({ ikeLifetime: seconds(240), ipsecLifetime: seconds(180) });
  passTime(lab, 3600);
  lab.expectEstablished();
  for (const side of [lab.initiator, lab.responder]) {
    assert.ok(side.gateway.ikeSas(lab.now).length <= 2);
    assert.ok(side.gateway.ipsecSas(lab.now).length <= 2);
    expectNoGap(side);
  }
});

test('RFC 2409 §5.7: shutdown tells the peer, and the peer forgets', () => {
  const lab = established();
  lab.initiator.gateway.shutdown(lab.now, lab.initiator);
  lab.settle();
  assert.deepEqual(lab.responder.gateway.ipsecSas(lab.now), []);
  assert.deepEqual(
    lab.responder.gateway.ikeSas(lab.now).filter((sa) => sa.state === 'up'),
    [],
  );
  assert.ok(lab.responder.eventsOf('ike-sa-deleted').some((event) => event.reason === 'peer-deleted'));
});

test('RFC 2408 §5.15: a Delete of one pair ends that pair and not the IKE SA', () => {
  const lab = established();
  assert.equal(lab.initiator.gateway.clearIpsec(lab.now, {}, lab.initiator), 1);
  lab.expect('-->  HDR*, HASH(1), D');
  assert.deepEqual(lab.responder.gateway.ipsecSas(lab.now), []);
  assert.equal(lab.responder.gateway.ikeSas(lab.now).length, 1);
});

test('RFC 3706 §5: a peer that is gone is noticed, asked for as often as configured, and given up', () => {
  const lab = established({ deadPeerDetection: { mode: 'always-send', interval: seconds(10), threshold: 3 } });
  for (let second = 0; second < 60; second++) {
    lab.advance('1s');
    lab.inFlight.length = 0;
  }
  assert.deepEqual(lab.initiator.gateway.ipsecSas(lab.now), []);
  const reasons = lab.initiator.eventsOf('ike-sa-deleted').map((event) => event.reason);
  assert.deepEqual(reasons, ['peer-dead']);
});

test('RFC 3706 §5: a peer that answers is alive, whatever else is silent', () => {
  const lab = established({ deadPeerDetection: { mode: 'always-send', interval: seconds(10), threshold: 3 } });
  passTime(lab, 120);
  lab.expectEstablished();
  const probes = lab.initiator.received().filter((message) => message.notation.includes('R-U-THERE'));
  assert.ok(probes.length >= 10, `${probes.length} messages of dead peer detection came in`);
});

/** Lets everything that is sent arrive within the second. */
function passTime(lab: TwoGateways, duration: number): void {
  for (let second = 0; second < duration; second++) {
    lab.advance('1s');
    lab.settle();
  }
}

function current(lab: TwoGateways, side: Side) {
  return side.gateway.ipsecSas(lab.now).filter((pair) => pair.isCurrent);
}

/** From the first use of an outbound SA on, there is always one in use: none is taken away before its successor is there. */
function expectNoGap(side: Side): void {
  let inUse: number | undefined;
  for (const command of side.commands) {
    if (command.kind === 'use-outbound') inUse = command.spi;
    if (command.kind === 'remove' && command.direction === 'outbound') assert.notEqual(command.spi, inUse);
  }
  assert.notEqual(inUse, undefined);
}

function established(options: Parameters<typeof twoGateways>[0] = {}): TwoGateways {
  const lab = twoGateways(options);
  lab.initiate();
  lab.settle();
  lab.expectEstablished();
  return lab;
}

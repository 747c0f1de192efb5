import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seconds } from '../lib/time.ts';
import { address } from '../model/address.ts';
import { policyId } from '../model/ipsec-sa.ts';
import { type SideOptions, TestPair } from './v1/two-endpoints.fixture.ts';

/** Whether packets get through at this moment: what one side sends under, the other has inbound. */
function isCarrying(lab: TestPair): boolean {
  return (['initiator', 'responder'] as const).every((name) => {
    const sender = lab.side(name);
    const receiver = lab.side(name === 'initiator' ? 'responder' : 'initiator');
    const used = sender.commands.findLast((command) => command.kind === 'use-outbound');
    if (used?.kind !== 'use-outbound') return false;
    const added = receiver.commands.findLastIndex(
      (command) => command.kind === 'add-inbound' && command.sa.spi === used.spi,
    );
    const removed = receiver.commands.findLastIndex(
      (command) => command.kind === 'remove' && command.direction === 'inbound' && command.spi === used.spi,
    );
    const isGone = sender.commands.some(
      (command) => command.kind === 'remove' && command.direction === 'outbound' && command.spi === used.spi,
    );
    return added > removed && !isGone;
  });
}

/** Lets time pass second by second, everything delivered, and checks that the tunnel carries packets throughout. */
function passTime(lab: TestPair, secondsCount: number): void {
  for (let second = 0; second < secondsCount; second++) {
    lab.advance('1s', true);
    assert.ok(isCarrying(lab), `after ${second} s the tunnel carries packets`);
  }
}

const IMMEDIATELY: SideOptions = { vpn: { establishTunnels: 'immediately' } };

test('a pair of IPsec SAs is replaced before it expires, without a gap, and the old one is deleted', () => {
  const lab = new TestPair({ both: { ipsecProposal: { lifetime: seconds(300) } } });
  lab.establish();
  const [first] = lab.initiator.endpoint.ipsecSas(lab.now);
  passTime(lab, 299);
  const pairs = lab.initiator.endpoint.ipsecSas(lab.now);
  assert.equal(pairs.length, 1);
  assert.notEqual(pairs[0]?.inboundSpi, first?.inboundSpi);
  assert.equal(lab.responder.endpoint.ipsecSas(lab.now).length, 1);
  const rekeys = lab.initiator.ofKind('ipsec-sa-established').filter(({ isRekey }) => isRekey);
  assert.equal(rekeys.length, 1);
  assert.deepEqual(
    lab.responder.ofKind('ipsec-sa-deleted').map(({ reason }) => reason),
    ['peer-deleted'],
  );
});

test('an ISAKMP SA is replaced before it expires; IPsec SAs live on', () => {
  const lab = new TestPair({ both: { ikeProposal: { lifetime: seconds(600) } } });
  lab.establish();
  const before = lab.initiator.endpoint.ipsecSas(lab.now);
  const [first] = lab.initiator.endpoint.ikeSas(lab.now);
  passTime(lab, 599);
  const sas = lab.initiator.endpoint.ikeSas(lab.now);
  assert.equal(sas.length, 1);
  assert.notEqual(sas[0]?.id, first?.id);
  assert.equal(lab.responder.endpoint.ikeSas(lab.now).length, 1);
  assert.deepEqual(
    lab.initiator.endpoint.ipsecSas(lab.now).map(({ inboundSpi }) => inboundSpi),
    before.map(({ inboundSpi }) => inboundSpi),
  );
});

test('hours of rekeying of both phases: always one pair, one ISAKMP SA, and no gap', () => {
  const lab = new TestPair({
    both: { ...IMMEDIATELY, ikeProposal: { lifetime: seconds(900) }, ipsecProposal: { lifetime: seconds(180) } },
  });
  lab.advance('2s', true);
  lab.expectEstablished();
  passTime(lab, 3 * 3600);
  lab.advance('61s', true);
  assert.ok(lab.initiator.endpoint.ipsecSas(lab.now).length <= 2);
  assert.ok(lab.initiator.commands.filter(({ kind }) => kind === 'add-inbound').length > 60);
  lab.expectEstablished();
});

for (const seed of [1, 2, 3, 4, 5, 6, 7, 8]) {
  test(`both sides bring the tunnel up at the same time, and end with one pair (seed ${seed})`, () => {
    const lab = new TestPair({ seed, both: IMMEDIATELY });
    lab.advance('1ms');
    // Both first messages are out before either arrives.
    assert.equal(lab.flights.length, 2);
    lab.run();
    lab.expectEstablished();
    passTime(lab, 130);
    assert.equal(lab.initiator.endpoint.ipsecSas(lab.now).length, 1);
    assert.equal(lab.responder.endpoint.ipsecSas(lab.now).length, 1);
    assert.equal(lab.initiator.endpoint.ikeSas(lab.now).length, 1);
    assert.equal(lab.responder.endpoint.ikeSas(lab.now).length, 1);
    lab.expectSameKeys();
  });

  test(`both sides rekey at the same time, without a gap, and end with one pair (seed ${seed})`, () => {
    const lab = new TestPair({ seed });
    lab.establish();
    for (const side of [lab.initiator, lab.responder]) {
      const [pair] = side.endpoint.ipsecSas(lab.now);
      assert.ok(pair);
      const event = {
        kind: 'soft-expired',
        direction: 'outbound',
        spi: pair.outboundSpi,
        policy: pair.policy,
      } as const;
      side.endpoint.handleDataPlaneEvent(lab.now, event, side.out);
    }
    assert.equal(lab.flights.length, 2);
    lab.run();
    assert.ok(isCarrying(lab));
    passTime(lab, 130);
    assert.equal(lab.initiator.endpoint.ipsecSas(lab.now).length, 1);
    assert.equal(lab.responder.endpoint.ipsecSas(lab.now).length, 1);
    lab.expectSameKeys();
  });
}

for (const seed of [1, 2, 3, 4]) {
  test(`a pair that the peer has asked for anew is used at once, however young the old one is (seed ${seed})`, () => {
    const lab = new TestPair({ seed });
    lab.establish();
    lab.advance('1s', true);
    const [old] = lab.responder.endpoint.ipsecSas(lab.now);
    assert.ok(old);
    const event = { kind: 'soft-expired', direction: 'outbound', spi: old.outboundSpi, policy: old.policy } as const;
    lab.responder.endpoint.handleDataPlaneEvent(lab.now, event, lab.responder.out);
    lab.run();
    for (const side of [lab.initiator, lab.responder]) {
      const current = side.endpoint.ipsecSas(lab.now).find(({ isCurrent }) => isCurrent);
      assert.ok(current && ![old.inboundSpi, old.outboundSpi].includes(current.inboundSpi));
    }
    lab.expectSameKeys();
  });
}

test('a failed rekey is tried again until the old pair expires', () => {
  const lab = new TestPair({ both: { ipsecProposal: { lifetime: seconds(600) } } });
  lab.establish();
  lab.advance('540s');
  const attempts = lab.initiator
    .ofKind('message')
    .filter(({ exchange, number }) => exchange === 'quick' && number === 1);
  assert.ok(attempts.length > 5);
  lab.flights.length = 0;
  lab.advance('58s', true);
  assert.ok(isCarrying(lab), 'and succeeds once the path is back');
});

test('RFC 2408 §3.15: shutdown deletes every SA at the peer', () => {
  const lab = new TestPair();
  lab.establish();
  lab.initiator.endpoint.shutdown(lab.now, lab.initiator.out);
  lab.expect('--> HDR*, HASH(1), D');
  lab.expect('--> HDR*, HASH(1), D');
  assert.equal(lab.responder.endpoint.ipsecSas(lab.now).length, 0);
  assert.equal(lab.responder.endpoint.ikeSas(lab.now).length, 0);
  assert.equal(lab.initiator.endpoint.ikeSas(lab.now).length, 0);
  const removed = lab.initiator.commands.filter(({ kind }) => kind === 'remove');
  assert.equal(removed.length, 2);
});

test('clearing the IPsec SAs of a tunnel that is to be up always brings it up again', () => {
  const lab = new TestPair({ initiator: IMMEDIATELY });
  lab.advance('1s', true);
  lab.expectEstablished();
  assert.equal(lab.initiator.endpoint.clearIpsec(lab.now, { vpn: 'office' }, lab.initiator.out), 1);
  lab.advance('5s', true);
  lab.expectEstablished();
});

test('traffic starts a tunnel that waits for it, and one attempt a time', () => {
  const lab = new TestPair();
  const acquire = { kind: 'acquire', policy: policyId('office') } as const;
  lab.initiator.endpoint.handleDataPlaneEvent(lab.now, acquire, lab.initiator.out);
  lab.initiator.endpoint.handleDataPlaneEvent(lab.now, acquire, lab.initiator.out);
  assert.equal(lab.flights.length, 1);
  lab.run();
  lab.expectEstablished();
});

test('establish-tunnels immediately tries again after a failure, at most a minute apart', () => {
  const lab = new TestPair({ initiator: IMMEDIATELY });
  lab.advance('10min');
  assert.ok(lab.initiator.ofKind('negotiation-failed').length >= 6);
  lab.flights.length = 0;
  lab.advance('95s', true);
  lab.expectEstablished();
});

test('a peer that restarts says so with INITIAL-CONTACT, and its old SAs go (RFC 2407 §4.6.3.3)', () => {
  const lab = new TestPair({ initiator: IMMEDIATELY });
  lab.advance('1s', true);
  const [old] = lab.responder.endpoint.ipsecSas(lab.now);
  const restarted = lab.restart('initiator');
  restarted.advance('2s', true);
  restarted.expectEstablished();
  const reasons = restarted.responder.ofKind('ipsec-sa-deleted').map(({ reason }) => reason);
  assert.deepEqual(reasons, ['peer-restarted']);
  assert.notEqual(restarted.responder.endpoint.ipsecSas(restarted.now)[0]?.inboundSpi, old?.inboundSpi);
});

test('a commit that changes nothing about a tunnel leaves its SAs up; one that changes its key does not', () => {
  const lab = new TestPair();
  lab.establish();
  const before = lab.initiator.snapshot();
  lab.configure();
  assert.equal(lab.initiator.snapshot(), before);
  lab.expectSilence();
  lab.reconfigure('initiator', { ikeProposal: { lifetime: seconds(1000) } });
  assert.equal(lab.initiator.endpoint.ipsecSas(lab.now).length, 0);
  lab.run();
  assert.equal(lab.responder.endpoint.ipsecSas(lab.now).length, 0);
});

test('IPsec SAs outlive the ISAKMP SA that made them, and find another when they need a successor', () => {
  const lab = new TestPair({ both: { ipsecProposal: { lifetime: seconds(300) } } });
  lab.establish();
  const [before] = lab.initiator.endpoint.ipsecSas(lab.now);
  assert.equal(lab.initiator.endpoint.clearIke(lab.now, {}, lab.initiator.out), 1);
  lab.run();
  for (const side of [lab.initiator, lab.responder]) {
    assert.equal(side.endpoint.ikeSas(lab.now).length, 0);
    assert.equal(side.endpoint.ipsecSas(lab.now).length, 1);
  }
  passTime(lab, 295);
  lab.expectEstablished();
  assert.notEqual(lab.initiator.endpoint.ipsecSas(lab.now)[0]?.inboundSpi, before?.inboundSpi);
});

test('IPv6 peers: addresses in identities, NAT discovery and SAs', () => {
  const [left, right] = [address('2001:db8:a::1'), address('2001:db8:b::1')];
  const lab = new TestPair({
    initiator: { gateway: { localAddress: left, remoteAddresses: [right] } },
    responder: { gateway: { localAddress: right, remoteAddresses: [left] } },
  });
  lab.establish();
  const [pair] = lab.responder.endpoint.ipsecSas(lab.now);
  assert.deepEqual([pair?.path.remote.address, pair?.isUdpEncapsulated], [left, false]);
});

test('a backup address is tried when the first does not answer', () => {
  const lab = new TestPair({
    initiator: {
      gateway: { remoteAddresses: [address('198.51.100.77'), address('198.51.100.1')] },
      vpn: { establishTunnels: 'immediately' },
    },
  });
  lab.advance('31s');
  assert.equal(lab.flights[0]?.path.remote.address, '198.51.100.77');
  lab.flights.length = 0;
  lab.advance('10s', true);
  lab.expectEstablished();
});

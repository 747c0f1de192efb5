import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '../../lib/bytes.ts';
import { Secret } from '../../lib/secret.ts';
import { address } from '../../model/address.ts';
import { describeFlight, type Flight, TestPair } from './two-endpoints.fixture.ts';

const MAIN = [
  '--> HDR, SA, VID',
  '<-- HDR, SA, VID',
  '--> HDR, KE, Ni, NAT-D, NAT-D',
  '<-- HDR, KE, Nr, NAT-D, NAT-D',
  '--> HDR*, IDii, HASH_I, N(INITIAL-CONTACT)',
  '<-- HDR*, IDir, HASH_R, N(INITIAL-CONTACT)',
];
const QUICK = ['--> HDR*, HASH(1), SA, Ni, IDci, IDcr', '<-- HDR*, HASH(2), SA, Nr, IDci, IDcr', '--> HDR*, HASH(3)'];
const QUICK_PFS = [
  '--> HDR*, HASH(1), SA, Ni, KE, IDci, IDcr',
  '<-- HDR*, HASH(2), SA, Nr, KE, IDci, IDcr',
  '--> HDR*, HASH(3)',
];

test('RFC 2409 §5.4, §5.5: Main Mode and Quick Mode bring up a tunnel in nine messages', () => {
  const lab = new TestPair();
  lab.initiator.initiate();
  for (const line of [...MAIN, ...QUICK]) lab.expect(line);
  lab.expectSilence();
  lab.expectEstablished();
});

test('RFC 2409 §5.5: with perfect forward secrecy Quick Mode carries public values', () => {
  const lab = new TestPair({ both: { vpn: { pfsGroup: 'group14' } } });
  lab.initiator.initiate();
  for (const line of [...MAIN, ...QUICK_PFS]) lab.expect(line);
  lab.expectEstablished();
});

for (const [index, line] of [...MAIN, ...QUICK_PFS].entries()) {
  test(`RFC 2408 §5.1: the exchange survives the loss of message ${index + 1} (${line})`, () => {
    const lab = new TestPair({ both: { vpn: { pfsGroup: 'group19' } } });
    lab.initiator.initiate();
    for (const before of [...MAIN, ...QUICK_PFS].slice(0, index)) lab.expect(before);
    const lost = lab.drop(line);
    lab.advance('4s', true);
    const repeated = [...lab.initiator.events, ...lab.responder.events].some(
      (event) => event.kind === 'message' && event.isRepeat && event.number === lost.event?.number,
    );
    assert.ok(repeated, 'the same message was sent again');
    lab.expectEstablished();
  });

  test(`RFC 2408 §5.1: a duplicate of message ${index + 1} changes nothing (${line})`, () => {
    const lab = new TestPair({ both: { vpn: { pfsGroup: 'group19' } } });
    lab.initiator.initiate();
    for (const before of [...MAIN, ...QUICK_PFS].slice(0, index)) lab.expect(before);
    const flight = lab.expect(line);
    const answer = lab.flights[0];
    const before = [lab.initiator.snapshot(), lab.responder.snapshot()];
    lab.deliver(flight);
    assert.deepEqual([lab.initiator.snapshot(), lab.responder.snapshot()], before);
    // If anything comes of it, it is the answer that there was before.
    for (const again of lab.flights.slice(1)) assert.deepEqual(again.bytes, answer?.bytes);
    lab.run();
    lab.expectEstablished();
  });
}

test('a duplicate of a message is answered with the same bytes', () => {
  const lab = new TestPair();
  lab.initiator.initiate();
  const first = lab.expect(MAIN[0] ?? '');
  const answer = lab.take(MAIN[1] ?? '');
  lab.deliver(first);
  assert.deepEqual(lab.take(MAIN[1] ?? '').bytes, answer.bytes);
});

test('each message in each state: what does not belong there leaves the state as it was', () => {
  const recorded = recordFlights();
  for (let steps = 0; steps <= MAIN.length + QUICK.length; steps++) {
    const lab = new TestPair();
    lab.initiator.initiate();
    for (const line of [...MAIN, ...QUICK].slice(0, steps)) lab.expect(line);
    const pending = [...lab.flights];
    const before = [lab.initiator.snapshot(), lab.responder.snapshot()];
    // Messages of another run have other cookies; those of this run that are not due come from a twin with the same seed.
    for (const [index, flight] of recorded.entries()) {
      if (index < steps - 1 || index > steps + 1) lab.deliver(flight);
    }
    assert.deepEqual([lab.initiator.snapshot(), lab.responder.snapshot()], before, `after ${steps} messages`);
    lab.flights.splice(0, lab.flights.length, ...pending);
    lab.run();
    lab.advance('20s', true);
    lab.expectEstablished();
  }
});

test('a wrong pre-shared key gives each side one line that names it, and no SA', () => {
  const lab = new TestPair({ responder: { policy: { preSharedKey: new Secret(utf8('wrong')) } } });
  lab.initiator.initiate();
  lab.advance('60s', true);
  const [ours, ...more] = lab.initiator.ofKind('negotiation-failed');
  const [theirs, ...others] = lab.responder.ofKind('negotiation-failed');
  assert.deepEqual([more.length, others.length], [0, 0]);
  assert.equal(theirs?.reason, 'undecodable');
  assert.match(theirs?.explanation ?? '', /message 5 could not be decoded: the pre-shared keys probably differ/);
  assert.deepEqual(theirs?.statements[0]?.path, 'security ike policy ike-policy');
  assert.match(ours?.explanation ?? '', /PAYLOAD-MALFORMED to message 5/);
  assert.equal(lab.initiator.endpoint.ikeSas(lab.now).length, 0);
  assert.equal(lab.responder.endpoint.ikeSas(lab.now).length, 0);
});

test('a proposal mismatch: the responder says both offers, the initiator that the refusal is unauthenticated', () => {
  const lab = new TestPair({ responder: { ikeProposal: { encryption: 'aes-256-cbc' } } });
  lab.initiator.initiate();
  lab.advance('60s', true);
  const [theirs, ...others] = lab.responder.ofKind('negotiation-failed');
  assert.equal(others.length, 0, 'retransmissions are not reported again');
  assert.equal(theirs?.reason, 'no-proposal-chosen');
  assert.match(theirs?.explanation ?? '', /the peer offered .*aes-128-cbc.*configured here: .*aes-256-cbc/);
  const [ours, ...more] = lab.initiator.ofKind('negotiation-failed');
  assert.equal(more.length, 0);
  assert.match(ours?.explanation ?? '', /NO-PROPOSAL-CHOSEN.*nobody has signed this refusal.*aes-128-cbc/);
});

test('a forged refusal does not end the exchange', () => {
  const lab = new TestPair({ responder: { ikeProposal: { encryption: 'aes-256-cbc' } } });
  lab.initiator.initiate();
  lab.expect(MAIN[0] ?? '');
  const refusal = lab.flights.shift();
  const honest = new TestPair();
  honest.initiator.initiate();
  assert.ok(refusal);
  // The same initiator cookie, since the same seed: the refusal reaches the honest pair's initiator first.
  honest.deliver(refusal);
  honest.run();
  honest.expectEstablished();
});

test('an unreachable peer gives one line after half a minute', () => {
  const lab = new TestPair();
  lab.initiator.initiate();
  lab.advance('31s');
  assert.equal(lab.flights.length, 5);
  for (const flight of lab.flights) assert.deepEqual(flight.bytes, lab.flights[0]?.bytes);
  const failures = lab.initiator.ofKind('negotiation-failed');
  assert.equal(failures.length, 1);
  assert.equal(failures[0]?.reason, 'timed-out');
  assert.match(failures[0]?.explanation ?? '', /no answer from 198\.51\.100\.1 port 500 to message 1/);
});

test('an identity that is not the configured one is told with what was expected', () => {
  const lab = new TestPair({
    initiator: { gateway: { localIdentity: { kind: 'fqdn', name: 'branch.example' } } },
    responder: { gateway: { remoteIdentity: { kind: 'fqdn', name: 'other.example' } } },
  });
  lab.initiator.initiate();
  lab.advance('60s', true);
  const [failure] = lab.responder.ofKind('negotiation-failed');
  assert.equal(failure?.reason, 'identity-mismatch');
  assert.match(
    failure?.explanation ?? '',
    /expected .* fqdn other\.example, but it says that it is fqdn branch\.example/,
  );
});

test('RFC 3947 §4: behind a NAT the exchange moves to port 4500, and IPsec goes into UDP', () => {
  const lab = new TestPair({
    both: { gateway: { acceptsAnyIdentity: true } },
    responder: { gateway: { remoteAddresses: [address('203.0.113.9')] } },
    nat: { initiatorSeenAs: '203.0.113.9' },
  });
  lab.initiator.initiate();
  for (const line of MAIN.slice(0, 4)) lab.expect(line);
  const fifth = lab.expect(MAIN[4] ?? '');
  assert.deepEqual([fifth.path.local.port, fifth.path.remote.port], [4500, 4500]);
  const sixth = lab.expect(MAIN[5] ?? '');
  assert.deepEqual([sixth.path.local.port, sixth.path.remote.port], [4500, 14_500]);
  lab.run();
  lab.expectEstablished();
  const [ike] = lab.responder.endpoint.ikeSas(lab.now);
  assert.deepEqual(ike?.nat, { isLocalBehindNat: false, isRemoteBehindNat: true });
  const [pair] = lab.initiator.endpoint.ipsecSas(lab.now);
  assert.equal(pair?.isUdpEncapsulated, true);
  lab.advance('20s', true);
  assert.equal(lab.initiator.keepalives.length, 1, 'RFC 3948 §4: the side behind the NAT keeps its mapping alive');
  assert.equal(lab.responder.keepalives.length, 0);
});

test('truncated or altered messages of Quick Mode change nothing on either side', () => {
  const lab = new TestPair();
  lab.initiator.initiate();
  for (const line of MAIN) lab.expect(line);
  for (const line of QUICK) {
    const flight = lab.take(line);
    const before = [lab.initiator.snapshot(), lab.responder.snapshot()];
    for (const damaged of [...truncations(flight), ...flips(flight)]) lab.deliver(flight, damaged);
    assert.deepEqual([lab.initiator.snapshot(), lab.responder.snapshot()], before, describeFlight(flight));
    // An altered header may name an exchange type that does not exist, which the peer is told of.
    const answers = lab.flights.splice(0).map((answer) => answer.event?.notation);
    assert.ok(answers.every((notation) => notation === 'HDR*, HASH(1), N(UNSUPPORTED-EXCHANGE-TYPE)'));
    lab.deliver(flight);
  }
  lab.expectEstablished();
});

test('altered messages 5 and 6 change nothing, except that what no hash covers (RFC 2409 §5) may differ', () => {
  for (const number of [5, 6]) {
    const reached = reach(number);
    const flight = reached.take(MAIN[number - 1] ?? '');
    const receiver = number === 5 ? reached.responder : reached.initiator;
    const before = receiver.snapshot();
    for (const damaged of truncations(flight)) reached.deliver(flight, damaged);
    assert.equal(receiver.snapshot(), before);
    // The notification behind HASH is outside of it, and so is the padding: only the payloads before it are safe.
    const covered = flight.bytes.length - 16 - 32;
    for (const damaged of [...flips(flight)].slice(0, covered)) reached.deliver(flight, damaged);
    assert.equal(receiver.snapshot(), before);
    reached.flights.length = 0;
    reached.deliver(flight);
    reached.run();
    reached.expectEstablished();
  }
});

test('before messages are encrypted, damage costs at most this one exchange', () => {
  const established = new TestPair();
  established.establish();
  const lab = new TestPair({ seed: 7 });
  lab.initiator.initiate();
  const before = established.responder.snapshot();
  for (const line of MAIN.slice(0, 4)) {
    const flight = lab.take(line);
    for (const damaged of [...truncations(flight), ...flips(flight)]) {
      established.deliver(flight, damaged);
      new TestPair({ seed: 9 }).deliver(flight, damaged);
    }
    lab.deliver(flight);
  }
  const up = (snapshot: string) => snapshot.match(/"state":"up"/g)?.length;
  assert.equal(up(established.responder.snapshot()), up(before));
  established.expectEstablished();
});

function recordFlights(): readonly Flight[] {
  const lab = new TestPair();
  lab.initiator.initiate();
  return [...MAIN, ...QUICK].map((line) => lab.expect(line));
}

/** A pair whose next message is this one of Main Mode. */
function reach(number: number): TestPair {
  const lab = new TestPair();
  lab.initiator.initiate();
  for (const line of MAIN.slice(0, number - 1)) lab.expect(line);
  return lab;
}

function* truncations(flight: Flight): Generator<Uint8Array> {
  for (let length = 0; length < flight.bytes.length; length++) yield flight.bytes.slice(0, length);
}

function* flips(flight: Flight): Generator<Uint8Array> {
  for (let index = 0; index < flight.bytes.length; index++) {
    const flipped = flight.bytes.slice();
    flipped[index] = (flipped[index] ?? 0) ^ 0x01;
    yield flipped;
  }
}

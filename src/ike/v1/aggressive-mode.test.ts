import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '../../lib/bytes.ts';
import { Secret } from '../../lib/secret.ts';
import { address } from '../../model/address.ts';
import type { Identity } from '../../model/identity.ts';
import { officeConfig, type SideOptions, TestPair } from './two-endpoints.fixture.ts';

const AGGRESSIVE = [
  '--> HDR, SA, KE, Ni, IDii, VID',
  '<-- HDR, SA, KE, Nr, IDir, HASH_R, NAT-D, NAT-D, VID',
  '--> HDR*, HASH_I, NAT-D, NAT-D, N(INITIAL-CONTACT)',
];
const QUICK = ['--> HDR*, HASH(1), SA, Ni, IDci, IDcr', '<-- HDR*, HASH(2), SA, Nr, IDci, IDcr', '--> HDR*, HASH(3)'];
const MODE: SideOptions = { policy: { mode: 'aggressive' } };

test('RFC 2409 §5.4: Aggressive Mode brings up an SA in three messages', () => {
  const lab = new TestPair({ both: MODE });
  lab.initiator.initiate();
  for (const line of [...AGGRESSIVE, ...QUICK]) lab.expect(line);
  lab.expectSilence();
  lab.expectEstablished();
  const [notice] = lab.responder.ofKind('notice');
  assert.match(notice?.text ?? '', /hash of the pre-shared key .* guess the key .* use main mode/);
});

for (const [index, line] of AGGRESSIVE.entries()) {
  test(`RFC 2408 §5.1: Aggressive Mode survives the loss of message ${index + 1}`, () => {
    const lab = new TestPair({ both: MODE });
    lab.initiator.initiate();
    for (const before of AGGRESSIVE.slice(0, index)) lab.expect(before);
    lab.drop(line);
    lab.advance('6s', true);
    lab.expectEstablished();
  });
}

const IDENTITIES: readonly Identity[] = [
  { kind: 'fqdn', name: 'branch.example' },
  { kind: 'user-fqdn', name: 'branch@example.org' },
  { kind: 'address', address: address('10.9.8.7') },
  { kind: 'address', address: address('2001:db8::7') },
  { kind: 'key-id', id: utf8('branch-7') },
];
for (const identity of IDENTITIES) {
  test(`RFC 2407 §4.6.2: a dynamic peer is known by its identity, and its key is chosen by it (${identity.kind})`, () => {
    const lab = new TestPair({
      both: MODE,
      initiator: { gateway: { localIdentity: identity } },
      responder: { gateway: { remoteIdentity: identity, isDynamic: true, remoteAddresses: [] } },
    });
    lab.establish();
    const [sa] = lab.responder.endpoint.ikeSas(lab.now);
    assert.equal(sa?.mode, 'aggressive');
  });
}

test('of several dynamic gateways the one that expects the identity lends its key', () => {
  const key = (text: string) => new Secret(utf8(text));
  const [base] = officeConfig('responder', MODE).gateways;
  assert.ok(base);
  const dynamic = (name: string) => ({
    ...base,
    name,
    isDynamic: true,
    remoteAddresses: [],
    remoteIdentity: { kind: 'fqdn', name: `${name}.example` } as const,
    policy: { ...base.policy, preSharedKey: key(`key of ${name}`) },
  });
  const lab = new TestPair({
    both: MODE,
    initiator: {
      gateway: { localIdentity: { kind: 'fqdn', name: 'peer.example' } },
      policy: { ...MODE.policy, preSharedKey: key('key of peer') },
    },
    responder: { config: { gateways: [dynamic('first'), dynamic('peer'), dynamic('last')] } },
  });
  lab.establish();
  assert.equal(lab.responder.endpoint.ikeSas(lab.now)[0]?.gateway, 'peer');
});

test('RFC 3947 §4: Aggressive Mode behind a NAT moves to port 4500 with its last message', () => {
  const lab = new TestPair({
    both: { ...MODE, gateway: { acceptsAnyIdentity: true } },
    responder: { gateway: { remoteAddresses: [address('203.0.113.9')] } },
    nat: { initiatorSeenAs: '203.0.113.9' },
  });
  lab.initiator.initiate();
  for (const line of AGGRESSIVE.slice(0, 2)) lab.expect(line);
  assert.equal(lab.expect(AGGRESSIVE[2] ?? '').path.local.port, 4500);
  lab.run();
  lab.expectEstablished();
  for (const side of [lab.initiator, lab.responder]) {
    assert.equal(side.endpoint.ipsecSas(lab.now)[0]?.isUdpEncapsulated, true);
  }
});

test('a wrong pre-shared key shows at the initiator, which says so once', () => {
  const lab = new TestPair({ both: MODE, responder: { policy: { preSharedKey: new Secret(utf8('wrong')) } } });
  lab.initiator.initiate();
  lab.advance('60s', true);
  const [failure, ...more] = lab.initiator.ofKind('negotiation-failed');
  assert.equal(more.length, 0);
  assert.equal(failure?.reason, 'hash-mismatch');
  assert.match(failure?.explanation ?? '', /the pre-shared keys differ/);
  assert.equal(lab.initiator.endpoint.ikeSas(lab.now).length, 0);
  assert.equal(lab.responder.endpoint.ikeSas(lab.now).length, 0);
});

test('a stranger gets no answer, a known address with another identity gets the reason', () => {
  const identity: Identity = { kind: 'fqdn', name: 'branch.example' };
  const stranger = new TestPair({
    both: MODE,
    responder: { gateway: { remoteIdentity: identity, isDynamic: true, remoteAddresses: [] } },
  });
  stranger.initiator.initiate();
  stranger.expect(AGGRESSIVE[0] ?? '');
  stranger.expectSilence();
  const known = new TestPair({ both: MODE, responder: { gateway: { remoteIdentity: identity } } });
  known.initiator.initiate();
  known.run();
  assert.match(
    known.responder.ofKind('negotiation-failed')[0]?.explanation ?? '',
    /expected .* fqdn branch\.example, but it says that it is address 192\.0\.2\.1/,
  );
});

test('a peer that asks for a mode that its policy does not use is refused with the reason', () => {
  const lab = new TestPair({ initiator: MODE });
  lab.initiator.initiate();
  lab.run();
  assert.match(lab.responder.ofKind('negotiation-failed')[0]?.explanation ?? '', /asked for aggressive mode/);
});

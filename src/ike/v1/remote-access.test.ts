import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '../../lib/bytes.ts';
import { Secret } from '../../lib/secret.ts';
import { seconds } from '../../lib/time.ts';
import { address, parsePrefix } from '../../model/address.ts';
import type { XauthConfig } from '../../model/gateway-config.ts';
import { selectorFromAddress } from '../../model/traffic-selector.ts';
import { type PairOptions, type SideOptions, selector, TestPair } from './two-endpoints.fixture.ts';

const ORIGIN = { path: 'access profile dial-in', line: 9 };
const MAIN = [
  '--> HDR, SA, VID',
  '<-- HDR, SA, VID',
  '--> HDR, KE, Ni, NAT-D, NAT-D',
  '<-- HDR, KE, Nr, NAT-D, NAT-D',
  '--> HDR*, IDii, HASH_I, N(INITIAL-CONTACT)',
  '<-- HDR*, IDir, HASH_R, N(INITIAL-CONTACT)',
];
const REMOTE_ACCESS = [
  '<-- HDR*, HASH, ATTR',
  '--> HDR*, HASH, ATTR',
  '<-- HDR*, HASH, ATTR',
  '--> HDR*, HASH, ATTR',
  '--> HDR*, HASH, ATTR',
  '<-- HDR*, HASH, ATTR',
];
const QUICK = ['--> HDR*, HASH(1), SA, Ni, IDci, IDcr', '<-- HDR*, HASH(2), SA, Nr, IDci, IDcr', '--> HDR*, HASH(3)'];

function dialIn(password = 'open sesame', extra: SideOptions = {}): PairOptions {
  const network = parsePrefix('10.9.0.0/24');
  assert.ok(network);
  const server: XauthConfig = {
    role: 'server',
    origin: ORIGIN,
    users: [
      { name: 'alice', password: new Secret(utf8('other')) },
      { name: 'carol', password: new Secret(utf8('open sesame')) },
    ],
    pool: {
      network,
      first: address('10.9.0.10'),
      last: address('10.9.0.20'),
      dnsServers: [address('10.2.0.53')],
      winsServers: [],
      splitInclude: [{ address: address('10.2.0.0'), length: 16 }],
    },
  };
  const client: XauthConfig = {
    role: 'client',
    origin: ORIGIN,
    username: 'carol',
    password: new Secret(utf8(password)),
  };
  const any = selector('0.0.0.0/0');
  const [own, other] = [selector('10.1.0.0/16'), selector('10.2.0.0/16')];
  return {
    both: extra,
    initiator: {
      gateway: { xauth: client },
      vpn: { ...extra.vpn, selectors: [{ origin: ORIGIN, local: own, remote: other }] },
    },
    responder: {
      gateway: { xauth: server },
      vpn: { ...extra.vpn, selectors: [{ origin: ORIGIN, local: other, remote: any }] },
    },
  };
}

test('XAUTH and Mode Config after Main Mode: the user is asked for, and given an address, before Quick Mode', () => {
  const lab = new TestPair(dialIn());
  lab.initiator.initiate();
  for (const line of [...MAIN, ...REMOTE_ACCESS, ...QUICK]) lab.expect(line);
  lab.expectSilence();
  lab.expectEstablished();
  const [sa] = lab.responder.endpoint.ikeSas(lab.now);
  assert.deepEqual([sa?.xauthUser, sa?.assignedAddress], ['carol', '10.9.0.10']);
  assert.equal(lab.initiator.endpoint.ikeSas(lab.now)[0]?.assignedAddress, '10.9.0.10');
  const [pair] = lab.responder.endpoint.ipsecSas(lab.now);
  assert.deepEqual(pair?.selectors.remote, selectorFromAddress(address('10.9.0.10')));
  const shown = JSON.stringify([...lab.initiator.events, ...lab.responder.events]);
  assert.ok(!shown.includes('open sesame') && !shown.includes('correct horse'), 'no event holds a secret');
});

test('a client with an address has a policy of its own, from before its first SA until after its last', () => {
  const lab = new TestPair(dialIn());
  lab.establish();
  lab.responder.endpoint.clearIpsec(lab.now, {}, lab.responder.out);
  const commands = lab.responder.commands.filter(({ kind }) => kind !== 'reserve-spi');
  const id = 'office@10.9.0.10';
  assert.deepEqual(commands.at(0), {
    kind: 'put-client-policy',
    ...{ id, template: 'office', remote: selectorFromAddress(address('10.9.0.10')) },
  });
  assert.deepEqual(commands.at(-1), { kind: 'delete-client-policy', id });
  assert.equal(commands.filter(({ kind }) => kind.endsWith('client-policy')).length, 2);
  const use = commands.find(({ kind }) => kind === 'use-outbound');
  assert.equal(use?.kind === 'use-outbound' && use.policy, id);
  assert.ok(lab.initiator.commands.every(({ kind }) => !kind.endsWith('client-policy')));
});

test('XAUTH and Mode Config after Aggressive Mode', () => {
  const lab = new TestPair(dialIn('open sesame', { policy: { mode: 'aggressive' } }));
  lab.establish();
  assert.equal(lab.responder.endpoint.ikeSas(lab.now)[0]?.xauthUser, 'carol');
});

for (const [index, line] of REMOTE_ACCESS.entries()) {
  test(`XAUTH and Mode Config survive the loss of message ${index + 1}, and a duplicate of it`, () => {
    const lossy = new TestPair(dialIn());
    lossy.initiator.initiate();
    for (const before of [...MAIN, ...REMOTE_ACCESS.slice(0, index)]) lossy.expect(before);
    lossy.drop(line);
    lossy.advance('4s', true);
    lossy.expectEstablished();
    const doubled = new TestPair(dialIn());
    doubled.initiator.initiate();
    for (const before of [...MAIN, ...REMOTE_ACCESS.slice(0, index)]) doubled.expect(before);
    doubled.deliver(doubled.expect(line));
    doubled.run();
    doubled.expectEstablished();
  });
}

test('a wrong password: each side says so once, and there is no SA', () => {
  const lab = new TestPair(dialIn('wrong'));
  lab.initiator.initiate();
  lab.run();
  const [theirs, ...others] = lab.responder.ofKind('negotiation-failed');
  assert.equal(others.length, 0);
  assert.equal(theirs?.reason, 'xauth-failed');
  assert.match(theirs?.explanation ?? '', /user carol is unknown here, or gave a wrong password/);
  assert.equal(lab.initiator.ofKind('negotiation-failed').length, 1);
  assert.equal(lab.responder.endpoint.ikeSas(lab.now).length, 0);
  assert.equal(lab.initiator.endpoint.ikeSas(lab.now).length, 0);
  assert.equal(lab.responder.ofKind('ike-sa-established').length, 0);
});

test('Quick Mode before XAUTH is dropped', () => {
  const attacker = dialIn();
  const lab = new TestPair(attacker);
  lab.initiator.initiate();
  for (const line of MAIN) lab.expect(line);
  const request = lab.take(REMOTE_ACCESS[0] ?? '');
  // A client that skips XAUTH: the exchange type of a message is outside its encryption.
  const skipping = request.bytes.slice();
  skipping[18] = 32;
  lab.responder.endpoint.handleMessage(
    lab.now,
    { local: request.path.local, remote: request.path.remote },
    skipping,
    lab.responder.out,
  );
  assert.ok(lab.responder.ofKind('message-dropped').some(({ fault }) => fault === 'unexpected-message'));
  assert.equal(lab.responder.endpoint.ipsecSas(lab.now).length, 0);
});

test('a peer without XAUTH is refused by a gateway that asks for it', () => {
  const { responder } = dialIn();
  const lab = new TestPair(responder ? { responder } : {});
  lab.initiator.initiate();
  lab.run();
  assert.match(lab.responder.ofKind('negotiation-failed')[0]?.explanation ?? '', /xauth/);
});

test('phase 1 is renewed by the client, who keeps its address', () => {
  const lab = new TestPair(dialIn('open sesame', { ikeProposal: { lifetime: seconds(300) } }));
  lab.establish();
  const [before] = lab.responder.endpoint.ikeSas(lab.now);
  lab.advance('290s', true);
  const up = lab.responder.endpoint.ikeSas(lab.now).filter(({ state }) => state === 'up');
  assert.equal(up.length, 1);
  assert.notEqual(up[0]?.id, before?.id);
  assert.equal(up[0]?.assignedAddress, before?.assignedAddress);
});

test('a client that does not answer when asked for its user is given up after a minute', () => {
  const lab = new TestPair(dialIn());
  lab.initiator.initiate();
  for (const line of MAIN) lab.expect(line);
  lab.advance('61s');
  assert.equal(lab.responder.endpoint.ikeSas(lab.now).length, 0);
  assert.equal(lab.responder.ofKind('negotiation-failed').length, 1);
});

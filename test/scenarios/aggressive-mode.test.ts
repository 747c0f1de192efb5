// Aggressive Mode with a pre-shared key: both ends as they ship, message by message.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '../../src/lib/bytes.ts';
import { Secret } from '../../src/lib/secret.ts';
import type { GatewayConfig } from '../../src/model/gateway-config.ts';
import { play, type Script, tryEverythingAtEachStep } from './each-step.fixture.ts';
import { AGGRESSIVE_MODE_LADDER, QUICK_MODE_LADDER, twoGateways } from './two-gateways.ts';

const LADDER = [...AGGRESSIVE_MODE_LADDER, ...QUICK_MODE_LADDER];
const SCRIPT: Script = {
  options: { mode: 'aggressive' },
  begin: (lab) => lab.initiate(),
  ladder: LADDER,
  expectEnd: (lab) => lab.expectEstablished(),
};
/** The branch calls from wherever it is, and is known by its name alone. */
const DYNAMIC: Script = {
  ...SCRIPT,
  options: { mode: 'aggressive', isBranchDynamic: true },
  begin: (lab) => lab.initiate(lab.responder),
  ladder: LADDER.map((line) => (line.startsWith('-->') ? line.replace('-->', '<--') : line.replace('<--', '-->'))),
};

test('RFC 2409 §5.4: Aggressive Mode with a pre-shared key takes three messages, Quick Mode three more', () =>
  play(SCRIPT));

test('RFC 2409 §5.4: a peer without an address of its own is known by the identity in its first message', () => {
  play(DYNAMIC);
});

test('Aggressive Mode: at each step nothing that is not due changes anything', () => tryEverythingAtEachStep(SCRIPT));

test('Aggressive Mode of a dynamic peer: at each step nothing that is not due changes anything', () => {
  tryEverythingAtEachStep(DYNAMIC);
});

for (const [lost, line] of LADDER.entries()) {
  test(`RFC 2408 §5.1: Aggressive Mode and Quick Mode end well though message ${lost + 1} is lost`, () => {
    const lab = twoGateways(SCRIPT.options);
    lab.initiate();
    for (const before of LADDER.slice(0, lost)) lab.expect(before);
    lab.drop(line);
    for (let second = 0; second < 8; second++) {
      lab.advance('1s');
      lab.settle();
    }
    lab.expectEstablished();
  });
}

test('RFC 2408 §5.1: a duplicate in Aggressive Mode is answered with the same octets', () => {
  const lab = twoGateways(SCRIPT.options);
  lab.initiate();
  for (const line of LADDER) {
    const entry = lab.expect(line);
    const answers = lab.inFlight.map(({ datagram }) => datagram);
    lab.deliver(entry);
    for (const again of lab.inFlight.splice(answers.length)) assert.deepEqual(again.datagram, answers[0]);
  }
  lab.settle();
  lab.expectEstablished();
});

test('a wrong key in Aggressive Mode shows at the initiator, which stays silent: nobody is authenticated', () => {
  const lab = twoGateways({ ...SCRIPT.options, changeResponder: withKey('something else') });
  lab.initiate();
  lab.expect('-->  HDR, SA, KE, Ni, IDii, VID');
  lab.expect('<--  HDR, SA, KE, Nr, IDir, HASH_R, NAT-D, NAT-D, VID');
  assert.deepEqual(
    lab.initiator.eventsOf('negotiation-failed').map(({ reason }) => reason),
    ['hash-mismatch'],
  );
  for (const side of [lab.initiator, lab.responder]) assert.deepEqual(side.eventsOf('ike-sa-established'), []);
});

test('Aggressive Mode is warned about when it is used, with what it gives away and what to use instead', () => {
  const lab = twoGateways(SCRIPT.options);
  lab.initiate();
  lab.settle();
  for (const side of [lab.initiator, lab.responder]) {
    const [notice] = side.eventsOf('notice');
    assert.match(notice?.text ?? '', /gives anyone who asks a hash of the pre-shared key .* use main mode/);
  }
});

function withKey(key: string): (config: GatewayConfig) => GatewayConfig {
  const preSharedKey = new Secret(utf8(key));
  return (config) => ({
    ...config,
    gateways: config.gateways.map((gateway) => ({ ...gateway, policy: { ...gateway.policy, preSharedKey } })),
  });
}

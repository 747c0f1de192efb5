// XAUTH and Mode Config between phase 1 and Quick Mode: both ends as they ship, message by message.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '../../src/lib/bytes.ts';
import { Secret } from '../../src/lib/secret.ts';
import { address, type Prefix, parsePrefix } from '../../src/model/address.ts';
import type { GatewayConfig, XauthConfig } from '../../src/model/gateway-config.ts';
import { selectorFromAddress, selectorFromPrefix, type TrafficSelector } from '../../src/model/traffic-selector.ts';
import { play, type Script, tryEverythingAtEachStep } from './each-step.fixture.ts';
import {
  AGGRESSIVE_MODE_LADDER,
  type BenchOptions,
  MAIN_MODE_LADDER,
  QUICK_MODE_LADDER,
  type TwoGateways,
  twoGateways,
} from './two-gateways.ts';

const ORIGIN = { path: 'access profile dial-in', line: 1 };
/** The server asks for user and password and gives its verdict, the client asks for an address. */
const REMOTE_ACCESS_LADDER = [
  '<--  HDR*, HASH, ATTR',
  '-->  HDR*, HASH, ATTR',
  '<--  HDR*, HASH, ATTR',
  '-->  HDR*, HASH, ATTR',
  '-->  HDR*, HASH, ATTR',
  '<--  HDR*, HASH, ATTR',
];
const SERVER: XauthConfig = {
  role: 'server',
  origin: ORIGIN,
  users: [{ name: 'carol', password: new Secret(utf8('open sesame')) }],
  pool: {
    network: prefix('10.9.0.0/24'),
    ...{ first: address('10.9.0.10'), last: address('10.9.0.20') },
    ...{ dnsServers: [], winsServers: [], splitInclude: [] },
  },
};
const SCRIPTS: Readonly<Record<string, Script>> = {
  'Main Mode': script(dialIn('main'), MAIN_MODE_LADDER),
  'Aggressive Mode': script(dialIn('aggressive'), AGGRESSIVE_MODE_LADDER),
};

for (const [mode, steps] of Object.entries(SCRIPTS)) {
  test(`XAUTH and Mode Config after ${mode}, message by message`, () => play(steps));

  test(`XAUTH and Mode Config after ${mode}: at each step nothing that is not due changes anything`, () => {
    tryEverythingAtEachStep(steps);
  });

  for (const [lost, line] of steps.ladder.entries()) {
    test(`XAUTH and Mode Config after ${mode} end well though message ${lost + 1} is lost`, () => {
      const lab = twoGateways(steps.options);
      lab.initiate();
      for (const before of steps.ladder.slice(0, lost)) lab.expect(before);
      lab.drop(line);
      for (let second = 0; second < 8; second++) {
        lab.advance('1s');
        lab.settle();
      }
      steps.expectEnd(lab);
    });
  }
}

test('a wrong password: the server’s verdict, its acknowledgement, and the SA is deleted before it carried anything', () => {
  const lab = twoGateways(dialIn('main', 'something else'));
  lab.initiate();
  for (const line of [...MAIN_MODE_LADDER, ...REMOTE_ACCESS_LADDER.slice(0, 3)]) lab.expect(line);
  lab.expect('-->  HDR*, HASH, ATTR');
  lab.settle();
  for (const side of [lab.initiator, lab.responder]) {
    assert.deepEqual(
      side.eventsOf('negotiation-failed').map(({ reason }) => reason),
      ['xauth-failed'],
    );
    assert.deepEqual(side.gateway.ikeSas(lab.now), []);
    assert.deepEqual(side.eventsOf('ike-sa-established'), []);
  }
});

function script(options: BenchOptions, phase1: readonly string[]): Script {
  return {
    options,
    begin: (lab) => lab.initiate(),
    ladder: [...phase1, ...REMOTE_ACCESS_LADDER, ...QUICK_MODE_LADDER],
    expectEnd: expectDialledIn,
  };
}

function expectDialledIn(lab: TwoGateways): void {
  lab.expectEstablished();
  const [sa] = lab.responder.gateway.ikeSas(lab.now);
  assert.deepEqual([sa?.xauthUser, sa?.assignedAddress], ['carol', '10.9.0.10']);
  const [pair] = lab.responder.gateway.ipsecSas(lab.now);
  assert.deepEqual(pair?.selectors.remote, selectorFromAddress(address('10.9.0.10')));
}

/** The main office dials in to the branch, which gives it an address. */
function dialIn(mode: 'main' | 'aggressive', password = 'open sesame'): BenchOptions {
  const client: XauthConfig = {
    role: 'client',
    origin: ORIGIN,
    username: 'carol',
    password: new Secret(utf8(password)),
  };
  const [lan, any] = [selectorFromPrefix(prefix('10.2.0.0/16')), selectorFromPrefix(prefix('0.0.0.0/0'))];
  return { mode, changeInitiator: withXauth(client, any, lan), changeResponder: withXauth(SERVER, lan, any) };
}

function withXauth(xauth: XauthConfig, local: TrafficSelector, remote: TrafficSelector) {
  return (config: GatewayConfig): GatewayConfig => ({
    ...config,
    gateways: config.gateways.map((gateway) => ({ ...gateway, xauth })),
    vpns: config.vpns.map((vpn) => ({ ...vpn, selectors: [{ origin: ORIGIN, local, remote }] })),
  });
}

function prefix(text: string): Prefix {
  return parsePrefix(text) ?? assert.fail(text);
}

// Quick Mode under a standing ISAKMP SA: both ends as they ship, message by message.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Prefix, parsePrefix } from '../../src/model/address.ts';
import type { GatewayConfig, VpnConfig } from '../../src/model/gateway-config.ts';
import { selectorFromPrefix } from '../../src/model/traffic-selector.ts';
import { play, type Script, tryEverythingAtEachStep } from './each-step.fixture.ts';
import { type BenchOptions, QUICK_MODE_LADDER, type TwoGateways, twoGateways } from './two-gateways.ts';

const PFS_LADDER = [
  '-->  HDR*, HASH(1), SA, Ni, KE, IDci, IDcr',
  '<--  HDR*, HASH(2), SA, Nr, KE, IDci, IDcr',
  '-->  HDR*, HASH(3)',
];
const SCRIPTS: Readonly<Record<string, Script>> = {
  'Quick Mode': quickMode({}, QUICK_MODE_LADDER),
  'Quick Mode with perfect forward secrecy': quickMode({ pfsGroup: 'group19' }, PFS_LADDER),
  'Quick Mode under an SA of Aggressive Mode': quickMode({ mode: 'aggressive' }, QUICK_MODE_LADDER),
  'Quick Mode for AH': quickMode(
    { protocol: 'ah', ipsecEncryption: 'null', ipsecIntegrity: 'hmac-sha-256-128' },
    QUICK_MODE_LADDER,
  ),
  'Quick Mode from the other side': {
    ...quickMode({}, [
      '<--  HDR*, HASH(1), SA, Ni, IDci, IDcr',
      '-->  HDR*, HASH(2), SA, Nr, IDci, IDcr',
      '<--  HDR*, HASH(3)',
    ]),
    begin: (lab) => lab.initiate(lab.responder),
  },
};

for (const [title, script] of Object.entries(SCRIPTS)) {
  test(`RFC 2409 §5.5: ${title}, message by message`, () => play(script));

  test(`${title}: at each step nothing that is not due changes anything`, () => tryEverythingAtEachStep(script));

  for (const [lost, line] of script.ladder.entries()) {
    test(`RFC 2408 §5.1: ${title} ends well though message ${lost + 1} is lost`, () => {
      const lab = begun(script);
      for (const before of script.ladder.slice(0, lost)) lab.expect(before);
      lab.drop(line);
      passTime(lab, 4);
      script.expectEnd(lab);
    });
  }

  test(`RFC 2408 §5.1: ${title}: a duplicate is answered with the same octets`, () => {
    const lab = begun(script);
    for (const line of script.ladder) {
      const entry = lab.expect(line);
      const answers = lab.inFlight.map(({ datagram }) => datagram);
      lab.deliver(entry);
      for (const again of lab.inFlight.splice(answers.length)) assert.deepEqual(again.datagram, answers[0]);
    }
    lab.settle();
    script.expectEnd(lab);
  });
}

test('three traffic selectors take three Quick Modes at once, each with its own message ID and pair', () => {
  const lab = twoGateways({ selectorCount: 3 });
  lab.initiate();
  for (let count = 0; count < 6; count++) lab.deliver(lab.inFlight.shift() ?? assert.fail());
  for (const line of QUICK_MODE_LADDER) for (let count = 0; count < 3; count++) lab.expect(line);
  lab.expectSilence();
  for (const side of [lab.initiator, lab.responder]) {
    const pairs = side.gateway.ipsecSas(lab.now).filter(({ isCurrent }) => isCurrent);
    assert.equal(pairs.length, 3);
    assert.equal(new Set(pairs.map(({ policy }) => policy)).size, 3);
  }
});

test('RFC 2409 §5.5: both sides ask at once; both end with the same one pair', () => {
  const lab = begun(SCRIPTS['Quick Mode'] ?? assert.fail());
  lab.initiate(lab.responder);
  lab.settle();
  passTime(lab, 90);
  lab.expectEstablished();
});

test('no proposal in common: the responder’s refusal is authenticated, ends the exchange at once, and leaves phase 1 alone', () => {
  const lab = mismatched((vpn) => ({
    ...vpn,
    proposals: vpn.proposals.map((proposal) => ({ ...proposal, encryption: 'aes-256-gcm' })),
  }));
  lab.expect('-->  HDR*, HASH(1), SA, Ni, IDci, IDcr');
  lab.expect('<--  HDR*, HASH(1), N(NO-PROPOSAL-CHOSEN)');
  expectRefused(lab, 'phase2-no-proposal-chosen');
});

test('proxy identities that differ: INVALID-ID-INFORMATION, in the SA, with both sides’ selectors in the log', () => {
  const other = selectorFromPrefix(prefix('10.99.0.0/16'));
  const lab = mismatched((vpn) => ({
    ...vpn,
    selectors: vpn.selectors.map((selector) => ({ ...selector, remote: other })),
  }));
  lab.expect('-->  HDR*, HASH(1), SA, Ni, IDci, IDcr');
  lab.expect('<--  HDR*, HASH(1), N(INVALID-ID-INFORMATION)');
  expectRefused(lab, 'selectors-unacceptable');
  assert.match(lab.responder.eventsOf('negotiation-failed')[0]?.explanation ?? '', /10\.99\.0\.0\/16/);
});

/** Phase 1 stands, and a pair has been there and is gone. */
function quickMode(options: BenchOptions, ladder: readonly string[]): Script {
  return {
    options,
    prepare: (lab) => {
      lab.initiate();
      lab.settle();
      lab.initiator.gateway.clearIpsec(lab.now, {}, lab.initiator);
      lab.settle();
      assert.deepEqual(lab.responder.gateway.ipsecSas(lab.now), []);
    },
    begin: (lab) => lab.initiate(),
    ladder,
    expectEnd: (lab) => lab.expectEstablished(),
  };
}

function begun(script: Script): TwoGateways {
  const lab = twoGateways(script.options);
  script.prepare?.(lab);
  script.begin(lab);
  return lab;
}

/** Phase 1 is done and Quick Mode begins, with another VPN at the responder. */
function mismatched(change: (vpn: VpnConfig) => VpnConfig): TwoGateways {
  const changeResponder = (config: GatewayConfig): GatewayConfig => ({ ...config, vpns: config.vpns.map(change) });
  const lab = twoGateways({ changeResponder });
  lab.initiate();
  for (let count = 0; count < 6; count++) lab.deliver(lab.inFlight.shift() ?? assert.fail());
  return lab;
}

function expectRefused(lab: TwoGateways, reason: string): void {
  const reasons = [lab.initiator, lab.responder].map((side) =>
    side.eventsOf('negotiation-failed').map((event) => event.reason),
  );
  assert.deepEqual(reasons, [['refused-by-peer'], [reason]]);
  for (const side of [lab.initiator, lab.responder]) {
    assert.deepEqual(
      side.gateway.ikeSas(lab.now).map(({ state }) => state),
      ['up'],
    );
    assert.deepEqual(side.gateway.ipsecSas(lab.now), []);
  }
}

function passTime(lab: TwoGateways, duration: number): void {
  for (let second = 0; second < duration; second++) {
    lab.advance('1s');
    lab.settle();
  }
}

function prefix(text: string): Prefix {
  return parsePrefix(text) ?? assert.fail(text);
}

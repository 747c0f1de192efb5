import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '../../src/lib/bytes.ts';
import { Secret } from '../../src/lib/secret.ts';
import type { GatewayConfig, IkeGatewayConfig, IkeProposalConfig } from '../../src/model/gateway-config.ts';
import { tryEverythingAtEachStep } from './each-step.fixture.ts';
import { MAIN_MODE_LADDER, QUICK_MODE_LADDER, twoGateways } from './two-gateways.ts';

test('RFC 2409 §5.4 and §5.5: Main Mode with a pre-shared key takes six messages, Quick Mode three more', () => {
  const lab = twoGateways();
  lab.initiate();
  for (const line of [...MAIN_MODE_LADDER, ...QUICK_MODE_LADDER]) lab.expect(line);
  lab.expectSilence();
  lab.expectEstablished();
});

test('Main Mode and Quick Mode: at each step nothing that is not due changes anything', () => {
  tryEverythingAtEachStep({
    options: {},
    begin: (lab) => lab.initiate(),
    ladder: [...MAIN_MODE_LADDER, ...QUICK_MODE_LADDER],
    expectEnd: (lab) => lab.expectEstablished(),
  });
});

test('RFC 2409 §5.5: perfect forward secrecy adds a KE payload to the first two messages of Quick Mode', () => {
  const lab = twoGateways({ pfsGroup: 'group19' });
  lab.initiate();
  for (const line of MAIN_MODE_LADDER) lab.expect(line);
  lab.expect('-->  HDR*, HASH(1), SA, Ni, KE, IDci, IDcr');
  lab.expect('<--  HDR*, HASH(2), SA, Nr, KE, IDci, IDcr');
  lab.expect('-->  HDR*, HASH(3)');
  lab.expectEstablished();
});

test('RFC 2408 §5.1: whichever message is lost, it is sent again, and the negotiation ends as if it had not been', () => {
  const ladder = [...MAIN_MODE_LADDER, ...QUICK_MODE_LADDER];
  for (const lost of ladder.keys()) {
    const lab = twoGateways({ seed: 100 + lost });
    lab.initiate();
    for (const line of ladder.slice(0, lost)) lab.expect(line);
    lab.drop(ladder[lost] ?? '');
    lab.advance('1s');
    // Whoever waits for an answer asks again: the initiator, but for message 2 of Quick Mode, whose answer the responder awaits.
    const askedAgain = lost === ladder.length - 1 || (ladder[lost] ?? '').startsWith('<--') ? lost - 1 : lost;
    lab.expect(ladder[askedAgain] ?? '');
    lab.settle();
    lab.expectEstablished();
  }
});

test('RFC 2408 §5.1: a repetition is the same octets', () => {
  const lab = twoGateways();
  lab.initiate();
  const first = lab.drop('-->  HDR, SA, VID');
  lab.advance('1s');
  assert.deepEqual(lab.expect('-->  HDR, SA, VID').datagram, first.datagram);
});

test('RFC 2408 §5.1: a duplicate is answered with the same octets, and changes nothing', () => {
  const ladder = [...MAIN_MODE_LADDER, ...QUICK_MODE_LADDER];
  const lab = twoGateways();
  lab.initiate();
  for (const line of ladder) {
    const entry = lab.expect(line);
    const answers = lab.inFlight.map(({ datagram }) => datagram);
    lab.deliver(entry);
    const repeated = lab.inFlight.splice(answers.length);
    for (const again of repeated) assert.deepEqual(again.datagram, answers[0]);
  }
  lab.settle();
  lab.expectEstablished();
});

test('an unreachable peer: one clear line that names the statement, after the last repetition', () => {
  const lab = twoGateways();
  lab.initiate();
  for (let sent = 0; sent < 5; sent++) {
    lab.drop('-->  HDR, SA, VID');
    lab.advance(`${2 ** sent}s`);
  }
  const failures = lab.initiator.eventsOf('negotiation-failed');
  assert.deepEqual(
    failures.map(({ phase, reason }) => [phase, reason]),
    [[1, 'timed-out']],
  );
  assert.match(failures[0]?.explanation ?? '', /203\.0\.113\.1/);
});

test('a wrong pre-shared key: nobody is authenticated, and the responder says that the keys probably differ', () => {
  const lab = twoGateways({
    changeInitiator: changeGateway((gateway) => {
      const policy = { ...gateway.policy, preSharedKey: new Secret(utf8('something else')) };
      return { ...gateway, policy };
    }),
  });
  lab.initiate();
  for (const line of MAIN_MODE_LADDER.slice(0, 5)) lab.expect(line);
  assert.deepEqual(
    lab.responder.gateway.ikeSas(lab.now).filter((sa) => sa.state === 'up'),
    [],
  );
  const said = lab.responder.eventsOf('negotiation-failed').map((event) => event.explanation);
  assert.equal(said.length, 1);
  assert.match(said[0] ?? '', /pre-shared key/);
});

test('a gateway without a pre-shared key for the peer says so, and not that their proposals differ', () => {
  const lab = twoGateways({
    changeResponder: changeGateway((gateway) => {
      const { preSharedKey, ...policy } = gateway.policy;
      assert.ok(preSharedKey);
      return { ...gateway, policy };
    }),
  });
  lab.initiate();
  lab.expect('-->  HDR, SA, VID');
  const [failure, ...more] = lab.responder.eventsOf('negotiation-failed');
  assert.equal(more.length, 0);
  assert.match(failure?.explanation ?? '', /policy of gateway .* has no pre-shared key/);
  lab.expect('<--  HDR, N(NO-PROPOSAL-CHOSEN)');
});

test('no proposal in common: the responder names both offers, the initiator says that nobody vouches for the refusal', () => {
  const lab = twoGateways({ changeInitiator: changeProposal((proposal) => ({ ...proposal, hash: 'sha1' })) });
  lab.initiate();
  lab.expect('-->  HDR, SA, VID');
  const responder = lab.responder.eventsOf('negotiation-failed')[0];
  assert.match(responder?.explanation ?? '', /sha1/);
  assert.match(responder?.explanation ?? '', /sha-256/);
  lab.expect('<--  HDR, N(NO-PROPOSAL-CHOSEN)');
  lab.advance('60s');
  const initiator = lab.initiator.eventsOf('negotiation-failed')[0];
  assert.match(initiator?.explanation ?? '', /sha1/);
  assert.match(initiator?.explanation ?? '', /nobody has signed this refusal/);
});

function changeGateway(
  change: (gateway: IkeGatewayConfig) => IkeGatewayConfig,
): (config: GatewayConfig) => GatewayConfig {
  return (config) => ({ ...config, gateways: config.gateways.map(change) });
}

function changeProposal(change: (proposal: IkeProposalConfig) => IkeProposalConfig) {
  return changeGateway((gateway) => ({
    ...gateway,
    policy: { ...gateway.policy, proposals: gateway.policy.proposals.map(change) },
  }));
}

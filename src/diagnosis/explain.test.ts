import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PEER_FAULTS } from '../ike/v1/peer-fault.ts';
import { address } from '../model/address.ts';
import type { NegotiationFailedEvent } from '../model/ike-event.ts';
import { explainFailure } from './explain.ts';

const FAILURE = {
  kind: 'negotiation-failed',
  phase: 1,
  role: 'responder',
  gateway: 'hq',
  path: {
    local: { address: address('192.0.2.1'), port: 500 },
    remote: { address: address('192.0.2.2'), port: 500 },
  },
  reason: 'timed-out',
  explanation: '',
  statements: [],
  isFinal: false,
} as const satisfies NegotiationFailedEvent;

test('everything a peer can do wrong has advice of its own', () => {
  const silence = adviceOf('timed-out');
  assert.deepEqual(adviceOf('a reason that nobody gives'), silence);
  const faults = Object.keys(PEER_FAULTS).filter((fault) => fault !== 'timed-out');
  assert.deepEqual(
    faults.filter((fault) => adviceOf(fault).join() === silence.join()),
    [],
  );
});

test('a failure names its statements, and what to change on either side', () => {
  const lines = explainFailure({
    ...FAILURE,
    phase: 2,
    vpn: 'to-hq',
    reason: 'no-proposal-chosen',
    explanation: 'The peer offers esp aes-128-cbc only.',
    statements: [{ path: 'security ipsec policy p', line: 12 }],
    isFinal: true,
  });
  assert.equal(lines[0], 'phase 2 of to-hq failed as responder: no-proposal-chosen');
  assert.equal(lines[1], 'The peer offers esp aes-128-cbc only.');
  assert.equal(lines[2], 'look at [security ipsec policy p], line 12');
  assert.match(lines[3] ?? '', /^to change here: .*perfect-forward-secrecy/);
  assert.match(lines[4] ?? '', /^to change at the peer: /);
});

test('a failure that is not final says that it will be tried again', () => {
  assert.equal(explainFailure(FAILURE)[0], 'phase 1 of hq failed as responder: timed-out; it will be tried again');
});

/** The lines that say what to change. */
function adviceOf(reason: string): readonly string[] {
  return explainFailure({ ...FAILURE, reason }).slice(1);
}

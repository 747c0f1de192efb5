import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renderLadder } from '../src/diagnosis/ladder.ts';
import { address } from '../src/model/address.ts';
import type { NegotiationFailedEvent } from '../src/model/ike-event.ts';
import { ladderOf } from './report.ts';

const FAILURE: NegotiationFailedEvent = {
  kind: 'negotiation-failed',
  phase: 1,
  role: 'initiator',
  gateway: 'branch',
  path: {
    local: { address: address('198.51.100.1'), port: 500 },
    remote: { address: address('203.0.113.1'), port: 500 },
  },
  reason: 'undecodable',
  explanation: 'message 5 could not be decoded',
  statements: [],
  isFinal: false,
};

test('a lab whose tunnel does not come up says why, and what to change, once', () => {
  const text = renderLadder(ladderOf([FAILURE, FAILURE]));
  assert.equal(text.split('failed as initiator').length, 2);
  assert.match(text, /message 5 could not be decoded/);
  assert.match(text, /to change here: compare the pre-shared-key/);
  assert.match(text, /to change at the peer/);
});

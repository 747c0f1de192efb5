import assert from 'node:assert/strict';
import { test } from 'node:test';
import { instant } from '../lib/time.ts';
import { address } from '../model/address.ts';
import { Admission } from './admission.ts';
import { type Flight, type PairOptions, TestPair } from './v1/two-endpoints.fixture.ts';

/** First messages that differ in their cookie, all from the same address. */
function firstMessages(count: number, options: PairOptions = {}): readonly Flight[] {
  return Array.from({ length: count }, (_, index) => {
    const lab = new TestPair({ ...options, seed: 100 + index });
    lab.initiator.initiate();
    return lab.take('--> HDR, SA, VID');
  });
}

test('one address gets 32 half-open exchanges at a time, and they are given back after half a minute', () => {
  const lab = new TestPair();
  for (const flight of firstMessages(40)) lab.deliver(flight);
  assert.equal(lab.responder.endpoint.ikeSas(lab.now).length, 32);
  assert.equal(lab.responder.ofKind('message-dropped').filter(({ fault }) => fault === 'half-open-limit').length, 8);
  lab.flights.length = 0;
  lab.advance('31s');
  assert.equal(lab.responder.endpoint.ikeSas(lab.now).length, 0);
  assert.equal(lab.responder.ofKind('negotiation-failed').length, 0, 'a stranger who goes away is no failure');
  lab.establish();
});

test('`session half-open` bounds all of them together', () => {
  const lab = new TestPair({ responder: { config: { halfOpenMax: 5 } } });
  for (const flight of firstMessages(9)) lab.deliver(flight);
  assert.equal(lab.responder.endpoint.ikeSas(lab.now).length, 5);
});

test('an established SA no longer counts', () => {
  const lab = new TestPair({ responder: { config: { halfOpenMax: 1 } } });
  lab.establish();
  const [flight] = firstMessages(1);
  assert.ok(flight);
  lab.deliver(flight);
  assert.equal(lab.responder.endpoint.ikeSas(lab.now).length, 2);
});

test('a flood of refused first messages fills nothing, and not the log', () => {
  const lab = new TestPair({ responder: { ikeProposal: { encryption: 'aes-256-cbc' } } });
  for (const flight of firstMessages(300)) lab.deliver(flight);
  assert.equal(lab.responder.endpoint.ikeSas(lab.now).length, 0);
  assert.equal(lab.responder.ofKind('negotiation-failed').length, 1);
});

test('refusals are remembered for a minute, the newest 256 of them', () => {
  const admission = new Admission();
  const answer = Uint8Array.of(1);
  for (let index = 0; index < 300; index++) admission.rememberRefusal(instant(index), `peer ${index}`, answer);
  assert.equal(admission.findRefusal(instant(300), 'peer 10'), undefined);
  assert.equal(admission.findRefusal(instant(300), 'peer 299')?.answer, answer);
  assert.equal(admission.findRefusal(instant(61_000), 'peer 299'), undefined);
});

test('places are counted by address, and given back', () => {
  const admission = new Admission();
  const source = address('203.0.113.5');
  for (let count = 0; count < 32; count++) assert.ok(admission.admit(source).ok);
  assert.ok(!admission.admit(source).ok);
  assert.ok(admission.admit(address('203.0.113.6')).ok);
  admission.release(source);
  assert.ok(admission.admit(source).ok);
  assert.equal(admission.halfOpenCount, 33);
});

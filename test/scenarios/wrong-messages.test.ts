import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toHex } from '../../src/lib/bytes.ts';
import {
  AGGRESSIVE_MODE_LADDER,
  type BenchOptions,
  type InFlight,
  MAIN_MODE_LADDER,
  QUICK_MODE_LADDER,
  twoGateways,
} from './two-gateways.ts';

const EXCHANGES: readonly {
  readonly title: string;
  readonly ladder: readonly string[];
  readonly options: BenchOptions;
}[] = [
  { title: 'Main Mode', ladder: [...MAIN_MODE_LADDER, ...QUICK_MODE_LADDER], options: { mode: 'main' } },
  {
    title: 'Aggressive Mode',
    ladder: [...AGGRESSIVE_MODE_LADDER, ...QUICK_MODE_LADDER],
    options: { mode: 'aggressive' },
  },
];

for (const { title, ladder, options } of EXCHANGES) {
  test(`${title} and Quick Mode, message by message`, () => {
    const lab = twoGateways(options);
    lab.initiate();
    for (const line of ladder) lab.expect(line);
    lab.expectSilence();
    lab.expectEstablished();
  });

  test(`libreswan:ikev1-impair-02-replay-forward: ${title}: at each step, every other message of the same negotiation comes first, and changes nothing`, () => {
    const messages = record(ladder, options);
    const known = new Set(messages.map(({ datagram }) => toHex(datagram)));
    const lab = twoGateways(options);
    lab.initiate();
    for (const [index, line] of ladder.entries()) {
      const entry = lab.drop(line);
      const waiting = lab.inFlight.length;
      for (const [other, message] of messages.entries()) {
        // The message after this one is what the sender of this one waits for: that would not be wrong.
        if (other === index || other === index + 1) continue;
        deliverLike(lab, message);
        // At most the answer to a duplicate, the same octets as the first time.
        for (const answer of lab.inFlight.splice(waiting))
          assert.ok(known.has(toHex(answer.datagram)), `${line}: ${answer.notation}`);
      }
      lab.deliver(entry);
    }
    lab.settle();
    lab.expectEstablished();
  });

  test(`${title}: at each step, every message of another negotiation between the same two comes first, and changes nothing`, () => {
    const strangers = record(ladder, { ...options, seed: 500 });
    const lab = twoGateways(options);
    lab.initiate();
    for (const line of ladder) {
      const entry = lab.drop(line);
      const waiting = lab.inFlight.length;
      for (const message of strangers) {
        deliverLike(lab, message);
        lab.inFlight.length = waiting;
      }
      lab.deliver(entry);
    }
    lab.settle();
    lab.expectEstablished();
  });

  test(`${title}: each message sent back to who sent it changes nothing`, () => {
    const lab = twoGateways(options);
    lab.initiate();
    for (const line of ladder) {
      const entry = lab.drop(line);
      const waiting = lab.inFlight.length;
      lab.inject(entry.from, entry.path, entry.datagram);
      lab.inFlight.length = waiting;
      lab.deliver(entry);
    }
    lab.settle();
    lab.expectEstablished();
  });
}

/** All messages of a negotiation that succeeds. */
function record(ladder: readonly string[], options: BenchOptions): readonly InFlight[] {
  const lab = twoGateways(options);
  lab.initiate();
  return ladder.map((line) => lab.expect(line));
}

/** Hands a message recorded on another bench to the side of this one that has its receiver's part. */
function deliverLike(lab: ReturnType<typeof twoGateways>, message: InFlight): void {
  const to = message.from.office === 'main' ? lab.responder : lab.initiator;
  lab.inject(to, { local: message.path.remote, remote: message.path.local }, message.datagram);
}

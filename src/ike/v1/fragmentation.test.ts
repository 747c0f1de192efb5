import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromHex } from '../../lib/bytes.ts';
import { instant } from '../../lib/time.ts';
import { decodeIsakmpHeader, IKEV1_VERSION, type IsakmpHeader, NO_FLAGS } from '../../wire/isakmp-header.ts';
import { encodeMessage } from '../../wire/isakmp-payloads.ts';
import { Reassembly, splitMessage } from './fragmentation.ts';
import { TestPair } from './two-endpoints.fixture.ts';

const FIELDS = {
  initiatorCookie: new Uint8Array(8).fill(1),
  responderCookie: new Uint8Array(8).fill(2),
  exchangeType: 2,
  flags: NO_FLAGS,
  messageId: 0,
};

function messageOf(length: number): Uint8Array {
  return encodeMessage(FIELDS, [{ kind: 'vendor-id', data: new Uint8Array(length).map((_, index) => index) }]);
}

function headerOf(message: Uint8Array): IsakmpHeader {
  const header = decodeIsakmpHeader(message);
  assert.ok(header.ok);
  return header.value;
}

test('a message comes out of its pieces as it went in, in any order and with duplicates', () => {
  const message = messageOf(3000);
  const pieces = splitMessage(headerOf(message), message, 7, 500);
  assert.ok(pieces.length > 5);
  for (const piece of pieces) assert.ok(piece.length <= 500);
  const reassembly = new Reassembly();
  const [first, ...rest] = [...pieces].reverse();
  assert.ok(first);
  for (const piece of [first, first, ...rest.slice(0, -1)]) {
    assert.equal(reassembly.handleFragment(instant(0), headerOf(piece), piece).kind, 'incomplete');
  }
  const last = rest.at(-1);
  assert.ok(last);
  const result = reassembly.handleFragment(instant(1), headerOf(last), last);
  assert.deepEqual(result.kind === 'complete' && result.message, message);
});

test('what is collected is bounded in octets and pieces, and forgotten after a while', () => {
  const large = messageOf(60_000);
  const reassembly = new Reassembly();
  const results = splitMessage(headerOf(large), large, 9, 1400).map((piece) => {
    return reassembly.handleFragment(instant(0), headerOf(piece), piece).kind;
  });
  assert.ok(results.includes('refused'));
  assert.ok(!results.includes('complete'));
  const message = messageOf(900);
  const [one, two] = splitMessage(headerOf(message), message, 11, 500);
  assert.ok(one && two);
  reassembly.handleFragment(instant(0), headerOf(one), one);
  assert.equal(reassembly.handleFragment(instant(60_000), headerOf(two), two).kind, 'incomplete');
});

test('two gateways that both announce it send large messages in pieces', () => {
  const lab = new TestPair({ both: { gateway: { fragmentSize: 300 }, ikeProposal: { dhGroup: 'group16' } } });
  lab.establish();
  const large = lab.initiator.ofKind('message').find(({ exchange, number, direction }) => {
    return exchange === 'main' && number === 3 && direction === 'sent';
  });
  assert.ok((large?.length ?? 0) > 500);
  assert.ok(lab.delivered.every(({ bytes }) => bytes.length <= 500));
});

test('a piece that makes a message of another SA, or a piece again, is dropped', () => {
  const lab = new TestPair({ both: { gateway: { fragmentSize: 576 } } });
  lab.establish();
  const [sa] = lab.initiator.endpoint.ikeSas(lab.now);
  assert.ok(sa);
  const foreign = messageOf(600);
  const header: IsakmpHeader = {
    ...headerOf(foreign),
    ...IKEV1_VERSION,
    initiatorCookie: fromHex(sa.initiatorCookie),
    responderCookie: fromHex(sa.responderCookie),
  };
  const before = lab.responder.snapshot();
  for (const bytes of splitMessage(header, foreign, 3, 400)) {
    lab.deliver({ from: 'initiator', path: sa.path, bytes, event: undefined });
  }
  assert.equal(lab.responder.snapshot(), before);
  assert.ok(lab.responder.ofKind('message-dropped').some(({ fault }) => fault === 'malformed'));
});

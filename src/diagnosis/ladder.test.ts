import assert from 'node:assert/strict';
import { test } from 'node:test';
import { address } from '../model/address.ts';
import type { IkeMessageEvent } from '../model/ike-event.ts';
import { renderLadder } from './ladder.ts';

const FIRST: IkeMessageEvent = {
  kind: 'message',
  direction: 'sent',
  path: {
    local: { address: address('192.0.2.1'), port: 500 },
    remote: { address: address('192.0.2.2'), port: 500 },
  },
  exchange: 'main',
  number: 1,
  initiatorCookie: '1111111111111111',
  responderCookie: '0000000000000000',
  messageId: 0,
  isEncrypted: false,
  length: 200,
  notation: 'HDR, SA, VID',
  payloads: [{ name: 'SA', length: 56, detail: 'isakmp pre-shared-keys aes-256-cbc sha-256 group14 28800s' }],
  gateway: 'hq',
  isRepeat: false,
  effect: 'offered one proposal',
};
const SECOND: IkeMessageEvent = { ...FIRST, direction: 'received', number: 2, effect: 'chose it', payloads: [] };
const QUICK: IkeMessageEvent = {
  ...FIRST,
  path: { local: { ...FIRST.path.local, port: 4500 }, remote: { ...FIRST.path.remote, port: 4500 } },
  exchange: 'quick',
  messageId: 7,
  notation: 'HDR*, HASH(1), SA, Ni, KE, IDci, IDcr',
  effect: '',
  isRepeat: true,
  payloads: [],
};

test('a negotiation is a ladder: arrows between two named rails, and what each message did', () => {
  assert.deepEqual(renderLadder([FIRST, SECOND, QUICK], { width: 72 }).split('\n'), [
    '192.0.2.1:500                                           hq 192.0.2.2:500',
    '|                                                                      |',
    '|-- main 1: HDR, SA, VID --------------------------------------------->|',
    '|    offered one proposal                                              |',
    '|<--------------------------------------------- main 2: HDR, SA, VID --|',
    '|    chose it                                                          |',
    '|                                                                      |',
    '|  from here on between 192.0.2.1:4500 and 192.0.2.2:4500              |',
    '|-- quick 1 (again): HDR*, HASH(1), SA, Ni, KE, IDci, IDcr ----------->|',
    '|                                                                      |',
  ]);
});

test('every line fills the width exactly, however long the texts are', () => {
  const long = { ...SECOND, notation: `HDR, ${'NAT-D, '.repeat(40)}${'X'.repeat(200)}`, effect: 'word '.repeat(60) };
  for (const width of [60, 80, 100]) {
    const lines = renderLadder([FIRST, long, { ...long, direction: 'sent' }], { width, showPayloads: true }).split(
      '\n',
    );
    for (const line of lines) assert.equal(line.length, width, line);
  }
});

test('payloads are listed when asked for, and colours come only when asked for', () => {
  const listed = renderLadder([FIRST], { showPayloads: true });
  assert.match(listed, /SA \(56\): isakmp pre-shared-keys aes-256-cbc sha-256 group14 28800s/);
  assert.doesNotMatch(renderLadder([FIRST]), /SA \(56\)/);
  assert.equal(listed.includes('\u001b'), false);
  const coloured = renderLadder([FIRST], { showPayloads: true, isColoured: true });
  assert.notEqual(coloured, listed);
  const escapeCharacter = String.fromCharCode(27);
  assert.equal(coloured.replaceAll(new RegExp(`${escapeCharacter}\\[\\d+m`, 'g'), ''), listed);
});

test('a failed negotiation ends its ladder with what to change on either side', () => {
  const failure = {
    kind: 'negotiation-failed',
    phase: 1,
    role: 'initiator',
    gateway: 'hq',
    path: FIRST.path,
    reason: 'no-proposal-chosen',
    explanation: 'The peer chose none of ours.',
    statements: [{ path: 'security ike policy p', line: 3 }],
    isFinal: true,
  } as const;
  const lines = renderLadder([FIRST, failure]).split('\n');
  const end = lines.slice(4).map((line) => line.slice(1, -1).trim());
  assert.equal(end[1], 'phase 1 of hq failed as initiator: no-proposal-chosen');
  assert.equal(end[3], 'look at [security ike policy p], line 3');
  for (const line of lines) assert.equal(line.length, 100);
});

test('messages of two peers are two ladders, and none is no ladder', () => {
  const other = { ...FIRST, gateway: 'branch' };
  assert.equal(renderLadder([FIRST, other, SECOND]).split('\n\n').length, 2);
  assert.equal(renderLadder([]), '');
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { concat, fromHex } from '../lib/bytes.ts';
import { decodeIsakmpHeader, encodeIsakmpHeader, ISAKMP_HEADER_LENGTH } from './isakmp-header.ts';

const cookie = fc.uint8Array({ minLength: 8, maxLength: 8 });
const uint4 = fc.integer({ min: 0, max: 15 });
const uint8 = fc.integer({ min: 0, max: 255 });

test('RFC 2408 §3.1: a header decodes to what was encoded', () => {
  const anyHeader = fc.record({
    initiatorCookie: cookie,
    responderCookie: cookie,
    nextPayload: uint8,
    majorVersion: uint4,
    minorVersion: uint4,
    exchangeType: uint8,
    flags: fc.record(
      { encryption: fc.boolean(), commit: fc.boolean(), authenticationOnly: fc.boolean() },
      { noNullPrototype: true },
    ),
    messageId: fc.integer({ min: 0, max: 0xffffffff }),
    length: fc.constant(ISAKMP_HEADER_LENGTH),
  });
  fc.assert(
    fc.property(anyHeader, (header) => {
      assert.deepEqual(decodeIsakmpHeader(encodeIsakmpHeader(header)), { ok: true, value: { ...header } });
    }),
  );
});

test('RFC 2408 §3.1: fields stand where the standard puts them', () => {
  const message = fromHex('0102030405060708 1112131415161718 21 1f 20 05 deadbeef 0000001d ff'.replaceAll(' ', ''));
  const header = decodeIsakmpHeader(message);
  assert.deepEqual(header, {
    ok: true,
    value: {
      initiatorCookie: fromHex('0102030405060708'),
      responderCookie: fromHex('1112131415161718'),
      nextPayload: 0x21,
      majorVersion: 1,
      minorVersion: 15,
      exchangeType: 32,
      flags: { encryption: true, commit: false, authenticationOnly: true },
      messageId: 0xdeadbeef,
      length: 29,
    },
  });
});

test('CVE-2013-4564: a datagram shorter than a header, or of another length than its header says, is malformed', () => {
  const valid = fromHex(`${'00'.repeat(24)}0000001c`);
  assert.ok(decodeIsakmpHeader(valid).ok);
  for (let length = 0; length < ISAKMP_HEADER_LENGTH; length++) {
    assert.equal(decodeIsakmpHeader(valid.subarray(0, length)).ok, false, `${length} octets`);
  }
  for (const [length, message, field] of [
    ['0000001b', valid, 'message length below its header'],
    ['00000000', valid, 'message length below its header'],
    ['0000001d', valid, 'message shorter than its length field'],
    ['ffffffff', valid, 'message shorter than its length field'],
    ['0000001c', concat(valid, Uint8Array.of(0)), 'message longer than its length field'],
  ] as const) {
    const changed = message.slice();
    changed.set(fromHex(length), 24);
    const header = decodeIsakmpHeader(changed);
    assert.equal(header.ok ? undefined : header.error.field, field);
  }
});

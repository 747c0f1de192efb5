import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { concat, fromHex } from '../lib/bytes.ts';
import { LINK_TYPE } from './link-layer.ts';
import { encodePcapng, readCapture } from './pcap.ts';

const FRAMES = [
  { timestamp: 1_700_000_000_123_456, data: fromHex('aabbcc') },
  { timestamp: 1_700_000_000_123_457, data: new Uint8Array() },
];

test('a written pcapng file is read back as it was written', () => {
  const anyFrames = fc.array(
    fc.record(
      { timestamp: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }), data: fc.uint8Array({ maxLength: 40 }) },
      { noNullPrototype: true },
    ),
    { maxLength: 5 },
  );
  fc.assert(
    fc.property(anyFrames, (frames) => {
      const expected = frames.map((frame) => ({ linkType: LINK_TYPE.raw, ...frame }));
      const capture = readCapture(encodePcapng(LINK_TYPE.raw, frames));
      assert.deepEqual(capture, { ok: true, value: { frames: expected, isTruncated: false } });
    }),
  );
});

test('classic captures are read in both byte orders, with microseconds and with nanoseconds', () => {
  const big = fromHex('a1b2c3d400020004000000000000000000040000000000650000000a0000000500000002000000030102');
  const little = fromHex(
    'd4c3b2a102000400000000000000000000000400650000000a00000005000000020000000300000001 02'.replace(' ', ''),
  );
  const nanoseconds = fromHex('a1b23c4d00020004000000000000000000040000000000650000000a0000138800000002000000030102');
  for (const file of [big, little, nanoseconds]) {
    const capture = readCapture(file);
    const expected = [{ linkType: 101, timestamp: 10_000_005, data: fromHex('0102') }];
    assert.deepEqual(capture, { ok: true, value: { frames: expected, isTruncated: false } });
  }
});

test('a capture cut anywhere gives its whole frames, or is malformed', () => {
  const file = encodePcapng(LINK_TYPE.ethernet, FRAMES);
  for (let length = 0; length < file.length; length++) {
    const capture = readCapture(file.subarray(0, length));
    if (capture.ok) assert.ok(capture.value.frames.length < FRAMES.length, `${length} octets`);
  }
});

test('a capture with any octet changed does not make the reader throw', () => {
  const file = encodePcapng(LINK_TYPE.ethernet, FRAMES);
  for (let offset = 0; offset < file.length; offset++) {
    for (const value of [0x00, 0x7f, 0xff]) {
      const changed = file.slice();
      changed[offset] = value;
      readCapture(changed);
    }
  }
});

test('a block shorter than its own overhead does not stop the reader from advancing', () => {
  const file = encodePcapng(LINK_TYPE.ethernet, []);
  for (const length of ['00000000', '00000004', '0000000d']) {
    const capture = readCapture(concat(file, fromHex(`00000bad${length}00000000`)));
    assert.equal(capture.ok, false, length);
  }
});

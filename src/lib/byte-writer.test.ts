import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ByteWriter } from './byte-writer.ts';

test('fields of every size keep their octets when the buffer grows under them', () => {
  for (const write of ['uint8', 'uint16', 'uint32'] as const) {
    const writer = new ByteWriter(1);
    for (let count = 0; count < 2000; count++) writer[write](7);
    const size = writer.length / 2000;
    const octets = writer.finish();
    assert.deepEqual([...octets.subarray(0, size)], [...octets.subarray(size, size * 2)]);
    assert.equal(
      octets.reduce((sum, octet) => sum + octet, 0),
      14_000,
    );
  }
});

test('a patched length replaces the octets at its offset only', () => {
  const writer = new ByteWriter(2).uint32(0).uint8(9);
  writer.patchUint16(2, 0x1234);
  assert.deepEqual([...writer.finish()], [0, 0, 0x12, 0x34, 9]);
});

test('writers at work at the same time, and finished in any order, do not see each other', () => {
  const pieces = fc.array(fc.tuple(fc.nat({ max: 11 }), fc.uint8Array({ maxLength: 700 })), { maxLength: 60 });
  fc.assert(
    fc.property(pieces, (steps) => {
      const writers = Array.from({ length: 12 }, () => ({ writer: new ByteWriter(), expected: [] as number[] }));
      for (const [index, octets] of steps) {
        const one = writers[index];
        if (!one) continue;
        // An empty piece stands for finishing: the writer is then used for something new.
        if (octets.length > 0) {
          one.writer.bytes(octets);
          one.expected.push(...octets);
        } else {
          assert.deepEqual([...one.writer.finish()], one.expected);
          one.expected = [];
        }
      }
      for (const { writer, expected } of writers) assert.deepEqual([...writer.finish()], expected);
    }),
  );
});

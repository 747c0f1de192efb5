import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ByteWriter } from './byte-writer.ts';

test('fields of every size keep their octets when the buffer grows under them', () => {
  for (const write of ['uint8', 'uint16', 'uint32'] as const) {
    const writer = new ByteWriter(1);
    for (let count = 0; count < 100; count++) writer[write](7);
    const size = writer.length / 100;
    const octets = writer.finish();
    assert.deepEqual([...octets.subarray(0, size)], [...octets.subarray(size, size * 2)]);
    assert.equal(
      octets.reduce((sum, octet) => sum + octet, 0),
      700,
    );
  }
});

test('a patched length replaces the octets at its offset only', () => {
  const writer = new ByteWriter(2).uint32(0).uint8(9);
  writer.patchUint16(2, 0x1234);
  assert.deepEqual([...writer.finish()], [0, 0, 0x12, 0x34, 9]);
});

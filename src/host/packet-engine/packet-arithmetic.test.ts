import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeededRandom } from '../../lib/random.ts';
import { Arena } from './arena.ts';
import { createVectorArithmetic, foldSum, ScalarArithmetic } from './packet-arithmetic.ts';

const SEED = 11;

test('RFC 1071 §3: the sum of its example, octets swapped as the machine reads them', () => {
  const arena = new Arena(65_536);
  arena.memory.bytes.set([0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7], 64);
  for (const arithmetic of [new ScalarArithmetic(arena), createVectorArithmetic(arena)])
    assert.equal(foldSum(arithmetic?.sum(64, 8) ?? 0), 0xf2dd);
});

test(`the vector loop agrees with the scalar one, and copies exactly, for every length and alignment (seed ${SEED})`, () => {
  const arena = new Arena(4 * 65_536);
  const random = new SeededRandom(SEED);
  const vector = createVectorArithmetic(arena);
  assert.ok(vector, 'this Node has WebAssembly vectors');
  const scalar = new ScalarArithmetic(arena);
  const { bytes } = arena.memory;
  for (let round = 0; round < 2000; round++) {
    const length = round < 200 ? round : Math.floor(random.fraction() * 65_000);
    const source = 100 + Math.floor(random.fraction() * 32);
    const target = 2 * 65_536 + Math.floor(random.fraction() * 32);
    if (round % 100 === 0) bytes.set(random.bytes(65_536), 64);
    // All ones is where a carry would be lost.
    if (round % 100 === 50) bytes.fill(0xff, 64, 65_600);
    bytes.fill(0xa5, target - 1, target + length + 1);
    const expected = foldSum(scalar.sum(source, length));
    assert.equal(foldSum(vector.sum(source, length)), expected, `sum of ${length} at ${source}`);
    assert.equal(foldSum(vector.copyAndSum(target, source, length)), expected, `copied sum of ${length}`);
    assert.equal(Buffer.compare(bytes.subarray(source, source + length), bytes.subarray(target, target + length)), 0);
    assert.equal(bytes[target - 1], 0xa5);
    assert.equal(bytes[target + length], 0xa5);
  }
});

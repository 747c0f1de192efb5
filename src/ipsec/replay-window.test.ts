import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomBelow, SeededRandom } from '../lib/random.ts';
import { ReplayWindow } from './replay-window.ts';

for (const size of [1, 32, 33, 64, 100, 1024, 4096, 8192])
  test(`RFC 4303 §3.4.3: a window of ${size} agrees with a plain set for 50,000 random packets`, () => {
    const seed = 6479 + size;
    const random = new SeededRandom(seed);
    const window = new ReplayWindow(size);
    const accepted = new Set<number>();
    let highest = 0;
    for (let round = 0; round < 50_000; round++) {
      // Mostly near the top, now and then far behind or a leap of several windows ahead.
      const kind = randomBelow(random, 50);
      const reach = kind === 0 ? size * 5 : kind < 10 ? size * 2 : 40;
      const sequence = Math.max(
        0,
        highest + randomBelow(random, reach + 8) - (kind === 1 ? 0 : Math.ceil(reach * 0.6)),
      );
      const isFresh = sequence > 0 && sequence > highest - size && !accepted.has(sequence);
      assert.equal(window.isFresh(sequence), isFresh, `seed ${seed}, round ${round}, ${sequence} under ${highest}`);
      // One packet in ten fails verification, and must leave no trace.
      if (!isFresh || randomBelow(random, 10) === 0) continue;
      window.accept(sequence);
      accepted.add(sequence);
      highest = Math.max(highest, sequence);
      assert.equal(window.highest, highest);
    }
  });

test('RFC 4303 Appendix A2.2: the high half is found from the low one anywhere in or ahead of the window', () => {
  const seed = 22;
  const random = new SeededRandom(seed);
  for (const size of [64, 1024, 8192])
    for (let round = 0; round < 20_000; round++) {
      const subspace = randomBelow(random, 1000);
      const nearWrap = randomBelow(random, 2) === 0;
      const low = nearWrap ? randomBelow(random, size * 2) : randomBelow(random, 2 ** 32);
      const highest = Math.max(1, subspace * 2 ** 32 + low);
      const window = new ReplayWindow(size);
      window.accept(highest);
      const ahead = randomBelow(random, nearWrap ? 4 * size : 2 ** 31);
      const sequence = randomBelow(random, 2) === 0 ? highest + ahead : Math.max(1, highest - (ahead % size));
      assert.equal(window.extend(sequence % 2 ** 32), sequence, `seed ${seed}, ${sequence} under ${highest}`);
    }
});

test('RFC 4303 §3.3.3: sequence number 0 is never accepted', () => {
  assert.equal(new ReplayWindow(64).isFresh(0), false);
});

test('libreswan:ikev2-algo-esn-09-replay-zero: without a window every number is fresh, and extended ones are still inferred', () => {
  const window = new ReplayWindow(0);
  window.accept(5 * 2 ** 32 + 10);
  assert.equal(window.isFresh(5 * 2 ** 32 + 10), true);
  assert.equal(window.extend(9), 5 * 2 ** 32 + 9);
  assert.equal(window.extend(2 ** 32 - 1), 4 * 2 ** 32 + 2 ** 32 - 1);
  assert.equal(window.extend(11), 5 * 2 ** 32 + 11);
});

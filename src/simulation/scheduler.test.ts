import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { instant, milliseconds } from '../lib/time.ts';
import { Scheduler } from './scheduler.ts';

test('what is due happens in the order of its time, and at equal times in the order of asking', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 60 }), (times) => {
      const scheduler = new Scheduler();
      const happened: number[] = [];
      for (const [index, at] of times.entries()) scheduler.at(instant(at), () => happened.push(index));
      scheduler.runUntil(instant(20));
      const expected = times.map((at, index) => ({ at, index })).sort((a, b) => a.at - b.at || a.index - b.index);
      assert.deepEqual(
        happened,
        expected.map(({ index }) => index),
      );
    }),
  );
});

test('the clock shows the time of what is happening, and then the end', () => {
  const scheduler = new Scheduler();
  const seen: number[] = [];
  scheduler.at(instant(10), () => {
    seen.push(scheduler.now);
    scheduler.in(milliseconds(5), () => seen.push(scheduler.now));
    scheduler.at(instant(3), () => seen.push(scheduler.now));
  });
  scheduler.runUntil(instant(100));
  assert.deepEqual([...seen, scheduler.now], [10, 10, 15, 100]);
});

test('what is due after the end waits for the next run', () => {
  const scheduler = new Scheduler();
  let count = 0;
  scheduler.at(instant(11), () => count++);
  scheduler.runUntil(instant(10));
  assert.equal(count, 0);
  scheduler.runUntil(instant(11));
  assert.equal(count, 1);
});

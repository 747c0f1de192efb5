import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { after, milliseconds, NEVER } from '../lib/time.ts';
import { Alarm, monotonicNow } from './event-loop.ts';

/** An alarm, and the times in milliseconds at which it has rung; the clock is the test's. */
function alarmOf(context: TestContext) {
  let clock = 0;
  context.mock.method(performance, 'now', () => clock);
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const rung: number[] = [];
  const alarm = new Alarm(() => rung.push(clock));
  const pass = (duration: number): void => {
    for (let step = 0; step < duration; step++) {
      clock++;
      context.mock.timers.tick(1);
    }
  };
  const setIn = (delay: number): void => alarm.set(after(monotonicNow(), milliseconds(delay)));
  return { alarm, rung, pass, setIn };
}

test('an alarm rings once, when it is due and not before', (context) => {
  const { rung, pass, setIn } = alarmOf(context);
  setIn(10);
  pass(9);
  assert.deepEqual(rung, []);
  pass(100);
  assert.deepEqual(rung, [10]);
});

test('an alarm that is put off rings at the later time only, however often that happens', (context) => {
  const { rung, pass, setIn } = alarmOf(context);
  for (let count = 0; count < 50; count++) {
    setIn(10);
    pass(1);
  }
  pass(100);
  assert.deepEqual(rung, [59]);
});

test('an alarm that is moved forward rings at the earlier time, and no more at the later one', (context) => {
  const { rung, pass, setIn } = alarmOf(context);
  setIn(50);
  setIn(10);
  pass(100);
  assert.deepEqual(rung, [10]);
});

test('an alarm that was cleared, or for which nothing is due any more, stays silent, and can be set again', (context) => {
  const { alarm, rung, pass, setIn } = alarmOf(context);
  setIn(10);
  alarm.clear();
  pass(20);
  setIn(10);
  alarm.set(NEVER);
  pass(20);
  assert.deepEqual(rung, []);
  setIn(10);
  pass(20);
  assert.deepEqual(rung, [50]);
});

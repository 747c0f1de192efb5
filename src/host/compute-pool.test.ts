import assert from 'node:assert/strict';
import { test } from 'node:test';
import { computeDiffieHellman, drawPrivateValue } from '../crypto/diffie-hellman.ts';
import { systemRandom } from '../crypto/node-provider.ts';
import type { ComputeJob, ComputeResult } from '../model/compute-job.ts';
import { ComputePool } from './compute-pool.ts';

test('MODP-4096 is computed on a thread of its own: the control thread goes on with its turns, and group 19 overtakes it', async () => {
  const answers: { readonly jobId: number; readonly result: ComputeResult }[] = [];
  let handleLast: () => void = () => undefined;
  const done = new Promise<void>((resolve) => {
    handleLast = resolve;
  });
  const pool = new ComputePool(
    1,
    (jobId, result) => {
      answers.push({ jobId, result });
      if (jobId === 1) handleLast();
    },
    (error) => assert.fail(String(error)),
  );
  let turns = 0;
  let isWaiting = true;
  const turn = (): void => {
    turns++;
    if (isWaiting) setImmediate(turn);
  };
  // The thread starts with its first job; only the second one is watched.
  pool.submit(job(0, 'group16'));
  while (answers.length === 0) await new Promise((resolve) => setImmediate(resolve));
  setImmediate(turn);
  const slow = job(1, 'group16');
  pool.submit(slow);
  pool.submit(job(2, 'group19'));
  await done;
  const turnsMeanwhile = turns;
  isWaiting = false;
  await pool.close();
  assert.deepEqual(
    answers.map(({ jobId }) => jobId),
    [0, 2, 1],
  );
  // How many there are is a matter of how busy the machine is; computed on this thread, there would be none.
  assert.ok(turnsMeanwhile > 0, 'the event loop turned while group 16 was computed');
  assert.deepEqual(answers[2]?.result, computeDiffieHellman(slow));
});

function job(id: number, group: 'group16' | 'group19'): ComputeJob {
  return { id, kind: 'diffie-hellman', group, privateValue: drawPrivateValue(group, systemRandom) };
}

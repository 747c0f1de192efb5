// What only a real Linux kernel can judge: ESP and AH directly over IP. One boot of the guest runs every `*.guest.ts` here, one after
// another, and each test in them is a test here.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type GuestResult, prepareGuest, runInGuest, whyNoGuest } from './kernel-guest.ts';

/** With what node needs for each: machine code made at run time has to be translated anew, so that most is faster without. */
const GUEST_TESTS = [
  { file: 'hand-keyed.guest.js', nodeOptions: '--jitless', words: '' },
  // The engine needs WebAssembly, which there is none of without a compiler.
  { file: 'hand-keyed.guest.js', nodeOptions: '--no-opt --no-sparkplug --regexp-interpret-all', words: 'engine' },
  { file: 'raw-esp.guest.js', nodeOptions: '', words: '' },
];
/** Many times what it takes when nothing else runs. */
const TIMEOUT_SECONDS = 570;

test('the Linux kernel, in a guest', async (context) => {
  const obstacle = whyNoGuest() ?? prepareGuest();
  if (obstacle !== undefined) return context.skip(obstacle);
  const result = await runInGuest(guestScript(), TIMEOUT_SECONDS);
  const outcomes = readOutcomes(result);
  assert.ok(
    outcomes.length > 0,
    `no test ran in the guest (status ${result.status})\n${result.output}\n${result.console}`,
  );
  for (const { name, failure } of outcomes) await context.test(name, () => assert.equal(failure, undefined));
  const status = result.status === -1 ? `ended by its time limit of ${TIMEOUT_SECONDS} s` : result.status;
  assert.equal(status, 0, result.output.slice(-2000));
});

/** A program that starts costs seconds under emulation, so there is no test runner around the files. */
function guestScript(): string {
  const runs = GUEST_TESTS.map(({ file, nodeOptions, words }) => {
    const path = fileURLToPath(new URL(`./${file}`, import.meta.url));
    // Each in a network namespace of its own, for what one has told the kernel would stand in the next one's way.
    const prepare = `unshare --net sh -c 'ip link set lo up && exec "$@"' sh`;
    return `${prepare} "${process.execPath}" ${nodeOptions} --test-reporter=tap "${path}" ${words} || status=1`;
  });
  return ['status=0', ...runs, 'exit $status', ''].join('\n');
}

/** The tests in the guest's TAP, with all that was said of those that failed. */
function readOutcomes({ output }: GuestResult): readonly { readonly name: string; readonly failure?: string }[] {
  return output.split(/^(?=# Subtest: )/m).flatMap((block) => {
    const [, outcome, name = ''] = block.match(/^(ok|not ok) \d+ - (.*)$/m) ?? [];
    if (outcome === undefined) return [];
    return [outcome === 'ok' ? { name } : { name, failure: block }];
  });
}

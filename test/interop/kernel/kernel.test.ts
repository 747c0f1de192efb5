// What only a real Linux kernel can judge: ESP directly over IP. One boot of the guest runs every `*.guest.ts` here.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { prepareGuest, runInGuest, whyNoGuest } from './kernel-guest.ts';

const GUEST_TESTS = ['raw-esp.guest.js'];
const TIMEOUT_SECONDS = 400;

test('the Linux kernel, in a guest', async (context) => {
  const obstacle = whyNoGuest() ?? prepareGuest();
  if (obstacle !== undefined) return context.skip(obstacle);
  const files = GUEST_TESTS.map((name) => fileURLToPath(new URL(`./${name}`, import.meta.url)));
  const command = `exec "${process.execPath}" --enable-source-maps --test --test-reporter=tap --test-concurrency=1 ${files.join(' ')}`;
  const result = await runInGuest(command, TIMEOUT_SECONDS);
  const told = `${result.output}\n${result.console}`;
  const outcomes = [...result.output.matchAll(/^(ok|not ok) \d+ - (.*)$/gm)];
  assert.ok(outcomes.length > 0, `no test ran in the guest (status ${result.status})\n${told}`);
  for (const [, outcome, name = ''] of outcomes) await context.test(name, () => assert.equal(outcome, 'ok', told));
  assert.equal(result.status, 0, told);
});

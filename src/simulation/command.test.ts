import assert from 'node:assert/strict';
import { test } from 'node:test';
import { computeDiffieHellman } from '../crypto/diffie-hellman.ts';
import { nodePacketCrypto } from '../crypto/node-packet-provider.ts';
import { nodeCrypto } from '../crypto/node-provider.ts';
import { simulate } from './command.ts';
import type { SimulationCrypto } from './simulated-host.ts';

const CRYPTO: SimulationCrypto = { crypto: nodeCrypto, packetCrypto: nodePacketCrypto, compute: computeDiffieHellman };

test('one seed prints its whole report, and status 0 says that all checks passed', () => {
  const { lines, exitStatus } = run('--seed', '1', '--seconds', '60');
  assert.equal(exitStatus, 0);
  assert.match(lines[0] ?? '', /^seed 1: \d+ virtual seconds, faults during the first 60\n/);
  assert.match(lines[0] ?? '', /all checks passed$/);
});

test('--json prints one object a seed, from which the run can be repeated', () => {
  const { lines } = run('--seed', '3', '--seeds', '2', '--seconds', '60', '--json');
  const reports: { readonly seed: number; readonly violations: readonly string[] }[] = lines.map((line) =>
    JSON.parse(line),
  );
  assert.deepEqual(
    reports.map(({ seed, violations }) => [seed, violations]),
    [
      [3, []],
      [4, []],
    ],
  );
});

test('a violation gives status 1, and the command that shows it again', () => {
  const compute: SimulationCrypto['compute'] = () => ({ kind: 'invalid-public-value' });
  const { lines, exitStatus } = runWith({ ...CRYPTO, compute }, ['--seed', '7', '--seconds', '60', '--loss', '5']);
  assert.equal(exitStatus, 1);
  assert.match(lines[0] ?? '', /VIOLATION/);
  assert.match(lines[0] ?? '', /sallyport simulate --seed 7 --seconds 60 --loss 5$/);
});

test('arguments that make no sense give status 2 and the usage', () => {
  for (const words of [
    [],
    ['--seed'],
    ['--seed', 'x'],
    ['--seed', '4294967296'],
    ['--seed', '1', '--loss', '101'],
    ['--what'],
  ]) {
    const { lines, exitStatus } = run(...words);
    assert.equal(exitStatus, 2, words.join(' '));
    assert.match(lines[1] ?? '', /^usage: sallyport simulate/);
  }
});

test('--trace prints what the gateways report, with the time and the place', () => {
  const { lines } = run('--seed', '1', '--seconds', '60', '--trace');
  assert.ok(lines.some((line) => /^ +\d+\.\d{3} main +\{"kind":"ike-sa-established"/.test(line)));
});

function run(...words: readonly string[]) {
  return runWith(CRYPTO, words);
}

function runWith(crypto: SimulationCrypto, words: readonly string[]) {
  const lines: string[] = [];
  const { exitStatus } = simulate(words, crypto, (line) => lines.push(line));
  return { lines, exitStatus };
}

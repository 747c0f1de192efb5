import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { SeededRandom } from '../../src/lib/random.ts';
import { REPOSITORY_ROOT } from '../shared.ts';
import { Coverage } from './coverage.ts';
import { type FuzzFailure, type FuzzTarget, fuzz, tryInput } from './fuzzer.ts';
import { FUZZ_TARGETS } from './targets.ts';

const SEED = 1;
const CORPUS = join(REPOSITORY_ROOT, 'test/corpus');

for (const target of FUZZ_TARGETS) {
  test(`${target.name} withstands every input that was found worth keeping`, () => {
    for (const name of readdirSync(join(CORPUS, target.name))) {
      const failure = tryInput(target, readFileSync(join(CORPUS, target.name, name)));
      assert.equal(failure, undefined, failure && `${name}: ${describe(failure)}`);
    }
  });

  test(`${target.name} withstands ${target.shortRuns} changed inputs, and does not grow`, () => {
    const outcome = fuzz(target, new SeededRandom(SEED), (runs) => runs >= target.shortRuns);
    assert.equal(outcome.failure, undefined, outcome.failure && `seed ${SEED}: ${describe(outcome.failure)}`);
    assert.equal(outcome.growth?.isUnbounded, false, 'its memory was measured, and does not grow');
  });
}

test('the fuzzer finds a fault that is there', () => {
  const faulty = {
    name: 'faulty',
    shortRuns: 20_000,
    seeds: () => [new Uint8Array(8)],
    run: (input: Uint8Array) => assert.notEqual(input[3], 0xff),
  };
  const outcome = fuzz(faulty, new SeededRandom(SEED), (runs) => runs >= 20_000);
  assert.equal(outcome.failure?.input[3], 0xff);
});

test('a fault that takes many inputs is found with those before it, even while the fuzzer looks for what was new in a batch', () => {
  const coverage = new Coverage((url) => url.endsWith('/dist/test/fuzz/fuzz.test.js'));
  let count = 0;
  let changed = 0;
  const tiring: FuzzTarget = {
    name: 'tiring',
    shortRuns: 100,
    keepsState: true,
    seeds: () => [new Uint8Array(8)],
    run: (input) => {
      // New code in the first batch, which is 200 inputs and the seed; so the rest is used up by running them again.
      if (input[0] !== 0) changed++;
      count++;
      assert.ok(count <= 300, 'worn out');
    },
  };
  const { failure, runs } = fuzz(tiring, new SeededRandom(SEED), (done) => done >= 10_000, coverage);
  coverage.close();
  assert.match(failure?.reason ?? '', /worn out/);
  assert.ok(changed > 0);
  assert.equal(runs, 200, 'not one of the second batch');
  assert.equal(failure?.history?.length, 256, 'as many as are remembered');
});

function describe(failure: FuzzFailure): string {
  return `${failure.reason}\ninput ${Buffer.from(failure.input).toString('hex')}`;
}

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeededRandom } from '../../src/lib/random.ts';
import { type FuzzTarget, fuzz } from './fuzzer.ts';
import { growthOf, memoryInUse } from './memory-growth.ts';

const RUNS = 8000;

/** What grows, and what only works hard: a target each. `kept` is what outlives the inputs. */
function fuzzed(run: (input: Uint8Array) => void, given: Partial<FuzzTarget> = {}) {
  const target = { name: 'grown', shortRuns: RUNS, seeds: () => [new Uint8Array(300)], run, ...given };
  return fuzz(target, new SeededRandom(1), (runs) => runs >= RUNS);
}

test('the fuzzer finds a target that keeps every input', () => {
  const kept: Uint8Array[] = [];
  const { failure, growth } = fuzzed((input) => kept.push(input));
  assert.match(failure?.reason ?? '', /^memory grows by \d+ octets a thousand inputs/);
  assert.ok(growth !== undefined && growth.octetsPerThousandRuns > 300_000, 'an input has some 300 octets');
  assert.ok(kept.length > RUNS);
});

test('the fuzzer finds a target that keeps a note about every input, and memory outside the heap', () => {
  const notes = new Map<string, readonly number[]>();
  const heap = fuzzed((input) => notes.set(`input ${notes.size}`, [...input.subarray(0, 16)]));
  assert.match(heap.failure?.reason ?? '', /^memory grows/);
  const buffers: Buffer[] = [];
  const outside = fuzzed(() => buffers.push(Buffer.alloc(4096)));
  assert.match(outside.failure?.reason ?? '', /^memory grows/);
  assert.ok((outside.growth?.octetsPerThousandRuns ?? 0) > 4_000_000);
  assert.ok(notes.size > RUNS && buffers.length > RUNS);
});

test('a target that allocates much and keeps nothing, or only so much, does not grow', () => {
  let octets = 0;
  const nothing = fuzzed((input) => {
    octets += Array.from({ length: 200 }, (_, index) => ({ index, copy: input.slice() })).length;
    octets += Buffer.alloc(100_000).length;
  });
  assert.equal(nothing.failure, undefined);
  assert.ok(octets > RUNS * 100_000);
  const last: Uint8Array[] = [];
  const bounded = fuzzed((input) => {
    last.push(new Uint8Array(2000 + input.length));
    if (last.length > 1000) last.shift();
  });
  assert.equal(bounded.failure, undefined, 'a table that fills up in the first quarter');
  assert.equal(last.length, 1000);
});

test('what the fuzzer itself keeps does not count as growth of its target', () => {
  let seen = 0;
  const outcome = fuzzed(() => seen++, { keepsState: true, seeds: () => [new Uint8Array(4000)] });
  assert.equal(outcome.failure, undefined);
  assert.ok(seen > RUNS);
  assert.ok(outcome.growth !== undefined);
});

test('growth is the slope of the later half, whatever steps and single samples say', () => {
  const samples = (octets: (index: number) => number) =>
    Array.from({ length: 40 }, (_, index) => ({ runs: (index + 1) * 1000, octets: 20e6 + octets(index) }));
  const noise = (index: number) => ((index * 7919) % 13) * 5000;
  assert.equal(growthOf(samples((index) => index * 100_000 + noise(index)))?.isUnbounded, true);
  assert.equal(growthOf(samples((index) => Math.min(index, 18) * 1_000_000 + noise(index)))?.isUnbounded, false);
  assert.equal(growthOf(samples((index) => (index > 35 ? 5_000_000 : 0) + noise(index)))?.isUnbounded, false);
  assert.equal(growthOf(samples((index) => (index === 30 ? 50_000_000 : noise(index))))?.isUnbounded, false);
  assert.equal(growthOf(samples((index) => noise(index) - index * 100_000))?.isUnbounded, false);
  assert.equal(growthOf(samples(noise).slice(0, 7)), undefined, 'too few to say');
});

test('memory in use is what is reachable, after a collection', () => {
  const before = memoryInUse();
  let held: Uint8Array[] | undefined = Array.from({ length: 100 }, () => new Uint8Array(100_000));
  const during = memoryInUse();
  assert.ok(during - before > 9_500_000 && held.length === 100);
  held = undefined;
  assert.ok(memoryInUse() - before < 1_000_000);
});

// The long run: `npm run fuzz [-- TARGET] [SECONDS]`, of processor time. Follows the coverage and the memory in use, keeps what reached new code
// in test/corpus, and what failed as `crash-...` beside it: the short run then stays red until the fault is mended.

import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SeededRandom } from '../../src/lib/random.ts';
import { REPOSITORY_ROOT } from '../shared.ts';
import { Coverage } from './coverage.ts';
import { type FuzzTarget, fuzz } from './fuzzer.ts';
import { FUZZ_TARGETS } from './targets.ts';

const SECONDS_DEFAULT = 60;
/** Kept inputs of one target; each costs the short run a little. */
const CORPUS_MAX = 120;

const words = process.argv.slice(2);
const seconds = Number(words.find((word) => /^\d+$/.test(word)) ?? SECONDS_DEFAULT);
const names = words.filter((word) => !/^\d+$/.test(word));
const targets = FUZZ_TARGETS.filter((target) => names.length === 0 || names.includes(target.name));
if (targets.length === 0)
  throw new Error(`no such target; there are ${FUZZ_TARGETS.map(({ name }) => name).join(', ')}`);

let failed = false;
const shares = targets.reduce((sum, target) => sum + shareOf(target), 0);
for (const target of targets) failed = runTarget(target, (seconds * shareOf(target)) / shares) || failed;
process.exitCode = failed ? 1 : 0;

function shareOf(target: FuzzTarget): number {
  return target.share ?? 1;
}

/** Whether the target failed within so many seconds. */
function runTarget(target: FuzzTarget, duration: number): boolean {
  const folder = join(REPOSITORY_ROOT, 'test/corpus', target.name);
  mkdirSync(folder, { recursive: true });
  const kept = readdirSync(folder).map((name) => new Uint8Array(readFileSync(join(folder, name))));
  const seed = Date.now() >>> 0;
  const coverage = new Coverage((url) => /\/src\/[^?]*\.js$/.test(url));
  const end = processorSeconds() + duration;
  const outcome = fuzz(
    { ...target, seeds: () => [...target.seeds(), ...kept] },
    new SeededRandom(seed),
    () => processorSeconds() > end,
    coverage,
  );
  coverage.close();
  for (const input of outcome.found.slice(0, Math.max(CORPUS_MAX - kept.length, 0))) save(folder, nameOf(input), input);
  const { runs, found, growth, failure } = outcome;
  const grown =
    growth === undefined ? 'not measured' : `${Math.round(growth.octetsPerThousandRuns)} octets a thousand runs`;
  say(
    `${target.name}: ${runs} runs in ${Math.round(duration)} s, ${coverage.size} blocks, ${found.length} new inputs, growth ${grown}, seed ${seed}`,
  );
  if (failure === undefined) return false;
  const name = `crash-${nameOf(failure.input)}`;
  // In the order of their names they are tried again.
  const all = [...(failure.history ?? []), failure.input];
  const [width, last] = [String(all.length).length, all.length - 1];
  for (const [index, input] of all.entries()) {
    save(folder, last === 0 ? name : `${name}-${String(index).padStart(width, '0')}`, input);
  }
  say(`${target.name} FAILED: ${failure.reason}\nwhat it was given is in ${join(folder, name)}*`);
  return true;
}

function save(folder: string, name: string, input: Uint8Array): void {
  writeFileSync(join(folder, name), input);
}

function nameOf(input: Uint8Array): string {
  return createHash('sha256').update(input).digest('hex').slice(0, 16);
}

/** What this process has computed: a machine that does something else in between takes nothing away from it. */
function processorSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

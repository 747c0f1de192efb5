// The long run: `npm run fuzz [-- TARGET] [SECONDS]`. Follows the coverage, keeps what reached new code in test/corpus, and what failed
// as `crash-...` beside it: the short run then stays red until the fault is mended.

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
for (const target of targets) failed = runTarget(target, seconds / targets.length) || failed;
process.exitCode = failed ? 1 : 0;

/** Whether the target failed. */
function runTarget(target: FuzzTarget, duration: number): boolean {
  const folder = join(REPOSITORY_ROOT, 'test/corpus', target.name);
  mkdirSync(folder, { recursive: true });
  const kept = readdirSync(folder).map((name) => new Uint8Array(readFileSync(join(folder, name))));
  const seed = Date.now() >>> 0;
  const coverage = new Coverage((url) => /\/src\/[^?]*\.js$/.test(url));
  const end = performance.now() + duration * 1000;
  const outcome = fuzz(
    { ...target, seeds: () => [...target.seeds(), ...kept] },
    new SeededRandom(seed),
    () => performance.now() > end,
    coverage,
  );
  coverage.close();
  for (const input of outcome.found.slice(0, Math.max(CORPUS_MAX - kept.length, 0))) save(folder, '', input);
  say(
    `${target.name}: ${outcome.runs} runs, ${coverage.size} blocks, ${outcome.found.length} new inputs, seed ${seed}`,
  );
  if (outcome.failure === undefined) return false;
  const file = save(folder, 'crash-', outcome.failure.input);
  say(`${target.name} FAILED: ${outcome.failure.reason}\nthe input is in ${file}`);
  return true;
}

function save(folder: string, prefix: string, input: Uint8Array): string {
  const file = join(folder, prefix + createHash('sha256').update(input).digest('hex').slice(0, 16));
  writeFileSync(file, input);
  return file;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

// Everything that `npm test` runs, in order, from the cheapest to the most independent. Plain JavaScript: it runs as it is.
// `--only STAGE` (may be repeated) runs some stages; `--list` names them.
import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { run } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');
const CONCURRENCY = 2;
const MINUTE = 60_000;

/** In order. `files` are compiled tests; `command` is a program of which each run counts as one test. */
const STAGES = [
  { name: 'lint', about: 'format and lint', command: [join('node_modules', '.bin', 'biome'), 'check', '.'] },
  { name: 'tidy', about: 'house rules', files: /^test\/tidy(?:\.test\.js$|\/)/ },
  {
    name: 'unit',
    about: 'unit tests and known answers, beside the code',
    files: /^(src\/(?!simulation\/)|bin\/|lab\/).*\.test\.js$/,
  },
  { name: 'scenarios', about: 'exchanges, message by message', files: /^test\/scenarios\/.*\.test\.js$/ },
  { name: 'simulation', about: 'seeds on a faulty network', files: /^(src|test)\/simulation\/.*\.test\.js$/ },
  { name: 'fuzz', about: 'malformed input, short run', files: /^test\/fuzz\/.*\.test\.js$/ },
  {
    name: 'interop',
    about: 'real namespaces, independent peers',
    files: /^test\/interop\/[^/]*\.test\.js$/,
    concurrency: 1,
  },
  {
    name: 'kernel',
    about: 'ESP and AH against a Linux kernel in QEMU',
    files: /^test\/interop\/kernel\/.*\.test\.js$/,
  },
];

const options = parseArgs({ options: { only: { type: 'string', multiple: true }, list: { type: 'boolean' } } }).values;
if (options.list) {
  for (const stage of STAGES) process.stdout.write(`${stage.name.padEnd(12)}${stage.about}\n`);
  process.exit(0);
}
const unknown = (options.only ?? []).filter((name) => !STAGES.some((stage) => stage.name === name));
if (unknown.length > 0) {
  process.stderr.write(`no such stage: ${unknown.join(', ')} (--list names them)\n`);
  process.exit(2);
}

process.chdir(ROOT);
process.env.NODE_OPTIONS = `${process.env.NODE_OPTIONS ?? ''} --enable-source-maps`.trim();
const total = { passed: 0, failed: 0, skipped: [], failures: [] };
const durations = [];
const started = Date.now();
const compiled = findCompiledTests();
reportForgotten();

for (const stage of STAGES.filter((candidate) => options.only?.includes(candidate.name) ?? true)) {
  const before = { passed: total.passed, failed: total.failed, skipped: total.skipped.length };
  const stageStarted = Date.now();
  say(`\n== ${stage.name}: ${stage.about}`);
  if (stage.command) await runCommand(stage);
  else await runFiles(stage);
  const seconds = ((Date.now() - stageStarted) / 1000).toFixed(1);
  const counts = `${total.passed - before.passed} passed, ${total.failed - before.failed} failed, ${total.skipped.length - before.skipped} skipped`;
  durations.push(`  ${stage.name.padEnd(12)}${seconds.padStart(7)} s   ${counts}`);
  say(`== ${stage.name}: ${seconds} s: ${counts}`);
}
summarise();
// Skipping all of a stage, with the reason said, is not a failure; running nothing at all is.
process.exit(total.failed > 0 || total.passed + total.skipped.length === 0 ? 1 : 0);

/** Compiled tests whose source still exists: the compiler does not remove what a deleted source left behind. */
function findCompiledTests() {
  return readdirSync(join(ROOT, 'dist'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.test.js') && existsSync(join(ROOT, path.replace(/\.js$/, '.ts'))))
    .sort((a, b) => (a < b ? -1 : 1));
}

/** A test that no stage would run is a failure, not an oversight. */
function reportForgotten() {
  for (const path of compiled.filter((file) => !STAGES.some((stage) => stage.files?.test(file)))) {
    total.failed++;
    total.failures.push({ name: `${path}: no stage of scripts/test.mjs runs this file`, file: path, detail: '' });
  }
}

async function runFiles(stage) {
  const files = compiled.filter((path) => stage.files.test(path)).map((path) => join(ROOT, 'dist', path));
  if (files.length === 0) {
    total.skipped.push({ name: `stage ${stage.name}`, reason: 'there are no such tests' });
    return;
  }
  const events = run({ files, concurrency: stage.concurrency ?? CONCURRENCY, timeout: 10 * MINUTE });
  for await (const { type, data } of events) {
    if (type === 'test:pass') countPass(data);
    else if (type === 'test:fail') countFail(data);
    else if (type === 'test:stderr' && process.env.SALLYPORT_TEST_OUTPUT) process.stderr.write(data.message);
  }
}

function countPass(data) {
  if (data.details?.type === 'suite') return;
  if (data.skip !== undefined || data.todo !== undefined) {
    const reason = typeof data.skip === 'string' && data.skip !== '' ? data.skip : 'no reason given';
    total.skipped.push({ name: data.name, reason });
    say(`  skip  ${data.name} (${reason})`);
    return;
  }
  total.passed++;
  const took = data.details?.duration_ms ?? 0;
  say(`  pass  ${data.name}${took > 1000 ? ` (${(took / 1000).toFixed(1)} s)` : ''}`);
}

function countFail(data) {
  const error = data.details?.error;
  // A suite or a file fails because of a test in it, which has been counted already.
  if (error?.failureType === 'subtestsFailed') return;
  total.failed++;
  const cause = error?.cause ?? error;
  const detail = String(cause?.stack ?? cause?.message ?? cause ?? '');
  const file = data.file === undefined ? '' : data.file.replace(`${join(ROOT, 'dist')}/`, '').replace(`${ROOT}/`, '');
  total.failures.push({ name: data.name, file, detail });
  say(`  FAIL  ${data.name}  [${file}]\n${indent(detail, 8)}`);
}

/** One program, counted as one test. */
function runCommand(stage) {
  const [program, ...args] = stage.command;
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit'] });
    child.on('error', (error) => finish(`${program}: ${error.message}`));
    child.on('close', (code) => finish(code === 0 ? undefined : `exit status ${code}`));
    function finish(problem) {
      if (problem === undefined) total.passed++;
      else {
        total.failed++;
        total.failures.push({ name: stage.about, file: stage.command.join(' '), detail: problem });
      }
      resolve();
    }
  });
}

function summarise() {
  say('\n== how long each stage took');
  for (const line of durations) say(line);
  say(`  ${'in all'.padEnd(12)}${((Date.now() - started) / 1000).toFixed(1).padStart(7)} s`);
  if (total.skipped.length > 0) {
    say('\n== skipped, and why');
    for (const { name, reason } of total.skipped) say(`  ${name}: ${reason}`);
  }
  if (total.failures.length > 0) {
    say('\n== failed');
    for (const { name, file, detail } of total.failures)
      say(`  ${name}  [${file}]\n${indent(detail.split('\n').slice(0, 12).join('\n'), 6)}`);
  }
  say(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped.length} skipped`);
}

function indent(text, width) {
  return text.replace(/^/gm, ' '.repeat(width));
}

function say(text) {
  process.stdout.write(`${text}\n`);
}

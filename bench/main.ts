// What `npm run bench` runs: every benchmark, one after another, and one report of all. `--runs N` and `--seconds S` are passed on to those that take
// turns; `--only NAME` (may be repeated) runs some, `--list` names them; `--report FILE` writes the report as Markdown. Needs root on Linux;
// what a machine lacks (strongSwan, wireguard-go, OpenVPN, nft) is left out and named. Ends with an error if one of them did.

import { type ChildProcess, fork } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { removeStaleNamespaces } from '../lab/namespaces.ts';
import { describeMachine, describePrograms } from './measure.ts';
import { goalsText, type Section, sectionText } from './report.ts';

/** In order; `takesTurns`: several runs of several contenders, so that runs and their length can be chosen. */
const BENCHMARKS = [
  { name: 'throughput', takesTurns: true },
  { name: 'small-packets', takesTurns: true },
  { name: 'latency', takesTurns: true },
  { name: 'loss', takesTurns: true },
  { name: 'tunnels', takesTurns: true },
  { name: 'packet-loop', takesTurns: true },
  { name: 'transfers', takesTurns: false },
  { name: 'primitives', takesTurns: false },
  { name: 'handshakes', takesTurns: true },
  { name: 'memory', takesTurns: false },
  { name: 'config', takesTurns: false },
] as const;

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '5' },
    seconds: { type: 'string' },
    only: { type: 'string', multiple: true },
    list: { type: 'boolean' },
    report: { type: 'string' },
  },
});
const turns = (['runs', 'seconds'] as const).flatMap((name) => (values[name] ? [`--${name}`, values[name]] : []));
const machine = `${new Date().toISOString().slice(0, 10)}; ${describeMachine()}; ${describePrograms()}`;
const sections: Section[] = [];
const failed: string[] = [];
/** Whatever the benchmarks put down, however they end. */
const scratch = mkdtempSync(join(tmpdir(), 'sallyport-bench-'));
let running: ChildProcess | undefined;
let isInterrupted = false;

if (values.list) for (const { name } of BENCHMARKS) console.log(name);
else await runAll();
rmSync(scratch, { recursive: true, force: true });

async function runAll(): Promise<void> {
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => {
      isInterrupted = true;
      running?.kill('SIGKILL');
    });
  console.log(machine);
  for (const { name, takesTurns } of BENCHMARKS) {
    if (isInterrupted || !(values.only?.includes(name) ?? true)) continue;
    console.log(`\n=== ${name}`);
    const startedAt = performance.now();
    if (!(await runOne(name, takesTurns ? turns : []))) failed.push(name);
    console.log(`=== ${name}: ${((performance.now() - startedAt) / 1000).toFixed(0)} s`);
    // After each, so that one that hangs takes only its own figures along.
    if (values.report !== undefined) writeFileSync(values.report, report());
  }
  console.log(`\n${report()}`);
  if (failed.length > 0) {
    console.log(`failed: ${failed.join(', ')}`);
    process.exitCode = 1;
  }
}

/** Whether it ended well. One that hands over no section has its output in the report as it is. */
function runOne(name: string, args: readonly string[]): Promise<boolean> {
  const script = new URL(`./${name}.js`, import.meta.url).pathname;
  const options = { execArgv: ['--enable-source-maps'], silent: true, env: { ...process.env, TMPDIR: scratch } };
  const child = fork(script, [...args], options);
  running = child;
  let [output, hasSection] = ['', false];
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    process.stdout.write(text);
    output += text;
  });
  child.stderr?.pipe(process.stderr);
  child.on('message', (message) => {
    if (!isSection(message)) return;
    sections.push(message);
    hasSection = true;
  });
  // Whatever ended it: nothing of it stays.
  child.once('exit', () => removeStaleNamespaces());
  return new Promise((resolve) => {
    child.once('close', (status) => {
      if (!hasSection) sections.push({ title: name, tables: [], goals: [], notes: ['```', output.trim(), '```'] });
      resolve(status === 0);
    });
  });
}

function isSection(message: unknown): message is Section {
  return typeof message === 'object' && message !== null && 'tables' in message && 'goals' in message;
}

function report(): string {
  const goals = sections.flatMap((section) => section.goals);
  const summary = goals.length === 0 ? '' : `### Goals\n\n${goalsText(goals)}\n`;
  const omissions = failed.length === 0 ? '' : `Failed: ${failed.join(', ')}.\n\n`;
  return `## Figures\n\n${machine}. Median (lowest to highest); a ratio is one of figures of the same run.\n\n${omissions}${summary}${sections.map(sectionText).join('\n')}`;
}

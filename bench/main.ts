// What `npm run bench` runs: every benchmark, one after another. `--runs N` and `--seconds S` are passed on to those that take turns;
// `--only NAME` (may be repeated) runs some. Needs root on Linux; what a machine lacks (strongSwan, wireguard-go, OpenVPN, nft) is left out
// and named. Ends with an error if one of them did.

import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';

/** In order; `takesTurns`: several runs of several contenders, so that runs and their length can be chosen. */
const BENCHMARKS = [
  { name: 'primitives', takesTurns: false },
  { name: 'packet-loop', takesTurns: false },
  { name: 'throughput', takesTurns: true },
  { name: 'small-packets', takesTurns: true },
  { name: 'latency', takesTurns: false },
  { name: 'loss', takesTurns: true },
  { name: 'tunnels', takesTurns: true },
  { name: 'handshakes', takesTurns: true },
  { name: 'memory', takesTurns: false },
  { name: 'config', takesTurns: false },
] as const;

const { values } = parseArgs({
  options: { runs: { type: 'string' }, seconds: { type: 'string' }, only: { type: 'string', multiple: true } },
});
const turns = (['runs', 'seconds'] as const).flatMap((name) => (values[name] ? [`--${name}`, values[name]] : []));
const failed: string[] = [];
for (const { name, takesTurns } of BENCHMARKS) {
  if (!(values.only?.includes(name) ?? true)) continue;
  console.log(`\n=== ${name}`);
  const script = new URL(`./${name}.js`, import.meta.url).pathname;
  const args = ['--enable-source-maps', script, ...(takesTurns ? turns : [])];
  if (spawnSync(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'] }).status !== 0) failed.push(name);
}
if (failed.length > 0) {
  console.log(`\nfailed: ${failed.join(', ')}`);
  process.exitCode = 1;
}

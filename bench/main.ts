// What `npm run bench` runs: every benchmark, one after another. Parameters are passed on to each (`--runs N`). Needs root on Linux; what a
// machine lacks (strongSwan, wireguard-go, OpenVPN, nft) is left out and named.

import { spawnSync } from 'node:child_process';

const BENCHMARKS = ['packet-loop', 'throughput', 'small-packets', 'latency', 'loss', 'tunnels'];

for (const name of BENCHMARKS) {
  console.log(`\n=== ${name}`);
  const script = new URL(`./${name}.js`, import.meta.url).pathname;
  spawnSync(process.execPath, ['--enable-source-maps', script, ...process.argv.slice(2)], {
    stdio: ['ignore', 'inherit', 'ignore'],
  });
}

// Many tunnels at once: as many TCP flows through 1, 100 and 1,000 tunnels, each with its own SAs and device, against the same number of
// flows through one. `node dist/bench/tunnels.js [--runs N] [--seconds S]`; needs root.

import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { joinedNamespaces } from '../src/host/packet-engine/keyed-pair.fixture.ts';
import { sallyport, tunnelPeer } from './contenders.ts';
import { describeMachine, spreadOf } from './measure.ts';

const { values } = parseArgs({ options: { runs: { type: 'string' }, seconds: { type: 'string' } } });
const RUNS = Number(values.runs ?? 5);
const SECONDS = Number(values.seconds ?? 5);
const COUNTS = [1, 100, 1000];
const flows = new URL('./flows.js', import.meta.url).pathname;

console.log(`${new Date().toISOString().slice(0, 10)}; ${describeMachine()}; ${RUNS} runs of ${SECONDS} s, in turns`);
const results = new Map<string, number[]>();
for (let run = 0; run < RUNS; run++)
  for (const count of COUNTS)
    for (const tunnels of new Set([1, count])) {
      const name = `${count} flows through ${tunnels} ${tunnels === 1 ? 'tunnel' : 'tunnels'}`;
      const bits = await measure(count, tunnels);
      results.set(name, [...(results.get(name) ?? []), bits]);
      console.log(`${name}: ${(bits / 1e9).toFixed(2)} Gbit/s`);
    }
console.log('\nTCP: Gbit/s of all flows, median (lowest to highest)');
for (const [name, bits] of results) {
  const { median, lowest, highest } = spreadOf(bits.map((value) => value / 1e9));
  console.log(`  ${name.padEnd(36)} ${median.toFixed(2)} (${lowest.toFixed(2)} to ${highest.toFixed(2)})`);
}

async function measure(flowCount: number, tunnelCount: number): Promise<number> {
  const namespaces = joinedNamespaces('bench');
  try {
    const tunnel = await sallyport('aes-256-gcm', 'none', tunnelCount).start(namespaces);
    const server = namespaces.spawn('b', process.execPath, [flows, 'serve'], { stdio: ['pipe', 'pipe', 'inherit'] });
    const answers = linesOf(server);
    await answers.next();
    const octets = async (): Promise<number> => {
      server.stdin?.write('\n');
      return Number((await answers.next()).value);
    };
    const peers = Array.from({ length: flowCount }, (_, index) => tunnelPeer(index % tunnelCount)).join(',');
    const client = namespaces.spawn('a', process.execPath, [flows, 'send', peers], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await linesOf(client).next();
    // The first second is for the flows to find their rates.
    await sleep(1000);
    const [before, startedAt] = [await octets(), performance.now()];
    await sleep(SECONDS * 1000);
    const bits = (((await octets()) - before) * 8000) / (performance.now() - startedAt);
    client.kill();
    server.kill();
    await tunnel.stop();
    return bits;
  } finally {
    namespaces.remove();
  }
}

function linesOf(child: ChildProcess): AsyncIterator<string> {
  if (!child.stdout) throw new Error('the program has no output');
  return createInterface({ input: child.stdout })[Symbol.asyncIterator]();
}

// Small packets: UDP payloads of 64 octets through one tunnel. Delivered when flooded, and the highest rate with less than 0.1 % lost.
// `node dist/bench/small-packets.js [--runs N] [--seconds S]`; needs root.

import { parseArgs } from 'node:util';
import type { Namespaces } from '../lab/namespaces.ts';
import { joinedNamespaces } from '../src/host/packet-engine/keyed-pair.fixture.ts';
import { type Contender, RAW_VETH, sallyport, strongSwan, WIREGUARD_GO } from './contenders.ts';
import { describeMachine, measureUdp, spreadOf } from './measure.ts';

const { values } = parseArgs({
  options: { runs: { type: 'string' }, seconds: { type: 'string' }, only: { type: 'string' } },
});
const RUNS = Number(values.runs ?? 5);
const SECONDS = Number(values.seconds ?? 3);
const LENGTH = 64;
const LOSS_MAX = 0.001;
const STEPS = 6;
const CONTENDERS: readonly Contender[] = [
  RAW_VETH,
  strongSwan('aes256gcm16-modp2048'),
  sallyport('aes-256-gcm', 'none'),
  WIREGUARD_GO,
];

console.log(`${new Date().toISOString().slice(0, 10)}; ${describeMachine()}; ${RUNS} runs of ${SECONDS} s, in turns`);
const flooded = new Map<string, number[]>();
const lossless = new Map<string, number[]>();
for (let run = 0; run < RUNS; run++) for (const contender of CONTENDERS) await measure(contender);
print('delivered when flooded', flooded);
print('highest rate with less than 0.1 % lost', lossless);

async function measure(contender: Contender): Promise<void> {
  if (values.only !== undefined && !contender.name.includes(values.only)) return;
  const obstacle = contender.whyNot();
  if (obstacle !== undefined) return console.log(`${contender.name}: left out, ${obstacle}`);
  const namespaces = joinedNamespaces('bench');
  try {
    const tunnel = await contender.start(namespaces);
    await measureUdp(namespaces, tunnel.peer, 1, LENGTH, 0);
    const flood = await measureUdp(namespaces, tunnel.peer, SECONDS, LENGTH, 0);
    const best = await searchLossless(namespaces, tunnel.peer, flood.packetsPerSecond);
    flooded.set(contender.name, [...(flooded.get(contender.name) ?? []), flood.packetsPerSecond]);
    lossless.set(contender.name, [...(lossless.get(contender.name) ?? []), best]);
    console.log(`${contender.name}: ${flood.packetsPerSecond.toFixed(0)} flooded, ${best.toFixed(0)} without loss`);
    await tunnel.stop();
  } catch (error) {
    console.log(`${contender.name}: ${error instanceof Error ? error.message : String(error)}`);
  } finally {
    namespaces.remove();
  }
}

/** Halves the interval in which the highest rate without loss lies. */
async function searchLossless(namespaces: Namespaces, peer: string, start: number): Promise<number> {
  let [low, high, best] = [0, start * 2, 0];
  for (let step = 0; step < STEPS; step++) {
    const rate = (low + high) / 2;
    const { packetsPerSecond, lossShare } = await measureUdp(namespaces, peer, SECONDS, LENGTH, rate * LENGTH * 8);
    if (lossShare < LOSS_MAX) {
      best = Math.max(best, packetsPerSecond);
      low = rate;
    } else high = rate;
  }
  return best;
}

function print(what: string, results: ReadonlyMap<string, readonly number[]>): void {
  console.log(`\nUDP, ${LENGTH} octets, ${what}: packets a second, median (lowest to highest)`);
  for (const [name, rates] of results) {
    const { median, lowest, highest } = spreadOf(rates);
    console.log(`  ${name.padEnd(52)} ${median.toFixed(0)} (${lowest.toFixed(0)} to ${highest.toFixed(0)})`);
  }
}

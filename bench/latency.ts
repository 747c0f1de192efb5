// Round-trip times through one tunnel, idle and beside a TCP stream at full speed, and what idleness costs.
// `node dist/bench/latency.js [--runs N]`; needs root.

import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { joinedNamespaces } from '../src/host/packet-engine/keyed-pair.fixture.ts';
import { type Contender, RAW_VETH, sallyport, strongSwan, WIREGUARD_GO } from './contenders.ts';
import { describeMachine, measurePing, measureTcp, spreadOf } from './measure.ts';

const { values } = parseArgs({ options: { runs: { type: 'string' }, only: { type: 'string' } } });
const RUNS = Number(values.runs ?? 5);
const PINGS = 60;
const LOAD_SECONDS = 6;
const IDLE_SECONDS = 5;
const CONTENDERS: readonly Contender[] = [
  RAW_VETH,
  strongSwan('aes256gcm16-modp2048'),
  sallyport('aes-256-gcm', 'none'),
  WIREGUARD_GO,
];

console.log(`${new Date().toISOString().slice(0, 10)}; ${describeMachine()}; ${RUNS} runs, in turns`);
const idle = new Map<string, number[]>();
const loaded = new Map<string, number[]>();
for (let run = 0; run < RUNS; run++) for (const contender of CONTENDERS) await measure(contender);
print('idle', idle);
print('beside a TCP stream', loaded);

async function measure(contender: Contender): Promise<void> {
  if (values.only !== undefined && !contender.name.includes(values.only)) return;
  const obstacle = contender.whyNot();
  if (obstacle !== undefined) return console.log(`${contender.name}: left out, ${obstacle}`);
  const namespaces = joinedNamespaces('bench');
  try {
    const tunnel = await contender.start(namespaces);
    await measurePing(namespaces, tunnel.peer, 10);
    const quiet = await measurePing(namespaces, tunnel.peer, PINGS);
    const load = measureTcp(namespaces, tunnel.peer, LOAD_SECONDS, 1, false);
    await sleep(1500);
    const busy = await measurePing(namespaces, tunnel.peer, PINGS);
    await load;
    await sleep(500);
    const before = switchesOf(tunnel.processIds);
    await sleep(IDLE_SECONDS * 1000);
    const wakeUps = (switchesOf(tunnel.processIds) - before) / IDLE_SECONDS;
    idle.set(contender.name, [...(idle.get(contender.name) ?? []), quiet.average]);
    loaded.set(contender.name, [...(loaded.get(contender.name) ?? []), busy.average]);
    const cost = tunnel.processIds.length === 0 ? '' : `; ${wakeUps.toFixed(1)} wake-ups a second when idle, both ends`;
    console.log(
      `${contender.name}: ${quiet.average} ms idle, ${busy.average} (at most ${busy.maximum}) ms loaded${cost}`,
    );
    await tunnel.stop();
  } catch (error) {
    console.log(`${contender.name}: ${error instanceof Error ? error.message : String(error)}`);
  } finally {
    namespaces.remove();
  }
}

/** How often the threads of these processes have gone to sleep by themselves, which is how often they were awake. */
function switchesOf(processIds: readonly number[]): number {
  let total = 0;
  for (const id of processIds)
    for (const task of readdirSync(`/proc/${id}/task`)) {
      const status = readFileSync(`/proc/${id}/task/${task}/status`, 'utf8');
      total += Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(status)?.[1] ?? 0);
    }
  return total;
}

function print(what: string, results: ReadonlyMap<string, readonly number[]>): void {
  console.log(`\nRound-trip time, ${what}: ms, median (lowest to highest)`);
  for (const [name, times] of results) {
    const { median, lowest, highest } = spreadOf(times);
    console.log(`  ${name.padEnd(52)} ${median.toFixed(3)} (${lowest.toFixed(3)} to ${highest.toFixed(3)})`);
  }
}

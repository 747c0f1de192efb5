// Main Mode and Quick Mode handshakes: how many a second one processor core answers. First with both sides in this process, then
// `sallyport run` and strongSwan's charon as processes, driven by the same initiators in one run. Run by `npm run bench`; prints tables.
// Options of Node go on to `sallyport run`: with --cpu-prof --cpu-prof-dir=DIR each of its threads leaves a profile.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Namespaces, removeStaleNamespaces, whyNoNamespaces } from '../lab/namespaces.ts';
import { type BenchGroup, PEER_NETWORK } from './handshakes-configuration.ts';
import { measureInProcess } from './handshakes-in-process.ts';
import type { LoadRequest, LoadRound } from './handshakes-load.ts';
import { type Responder, startCharon, startSallyport, type Tuning, whyNoCharon } from './handshakes-responders.ts';
import { describeMachine, spreadOf } from './measure.ts';

const GROUPS: readonly BenchGroup[] = ['group14', 'group19'];
const TUNINGS: readonly Tuning[] = ['as it comes', 'tuned'];
/** Until Node has compiled what matters: some 2,500 handshakes. */
const WARM_UP_COUNT = 10;
const LOAD = fileURLToPath(new URL('./handshakes-load.js', import.meta.url));

const { values } = parseArgs({
  options: {
    peers: { type: 'string', default: '250' },
    runs: { type: 'string', default: '7' },
    group: { type: 'string', multiple: true },
    'without-charon': { type: 'boolean', default: false },
    // The runner gives the same parameters to every benchmark; this one means nothing here.
    seconds: { type: 'string' },
  },
});
const groups = GROUPS.filter((group) => values.group?.includes(group) ?? true);
const peerCount = Number(values.peers);
const roundCount = Number(values.runs);

console.log(describeMachine());
console.log(`Main Mode and Quick Mode as responder, pre-shared key, AES-128, SHA-256, no PFS; ${peerCount} peers`);
for (const group of groups) benchInProcess(group);
const obstacle = whyNoNamespaces();
const charonObstacle = values['without-charon'] ? 'not asked for' : whyNoCharon();
if (obstacle !== undefined) console.log(`processes are not measured: ${obstacle}`);
if (charonObstacle !== undefined) console.log(`charon is not measured: ${charonObstacle}`);
if (obstacle === undefined) for (const group of groups) await benchProcesses(group);

function benchInProcess(group: BenchGroup): void {
  const rounds = measureInProcess(group, peerCount, roundCount);
  const responder = rounds.map((round) => round.responder);
  const computing = rounds.map((round) => round.computing / round.responder);
  console.log(
    `${group}, both sides in this process: ${describe(responder)}; ${(spreadOf(computing).median * 100).toFixed(0)} % Diffie-Hellman`,
  );
}

async function benchProcesses(group: BenchGroup): Promise<void> {
  removeStaleNamespaces();
  const namespaces = new Namespaces('handshakes');
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-bench-'));
  try {
    namespaces.add('load');
    // Every peer's address is an address of this namespace.
    namespaces.ip('load', 'route', 'add', 'local', PEER_NETWORK, 'dev', 'lo');
    const place = { namespaces, folder, group, peerCount };
    const responders: Responder[] = [];
    for (const tuning of TUNINGS) {
      responders.push(await startSallyport(place, responders.length, tuning));
      if (charonObstacle === undefined) responders.push(await startCharon(place, responders.length, tuning));
    }
    const request: LoadRequest = { group, peerCount, roundCount: WARM_UP_COUNT + roundCount, responders };
    report(group, responders, runLoad(namespaces, request));
    for (const responder of responders) await responder.stop();
  } finally {
    namespaces.remove();
    rmSync(folder, { recursive: true, force: true });
  }
}

function runLoad(namespaces: Namespaces, request: LoadRequest): readonly LoadRound[] {
  const args = ['netns', 'exec', namespaces.fullName('load'), process.execPath, LOAD, JSON.stringify(request)];
  const done = spawnSync('ip', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  if (done.status !== 0) throw new Error('the initiators gave up');
  return JSON.parse(done.stdout);
}

function report(group: BenchGroup, responders: readonly Responder[], rounds: readonly LoadRound[]): void {
  const timesOf = ({ name }: Responder): readonly number[] =>
    rounds.filter(({ responder }) => responder === name).map(({ processor }) => processor);
  for (const responder of responders) {
    const [first = Number.NaN] = timesOf(responder);
    const times = timesOf(responder).slice(WARM_UP_COUNT);
    console.log(`${group}, ${responder.name}: ${describe(times)}; ${(1000 / first).toFixed(0)} right after the start`);
    const rival = responders.find((other) => other !== responder && other.tuning === responder.tuning);
    if (rival === undefined || responder.program !== 'sallyport') continue;
    // Round by round, since they were run by turns: whatever slows the machine down slows both.
    const rivals = timesOf(rival).slice(WARM_UP_COUNT);
    const ratios = spreadOf(times.map((time, round) => (rivals[round] ?? Number.NaN) / time));
    const [median, lowest, highest] = [ratios.median, ratios.lowest, ratios.highest].map((ratio) => ratio.toFixed(2));
    console.log(
      `${group}, ${responder.tuning}: sallyport answers ${median} (${lowest} to ${highest}) times as many as charon`,
    );
  }
}

/** From milliseconds of one core for each handshake. */
function describe(milliseconds: readonly number[]): string {
  const { median, lowest, highest } = spreadOf(milliseconds.map((time) => 1000 / time));
  return `${median.toFixed(0)} handshakes a second and core (${lowest.toFixed(0)} to ${highest.toFixed(0)})`;
}

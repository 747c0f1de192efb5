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
import { type Responder, startCharon, startSallyport, whyNoCharon } from './handshakes-responders.ts';

const GROUPS: readonly BenchGroup[] = ['group14', 'group19'];
const WARM_UP_COUNT = 3;
const LOAD = fileURLToPath(new URL('./handshakes-load.js', import.meta.url));

const { values } = parseArgs({
  options: {
    peers: { type: 'string', default: '250' },
    rounds: { type: 'string', default: '7' },
    group: { type: 'string', multiple: true },
    'without-charon': { type: 'boolean', default: false },
  },
});
const groups = GROUPS.filter((group) => values.group?.includes(group) ?? true);
const peerCount = Number(values.peers);
const roundCount = Number(values.rounds);

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
    `${group}, both sides in this process: ${describe(responder)}; ${percent(median(computing))} Diffie-Hellman`,
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
    const responders = [await startSallyport(place, 0)];
    if (charonObstacle === undefined) {
      responders.push(await startCharon(place, 1, 'as-it-comes'), await startCharon(place, 2, 'tuned'));
    }
    const request: LoadRequest = { group, peerCount, warmUpCount: WARM_UP_COUNT, roundCount, responders };
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
  const times = responders.map(({ name }) => rounds.filter(({ responder }) => responder === name));
  const ours = times[0] ?? [];
  for (const [index, { name }] of responders.entries()) {
    const own = times[index] ?? [];
    // Round by round, since they were run by turns: whatever slows the machine down slows both.
    const ratios = own.map(({ processor }, round) => processor / (ours[round]?.processor ?? Number.NaN));
    const ratio = index === 0 ? '' : `; sallyport answers ${spread(ratios)} times as many`;
    console.log(`${group}, ${name}: ${describe(own.map(({ processor }) => processor))}${ratio}`);
  }
}

/** From milliseconds of one core for each handshake. */
function describe(milliseconds: readonly number[]): string {
  const rates = milliseconds.map((time) => 1000 / time);
  const best = Math.round(Math.max(...rates));
  return `${Math.round(median(rates))} handshakes a second and core (${Math.round(Math.min(...rates))} to ${best})`;
}

function spread(ratios: readonly number[]): string {
  return `${median(ratios).toFixed(2)} (${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)})`;
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

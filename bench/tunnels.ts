// Many tunnels at once: as many TCP flows through 1, 100 and 1,000 tunnels, each with its own SAs and device, against the same number of
// flows through one. `node dist/bench/tunnels.js [--runs N] [--seconds S]`; needs root.

import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { sallyport, tunnelPeer } from './contenders.ts';
import { type Goal, spreadText, submit, verdict } from './report.ts';
import { type Results, type Turn, takeTurns } from './turns.ts';

const { values } = parseArgs({ options: { runs: { type: 'string' }, seconds: { type: 'string' } } });
const RUNS = Number(values.runs ?? 5);
const SECONDS = Number(values.seconds ?? 2);
const COUNTS = [1, 100, 1000];
/** Within a fifth of what one tunnel carries. */
const SHARE_MIN = 0.8;
const GIGA = 1e-9;
/** Milliseconds. */
const SETTLING = 2000;
const flows = new URL('./flows.js', import.meta.url).pathname;

/** Each with as many tunnels as its place in the list says. */
const CONTENDERS = COUNTS.map((count) => {
  const contender = sallyport('aes-256-gcm', 'none', count);
  return { ...contender, name: `${count} tunnels`, title: count === 1 ? 'one tunnel' : `${count} tunnels` };
});
const [ONE] = CONTENDERS;

const results = await takeTurns(CONTENDERS, RUNS, undefined, measure);
submit({
  title: 'Many tunnels',
  tables: [
    {
      columns: ['Sallyport, TCP, Gbit/s of all flows', ...COUNTS.map(flowsName)],
      rows: CONTENDERS.map(({ title, name }) => [
        title,
        ...COUNTS.map((count) => results.cell(name, flowsName(count), 2, GIGA)),
      ]),
    },
  ],
  goals: CONTENDERS.slice(1).flatMap(({ name }, index) => goal(results, name, COUNTS[index + 1] ?? 0)),
  notes: [`${RUNS} runs of ${SECONDS} s, in turns.`, ...results.omissions],
});

/** One tunnel carries each number of flows, many tunnels carry one each. */
async function measure({ contender, namespaces, record }: Turn): Promise<void> {
  const tunnelCount = COUNTS[CONTENDERS.findIndex(({ name }) => name === contender.name)] ?? 1;
  const server = namespaces.spawn('b', process.execPath, [flows, 'serve'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const answers = linesOf(server);
  await answers.next();
  const octets = async (): Promise<number> => {
    server.stdin?.write('\n');
    return Number((await answers.next()).value);
  };
  for (const flowCount of tunnelCount === 1 ? COUNTS : [tunnelCount]) {
    const peers = Array.from({ length: flowCount }, (_, index) => tunnelPeer(index % tunnelCount)).join(',');
    const client = namespaces.spawn('a', process.execPath, [flows, 'send', peers], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await linesOf(client).next();
    // For the flows to find their rates.
    await sleep(SETTLING);
    const [before, startedAt] = [await octets(), performance.now()];
    await sleep(SECONDS * 1000);
    record(flowsName(flowCount), (((await octets()) - before) * 8000) / (performance.now() - startedAt));
    client.kill();
    await sleep(500);
  }
  server.kill();
}

function flowsName(count: number): string {
  return count === 1 ? 'one flow' : `${count} flows`;
}

function goal(from: Results, name: string, count: number): readonly Goal[] {
  const ratio = ONE && from.ratio(name, ONE.name, flowsName(count));
  if (!ratio) return [];
  const what = `${count} flows, each through a tunnel of its own, beside as many through one`;
  return [
    { what, found: spreadText(ratio, 2), wanted: `${SHARE_MIN} at least`, verdict: verdict(ratio.median >= SHARE_MIN) },
  ];
}

function linesOf(child: ChildProcess): AsyncIterator<string> {
  if (!child.stdout) throw new Error('the program has no output');
  return createInterface({ input: child.stdout })[Symbol.asyncIterator]();
}

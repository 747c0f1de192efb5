// Round-trip times through one tunnel, idle and beside a TCP stream at full speed, what idleness costs, and how late the control thread is
// at full load. `node dist/bench/latency.js [--runs N] [--seconds S] [--only NAME]`; needs root, ping and iperf3.

import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { RAW_VETH, sallyport, strongSwan } from './contenders.ts';
import { measurePings, measureTcp, quantile, startTcpServer } from './measure.ts';
import { type Goal, spreadText, submit, verdict } from './report.ts';
import { engineThread, type Thread, threadsOf } from './threads.ts';
import { type Turn, takeTurns } from './turns.ts';

const { values } = parseArgs({
  options: { runs: { type: 'string' }, seconds: { type: 'string' }, only: { type: 'string' } },
});
const RUNS = Number(values.runs ?? 5);
/** Of each series of pings, of the load, and of idleness. */
const SECONDS = Number(values.seconds ?? 2);
/** Milliseconds between pings. */
const INTERVALS = [200, 50, 5, 1];
const LOADED_INTERVAL = 20;
const LOAD_STARTS_IN = 500;

const LOADED = { median: 'loaded, median', late: 'loaded, 99 %', highest: 'loaded, longest' };
const IDLE = { engine: 'wake-ups of the engine', all: 'wake-ups of all threads' };
const DELAY = { mean: 'control thread late, mean', highest: 'control thread late, longest' };
const CHARON = strongSwan('aes256gcm16-modp2048');
const OURS = sallyport('aes-256-gcm', 'none');
const CONTENDERS = [RAW_VETH, CHARON, OURS];

const results = await takeTurns(CONTENDERS, RUNS, values.only, measure);
const figures = [...INTERVALS.map(idleName), LOADED.median, LOADED.late, LOADED.highest];
submit({
  title: 'Round-trip times, idleness, and the control thread',
  tables: [
    {
      columns: ['round-trip time, ms', ...figures],
      rows: CONTENDERS.map(({ title, name }) => [title, ...figures.map((figure) => results.cell(name, figure, 3))]),
    },
    {
      columns: ['Sallyport, the gateway that has more of it', ''],
      rows: [
        ['wake-ups of the engine’s thread a second, an idle tunnel being up', results.cell(OURS.name, IDLE.engine, 2)],
        ['wake-ups of all threads of the process a second', results.cell(OURS.name, IDLE.all, 2)],
        ['control thread late beside a TCP stream, mean, ms', results.cell(OURS.name, DELAY.mean, 2)],
        ['control thread late beside a TCP stream, longest, ms', results.cell(OURS.name, DELAY.highest, 2)],
      ],
    },
  ],
  goals: [...INTERVALS.flatMap(idleGoal), ...loadGoals(), ...idlenessGoal()],
  notes: [
    `${RUNS} runs; series of pings of ${SECONDS} s, in turns: the median of each series, or what is said. Idle: with this long between two pings; loaded: beside one TCP stream, a ping each ${LOADED_INTERVAL} ms.`,
    ...results.omissions,
  ],
});

async function measure({ namespaces, tunnel, record }: Turn): Promise<void> {
  await startTcpServer(namespaces);
  await measureTcp(namespaces, tunnel.peer, 1);
  await sleep(1000);
  const before = tunnel.processIds.map(threadsOf);
  await sleep(SECONDS * 1000);
  const wakeUps = before.map((threads) => wakeUpsSince(threads));
  if (wakeUps.length > 0) {
    record(IDLE.engine, Math.max(...wakeUps.map(({ engine }) => engine)));
    record(IDLE.all, Math.max(...wakeUps.map(({ all }) => all)));
  }
  for (const interval of INTERVALS) {
    const times = await measurePings(namespaces, tunnel.peer, Math.ceil((SECONDS * 1000) / interval), interval);
    record(idleName(interval), quantile(times, 0.5));
  }
  // From the first call on, the control threads are watched.
  await tunnel.controlDelays?.();
  const load = measureTcp(namespaces, tunnel.peer, SECONDS + 1);
  await sleep(LOAD_STARTS_IN);
  await tunnel.controlDelays?.();
  const count = Math.ceil((SECONDS * 1000) / LOADED_INTERVAL);
  const times = await measurePings(namespaces, tunnel.peer, count, LOADED_INTERVAL);
  const delays = (await tunnel.controlDelays?.()) ?? [];
  await load;
  record(LOADED.median, quantile(times, 0.5));
  record(LOADED.late, quantile(times, 0.99));
  record(LOADED.highest, quantile(times, 1));
  if (delays.length > 0) {
    record(DELAY.mean, Math.max(...delays.map(({ mean }) => mean)));
    record(DELAY.highest, Math.max(...delays.map(({ highest }) => highest)));
  }
}

/** A second, in the seconds of idleness that have just passed. */
function wakeUpsSince(threads: readonly Thread[]): { readonly engine: number; readonly all: number } {
  const countOf = (thread: Thread) => (thread.wakeUps() - thread.wakeUpsBefore) / SECONDS;
  const engine = engineThread(threads);
  return {
    engine: engine ? countOf(engine) : Number.NaN,
    all: threads.reduce((sum, thread) => sum + countOf(thread), 0),
  };
}

function idleName(interval: number): string {
  return `idle, each ${interval} ms`;
}

function idleGoal(interval: number): readonly Goal[] {
  const ratio = results.ratio(OURS.name, CHARON.name, idleName(interval));
  if (!ratio) return [];
  const what = `round-trip time, ${idleName(interval)}, beside strongSwan`;
  return [{ what, found: spreadText(ratio, 2), wanted: 'half', verdict: verdict(ratio.median <= 0.5) }];
}

function loadGoals(): readonly Goal[] {
  const ratio = results.ratio(OURS.name, CHARON.name, LOADED.median);
  const longest = results.spread(OURS.name, LOADED.highest);
  if (!ratio || !longest) return [];
  return [
    { what: 'round-trip time beside a TCP stream, beside strongSwan', found: spreadText(ratio, 2), wanted: '' },
    { what: 'round-trip time beside a TCP stream, longest', found: `${spreadText(longest, 1)} ms`, wanted: 'bounded' },
  ];
}

function idlenessGoal(): readonly Goal[] {
  const spread = results.spread(OURS.name, IDLE.engine);
  if (!spread) return [];
  const what = 'wake-ups of the engine’s thread when idle';
  return [
    {
      what,
      found: `${spreadText(spread, 2)} a second`,
      wanted: '0 beyond timers',
      verdict: verdict(spread.median === 0),
    },
  ];
}

// TCP through one tunnel while packets between the gateways are lost or overtaken: goodput beside strongSwan's.
// `node dist/bench/loss.js [--runs N] [--seconds S] [--only NAME]`; needs root, iperf3, ethtool and nft.

import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import type { Namespaces } from '../lab/namespaces.ts';
import { sallyport, strongSwan } from './contenders.ts';
import { measureTcp, startTcpServer } from './measure.ts';
import { type Goal, spreadText, submit } from './report.ts';
import { type Turn, takeTurns } from './turns.ts';

const { values } = parseArgs({
  options: { runs: { type: 'string' }, seconds: { type: 'string' }, only: { type: 'string' } },
});
const RUNS = Number(values.runs ?? 5);
const SECONDS = Number(values.seconds ?? 2);
const WARM_UP_SECONDS = 1;
const GIGA = 1e-9;
const MARK = '0x5a';
const SIDES = ['a', 'b'] as const;
const delayer = new URL('./delayer.js', import.meta.url).pathname;

const NOTHING = 'nothing lost';
const WAYS: readonly { readonly name: string; readonly rule: string }[] = [
  { name: NOTHING, rule: '' },
  { name: 'one packet in 1,000 lost', rule: 'numgen random mod 1000 0 drop' },
  { name: 'one packet in 100 lost', rule: 'numgen random mod 100 0 drop' },
  { name: 'one packet in 100 overtaken', rule: `numgen random mod 100 0 meta mark set ${MARK}` },
];
const CHARON = strongSwan('aes256gcm16-modp2048');
const OURS = sallyport('aes-256-gcm', 'none');
const CONTENDERS = [CHARON, OURS];

const results = await takeTurns(CONTENDERS, RUNS, values.only, measure);
submit({
  title: 'Loss and reordering',
  tables: [
    {
      columns: ['TCP, one stream, Gbit/s', ...WAYS.map(({ name }) => name)],
      rows: CONTENDERS.map(({ title, name }) => [title, ...WAYS.map((way) => results.cell(name, way.name, 3, GIGA))]),
    },
  ],
  goals: WAYS.filter(({ name }) => name !== NOTHING).flatMap(({ name }) => goal(name)),
  notes: [
    `${RUNS} runs of ${SECONDS} s, in turns; tx-udp-segmentation off, so that a loss takes one packet and not a whole message of 45. Both ways alike; an overtaken packet comes 1 to 3 ms late.`,
    ...results.omissions,
  ],
});

async function measure({ namespaces, tunnel, record }: Turn): Promise<void> {
  await startTcpServer(namespaces);
  const delayers: ChildProcess[] = [];
  for (const side of SIDES) {
    mustRun(namespaces, side, 'ethtool', '-K', 'wire', 'tx-udp-segmentation', 'off');
    delayers.push(await startDelayer(namespaces, side));
  }
  await measureTcp(namespaces, tunnel.peer, WARM_UP_SECONDS);
  for (const { name, rule } of WAYS) {
    for (const side of SIDES) setRule(namespaces, side, rule);
    record(name, await measureTcp(namespaces, tunnel.peer, SECONDS));
  }
  for (const child of delayers) child.kill();
}

/** What is marked leaves this host's own way, through a device whose program gives it back a little later. */
async function startDelayer(namespaces: Namespaces, side: string): Promise<ChildProcess> {
  const child = namespaces.spawn(side, process.execPath, ['--enable-source-maps', delayer, 'late'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (child.stdout) await once(child.stdout, 'data');
  namespaces.ip(side, 'link', 'set', 'late', 'mtu', '9000', 'up');
  namespaces.enableForwarding(side);
  // Before the table of local addresses, which would otherwise have it at once.
  namespaces.ip(side, 'rule', 'add', 'priority', '1', 'lookup', 'local');
  namespaces.ip(side, 'rule', 'delete', 'priority', '0');
  namespaces.ip(side, 'rule', 'add', 'priority', '0', 'fwmark', MARK, 'lookup', '77');
  namespaces.ip(side, 'route', 'add', 'default', 'dev', 'late', 'table', '77');
  return child;
}

function setRule(namespaces: Namespaces, side: string, rule: string): void {
  const chain = `chain input { type filter hook prerouting priority -300; ${rule && `iif wire meta l4proto udp ${rule};`} }`;
  const script = `table inet bench; delete table inet bench; table inet bench { ${chain}; }`;
  mustRun(namespaces, side, 'nft', script);
}

function mustRun(namespaces: Namespaces, side: string, program: string, ...args: readonly string[]): void {
  const done = namespaces.run(side, program, args);
  if (done.status !== 0) throw new Error(`${program}: ${done.stderr}`);
}

function goal(figure: string): readonly Goal[] {
  const ratio = results.ratio(OURS.name, CHARON.name, figure);
  return ratio ? [{ what: `${figure}, beside strongSwan`, found: spreadText(ratio, 1), wanted: '' }] : [];
}

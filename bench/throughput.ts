// TCP through one tunnel: Sallyport, strongSwan's user-space ESP, wireguard-go, OpenVPN, and the cable alone, in turns; as the cable is, and
// with its segmentation off, since a real network card splits what a veth passes whole.
// `node dist/bench/throughput.js [--runs N] [--seconds S] [--only NAME]`; needs root, iperf3 and ethtool.

import { parseArgs } from 'node:util';
import type { Namespaces } from '../lab/namespaces.ts';
import { OPEN_VPN, RAW_VETH, sallyport, strongSwan, WIREGUARD_GO } from './contenders.ts';
import { measureTcp, startTcpServer } from './measure.ts';
import { type Goal, spreadText, submit, verdict } from './report.ts';
import { type Turn, takeTurns } from './turns.ts';

const { values } = parseArgs({
  options: { runs: { type: 'string' }, seconds: { type: 'string' }, only: { type: 'string' } },
});
const RUNS = Number(values.runs ?? 5);
const SECONDS = Number(values.seconds ?? 1);
const WARM_UP_SECONDS = 2;
const GIGA = 1e-9;
/** What the goal calls well ahead. */
const WELL_AHEAD = 2;

const CHARON = { gcm: strongSwan('aes256gcm16-modp2048'), cbc: strongSwan('aes256-sha256-modp2048') };
const OURS = {
  gcm: sallyport('aes-256-gcm', 'none'),
  cbc: sallyport('aes-256-cbc', 'hmac-sha-256-128'),
  chacha: sallyport('chacha20-poly1305', 'none'),
};
const CONTENDERS = [RAW_VETH, CHARON.gcm, OURS.gcm, WIREGUARD_GO, OPEN_VPN, CHARON.cbc, OURS.cbc, OURS.chacha];
const SHAPES = [
  { name: 'one stream', streams: 1, reverse: false },
  { name: 'one stream, back', streams: 1, reverse: true },
  { name: 'four streams', streams: 4, reverse: false },
  { name: 'four streams, back', streams: 4, reverse: true },
] as const;
const CABLES = [
  { name: 'tx-udp-segmentation on', segmentation: 'on' },
  { name: 'tx-udp-segmentation off', segmentation: 'off' },
] as const;

const results = await takeTurns(CONTENDERS, RUNS, values.only, measure);
submit({
  title: 'TCP through one tunnel',
  tables: CABLES.map((cable) => ({
    columns: [`Gbit/s, ${cable.name}`, ...SHAPES.map(({ name }) => name)],
    rows: CONTENDERS.map(({ title, name }) => [
      title,
      ...SHAPES.map((shape) => results.cell(name, `${shape.name}, ${cable.name}`, 2, GIGA)),
    ]),
  })),
  goals: CABLES.flatMap((cable) => [
    ...goal('AES-256-GCM beside strongSwan', OURS.gcm.name, CHARON.gcm.name, cable.name, 6),
    ...goal('AES-256-GCM beside the cable', OURS.gcm.name, RAW_VETH.name, cable.name, 0.25),
    ...goal('AES-256-GCM beside wireguard-go', OURS.gcm.name, WIREGUARD_GO.name, cable.name, WELL_AHEAD),
    ...goal('AES-256-GCM beside OpenVPN', OURS.gcm.name, OPEN_VPN.name, cable.name),
    ...goal('AES-256-CBC with HMAC-SHA-256 beside strongSwan', OURS.cbc.name, CHARON.cbc.name, cable.name, 4),
    ...goal('ChaCha20-Poly1305 beside wireguard-go', OURS.chacha.name, WIREGUARD_GO.name, cable.name, 4),
  ]),
  notes: [
    `${RUNS} runs of ${SECONDS} s for each figure, in turns, after ${WARM_UP_SECONDS} s of warming up.`,
    'wireguard-go: Debian packs one of 2022, before its own work on offloads. ChaCha20-Poly1305 is keyed by hand: IKEv1 has no number for it.',
    ...results.omissions,
  ],
});

async function measure({ namespaces, tunnel, record }: Turn): Promise<void> {
  await startTcpServer(namespaces);
  await measureTcp(namespaces, tunnel.peer, WARM_UP_SECONDS);
  for (const cable of CABLES) {
    setSegmentation(namespaces, cable.segmentation);
    for (const { name, streams, reverse } of SHAPES)
      record(`${name}, ${cable.name}`, await measureTcp(namespaces, tunnel.peer, SECONDS, streams, reverse));
  }
}

function setSegmentation(namespaces: Namespaces, value: 'on' | 'off'): void {
  for (const side of ['a', 'b']) {
    const done = namespaces.run(side, 'ethtool', ['-K', 'wire', 'tx-udp-segmentation', value]);
    if (done.status !== 0) throw new Error(`ethtool: ${done.stderr}`);
  }
}

/** One row of the table of goals: each shape's ratio. */
function goal(what: string, ours: string, rival: string, cable: string, wanted?: number): readonly Goal[] {
  const ratios = SHAPES.flatMap(({ name }) => {
    const ratio = results.ratio(ours, rival, `${name}, ${cable}`);
    return ratio ? [{ name, ratio }] : [];
  });
  if (ratios.length === 0) return [];
  const digits = wanted !== undefined && wanted < 1 ? 2 : 1;
  const found = ratios.map(({ name, ratio }) => `${name} ${spreadText(ratio, digits)}`).join('; ');
  const row = { what: `${what}, ${cable}`, found };
  if (wanted === undefined) return [{ ...row, wanted: '' }];
  const missed = ratios.filter(({ ratio }) => ratio.median < wanted).map(({ name }) => name);
  const isSplit = missed.length > 0 && missed.length < ratios.length;
  return [
    {
      ...row,
      wanted: String(wanted),
      verdict: isSplit ? `met, but ${verdict(false)} with ${missed.join(' and ')}` : verdict(missed.length === 0),
    },
  ];
}

// Small packets: UDP payloads of 64 octets through one tunnel. What is delivered when flooded, and the highest rate with less than 0.1 % lost.
// `node dist/bench/small-packets.js [--runs N] [--seconds S]`; needs root.

import { parseArgs } from 'node:util';
import { RAW_VETH, sallyport, strongSwan, WIREGUARD_GO } from './contenders.ts';
import { PacketSeries } from './packet-series.ts';
import { type Goal, numberText, spreadText, submit, verdict } from './report.ts';
import { type Results, type Turn, takeTurns } from './turns.ts';

const { values } = parseArgs({
  options: { runs: { type: 'string' }, seconds: { type: 'string' }, only: { type: 'string' } },
});
const RUNS = Number(values.runs ?? 5);
const SECONDS = Number(values.seconds ?? 0.5);
const LOSS_MAX = 0.001;
/** What is on its way, or queued, at the end: more would mean that a queue grows, and that the rate does not last. */
const QUEUED_MAX = 0.05;
const FACTOR = 1.5;
const RATE_MIN = 1000;
const HALVINGS = 3;
/** One hiccup of the machine is not the contender's. */
const ATTEMPTS = 2;
/** In one message that the kernel splits. */
const DATAGRAMS = 32;

/** More than any tunnel here carries, and less than takes a processor to send. */
const EXCESS_RATE = 200_000;

const FLOODED = 'delivered when flooded';
const OFFERED = 'offered meanwhile';
const EXCEEDED = `delivered of ${numberText(EXCESS_RATE)}`;
const LOSSLESS = 'highest rate with less than 0.1 % lost';
const FLOODED_GSO = 'flooded by a sender that uses UDP GSO';
const CHARON = strongSwan('aes256gcm16-modp2048');
const OURS = sallyport('aes-256-gcm', 'none');
const CONTENDERS = [RAW_VETH, CHARON, OURS, WIREGUARD_GO];

const results = await takeTurns(CONTENDERS, RUNS, values.only, measure);
const columns = [FLOODED, OFFERED, EXCEEDED, LOSSLESS, FLOODED_GSO];
submit({
  title: 'Small packets',
  tables: [
    {
      columns: ['UDP, 64 octets, packets a second', ...columns],
      rows: CONTENDERS.map(({ title, name }) => [title, ...columns.map((figure) => results.cell(name, figure, 0))]),
    },
  ],
  goals: [
    goal(results, 'UDP of 64 octets, delivered when flooded, beside strongSwan', FLOODED, 4),
    goal(results, `UDP of 64 octets, ${EXCEEDED} a second, beside strongSwan`, EXCEEDED, 4),
    goal(results, 'UDP of 64 octets, highest rate with less than 0.1 % lost, beside strongSwan', LOSSLESS, 2),
  ].flat(),
  notes: [
    `${RUNS} runs; series of ${SECONDS} s, in turns. The sender gives the kernel up to 64 packets in one call, in small bursts with pauses (flooding: without), and none but the last column's uses GSO; the receiver looks into a large buffer every 2 ms.`,
    ...results.omissions,
  ],
});

async function measure({ namespaces, tunnel, record }: Turn): Promise<void> {
  const packets = await PacketSeries.start(namespaces, tunnel.peer);
  await packets.send({ rate: 20_000, seconds: SECONDS });
  const flood = await packets.send({ rate: 0, seconds: SECONDS });
  record(FLOODED, flood.delivered / flood.seconds);
  record(OFFERED, flood.sent / flood.seconds);
  const excess = await packets.send({ rate: EXCESS_RATE, seconds: SECONDS });
  record(EXCEEDED, excess.delivered / excess.seconds);
  const segmented = await packets.send({ rate: 0, seconds: SECONDS, datagrams: DATAGRAMS });
  record(FLOODED_GSO, segmented.delivered / segmented.seconds);
  record(LOSSLESS, await searchLossless(packets, flood.delivered / flood.seconds));
}

/** Up or down in large steps until the highest rate without loss lies between two of them, then halves what is between. */
async function searchLossless(packets: PacketSeries, start: number): Promise<number> {
  let [rate, low, high, best] = [Math.max(start, RATE_MIN), 0, Number.POSITIVE_INFINITY, 0];
  for (let halvings = 0; halvings < HALVINGS; ) {
    const reached = await tryRate(packets, rate);
    if (reached > 0) low = rate;
    else high = rate;
    best = Math.max(best, reached);
    // The sender itself is at its end.
    if (reached > 0 && reached < rate * 0.9) return best;
    if (low > 0 && high < Number.POSITIVE_INFINITY) {
      rate = (low + high) / 2;
      halvings++;
    } else rate = low > 0 ? rate * FACTOR : rate / FACTOR;
    if (rate < RATE_MIN) return best;
  }
  return best;
}

/** The rate that came through, or 0 if too much was lost. */
async function tryRate(packets: PacketSeries, rate: number): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const { sent, delivered, arrived, seconds } = await packets.send({ rate, seconds: SECONDS });
    if (arrived >= sent * (1 - LOSS_MAX) && delivered >= sent * (1 - QUEUED_MAX)) return arrived / seconds;
  }
  return 0;
}

function goal(from: Results, what: string, figure: string, wanted: number): readonly Goal[] {
  const ratio = from.ratio(OURS.name, CHARON.name, figure);
  if (!ratio) return [];
  return [{ what, found: spreadText(ratio, 1), wanted: String(wanted), verdict: verdict(ratio.median >= wanted) }];
}

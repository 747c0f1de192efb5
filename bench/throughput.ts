// TCP through one tunnel: Sallyport, strongSwan's user-space ESP, wireguard-go, OpenVPN, and the cable alone, in turns, so that a busy
// machine is busy for all of them. `node dist/bench/throughput.js [--runs N] [--seconds S]`; needs root.

import { parseArgs } from 'node:util';
import { joinedNamespaces } from '../src/host/packet-engine/keyed-pair.fixture.ts';
import { type Contender, OPEN_VPN, RAW_VETH, sallyport, strongSwan, WIREGUARD_GO } from './contenders.ts';
import { describeMachine, measureTcp, spreadOf } from './measure.ts';

const { values } = parseArgs({
  options: {
    runs: { type: 'string' },
    seconds: { type: 'string' },
    only: { type: 'string' },
    split: { type: 'boolean' },
  },
});
const RUNS = Number(values.runs ?? 5);
const SECONDS = Number(values.seconds ?? 5);

const CONTENDERS: readonly Contender[] = [
  RAW_VETH,
  strongSwan('aes256gcm16-modp2048'),
  sallyport('aes-256-gcm', 'none'),
  WIREGUARD_GO,
  OPEN_VPN,
  strongSwan('aes256-sha256-modp2048'),
  sallyport('aes-256-cbc', 'hmac-sha-256-128'),
  sallyport('chacha20-poly1305', 'none'),
];
const SHAPES = [
  { name: '1 stream', streams: 1, reverse: false },
  { name: '1 stream, reverse', streams: 1, reverse: true },
  { name: '4 streams', streams: 4, reverse: false },
];

console.log(`${new Date().toISOString().slice(0, 10)}; ${describeMachine()}; ${RUNS} runs of ${SECONDS} s, in turns`);
const results = new Map<string, number[]>();
for (let run = 0; run < RUNS; run++) for (const contender of CONTENDERS) await measure(contender);
for (const shape of SHAPES) {
  console.log(`\nTCP, ${shape.name}: Gbit/s, median (lowest to highest)`);
  for (const contender of CONTENDERS) {
    const bits = results.get(`${contender.name} ${shape.name}`);
    if (!bits) continue;
    const { median, lowest, highest } = spreadOf(bits);
    console.log(`  ${contender.name.padEnd(52)} ${gigabits(median)} (${gigabits(lowest)} to ${gigabits(highest)})`);
  }
}

async function measure(contender: Contender): Promise<void> {
  if (values.only !== undefined && !contender.name.includes(values.only)) return;
  const obstacle = contender.whyNot();
  if (obstacle !== undefined) return console.log(`${contender.name}: left out, ${obstacle}`);
  const namespaces = joinedNamespaces('bench');
  try {
    if (values.split)
      for (const side of ['a', 'b']) namespaces.run(side, 'ethtool', ['-K', 'wire', 'tx-udp-segmentation', 'off']);
    const tunnel = await contender.start(namespaces);
    for (const shape of SHAPES) {
      const bits = await measureTcp(namespaces, tunnel.peer, SECONDS, shape.streams, shape.reverse);
      const key = `${contender.name} ${shape.name}`;
      results.set(key, [...(results.get(key) ?? []), bits]);
      console.log(`${contender.name}, ${shape.name}: ${gigabits(bits)} Gbit/s`);
    }
    await tunnel.stop();
  } catch (error) {
    console.log(`${contender.name}: ${error instanceof Error ? error.message : String(error)}`);
  } finally {
    namespaces.remove();
  }
}

function gigabits(bits: number): string {
  return (bits / 1e9).toFixed(2);
}

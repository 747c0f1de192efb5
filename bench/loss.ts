// TCP through one tunnel while packets between the gateways are lost or overtaken: goodput beside strongSwan's.
// `node dist/bench/loss.js [--runs N] [--seconds S]`; needs root, and nft.

import { parseArgs } from 'node:util';
import type { Namespaces } from '../lab/namespaces.ts';
import { joinedNamespaces } from '../src/host/packet-engine/keyed-pair.fixture.ts';
import { type Contender, sallyport, strongSwan, WIREGUARD_GO } from './contenders.ts';
import { describeMachine, measureTcp, spreadOf } from './measure.ts';

const { values } = parseArgs({ options: { runs: { type: 'string' }, seconds: { type: 'string' } } });
const RUNS = Number(values.runs ?? 5);
const SECONDS = Number(values.seconds ?? 4);
const ONE_OF = [1000, 100];
const CONTENDERS: readonly Contender[] = [
  strongSwan('aes256gcm16-modp2048'),
  sallyport('aes-256-gcm', 'none'),
  WIREGUARD_GO,
];

console.log(`${new Date().toISOString().slice(0, 10)}; ${describeMachine()}; ${RUNS} runs of ${SECONDS} s, in turns`);
const results = new Map<string, number[]>();
for (let run = 0; run < RUNS; run++)
  for (const oneOf of ONE_OF) for (const contender of CONTENDERS) await measure(contender, oneOf);
console.log('\nTCP, 1 stream: Gbit/s, median (lowest to highest)');
for (const [name, bits] of results) {
  const { median, lowest, highest } = spreadOf(bits.map((value) => value / 1e9));
  console.log(`  ${name.padEnd(62)} ${median.toFixed(3)} (${lowest.toFixed(3)} to ${highest.toFixed(3)})`);
}

async function measure(contender: Contender, oneOf: number): Promise<void> {
  const obstacle = contender.whyNot();
  if (obstacle !== undefined) return console.log(`${contender.name}: left out, ${obstacle}`);
  const namespaces = joinedNamespaces('bench');
  const name = `${contender.name}, one packet in ${oneOf} lost`;
  try {
    const tunnel = await contender.start(namespaces);
    for (const side of ['a', 'b']) losePackets(namespaces, side, oneOf);
    const bits = await measureTcp(namespaces, tunnel.peer, SECONDS, 1, false);
    results.set(name, [...(results.get(name) ?? []), bits]);
    console.log(`${name}: ${(bits / 1e9).toFixed(3)} Gbit/s`);
    await tunnel.stop();
  } catch (error) {
    console.log(`${name}: ${error instanceof Error ? error.message : String(error)}`);
  } finally {
    namespaces.remove();
  }
}

/** The interface splits nothing here, since else one loss would take a whole message of 45 packets. */
function losePackets(namespaces: Namespaces, side: string, oneOf: number): void {
  namespaces.run(side, 'ethtool', ['-K', 'wire', 'tx-udp-segmentation', 'off']);
  const rule = `iif wire meta l4proto udp numgen random mod ${oneOf} 0 drop`;
  const script = `table inet loss { chain input { type filter hook prerouting priority -300; ${rule}; }; }`;
  const done = namespaces.run(side, '/bin/sh', ['-c', `echo '${script}' | nft -f -`]);
  if (done.status !== 0) throw new Error(`nft: ${done.stderr}`);
}

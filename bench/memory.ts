// Memory of an established tunnel (an ISAKMP SA with its pair of IPsec SAs), beyond what its configuration and the first tunnels, which get
// the code compiled, take: in the control plane, and with a data plane that has its SAs too. Everything in one process, measured after collecting garbage. Run by `npm run bench`; each
// measurement is a process of its own. `node dist/bench/memory.js [--tunnels N]`.

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { systemRandom } from '../src/crypto/node-provider.ts';
import { Arena } from '../src/host/packet-engine/arena.ts';
import { createPacketCrypto } from '../src/host/packet-engine/openssl-packet-crypto.ts';
import { DataPlane } from '../src/ipsec/data-plane.ts';
import { type Instant, instant } from '../src/lib/time.ts';
import type { DataPlaneCommand } from '../src/model/data-plane.ts';
import { peerConfigs, responderAddress, responderConfig } from './handshakes-configuration.ts';
import { BareGateway, converse, letTimePass } from './handshakes-gateway.ts';
import { describeMachine } from './measure.ts';

const COUNTS = [1000, 10_000];
const GOAL_KIB = 16;
const WARM_UP_COUNT = 200;
/** Past the time that a finished exchange is kept for answering duplicates. */
const FIVE_MINUTES = 300_000;

const { values } = parseArgs({ options: { tunnels: { type: 'string' }, only: { type: 'string' } } });
if (values.only === undefined) {
  const counts = values.tunnels === undefined ? COUNTS : [Number(values.tunnels)];
  console.log(describeMachine());
  console.log(`memory of one established tunnel; the goal is ${GOAL_KIB} KiB`);
  for (const count of counts) for (const part of ['control plane', 'both planes']) measureInProcess(count, part);
} else measure(Number(values.tunnels), values.only === 'both planes');

function measureInProcess(count: number, part: string): void {
  const script = fileURLToPath(import.meta.url);
  const args = [script, '--tunnels', String(count), '--only', part];
  if (spawnSync(process.execPath, args, { stdio: 'inherit' }).status !== 0) process.exitCode = 1;
}

function measure(count: number, hasDataPlane: boolean): void {
  let now = instant(0);
  const [local, total] = [responderAddress(0), WARM_UP_COUNT + count];
  const responder = new BareGateway(now, responderConfig(local, total, 'group19'), dataPlane(hasDataPlane));
  const configOf = peerConfigs(local, 'group19');
  const establish = (first: number, end: number): void => {
    for (let index = first; index < end; index++) {
      now = instant(now + 1);
      connect(now, new BareGateway(now, configOf(index)), responder);
    }
  };
  establish(0, WARM_UP_COUNT);
  now = letTimePass(now, FIVE_MINUTES, responder);
  const before = used();
  establish(WARM_UP_COUNT, total);
  const fresh = used();
  now = letTimePass(now, FIVE_MINUTES, responder);
  const settled = used();
  const up = responder.gateway.ipsecSas(now).length;
  if (up !== total) throw new Error(`${up} of ${total} tunnels are up`);
  const each = (after: Used, what: keyof Used) => `${((after[what] - before[what]) / count / 1024).toFixed(1)} KiB`;
  console.log(
    `${count} tunnels, ${hasDataPlane ? 'both planes' : 'control plane'}: ${each(settled, 'heap')} each ` +
      `(${each(fresh, 'heap')} in the first minute); of the process, with what OpenSSL holds: ${each(settled, 'resident')}`,
  );
}

function connect(now: Instant, initiator: BareGateway, responder: BareGateway): void {
  initiator.act(now, (core, out) => core.initiate(now, 'hub', out));
  converse(now, initiator, responder);
}

/** What takes the commands: a data plane over OpenSSL, as the packet engine has it, or nothing. */
function dataPlane(isWanted: boolean): (command: DataPlaneCommand) => void {
  if (!isWanted) return () => {};
  const plane = new DataPlane({ crypto: createPacketCrypto(new Arena(16 * 1024 * 1024)), random: systemRandom });
  const out = { deliver: () => {}, transmitUdp: () => {}, transmitIp: () => {}, event: () => {} };
  return (command) => plane.handleCommand(instant(0), command, out);
}

interface Used {
  /** Objects and array buffers. */
  readonly heap: number;
  readonly resident: number;
}

function used(): Used {
  setFlagsFromString('--expose-gc');
  const collect: () => void = runInNewContext('gc');
  // Twice: what a finalizer lets go of goes with the second.
  for (let count = 0; count < 2; count++) collect();
  const { heapUsed, external, rss } = process.memoryUsage();
  return { heap: heapUsed + external, resident: rss };
}

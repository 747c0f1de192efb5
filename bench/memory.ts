// Memory of an established tunnel (an ISAKMP SA with its pair of IPsec SAs), beyond what its configuration and the first tunnels, which get
// the code compiled, take: in the control plane, and with a data plane that has its SAs too. The initiators are in another process: thousands of
// gateways that come and go in the same heap leave holes in it that a responder alone does not have. Measured after collecting garbage. Run by
// `npm run bench`; each measurement has processes of its own. `node dist/bench/memory.js [--tunnels N]`.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { systemRandom } from '../src/crypto/node-provider.ts';
import { foreignFunctions } from '../src/host/foreign-functions.ts';
import { Arena } from '../src/host/packet-engine/arena.ts';
import { createPacketCrypto } from '../src/host/packet-engine/openssl-packet-crypto.ts';
import { DataPlane } from '../src/ipsec/data-plane.ts';
import { type Instant, instant } from '../src/lib/time.ts';
import type { UdpPath } from '../src/model/address.ts';
import type { DataPlaneCommand } from '../src/model/data-plane.ts';
import { peerConfigs, responderAddress, responderConfig } from './handshakes-configuration.ts';
import { BareGateway, letTimePass } from './handshakes-gateway.ts';
import { describeMachine } from './measure.ts';

const COUNTS = [1000, 10_000];
const GOAL_KIB = 16;
/** Enough for V8 to have given its young generation the size that it keeps, whatever follows. */
const WARM_UP_COUNT = 1000;
/** Past the time that a finished exchange is kept for answering duplicates. */
const FIVE_MINUTES = 300_000;

/** What the responder's process is asked, one thing at a time; it answers each. */
type Request =
  | { readonly kind: 'datagram'; readonly now: Instant; readonly path: UdpPath; readonly octets: Uint8Array }
  | { readonly kind: 'wait'; readonly now: Instant }
  | { readonly kind: 'count' }
  | { readonly kind: 'measure' };

interface Answer {
  readonly datagrams: readonly { readonly path: UdpPath; readonly octets: Uint8Array }[];
  readonly upCount: number;
  readonly used?: Used;
}

interface Used {
  /** Objects and array buffers. */
  readonly heap: number;
  readonly resident: number;
}

const { values } = parseArgs({ options: { tunnels: { type: 'string' }, only: { type: 'string' } } });
async function measure(count: number, part: string): Promise<void> {
  const responder = new ResponderProcess(count, part);
  const configOf = peerConfigs(responderAddress(0), 'group19');
  let now = instant(0);
  const establish = async (first: number, end: number): Promise<void> => {
    for (let index = first; index < end; index++) {
      now = instant(now + 1);
      const initiator = new BareGateway(now, configOf(index));
      initiator.act(now, (core, out) => core.initiate(now, 'hub', out));
      await responder.converse(now, initiator);
    }
  };
  const letFiveMinutesPass = async (): Promise<void> => {
    now = instant(now + FIVE_MINUTES);
    await responder.ask({ kind: 'wait', now });
  };
  await establish(0, WARM_UP_COUNT);
  await letFiveMinutesPass();
  const before = await responder.measure();
  await establish(WARM_UP_COUNT, WARM_UP_COUNT + count);
  const fresh = await responder.measure();
  await letFiveMinutesPass();
  const settled = await responder.measure();
  const { upCount } = await responder.ask({ kind: 'count' });
  if (upCount !== WARM_UP_COUNT + count) throw new Error(`${upCount} tunnels are up`);
  responder.stop();
  const each = (after: Used, what: keyof Used) => `${((after[what] - before[what]) / count / 1024).toFixed(1)} KiB`;
  console.log(
    `${count} tunnels, ${part}: ${each(settled, 'heap')} each (${each(fresh, 'heap')} in the first minute); ` +
      `of the process, with what OpenSSL holds: ${each(settled, 'resident')} (${each(fresh, 'resident')})`,
  );
}

/** The process that is measured, seen from that of the initiators. */
class ResponderProcess {
  readonly #child;

  constructor(count: number, part: string) {
    const args = ['--tunnels', String(count), '--only', part];
    this.#child = fork(fileURLToPath(import.meta.url), args, { serialization: 'advanced' });
  }

  async ask(request: Request): Promise<Answer> {
    this.#child.send(request);
    const [answer]: Answer[] = await once(this.#child, 'message');
    if (answer === undefined) throw new Error('the responder answers everything');
    return answer;
  }

  async measure(): Promise<Used> {
    const { used } = await this.ask({ kind: 'measure' });
    if (used === undefined) throw new Error('the responder says what it was asked');
    return used;
  }

  /** Hands datagrams over, in both directions, until neither side has anything to say. */
  async converse(now: Instant, initiator: BareGateway): Promise<void> {
    for (let next = initiator.datagrams.shift(); next !== undefined; next = initiator.datagrams.shift()) {
      const { path, octets } = next;
      const answer = await this.ask({ kind: 'datagram', now, path: reversed(path), octets });
      for (const datagram of answer.datagrams)
        initiator.act(now, (core, out) => core.handleDatagram(now, reversed(datagram.path), datagram.octets, out));
    }
  }

  stop(): void {
    this.#child.disconnect();
  }
}

/** The process that is measured. */
function respond(count: number, part: string): void {
  let now = instant(0);
  const config = responderConfig(responderAddress(0), WARM_UP_COUNT + count, 'group19');
  const gateway = new BareGateway(now, config, dataPlane(part === 'both planes'));
  process.on('message', (request: Request) => {
    if (request.kind === 'wait') now = letTimePass(now, request.now - now, gateway);
    if (request.kind === 'datagram') {
      const { path, octets } = request;
      now = request.now;
      gateway.act(now, (core, out) => core.handleDatagram(now, path, octets, out));
    }
    const answer: Answer = {
      datagrams: gateway.datagrams.splice(0),
      upCount: request.kind === 'count' ? gateway.gateway.ipsecSas(now).length : 0,
      ...(request.kind === 'measure' && { used: used() }),
    };
    process.send?.(answer);
  });
}

/** What takes the commands: a data plane over OpenSSL, as the packet engine has it, or nothing. */
function dataPlane(isWanted: boolean): (command: DataPlaneCommand) => void {
  if (!isWanted) return () => {};
  const plane = new DataPlane({ crypto: createPacketCrypto(new Arena(16 * 1024 * 1024)), random: systemRandom });
  const out = { deliver: () => {}, transmitUdp: () => {}, transmitIp: () => {}, event: () => {} };
  return (command) => plane.handleCommand(instant(0), command, out);
}

function reversed({ local, remote }: UdpPath): UdpPath {
  return { local: remote, remote: local };
}

/** After collecting garbage, and after the C library has given back what OpenSSL and V8 have freed. */
function used(): Used {
  setFlagsFromString('--expose-gc');
  const collect: () => void = runInNewContext('gc');
  // Twice: what a finalizer lets go of goes with the second.
  for (let count = 0; count < 2; count++) collect();
  foreignFunctions?.load(null).func('malloc_trim', 'int', ['size_t'])(0);
  const { heapUsed, external, rss } = process.memoryUsage();
  return { heap: heapUsed + external, resident: rss };
}

// Down here, because the class above must exist when it begins.
if (process.send !== undefined && values.only !== undefined) respond(Number(values.tunnels), values.only);
else {
  const counts = values.tunnels === undefined ? COUNTS : [Number(values.tunnels)];
  console.log(describeMachine());
  console.log(`memory of one established tunnel; the goal is ${GOAL_KIB} KiB`);
  for (const count of counts) for (const part of ['control plane', 'both planes']) await measure(count, part);
}

// The initiators of the handshake benchmark, as a program in a network namespace of its own: many peers, each with its own address, behind
// one address translation as it were (their ports are not 500), connect to each responder in turns. What a responder's process has used
// of the processor is read from /proc before and after each round. One argument, JSON (`LoadRequest`); prints JSON (`LoadReport`).

import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Instant, instant } from '../src/lib/time.ts';
import { address } from '../src/model/address.ts';
import type { GatewayConfig } from '../src/model/gateway-config.ts';
import { type BenchGroup, peerAddress, peerConfigs } from './handshakes-configuration.ts';
import { BareGateway } from './handshakes-gateway.ts';

export interface LoadRequest {
  readonly group: BenchGroup;
  readonly peerCount: number;
  /** Rounds against each responder. */
  readonly roundCount: number;
  readonly responders: readonly { readonly name: string; readonly address: string; readonly processId: number }[];
}

/** One round against one responder, in milliseconds for each handshake. */
export interface LoadRound {
  readonly responder: string;
  /** From 0; the first ones are for warming up. */
  readonly round: number;
  /** Of the processor, in the responder's process with all its threads. */
  readonly processor: number;
  /** On the clock. */
  readonly clock: number;
}

/** Handshakes under way at a time. */
const WINDOW = 16;
/** Silence after a round, until the responder has done everything that it is to be billed for. */
const SETTLING = 300;
const ROUND_TIMEOUT = 120_000;

/** One peer: a socket with an address of its own and, each round, a gateway that knows nothing of the rounds before. */
class LoadPeer {
  readonly #socket: Socket;
  #gateway: BareGateway | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('message', (datagram, from) => {
      const gateway = this.#gateway;
      if (!gateway) return;
      // A `Buffer` would share what it slices, which the core does not expect.
      const octets = new Uint8Array(datagram);
      const path = {
        local: { address: address(socket.address().address), port: from.port },
        remote: { address: address(from.address), port: from.port },
      };
      this.#act(gateway, (now) => gateway.act(now, (core, out) => core.handleDatagram(now, path, octets, out)));
    });
  }

  get isUp(): boolean {
    return this.#gateway !== undefined && this.#gateway.establishedCount > 0;
  }

  start(config: GatewayConfig): void {
    const gateway = new BareGateway(clock(), config);
    this.#gateway = gateway;
    this.#act(gateway, (now) => gateway.act(now, (core, out) => core.initiate(now, 'hub', out)));
  }

  /** Repeats what was lost. */
  remind(): void {
    const gateway = this.#gateway;
    if (!gateway || gateway.gateway.nextTimeout() > clock()) return;
    this.#act(gateway, (now) => gateway.act(now, (core, out) => core.handleTimeout(now, out)));
  }

  /** Deletes everything, telling the responder. */
  stop(): void {
    const gateway = this.#gateway;
    if (gateway) this.#act(gateway, (now) => gateway.act(now, (core, out) => core.shutdown(now, out)));
    this.#gateway = undefined;
  }

  close(): void {
    this.#socket.close();
  }

  #act(gateway: BareGateway, action: (now: Instant) => void): void {
    action(clock());
    for (const { path, octets } of gateway.datagrams.splice(0))
      this.#socket.send(octets, path.remote.port, path.remote.address);
  }
}

async function main(request: LoadRequest): Promise<readonly LoadRound[]> {
  const peers = await Promise.all(Array.from({ length: request.peerCount }, (_, index) => openPeer(index)));
  const reports: LoadRound[] = [];
  for (let round = 0; round < request.roundCount; round++) {
    for (const responder of request.responders) {
      const configOf = peerConfigs(address(responder.address), request.group);
      const before = processorTime(responder.processId);
      const start = performance.now();
      await connectAll(peers, configOf, responder.name);
      const clockTime = performance.now() - start;
      await sleep(SETTLING);
      const processor = (processorTime(responder.processId) - before) / peers.length;
      reports.push({ responder: responder.name, round, processor, clock: clockTime / peers.length });
      for (const peer of peers) peer.stop();
      await sleep(SETTLING * 3);
    }
  }
  for (const peer of peers) peer.close();
  return reports;
}

/** Lets every peer connect once, `WINDOW` of them at a time. */
async function connectAll(
  peers: readonly LoadPeer[],
  configOf: (index: number) => GatewayConfig,
  responder: string,
): Promise<void> {
  const deadline = performance.now() + ROUND_TIMEOUT;
  let next = 0;
  let underWay: LoadPeer[] = [];
  let remindedAt = performance.now();
  while (next < peers.length || underWay.length > 0) {
    underWay = underWay.filter((peer) => !peer.isUp);
    while (underWay.length < WINDOW && next < peers.length) {
      const peer = peers[next];
      if (!peer) break;
      peer.start(configOf(next++));
      underWay.push(peer);
    }
    await new Promise((resolve) => setImmediate(resolve));
    if (performance.now() - remindedAt < 100) continue;
    remindedAt = performance.now();
    for (const peer of underWay) peer.remind();
    if (remindedAt > deadline) throw new Error(`${responder}: ${underWay.length} handshakes do not end`);
  }
}

async function openPeer(index: number): Promise<LoadPeer> {
  const socket = createSocket({ type: 'udp4', recvBufferSize: 1 << 20 });
  socket.bind(0, peerAddress(index));
  await once(socket, 'listening');
  return new LoadPeer(socket);
}

/** What all threads of a process have used, in milliseconds: to the nanosecond, where /proc/PID/stat counts hundredths of a second. */
function processorTime(processId: number): number {
  let nanoseconds = 0;
  for (const thread of readdirSync(`/proc/${processId}/task`)) {
    nanoseconds += Number(readFileSync(`/proc/${processId}/task/${thread}/schedstat`, 'utf8').split(' ')[0]);
  }
  return nanoseconds / 1e6;
}

function clock(): Instant {
  return instant(performance.now());
}

const [text] = process.argv.slice(2);
if (text !== undefined) {
  const request: LoadRequest = JSON.parse(text);
  process.stdout.write(`${JSON.stringify(await main(request))}\n`);
}

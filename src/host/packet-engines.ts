// All packet engines as one: each command goes to the engine that it concerns. What only one may have (an SA, the reading of a device) it alone
// has; what all may need (policies, paths, sockets and devices to write to) all have.

import type { UdpPath } from '../model/address.ts';
import type { DataPlaneCommand, SaCounters } from '../model/data-plane.ts';
import type { Spi } from '../model/ipsec-sa.ts';
import { EngineClient, type EngineHandlers } from './engine-client.ts';
import {
  AF_UNIX,
  check,
  libc,
  NativeMemory,
  SO_RCVBUFFORCE,
  SO_SNDBUFFORCE,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_SEQPACKET,
  SOL_SOCKET,
} from './libc.ts';
import { POLICY_INTERFACE } from './network-plan.ts';
import { readCounters } from './packet-engine/engine-counters.ts';
import type {
  EngineCounters,
  EngineFeature,
  EngineHandOver,
  EngineRawSocket,
  EngineTunnel,
  EngineUdpSocket,
} from './packet-engine/messages.ts';
import { SaDirectory, type SaName } from './sa-directory.ts';

const HAND_OVER_BUFFER_LENGTH = 8 * 1024 * 1024;

/** How many engines there are, and what they do without, though it may be there: for tests of what older systems do. */
export interface PacketEnginesOptions {
  readonly engines?: number;
  readonly without?: readonly EngineFeature[];
}

/** The control thread's end of the packet engines. */
export class PacketEngines {
  readonly count: number;
  readonly #clients: readonly EngineClient[];
  readonly #handOverDescriptors: readonly number[];
  readonly #sas: SaDirectory;
  readonly #tunnels = new Map<string, number>();
  /** Where the last command of this call into the core went: a datagram behind it must not overtake it. */
  #lastEngine = 0;

  constructor(
    rawSockets: readonly EngineRawSocket[],
    handlers: EngineHandlers,
    { engines = 1, without = [] }: PacketEnginesOptions = {},
  ) {
    this.count = engines;
    const pairs = engines === 1 ? [] : Array.from({ length: engines }, handOverPair);
    this.#handOverDescriptors = pairs.flatMap(({ receive, send }) => [receive, send]);
    const said = new Set<string>();
    const handleNotice = (text: string) => {
      if (said.has(text)) return;
      said.add(text);
      handlers.handleNotice(text);
    };
    this.#clients = Array.from({ length: engines }, (_, engine) => {
      const own = rawSockets.filter(
        (socket) => (socket.engine ?? (socket.protocol === 'send' ? engine : 0)) === engine,
      );
      const send = pairs.map((pair) => pair.send);
      const handOver: EngineHandOver = { receive: pairs[engine]?.receive ?? -1, send };
      return new EngineClient({ engine, rawSockets: own, handOver, without }, { ...handlers, handleNotice });
    });
    this.#sas = new SaDirectory(engines, (device) => this.#tunnels.get(device ?? POLICY_INTERFACE) ?? 0);
  }

  /** The engine of each device. */
  get tunnels(): ReadonlyMap<string, number> {
    return this.#tunnels;
  }

  /** Whether an inbound SA with this SPI belongs to the engine that has the outbound ones of this device (without one: of policy-based VPNs). */
  isOfTunnel(spi: Spi, device: string | undefined): boolean {
    return spi % this.count === (this.#tunnels.get(device ?? POLICY_INTERFACE) ?? 0);
  }

  command(command: DataPlaneCommand): void {
    const { engine, cells } = this.#sas.handleCommand(command);
    if (engine === undefined) {
      for (const client of this.#clients) client.command(command);
      return;
    }
    if (engine !== this.#lastEngine) queueMicrotask(() => (this.#lastEngine = 0));
    this.#lastEngine = engine;
    this.#clients[engine]?.command(command, cells);
  }

  /** Whether everything asked so far has been carried out. */
  get isIdle(): boolean {
    return this.#clients.every((client) => client.isIdle);
  }

  /** Any engine can send; the one that has just been given an SA, or else one that is busy, has it in place when the peer is told. */
  transmit(path: UdpPath, datagram: Uint8Array): void {
    const last = this.#clients[this.#lastEngine];
    const engine = last?.isIdle ? (this.#clients.find((client) => !client.isIdle) ?? last) : last;
    engine?.transmit(path, datagram);
  }

  /** One engine reads the device, all may write to it. */
  addTunnel(tunnel: EngineTunnel, reader = 0): void {
    this.#tunnels.set(tunnel.name, reader);
    for (const [engine, client] of this.#clients.entries()) client.addTunnel(tunnel, engine !== reader);
  }

  removeTunnel(name: string): void {
    this.#tunnels.delete(name);
    for (const client of this.#clients) client.removeTunnel(name);
  }

  addUdpSocket(socket: EngineUdpSocket): void {
    const { engine: owner } = socket;
    for (const [engine, client] of this.#clients.entries())
      if ((owner ?? engine) === engine)
        client.addUdpSocket(owner === undefined && engine > 0 ? { ...socket, isForSendingOnly: true } : socket);
  }

  removeUdpSocket(descriptor: number): void {
    for (const client of this.#clients) client.removeUdpSocket(descriptor);
  }

  /** The data planes' and the engines' totals. */
  counters(): EngineCounters {
    return readCounters(this.#clients.map(({ memory }) => memory));
  }

  /** The same for each engine. */
  countersOfEach(): readonly EngineCounters[] {
    return this.#clients.map(({ memory }) => readCounters([memory]));
  }

  /** What an SA has carried; `undefined` for one that there is not. */
  saCounters(name: SaName): SaCounters | undefined {
    return this.#sas.counters(name);
  }

  /** Resolves once every engine has carried out everything asked before; rejects if one has died. */
  async settle(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.settle()));
  }

  /** Stops the threads after everything asked before; descriptors are free to close when it resolves. */
  async stop(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.stop()));
    for (const descriptor of this.#handOverDescriptors) libc.close(descriptor);
  }
}

/** A queue of packets into one engine, that keeps their borders. */
function handOverPair(): { readonly receive: number; readonly send: number } {
  const pair = NativeMemory.allocate(128);
  const type = SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC;
  check(libc.socketpair(AF_UNIX, type, 0, pair.address), 'socketpair', 'packet engines');
  const [receive, send] = [pair.view.getInt32(0, true), pair.view.getInt32(4, true)];
  pair.view.setInt32(0, HAND_OVER_BUFFER_LENGTH, true);
  // As far as we may.
  for (const [descriptor, option] of [
    [receive, SO_RCVBUFFORCE],
    [send, SO_SNDBUFFORCE],
  ] as const)
    libc.setsockopt(descriptor, SOL_SOCKET, option, pair.address, 4);
  return { receive, send };
}

// The engine of the product, in its worker, with everything that it has between its descriptors, and this process at their other ends: socket
// pairs where it has TUN devices and raw sockets (they keep the borders of packets, as those do), and UDP over the loopback interface,
// where the kernel splits and joins messages as anywhere. Needs no privileges.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { address, type IpAddress, type UdpPath } from '../../model/address.ts';
import type { DataPlaneCommand, DataPlaneEvent } from '../../model/data-plane.ts';
import {
  AF_INET,
  AF_UNIX,
  check,
  libc,
  NativeMemory,
  SO_RCVBUFFORCE,
  SO_SNDBUFFORCE,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOCK_SEQPACKET,
  SOL_SOCKET,
} from '../libc.ts';
import { PacketEngines } from '../packet-engines.ts';
import { socketAddress } from '../socket-address.ts';
import { openNatTraversalSockets } from '../sockets.ts';
import type { TunnelOffload } from '../tunnel-device.ts';
import { Arena } from './arena.ts';
import { EngineTally } from './engine-counters.ts';
import type { EngineCounters, EngineFeature, EngineUdpSocket } from './messages.ts';
import { splitNaively } from './naive-offload.fixture.ts';
import { RawIpv6Sockets } from './raw-ipv6.fixture.ts';
import { SendBatch } from './send-batch.ts';

const LOOPBACK = address('127.0.0.1');
const NAT_TRAVERSAL_PORT = 4500;
const READ_MAX = 70_000;
const BUFFER_LENGTH = 4 * 1024 * 1024;
/** Attempts, not time: the whole process may have to stand still for a while. */
const PATIENCE = 10_000;

export const TUNNELS = ['st0.0', 'st0.1'] as const;
const PEERS = 2;

export interface BenchOptions {
  readonly offload: TunnelOffload;
  readonly without: readonly EngineFeature[];
  /** Has real raw sockets for IPv6 too, at this address of its own; needs privileges. */
  readonly rawIpv6?: IpAddress;
  /** Absent: one. The first reads the first device, the second the second. UDP comes to the first, which hands over what is not its own. */
  readonly engines?: number;
  /** Whether each engine has a socket of its own, and the kernel chooses by SPI. Takes privileges. */
  readonly isSteered?: boolean;
}

/** What came out of the engine. */
export interface BenchOutput {
  /** By tunnel, super-packets taken apart. */
  readonly tunnels: readonly (readonly Uint8Array[])[];
  /** By peer. */
  readonly udp: readonly (readonly Uint8Array[])[];
  readonly raw: readonly Uint8Array[];
  readonly rawIpv6: readonly Uint8Array[];
}

export class EngineBench {
  readonly events: DataPlaneEvent[] = [];
  readonly notices: string[] = [];
  readonly ike: Uint8Array[] = [];
  readonly #engine: PacketEngines;
  readonly #engines: number;
  readonly #offload: TunnelOffload;
  readonly #tunnels = TUNNELS.map(() => socketPair());
  /** Of each engine. */
  readonly #raws: readonly Readonly<Record<50 | 51, ReturnType<typeof socketPair>>>[];
  readonly #rawSend = socketPair();
  readonly #rawSendIpv6 = socketPair();
  readonly #rawIpv6: RawIpv6Sockets | undefined;
  readonly #udp: {
    readonly port: number;
    readonly sockets: readonly EngineUdpSocket[];
    readonly others: readonly number[];
  };
  readonly #peers = Array.from({ length: PEERS }, () => udpSocket());
  readonly #arena = new Arena(8 * 1024 * 1024);
  readonly #tally = new EngineTally();
  readonly #batch = new SendBatch(this.#arena, this.#tally, {
    complete: () => {},
    handleNotice: () => {},
    handleTooBig: () => {},
  });
  readonly #out = this.#arena.reserve(6 * 1024 * 1024);
  readonly #in = this.#arena.reserve(READ_MAX);
  #written = { tunnel: 0, socket: 0 };
  #sent = 0;
  /** Packets that the engine has put out, and that were taken. */
  #taken = 0;

  constructor(options: BenchOptions) {
    this.#offload = options.offload;
    this.#rawIpv6 = options.rawIpv6 === undefined ? undefined : new RawIpv6Sockets(options.rawIpv6);
    const { engines = 1, without } = options;
    this.#engines = engines;
    this.#raws = Array.from({ length: engines }, () => ({ 50: socketPair(), 51: socketPair() }));
    this.#engine = new PacketEngines(
      [
        ...this.#raws.flatMap((pairs, engine) =>
          ([50, 51] as const).map((protocol) => ({
            family: 4 as const,
            protocol,
            descriptor: pairs[protocol].near,
            engine,
          })),
        ),
        { family: 4, protocol: 'send', descriptor: this.#rawSend.near },
        ...(this.#rawIpv6?.sockets ?? []),
        { family: 6, protocol: 'send', descriptor: this.#rawSendIpv6.near },
      ],
      {
        handleDatagram: (_path, datagram) => this.ike.push(datagram),
        handleEvent: (event) => this.events.push(event),
        handleNotice: (text) => this.notices.push(text),
        handleFailure: (error) => {
          throw error;
        },
      },
      { engines, without },
    );
    for (const [index, name] of TUNNELS.entries())
      this.#engine.addTunnel(
        { name, descriptor: this.#tunnels[index]?.near ?? -1, offload: options.offload },
        index % engines,
      );
    this.#udp = options.isSteered ? steeredSockets(engines) : sharedSocket();
    for (const socket of this.#udp.sockets) this.#engine.addUdpSocket(socket);
  }

  /** The path to a peer, seen from the engine, which believes that it has port 4500. */
  path(peer: number): UdpPath {
    const remote = { address: LOOPBACK, port: this.#peers[peer]?.port ?? 0 };
    return { local: { address: LOOPBACK, port: NAT_TRAVERSAL_PORT }, remote };
  }

  command(command: DataPlaneCommand): void {
    this.#engine.command(command);
  }

  /** Writes what a TUN device would give at one read each. */
  async writeTunnel(tunnel: number, frames: readonly Uint8Array[]): Promise<void> {
    for (const frame of frames) await this.#write(this.#tunnels[tunnel]?.far ?? -1, frame);
    this.#written.tunnel += frames.length;
  }

  /** Sends datagrams from a peer, those of equal length in one message, with this DSCP and ECN. */
  sendUdp(peer: number, datagrams: readonly Uint8Array[], trafficClass = 0): void {
    const remote = { address: LOOPBACK, port: this.#udp.port };
    const descriptor = this.#peers[peer]?.descriptor ?? -1;
    const target = { descriptor, address: socketAddress(remote), segmentLengthMax: READ_MAX, takesTrafficClass: true };
    let offset = this.#out;
    for (const datagram of datagrams) {
      this.#arena.memory.bytes.set(datagram, offset);
      this.#batch.add(target, offset, datagram.length, trafficClass);
      offset += datagram.length;
    }
    this.#batch.flush();
    this.#written.socket += datagrams.length;
    this.#sent += datagrams.length;
    assert.equal(this.#tally.get('socket-sent'), this.#sent, 'the bench itself loses nothing');
  }

  /** Gives whole IP packets to the raw sockets of this protocol, each to that of the engine whose SPI it has, as their filters would. */
  async writeRaw(protocol: 50 | 51, packets: readonly Uint8Array[]): Promise<void> {
    for (const packet of packets) {
      const engine = engineOf(protocol, packet, this.#engines);
      await this.#write(this.#raws[engine]?.[protocol].far ?? -1, packet);
    }
    this.#written.socket += packets.length;
  }

  /** Sends whole IPv6 packets, for which the kernel has to find their way: each must be one that it delivers. */
  sendRawIpv6(packets: readonly Uint8Array[]): void {
    for (const packet of packets) this.#rawIpv6?.send(packet);
    this.#written.socket += packets.length;
  }

  /** Waits until the engine has done everything that it was given, and takes what came of it. */
  async take(): Promise<BenchOutput> {
    await this.#until(
      (now) => now['tunnel-read'] === this.#written.tunnel && now['socket-received'] === this.#written.socket,
    );
    // Read is not yet sent, nor handed over: the turn that has read them has to end. What was handed over is read in another.
    await this.settle();
    await this.#until((now) => now['handed-over'] === now['taken-over']);
    await this.settle();
    const now = this.counters().engine;
    for (const name of LOSSES) assert.equal(now[name], 0, `${name}: the bench has room for everything`);
    const putOut = now['tunnel-written'] + now['socket-sent'];
    const wanted = putOut - this.#taken;
    this.#taken = putOut;
    const output = { tunnels: TUNNELS.map(() => [...[]]), udp: this.#peers.map(() => [...[]]), raw: [], rawIpv6: [] };
    return this.#collect(output, wanted);
  }

  counters(): EngineCounters {
    return this.#engine.counters();
  }

  /** Resolves at the end of a turn of the engine. */
  settle(): Promise<void> {
    return this.#engine.settle();
  }

  /** Takes what lies in the TUN devices and at the raw socket, whether something was lost or not; says how many writes those were. */
  drain(): number {
    const descriptors = [...this.#tunnels.map(({ far }) => far), this.#rawSend.far];
    return descriptors.reduce((sum, descriptor) => sum + this.#readAll(descriptor).length, 0);
  }

  async stop(): Promise<void> {
    await this.#engine.stop();
    for (const { near, far } of [
      ...this.#tunnels,
      ...this.#raws.flatMap((pairs) => [pairs[50], pairs[51]]),
      this.#rawSend,
      this.#rawSendIpv6,
    ]) {
      libc.close(near);
      libc.close(far);
    }
    for (const { descriptor } of [...this.#udp.sockets, ...this.#peers]) libc.close(descriptor);
    for (const descriptor of this.#udp.others) libc.close(descriptor);
    this.#rawIpv6?.close();
  }

  async #until(isSo: (counters: EngineCounters['engine']) => boolean): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      const now = this.counters().engine;
      if (isSo(now)) return;
      if (attempt === PATIENCE)
        throw new Error(`the engine has not taken all of ${JSON.stringify(this.#written)}: ${JSON.stringify(now)}`);
      await this.settle();
    }
  }

  /** A loopback delivery may take a moment longer than the call that sent it. */
  async #collect(
    output: {
      readonly tunnels: Uint8Array[][];
      readonly udp: Uint8Array[][];
      readonly raw: Uint8Array[];
      readonly rawIpv6: Uint8Array[];
    },
    wanted: number,
  ): Promise<BenchOutput> {
    for (let [count, attempt] = [0, 0]; ; attempt++) {
      for (const [index, { far }] of this.#tunnels.entries())
        for (const frame of this.#readAll(far)) {
          const pieces = this.#offload === 'none' ? [frame] : splitNaively(frame);
          output.tunnels[index]?.push(...pieces);
          count += pieces.length;
        }
      for (const [index, { descriptor }] of this.#peers.entries())
        for (const datagram of this.#readAll(descriptor)) {
          output.udp[index]?.push(datagram);
          count += 1;
        }
      for (const [packets, { far }] of [
        [output.raw, this.#rawSend],
        [output.rawIpv6, this.#rawSendIpv6],
      ] as const)
        for (const packet of this.#readAll(far)) {
          packets.push(packet);
          count += 1;
        }
      if (count >= wanted) return output;
      if (attempt === PATIENCE) throw new Error(`${count} packets came out, the engine counts ${wanted}`);
      await sleep(1);
    }
  }

  #readAll(descriptor: number): readonly Uint8Array[] {
    const { bytes, address: base } = this.#arena.memory;
    const packets: Uint8Array[] = [];
    for (;;) {
      const length = libc.read(descriptor, base + this.#in, READ_MAX);
      if (length <= 0) return packets;
      packets.push(bytes.slice(this.#in, this.#in + length));
    }
  }

  async #write(descriptor: number, octets: Uint8Array): Promise<void> {
    const { bytes, address: base } = this.#arena.memory;
    bytes.set(octets, this.#out);
    // Full: the engine reads in another thread.
    for (let attempt = 0; libc.write(descriptor, base + this.#out, octets.length) < 0; attempt++) {
      assert.ok(attempt < PATIENCE, 'the engine reads');
      await sleep(1);
    }
  }
}

const STEERED_PORT = 47_320;

const LOSSES = [
  'tunnel-write-refused',
  'tunnel-queue-full',
  'tunnel-malformed',
  'tunnel-missing',
  'socket-send-refused',
  'socket-buffer-full',
  'socket-too-big',
  'socket-missing',
  'hand-over-full',
] as const;

function sharedSocket() {
  const { descriptor, port } = udpSocket();
  const socket = { address: LOOPBACK, port: NAT_TRAVERSAL_PORT, descriptor, isForSendingOnly: false };
  return { port, sockets: [socket], others: [] };
}

function steeredSockets(engines: number) {
  const port = STEERED_PORT;
  const { esp, ike = -1, unfragmented = -1 } = openNatTraversalSockets({ address: LOOPBACK, port }, engines);
  const common = { address: LOOPBACK, port: NAT_TRAVERSAL_PORT, isForSendingOnly: false };
  const sockets = esp.map((descriptor, engine) => ({ ...common, descriptor, engine }));
  return { port, sockets, others: [ike, unfragmented] };
}

function engineOf(protocol: 50 | 51, packet: Uint8Array, engines: number): number {
  const at = ((packet[0] ?? 0) & 15) * 4 + (protocol === 50 ? 0 : 4);
  const view = new DataView(packet.buffer, packet.byteOffset, packet.length);
  return at + 4 <= packet.length ? view.getUint32(at) % engines : 0;
}

/** Two descriptors that keep the borders of what is written, as a TUN device or a raw socket does. */
export function socketPair(): { readonly near: number; readonly far: number } {
  const pair = NativeMemory.allocate(128);
  check(libc.socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair.address), 'socketpair', 'bench');
  const [near, far] = [pair.view.getInt32(0, true), pair.view.getInt32(4, true)];
  for (const descriptor of [near, far]) enlarge(descriptor);
  return { near, far };
}

/** A UDP socket of the loopback interface, on a port that is free. */
export function udpSocket(): { readonly descriptor: number; readonly port: number } {
  const descriptor = check(libc.socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), 'socket', 'bench');
  enlarge(descriptor);
  const memory = NativeMemory.allocate(128);
  const name = socketAddress({ address: LOOPBACK, port: 0 });
  memory.bytes.set(name);
  check(libc.bind(descriptor, memory.address, name.length), 'bind', 'bench');
  memory.view.setUint32(64, name.length, true);
  check(libc.getsockname(descriptor, memory.address, memory.address + 64), 'getsockname', 'bench');
  return { descriptor, port: memory.view.getUint16(2) };
}

/** As far as we may: what does not fit is waited for where that is possible, and an error where it is not. */
function enlarge(descriptor: number): void {
  const memory = NativeMemory.allocate(128);
  memory.view.setInt32(0, BUFFER_LENGTH, true);
  for (const option of [SO_SNDBUFFORCE, SO_RCVBUFFORCE, SO_SNDBUF, SO_RCVBUF])
    libc.setsockopt(descriptor, SOL_SOCKET, option, memory.address, 4);
}

const SO_SNDBUF = 7;
const SO_RCVBUF = 8;

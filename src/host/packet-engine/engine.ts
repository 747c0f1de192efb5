// One thread that carries packets. Each turn of its loop:
//  1. waits for descriptors, up to the next timeout of the data plane
//  2. lets each readable one have a batch: control messages, then UDP and raw sockets, then TUN devices, in the kernel's order
//  3. sends what the batch has made, and runs the data plane's timeouts
// Level-triggered epoll and bounded batches make it fair: no source, IKE's datagrams among them, waits for another's flood to end.

import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { nodePacketCrypto } from '../../crypto/node-packet-provider.ts';
import { systemRandom } from '../../crypto/node-provider.ts';
import { DataPlane } from '../../ipsec/data-plane.ts';
import type { DataPlaneOutbox } from '../../ipsec/outbox.ts';
import type { OuterFields } from '../../ipsec/outer-header.ts';
import { unreachable } from '../../lib/invariant.ts';
import { type Instant, instant, NEVER } from '../../lib/time.ts';
import type { IpAddress, UdpPath } from '../../model/address.ts';
import type { DataPlaneEvent } from '../../model/data-plane.ts';
import { libc, NativeMemory } from '../libc.ts';
import { POLICY_INTERFACE } from '../network-plan.ts';
import { Arena } from './arena.ts';
import { EngineTally } from './engine-counters.ts';
import type {
  CountedSa,
  EngineFeature,
  EngineRawSocket,
  EngineReport,
  EngineRequest,
  EngineSettings,
} from './messages.ts';
import { createPacketCrypto } from './openssl-packet-crypto.ts';
import { OutboundArea } from './outbound-area.ts';
import { createPacketArithmetic, ScalarArithmetic } from './packet-arithmetic.ts';
import { Poller, type Readable } from './poller.ts';
import { RawReceiver, RawTargets } from './raw-socket.ts';
import { ReceiveBatch } from './receive-batch.ts';
import { SendBatch } from './send-batch.ts';
import { SuperPacketSplitter } from './super-packet.ts';
import { TunnelPort, type TunnelSurroundings } from './tunnel-port.ts';
import { TunnelWriter } from './tunnel-writer.ts';
import { UdpPort } from './udp-port.ts';

const ARENA_LENGTH = 16 * 1024 * 1024;
/** Small enough to stay in a processor's second-level cache between being written and being sent. */
const AREA_LENGTH = 512 * 1024;
/** Times that the control thread may ask for something before the event loop has a turn; each costs two system calls. */
const REQUESTS_WITHOUT_TURN_MAX = 64;
const COPIES_LENGTH = 256 * 1024;
const IKE_HEADER: OuterFields = { trafficClass: 0, dontFragment: false };

/** Carries packets between TUN devices and sockets through one data plane. */
export class PacketEngine implements DataPlaneOutbox, Readable {
  readonly descriptor: number;
  readonly #port: MessagePort;
  readonly #arena = new Arena(ARENA_LENGTH);
  readonly #tally = new EngineTally();
  readonly #poller = new Poller();
  readonly #dataPlane: DataPlane;
  readonly #tunnels = new Map<string, TunnelPort>();
  readonly #udpPorts = new Map<string, UdpPort>();
  readonly #area = new OutboundArea(this.#arena, AREA_LENGTH);
  readonly #copies = new OutboundArea(this.#arena, COPIES_LENGTH);
  readonly #receiveBatch = new ReceiveBatch(this.#arena);
  readonly #sendBatch = new SendBatch(this.#arena, this.#tally, (text) => this.#notice(text));
  /** A batch of its own, since a batch has one socket: packets with and without DF take turns. */
  readonly #rawTargets: RawTargets;
  readonly #writer: TunnelWriter;
  readonly #without: readonly EngineFeature[];
  readonly #notices = new Set<string>();
  readonly #tunnelSurroundings: TunnelSurroundings;
  readonly #wakeCount = NativeMemory.allocate(128);
  #isRunning = true;
  #reports: EngineReport[] = [];
  #isTurnWanted = false;
  #requestsSinceTurn = 0;
  #lastPath: UdpPath | undefined;
  #lastPort: UdpPort | undefined;
  #lastTunnelName: string | undefined;
  #lastTunnel: TunnelPort | undefined;

  constructor(settings: EngineSettings, port: MessagePort) {
    this.#port = port;
    this.descriptor = settings.wakeDescriptor;
    this.#without = settings.without;
    const crypto = createPacketCrypto(this.#arena, settings.without);
    const arithmetic = createPacketArithmetic(this.#arena, settings.without);
    if (crypto === nodePacketCrypto)
      this.#notice('OpenSSL cannot be reached: packets are encrypted through Node, slower');
    if (arithmetic instanceof ScalarArithmetic) this.#notice('no WebAssembly vectors: checksums are slower');
    this.#dataPlane = new DataPlane({ crypto, random: systemRandom, isZeroIdentificationReplaced: true });
    this.#writer = new TunnelWriter(this.#arena, this.#tally, arithmetic);
    this.#rawTargets = new RawTargets(settings.rawSockets);
    const flush = () => this.#flush();
    this.#tunnelSurroundings = {
      arena: this.#arena,
      tally: this.#tally,
      area: this.#area,
      splitter: new SuperPacketSplitter(this.#arena, arithmetic, this.#area, flush),
      flush,
    };
    this.#poller.add(this);
    const { bytes } = this.#arena.memory;
    for (const socket of settings.rawSockets)
      if (socket.protocol !== 'send')
        this.#poller.add(
          new RawReceiver(this.#arena, this.#tally, this.#receiveBatch, socket, {
            handlePacket: isIcmp(socket)
              ? (now, start, end) => this.#dataPlane.handleIcmpError(now, bytes.subarray(start, end))
              : (now, start, end) => this.#dataPlane.handleIpPacket(now, bytes, this, start, end),
            flush,
          }),
        );
  }

  /**
   * Carries packets until `stop` is asked for. When an SA has gone, and after many requests, the worker's own event loop has a turn,
   * without which Node would never free what SAs that are gone have left in OpenSSL.
   */
  run(): void {
    this.#handleRequests(this.#now());
    while (this.#isRunning && !this.#isTurnWanted) {
      this.#sendReports();
      const count = this.#poller.wait(this.#timeout());
      const now = this.#now();
      for (let index = 0; index < count; index++) this.#poller.source(index)?.handleReadable(now);
      if (now >= this.#dataPlane.nextTimeout()) this.#dataPlane.handleTimeout(now, this);
      this.#flush();
    }
    this.#isTurnWanted = false;
    this.#requestsSinceTurn = 0;
    if (this.#isRunning) {
      this.#sendReports();
      setImmediate(() => this.run());
      return;
    }
    this.#poller.close();
    this.#report({ kind: 'stopped' });
    this.#sendReports();
  }

  /** The control thread has written to the eventfd: there are messages. */
  handleReadable(now: Instant): void {
    libc.read(this.descriptor, this.#wakeCount.address, 8);
    this.#handleRequests(now);
    if (++this.#requestsSinceTurn >= REQUESTS_WITHOUT_TURN_MAX) this.#isTurnWanted = true;
  }

  deliver(tunnelInterface: string | undefined, buffer: Uint8Array, start: number, end: number): void {
    const tunnel = this.#tunnel(tunnelInterface ?? POLICY_INTERFACE);
    if (!tunnel) return this.#tally.count('tunnel-missing');
    const offset = this.#place(buffer, start, end);
    this.#writer.add(tunnel, offset, offset + (end - start));
  }

  transmitUdp(
    path: UdpPath,
    buffer: Uint8Array,
    start: number,
    end: number,
    { trafficClass, dontFragment }: OuterFields,
  ): void {
    const port = this.#udpPort(path);
    if (!port) return this.#tally.count('socket-missing');
    // One batch for both sockets: what leaves under one SA must leave in order, or a peer with a window of 64 drops the rest as replays.
    this.#sendBatch.add(port.target(path, dontFragment), this.#place(buffer, start, end), end - start, trafficClass);
  }

  transmitIp(_local: IpAddress, remote: IpAddress, buffer: Uint8Array, start: number, end: number): void {
    const target = this.#rawTargets.get(remote);
    if (target) this.#sendBatch.add(target, this.#place(buffer, start, end), end - start, 0);
    else this.#tally.count('socket-missing');
  }

  event(event: DataPlaneEvent): void {
    this.#report({ kind: 'event', event });
  }

  /** Where the octets lie in the arena; what lies elsewhere is copied there, for the batch keeps it until it is sent. */
  #place(buffer: Uint8Array, start: number, end: number): number {
    if (buffer === this.#arena.memory.bytes) return start;
    if (this.#arena.holds(buffer)) return buffer.byteOffset + start;
    if (!this.#copies.hasRoom(end - start, 1)) this.#send();
    return this.#copies.copy(buffer.subarray(start, end));
  }

  #tunnel(name: string): TunnelPort | undefined {
    if (name === this.#lastTunnelName) return this.#lastTunnel;
    this.#lastTunnelName = name;
    this.#lastTunnel = this.#tunnels.get(name);
    return this.#lastTunnel;
  }

  #udpPort(path: UdpPath): UdpPort | undefined {
    if (path === this.#lastPath) return this.#lastPort;
    this.#lastPath = path;
    this.#lastPort = this.#udpPorts.get(portKey(path.local.address, path.local.port));
    return this.#lastPort;
  }

  /** Sends and writes the batch, and with it everything that the data plane is done with. */
  #flush(): void {
    this.#send();
    this.#area.reset();
  }

  /** Sends and writes the batch; a packet in the outbound area that is being worked on stays. */
  #send(): void {
    this.#sendBatch.flush();
    this.#writer.flush();
    this.#copies.reset();
  }

  #handleRequests(now: Instant): void {
    for (;;) {
      const received: { message: readonly EngineRequest[] } | undefined = receiveMessageOnPort(this.#port);
      if (!received) return;
      for (const request of received.message) this.#handleRequest(now, request);
    }
  }

  #handleRequest(now: Instant, request: EngineRequest): void {
    switch (request.kind) {
      case 'command':
        if (request.command.kind === 'remove') this.#isTurnWanted = true;
        return this.#dataPlane.handleCommand(now, request.command, this);
      case 'transmit':
        return this.transmitUdp(request.path, request.datagram, 0, request.datagram.length, IKE_HEADER);
      case 'add-tunnel': {
        const { name } = request.tunnel;
        const source = name === POLICY_INTERFACE ? undefined : name;
        const { bytes } = this.#arena.memory;
        const tunnel = new TunnelPort(now, request.tunnel, this.#tunnelSurroundings, {
          handlePacket: (at, start, end) => this.#dataPlane.handleInnerPacket(at, source, bytes, start, end, this),
          handleNextPiece: (at, start, end) => this.#dataPlane.handleNextPiece(at, source, bytes, start, end, this),
        });
        this.#lastTunnelName = undefined;
        this.#tunnels.set(name, tunnel);
        if (request.tunnel.offload !== 'tcp-and-udp') this.#notice(OFFLOADS_MISSING[request.tunnel.offload]);
        return this.#poller.add(tunnel);
      }
      case 'remove-tunnel': {
        const tunnel = this.#tunnels.get(request.name);
        if (tunnel) this.#poller.remove(tunnel.descriptor);
        this.#tunnels.delete(request.name);
        this.#lastTunnelName = undefined;
        return;
      }
      case 'add-udp-socket': {
        const port = new UdpPort(this.#arena, this.#tally, this.#receiveBatch, request.socket, this.#without, {
          handleIke: (path, datagram) => this.#report({ kind: 'datagram', path, datagram }),
          handleEsp: (at, path, start, end, trafficClass) =>
            this.#dataPlane.handleUdpPacket(at, path, this.#arena.memory.bytes, this, trafficClass, start, end),
          flush: () => this.#flush(),
          handleNotice: (text) => this.#notice(text),
        });
        this.#lastPath = undefined;
        if (!request.socket.isForReceivingOnly)
          this.#udpPorts.set(portKey(request.socket.address, request.socket.port), port);
        return this.#poller.add(port);
      }
      case 'remove-udp-socket':
        this.#poller.remove(request.descriptor);
        this.#lastPath = undefined;
        for (const [key, port] of this.#udpPorts)
          if (port.descriptor === request.descriptor) this.#udpPorts.delete(key);
        return;
      case 'count':
        return this.#reportCounters(request.id, request.spis);
      case 'settle':
        return this.#report({ kind: 'settled', id: request.id });
      case 'stop':
        this.#isRunning = false;
        return;
      default:
        return unreachable(request);
    }
  }

  #reportCounters(id: number, spis: readonly CountedSa[]): void {
    this.#report({
      kind: 'counters',
      id,
      counters: { dataPlane: this.#dataPlane.counters(), engine: this.#tally.snapshot() },
      sas: spis.map(({ direction, spi, remoteAddress }) => this.#dataPlane.saCounters(direction, spi, remoteAddress)),
    });
  }

  /** Says something about this host once. */
  #notice(text: string): void {
    if (this.#notices.has(text)) return;
    this.#notices.add(text);
    this.#report({ kind: 'notice', text });
  }

  #report(report: EngineReport): void {
    this.#reports.push(report);
  }

  /** All that a turn has to say crosses at once, as the control thread's requests do. */
  #sendReports(): void {
    if (this.#reports.length === 0) return;
    this.#port.postMessage(this.#reports);
    this.#reports = [];
  }

  #timeout(): number {
    const due = this.#dataPlane.nextTimeout();
    if (due === NEVER) return -1;
    return Math.max(0, Math.min(Math.ceil(due - this.#now()), TIMEOUT_MAX));
  }

  #now(): Instant {
    return instant(performance.now());
  }
}

const OFFLOADS_MISSING = {
  none: 'TUN devices of this kernel hand over no large packets (TSO): each packet is read and written by itself, slower',
  tcp: 'TUN devices of this kernel hand over no large UDP packets (USO, Linux 6.2): each is read and written by itself',
};

// epoll_wait takes an int of milliseconds; waking once a day is no burden.
const TIMEOUT_MAX = 86_400_000;

function isIcmp({ protocol }: EngineRawSocket): boolean {
  return protocol === 1 || protocol === 58;
}

function portKey(address: IpAddress, port: number): string {
  return `${address} ${port}`;
}

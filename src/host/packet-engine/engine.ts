// One thread that carries packets. Each turn of its loop:
//  1. waits for descriptors, up to the next timeout of the data plane
//  2. lets each readable one have a batch: control messages, UDP and raw sockets in the kernel's order, then all TUN devices together
//  3. sends what the batch has made, and runs the data plane's timeouts
// Level-triggered epoll and bounded batches make it fair: no source, IKE's datagrams among them, waits for another's flood to end.

// The global of this name is looked up anew at each use.
import { performance } from 'node:perf_hooks';
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { nodePacketCrypto } from '../../crypto/node-packet-provider.ts';
import { systemRandom } from '../../crypto/node-provider.ts';
import { DataPlane } from '../../ipsec/data-plane.ts';
import type { OuterFields } from '../../ipsec/outer-header.ts';
import { RateLimit } from '../../ipsec/rate-limit.ts';
import { unreachable } from '../../lib/invariant.ts';
import { type Instant, instant, NEVER } from '../../lib/time.ts';
import type { IpsecSa } from '../../model/ipsec-sa.ts';
import { libc, NativeMemory } from '../libc.ts';
import { LinkMtus } from '../link-mtu.ts';
import { POLICY_INTERFACE } from '../network-plan.ts';
import { readSocketAddress } from '../socket-address.ts';
import { Arena } from './arena.ts';
import { EngineTally } from './engine-counters.ts';
import { EngineOutbox } from './engine-outbox.ts';
import { HandOver } from './hand-over.ts';
import { IoRing } from './io-ring.ts';
import type { EngineFeature, EngineRawSocket, EngineReport, EngineRequest, EngineSettings } from './messages.ts';
import { createPacketCrypto } from './openssl-packet-crypto.ts';
import { OutboundArea } from './outbound-area.ts';
import { createPacketArithmetic, ScalarArithmetic } from './packet-arithmetic.ts';
import { Poller, type Readable } from './poller.ts';
import { RawReceiver, RawTargets } from './raw-socket.ts';
import { ReceiveBatch } from './receive-batch.ts';
import { rehearse } from './rehearsal.ts';
import { SendBatch, type SendTarget } from './send-batch.ts';
import { SuperPacketSplitter } from './super-packet.ts';
import { TunnelInput } from './tunnel-input.ts';
import { TunnelOutput } from './tunnel-output.ts';
import { TunnelPort, type TunnelSurroundings } from './tunnel-port.ts';
import { TunnelWriter } from './tunnel-writer.ts';
import { UdpPort } from './udp-port.ts';

const ARENA_LENGTH = 16 * 1024 * 1024;
/** Small enough to stay in a processor's second-level cache between being written and being sent. */
const AREA_LENGTH = 512 * 1024;
/** Times that the control thread may ask for something before the event loop has a turn; each costs two system calls. */
const REQUESTS_WITHOUT_TURN_MAX = 64;
/** About links that turn out to be narrower than they were. */
const LINK_QUESTIONS_PER_SECOND_MAX = 10;
const IKE_HEADER: OuterFields = { trafficClass: 0, dontFragment: false };

/** Carries packets between TUN devices and sockets through one data plane. */
export class PacketEngine implements Readable {
  readonly descriptor: number;
  readonly #port: MessagePort;
  readonly #progress: Int32Array<SharedArrayBuffer>;
  readonly #arena = new Arena(ARENA_LENGTH);
  readonly #tally: EngineTally;
  readonly #poller = new Poller();
  readonly #dataPlane: DataPlane;
  readonly #out: EngineOutbox;
  readonly #area = new OutboundArea(this.#arena, AREA_LENGTH);
  readonly #input: TunnelInput;
  readonly #rings: readonly (IoRing | undefined)[];
  readonly #receiveBatch = new ReceiveBatch(this.#arena);
  readonly #linkMtus = new LinkMtus();
  readonly #linkQuestions = new RateLimit(LINK_QUESTIONS_PER_SECOND_MAX);
  readonly #without: readonly EngineFeature[];
  readonly #notices = new Set<string>();
  readonly #tunnelSurroundings: TunnelSurroundings;
  /** Absent where this is the only engine. */
  readonly #handOver: HandOver | undefined;
  readonly #wakeCount = NativeMemory.allocate(128);
  #isRunning = true;
  #reports: EngineReport[] = [];
  #isTurnWanted = false;
  #requestsSinceTurn = 0;

  constructor(settings: EngineSettings, port: MessagePort) {
    this.#port = port;
    this.#progress = settings.progress;
    this.descriptor = settings.wakeDescriptor;
    this.#without = settings.without;
    this.#tally = new EngineTally(settings.counters.engine);
    const crypto = createPacketCrypto(this.#arena, settings.without, (text) => this.#notice(text));
    const arithmetic = createPacketArithmetic(this.#arena, settings.without);
    if (crypto === nodePacketCrypto)
      this.#notice('OpenSSL cannot be reached: packets are encrypted through Node, slower');
    if (arithmetic instanceof ScalarArithmetic) this.#notice('no WebAssembly vectors: checksums are slower');
    // One for each direction: what is to be written may still wait when more is read.
    const [inputRing, outputRing] = [0, 1].map(() => IoRing.open(this.#arena, settings.without));
    this.#rings = [inputRing, outputRing];
    if (!inputRing || !outputRing)
      this.#notice(
        'no io_uring here, or none that reads TUN devices (Linux 6.4): each of their packets is a system call, slower',
      );
    this.#input = new TunnelInput(this.#arena, inputRing, () => this.#flush());
    this.#dataPlane = new DataPlane({
      ...{ crypto, random: systemRandom, isZeroIdentificationReplaced: true },
      counterCells: settings.counters.dataPlane,
    });
    const batches = {
      send: new SendBatch(this.#arena, this.#tally, {
        complete: () => crypto.finish?.(),
        handleNotice: (text) => this.#notice(text),
        handleTooBig: (target) => this.#handleTooBig(target),
      }),
      writer: new TunnelWriter(this.#arena, new TunnelOutput(this.#arena, this.#tally, outputRing), arithmetic),
      raw: new RawTargets(settings.rawSockets),
    };
    this.#out = new EngineOutbox(this.#arena, this.#tally, batches, (event) => this.#report({ kind: 'event', event }));
    const flush = () => this.#flush();
    this.#tunnelSurroundings = {
      tally: this.#tally,
      input: this.#input,
      splitter: new SuperPacketSplitter(this.#arena, arithmetic, this.#area, flush),
    };
    rehearse(this.#now(), { arena: this.#arena, crypto, arithmetic, outputRing });
    this.#poller.add(this);
    this.#handOver = settings.handOver.send.length > 1 ? this.#openHandOver(settings) : undefined;
    const { bytes } = this.#arena.memory;
    for (const socket of settings.rawSockets)
      if (socket.protocol !== 'send')
        this.#poller.add(
          new RawReceiver(this.#arena, this.#tally, this.#receiveBatch, socket, {
            handlePacket: isIcmp(socket)
              ? (now, start, end) => this.#dataPlane.handleIcmpError(now, bytes.subarray(start, end))
              : (now, start, end) => this.#dataPlane.handleIpPacket(now, bytes, this.#out, start, end),
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
      this.#input.run();
      if (now >= this.#dataPlane.nextTimeout()) this.#dataPlane.handleTimeout(now, this.#out);
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
    for (const ring of this.#rings) ring?.close();
    this.#report({ kind: 'stopped' });
    this.#sendReports();
  }

  /** The control thread has written to the eventfd: there are messages. */
  handleReadable(now: Instant): void {
    libc.read(this.descriptor, this.#wakeCount.address, 8);
    this.#handleRequests(now);
    if (++this.#requestsSinceTurn >= REQUESTS_WITHOUT_TURN_MAX) this.#isTurnWanted = true;
  }

  /** Sends and writes the batch, and with it everything that the data plane is done with. */
  #flush(): void {
    this.#out.send();
    this.#area.reset();
  }

  #handleRequests(now: Instant): void {
    for (;;) {
      const received: { message: readonly EngineRequest[] } | undefined = receiveMessageOnPort(this.#port);
      if (!received) return;
      for (const request of received.message) this.#handleRequest(now, request);
      Atomics.add(this.#progress, 0, 1);
    }
  }

  #handleRequest(now: Instant, request: EngineRequest): void {
    switch (request.kind) {
      case 'command':
        if (request.command.kind === 'remove') this.#isTurnWanted = true;
        if (request.command.kind === 'add-outbound') this.#measureLink(request.command.sa);
        return this.#dataPlane.handleCommand(now, request.command, this.#out, request.cells);
      case 'transmit':
        return this.#out.transmitUdp(request.path, request.datagram, 0, request.datagram.length, IKE_HEADER);
      case 'add-tunnel': {
        const { name } = request.tunnel;
        const source = name === POLICY_INTERFACE ? undefined : name;
        const { bytes } = this.#arena.memory;
        const tunnel = new TunnelPort(now, request.tunnel, this.#tunnelSurroundings, {
          handlePacket: (at, start, end) => this.#dataPlane.handleInnerPacket(at, source, bytes, start, end, this.#out),
          handleNextPiece: (at, start, end) =>
            this.#dataPlane.handleNextPiece(at, source, bytes, start, end, this.#out),
        });
        this.#out.addTunnel(name, tunnel);
        if (request.tunnel.offload !== 'tcp-and-udp') this.#notice(OFFLOADS_MISSING[request.tunnel.offload]);
        return request.isForWritingOnly ? undefined : this.#poller.add(tunnel);
      }
      case 'remove-tunnel': {
        const tunnel = this.#out.removeTunnel(request.name);
        if (tunnel) this.#poller.remove(tunnel.descriptor);
        return;
      }
      case 'add-udp-socket': {
        const port = new UdpPort(this.#arena, this.#tally, this.#receiveBatch, request.socket, this.#without, {
          handleIke: (path, datagram) => this.#report({ kind: 'datagram', path, datagram }),
          handleEsp: (at, path, start, end, trafficClass) => {
            if (this.#handOver?.isForeign(start)) return this.#handOver.give(path, start, end, trafficClass);
            this.#dataPlane.handleUdpPacket(at, path, this.#arena.memory.bytes, this.#out, trafficClass, start, end);
          },
          expectEsp: (start, end) => this.#dataPlane.expectUdpPacket(this.#arena.memory.bytes, start, end),
          forgetExpected: () => this.#dataPlane.forgetExpected(),
          flush: () => this.#flush(),
          handleNotice: (text) => this.#notice(text),
        });
        const { address, port: number, isForSendingOnly } = request.socket;
        this.#out.addUdpPort(address, number, port);
        if (!isForSendingOnly) this.#poller.add(port);
        return;
      }
      case 'remove-udp-socket':
        this.#poller.remove(request.descriptor);
        return this.#out.removeUdpPort(request.descriptor);
      case 'settle':
        return this.#report({ kind: 'settled', id: request.id });
      case 'stop':
        this.#isRunning = false;
        return;
      default:
        return unreachable(request);
    }
  }

  #openHandOver(settings: EngineSettings): HandOver {
    const handOver = new HandOver(this.#arena, this.#tally, this.#receiveBatch, settings, {
      pathFrom: (local, remoteOffset) => this.#out.pathFrom(local, remoteOffset),
      handleEsp: (now, path, start, end, trafficClass) =>
        this.#dataPlane.handleUdpPacket(now, path, this.#arena.memory.bytes, this.#out, trafficClass, start, end),
      flush: () => this.#flush(),
    });
    this.#poller.add(handOver);
    return handOver;
  }

  /** The link of a new SA is known before its first packet. */
  #measureLink({ localAddress, remoteAddress, udp }: IpsecSa): void {
    const remote = udp?.remote.address ?? remoteAddress;
    const mtu = this.#linkMtus.get(udp?.local.address ?? localAddress, remote);
    if (mtu !== undefined) this.#dataPlane.handleLinkMtu(remote, mtu);
  }

  /** A link has become narrower since. */
  #handleTooBig({ address }: SendTarget): void {
    const remote = readSocketAddress(new DataView(address.buffer, address.byteOffset), 0);
    if (!remote || !this.#linkQuestions.take(this.#now())) return;
    const mtu = this.#linkMtus.get(undefined, remote.address);
    if (mtu !== undefined) this.#dataPlane.handleLinkMtu(remote.address, mtu);
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

  /** Whole milliseconds: a number with a fraction would be a new object wherever it is handed on (for 25 days at least). */
  #now(): Instant {
    return instant(Math.floor(performance.now()));
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

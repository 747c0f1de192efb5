import type { Instant } from '../../lib/time.ts';
import { addressFamily, type UdpPath } from '../../model/address.ts';
import { classifyUdp4500 } from '../../wire/udp-encapsulation.ts';
import {
  IP_RECVTOS,
  IP_TOS,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_RECVTCLASS,
  IPV6_TCLASS,
  libc,
  NativeMemory,
} from '../libc.ts';
import type { Arena } from './arena.ts';
import type { EngineTally } from './engine-counters.ts';
import type { EngineFeature, EngineUdpSocket } from './messages.ts';
import { PathTable } from './path-table.ts';
import type { Readable } from './poller.ts';
import type { ReceiveBatch } from './receive-batch.ts';
import type { SendTarget } from './send-batch.ts';

export interface UdpPortHandlers {
  /** Takes the datagram for good. */
  handleIke(path: UdpPath, datagram: Uint8Array<ArrayBuffer>): void;
  /**
   * The payload lies at `[start, end)` in the arena, DSCP and ECN were those of its IP header, if the kernel tells; what is made of it may
   * stay there until the turn is over.
   */
  handleEsp(now: Instant, path: UdpPath, start: number, end: number, trafficClass: number | undefined): void;
  /** Whether or not it is ESP, `handleEsp` may be called with these octets next, after it has been with those that this was said of before. */
  expectEsp(start: number, end: number): void;
  /** What is still expected will not come. */
  forgetExpected(): void;
  /** The turn is over: everything that lies in the receive batch must be used up on return. */
  flush(): void;
  handleNotice(text: string): void;
}

const NAT_TRAVERSAL_PORT = 4500;
const SOL_UDP = 17;
const UDP_GRO = 104;
/** So many packets are opened in one native call. */
const GATHERED_MAX = 16;

/** One UDP socket of IKE: port 500, or port 4500 with ESP on it. */
export class UdpPort implements Readable {
  readonly descriptor: number;
  readonly #isShared: boolean;
  readonly #arena: Arena;
  readonly #tally: EngineTally;
  readonly #batch: ReceiveBatch;
  readonly #handlers: UdpPortHandlers;
  readonly #paths: PathTable;
  /** Where what must not be fragmented leaves. */
  readonly #unfragmentedPaths: PathTable;
  readonly #trafficClassLevel: number;
  readonly #trafficClassType: number;
  #gathered = 0;
  readonly #gatheredPaths: UdpPath[] = [];
  readonly #gatheredTrafficClasses: (number | undefined)[] = [];
  readonly #gatheredStarts = new Uint32Array(GATHERED_MAX);
  readonly #gatheredEnds = new Uint32Array(GATHERED_MAX);

  constructor(
    arena: Arena,
    tally: EngineTally,
    batch: ReceiveBatch,
    socket: EngineUdpSocket,
    without: readonly EngineFeature[],
    handlers: UdpPortHandlers,
  ) {
    this.descriptor = socket.descriptor;
    this.#isShared = socket.port === NAT_TRAVERSAL_PORT;
    this.#arena = arena;
    this.#tally = tally;
    this.#batch = batch;
    this.#handlers = handlers;
    const local = { address: socket.address, port: socket.port };
    const isIpv4 = addressFamily(socket.address) === 4;
    this.#trafficClassLevel = isIpv4 ? IPPROTO_IP : IPPROTO_IPV6;
    this.#trafficClassType = isIpv4 ? IP_TOS : IPV6_TCLASS;
    const takesTrafficClass = this.#isShared && !without.includes('udp-traffic-class');
    const capabilities = { isSplitByKernel: !without.includes('udp-segmentation'), takesTrafficClass };
    this.#paths = new PathTable(arena, socket.descriptor, local, capabilities);
    const { unfragmentedDescriptor } = socket;
    this.#unfragmentedPaths =
      unfragmentedDescriptor === undefined
        ? this.#paths
        : new PathTable(arena, unfragmentedDescriptor, local, capabilities);
    if (isIpv4 && this.#isShared && unfragmentedDescriptor === undefined)
      handlers.handleNotice(
        'this kernel has no second socket for a port: ESP in UDP leaves without DF, whatever df-bit says',
      );
    if (takesTrafficClass && !enableTrafficClass(socket.descriptor, isIpv4))
      handlers.handleNotice('this kernel does not tell DSCP and ECN of datagrams: those of ESP in UDP are not read');
    const isOffloadWanted = this.#isShared && !without.includes('udp-receive-offload');
    if (isOffloadWanted && !enableReceiveOffload(socket.descriptor))
      handlers.handleNotice('this kernel does not join datagrams (UDP GRO): each is received by itself');
  }

  handleReadable(now: Instant): void {
    const batch = this.#batch;
    const count = batch.receive(this.descriptor);
    for (let index = 0; index < count; index++) this.#handleMessage(now, index);
    this.#handleGathered(now);
    this.#handlers.flush();
    batch.release(count);
  }

  /** Where the datagrams of this path go. */
  target(path: UdpPath, dontFragment: boolean): SendTarget {
    return (dontFragment ? this.#unfragmentedPaths : this.#paths).target(path);
  }

  pathFrom(offset: number): UdpPath | undefined {
    return this.#paths.pathFrom(offset);
  }

  /** With GRO, one message holds several datagrams of equal length, only the last one shorter (udp(7)). */
  #handleMessage(now: Instant, index: number): void {
    const batch = this.#batch;
    const { view } = this.#arena.memory;
    const length = batch.length(index);
    const path = this.#paths.pathFrom(batch.sourceOffset(index));
    if (!path) return;
    const control = batch.controlOffset(index, SOL_UDP, UDP_GRO);
    const segmentLength = control < 0 ? length : view.getInt32(control, true);
    const trafficClassAt = batch.controlOffset(index, this.#trafficClassLevel, this.#trafficClassType);
    const trafficClass = trafficClassAt < 0 ? undefined : view.getUint8(trafficClassAt);
    const start = batch.offset(index);
    const end = start + length;
    if (length === 0 || segmentLength <= 0) return this.#tally.count('malformed-received');
    this.#tally.count('socket-received', Math.ceil(length / segmentLength));
    for (let at = start; at < end; at += segmentLength)
      this.#gather(now, path, at, Math.min(at + segmentLength, end), trafficClass);
  }

  /** Datagrams are handled some at a time, so that the data plane sees them coming. */
  #gather(now: Instant, path: UdpPath, start: number, end: number, trafficClass: number | undefined): void {
    const index = this.#gathered++;
    this.#gatheredPaths[index] = path;
    this.#gatheredTrafficClasses[index] = trafficClass;
    this.#gatheredStarts[index] = start;
    this.#gatheredEnds[index] = end;
    if (this.#isShared) this.#handlers.expectEsp(start, end);
    if (index === GATHERED_MAX - 1) this.#handleGathered(now);
  }

  #handleGathered(now: Instant): void {
    const count = this.#gathered;
    this.#gathered = 0;
    for (let index = 0; index < count; index++) {
      const path = this.#gatheredPaths[index];
      const [start = 0, end = 0] = [this.#gatheredStarts[index], this.#gatheredEnds[index]];
      if (path) this.#handleDatagram(now, path, start, end, this.#gatheredTrafficClasses[index]);
    }
    if (this.#isShared) this.#handlers.forgetExpected();
  }

  #handleDatagram(now: Instant, path: UdpPath, start: number, end: number, trafficClass: number | undefined): void {
    const { bytes } = this.#arena.memory;
    const content = this.#isShared ? classifyUdp4500(bytes, start, end) : 'ike';
    switch (content) {
      case 'esp':
        return this.#handlers.handleEsp(now, path, start, end, trafficClass);
      case 'ike':
        this.#tally.count('ike-received');
        return this.#handlers.handleIke(path, bytes.slice(start, end));
      case 'keepalive':
        return this.#tally.count('keepalive-received');
      case 'malformed':
        return this.#tally.count('malformed-received');
    }
  }
}

/** Asks for a control message with each datagram; the kernel never joins datagrams that differ in it. */
function enableTrafficClass(descriptor: number, isIpv4: boolean): boolean {
  const value = NativeMemory.allocate(128);
  value.view.setInt32(0, 1, true);
  const [level, option] = isIpv4 ? [IPPROTO_IP, IP_RECVTOS] : [IPPROTO_IPV6, IPV6_RECVTCLASS];
  return libc.setsockopt(descriptor, level, option, value.address, 4) === 0;
}

/** UDP GRO came with Linux 5.0; without it each datagram arrives by itself. */
function enableReceiveOffload(descriptor: number): boolean {
  const value = NativeMemory.allocate(128);
  value.view.setInt32(0, 1, true);
  return libc.setsockopt(descriptor, SOL_UDP, UDP_GRO, value.address, 4) === 0;
}

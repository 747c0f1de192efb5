import type { Instant } from '../../lib/time.ts';
import { addressFamily, type IpAddress } from '../../model/address.ts';
import { AF_INET6, IPPROTO_IPV6, IPV6_DSTOPTS, IPV6_HOPOPTS, IPV6_PKTINFO, IPV6_RTHDR, IPV6_TCLASS } from '../libc.ts';
import { socketAddress } from '../socket-address.ts';
import type { Arena } from './arena.ts';
import type { EngineTally } from './engine-counters.ts';
import { IPV6_HEADER_LENGTH, Ipv6 } from './ip-view.ts';
import { CONTROL_HEADER_LENGTH } from './message-layout.ts';
import type { EngineRawSocket } from './messages.ts';
import type { Readable } from './poller.ts';
import { RECEIVE_HEADROOM, type ReceiveBatch } from './receive-batch.ts';
import type { SendTarget } from './send-batch.ts';

export interface RawPacketHandlers {
  /** Takes the whole IP packet, header included, at `[start, end)` in the arena; what is made of it may stay there until the turn is over. */
  handlePacket(now: Instant, start: number, end: number): void;
  /** The turn is over: everything that lies in the receive batch must be used up on return. */
  flush(): void;
}

// What is read as hop limit is not authenticated by anything, and is not ours to forward: any value does.
const HOP_LIMIT = 64;
const HOP_BY_HOP = 0;
const ROUTING = 43;
const DESTINATION = 60;
/** What is longer is no packet of anybody's but of somebody who tries. */
const EXTENSIONS_LENGTH_MAX = RECEIVE_HEADROOM - IPV6_HEADER_LENGTH;

/** Receives one protocol of one address family. */
export class RawReceiver implements Readable {
  readonly descriptor: number;
  readonly #family: 4 | 6;
  readonly #protocol: number;
  readonly #arena: Arena;
  readonly #tally: EngineTally;
  readonly #batch: ReceiveBatch;
  readonly #handlers: RawPacketHandlers;
  #firstHeader = 0;

  constructor(
    arena: Arena,
    tally: EngineTally,
    batch: ReceiveBatch,
    socket: EngineRawSocket,
    handlers: RawPacketHandlers,
  ) {
    this.descriptor = socket.descriptor;
    this.#family = socket.family;
    this.#protocol = Number(socket.protocol);
    this.#arena = arena;
    this.#tally = tally;
    this.#batch = batch;
    this.#handlers = handlers;
  }

  handleReadable(now: Instant): void {
    const batch = this.#batch;
    const count = batch.receive(this.descriptor);
    this.#tally.count('socket-received', count);
    for (let index = 0; index < count; index++) {
      const start = batch.offset(index);
      const end = start + batch.length(index);
      if (this.#family === 4) this.#handlers.handlePacket(now, start, end);
      else {
        const header = this.#restoreIpv6Headers(index, start, end);
        if (header >= 0) this.#handlers.handlePacket(now, header, end);
        else this.#tally.count('malformed-received');
      }
    }
    this.#handlers.flush();
    batch.release(count);
  }

  // An IPv6 raw socket keeps the headers to itself (RFC 3542 §3): what the data plane reads of them is put back together.
  #restoreIpv6Headers(index: number, start: number, end: number): number {
    const batch = this.#batch;
    const { bytes, view } = this.#arena.memory;
    const source = batch.sourceOffset(index);
    const destination = batch.controlOffset(index, IPPROTO_IPV6, IPV6_PKTINFO);
    const trafficClass = batch.controlOffset(index, IPPROTO_IPV6, IPV6_TCLASS);
    if (destination < 0 || view.getUint16(source, true) !== AF_INET6) return -1;
    const first = this.#restoreExtensions(index, start);
    if (first < 0) return -1;
    const header = first - IPV6_HEADER_LENGTH;
    const octet = trafficClass < 0 ? 0 : view.getUint8(trafficClass);
    view.setUint32(header, 0x60000000 + octet * 2 ** 20);
    view.setUint16(header + Ipv6.payloadLength, end - first);
    view.setUint8(header + Ipv6.nextHeader, this.#firstHeader);
    view.setUint8(header + Ipv6.hopLimit, HOP_LIMIT);
    bytes.copyWithin(header + Ipv6.addresses, source + 8, source + 24);
    bytes.copyWithin(header + Ipv6.addresses + 16, destination, destination + 16);
    return header;
  }

  // Those that the ICV of AH is about too (RFC 4302 §3.3.3.1.2), each with its next header in it: the kernel hands them over in their order.
  #restoreExtensions(index: number, start: number): number {
    const batch = this.#batch;
    const { bytes, view } = this.#arena.memory;
    this.#firstHeader = this.#protocol;
    let length = 0;
    for (let at = batch.nextControl(index, -1); at >= 0; at = batch.nextControl(index, at))
      if (extensionOf(view, at) >= 0) length += view.getUint32(at, true) - CONTROL_HEADER_LENGTH;
    if (length === 0) return start;
    if (length > EXTENSIONS_LENGTH_MAX) return -1;
    const first = start - length;
    let to = first;
    for (let at = batch.nextControl(index, -1); at >= 0; at = batch.nextControl(index, at)) {
      const kind = extensionOf(view, at);
      if (kind < 0) continue;
      if (to === first) this.#firstHeader = kind;
      const end = at + view.getUint32(at, true);
      bytes.copyWithin(to, at + CONTROL_HEADER_LENGTH, end);
      to += end - at - CONTROL_HEADER_LENGTH;
    }
    return first;
  }
}

/** The protocol number of the extension header in the control message at `at`; -1 if it holds none. */
function extensionOf(view: DataView, at: number): number {
  if (view.getUint32(at + 8, true) !== IPPROTO_IPV6) return -1;
  switch (view.getUint32(at + 12, true)) {
    case IPV6_HOPOPTS:
      return HOP_BY_HOP;
    case IPV6_RTHDR:
      return ROUTING;
    case IPV6_DSTOPTS:
      return DESTINATION;
    default:
      return -1;
  }
}

const ADDRESSES_MAX = 1024;

/** Where whole IP packets go, for each address: the raw socket of its family, and the address as the kernel wants it. */
export class RawTargets {
  readonly #descriptors = new Map<4 | 6, number>();
  readonly #targets = new Map<IpAddress, SendTarget>();

  constructor(sockets: readonly EngineRawSocket[]) {
    for (const socket of sockets)
      if (socket.protocol === 'send') this.#descriptors.set(socket.family, socket.descriptor);
  }

  /** `undefined` for a family that this host has no raw sockets of. */
  get(remote: IpAddress): SendTarget | undefined {
    const known = this.#targets.get(remote);
    if (known) return known;
    const descriptor = this.#descriptors.get(addressFamily(remote));
    if (descriptor === undefined) return undefined;
    if (this.#targets.size >= ADDRESSES_MAX) this.#targets.clear();
    // raw(7): the port of the destination must be zero. And the kernel does not split what is no UDP.
    const address = socketAddress({ address: remote, port: 0 });
    const target = { descriptor, address, segmentLengthMax: 0, takesTrafficClass: false };
    this.#targets.set(remote, target);
    return target;
  }
}

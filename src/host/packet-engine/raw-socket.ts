import type { Instant } from '../../lib/time.ts';
import { addressFamily, type IpAddress } from '../../model/address.ts';
import { AF_INET6, IPPROTO_IPV6, IPV6_PKTINFO, IPV6_TCLASS } from '../libc.ts';
import { socketAddress } from '../socket-address.ts';
import type { Arena } from './arena.ts';
import type { EngineTally } from './engine-counters.ts';
import { IPV6_HEADER_LENGTH, Ipv6 } from './ip-view.ts';
import type { EngineRawSocket } from './messages.ts';
import type { Readable } from './poller.ts';
import type { ReceiveBatch } from './receive-batch.ts';
import type { SendTarget } from './send-batch.ts';

export interface RawPacketHandlers {
  /** Takes the whole IP packet, header included, at `[start, end)` in the arena; what is made of it may stay there until the turn is over. */
  handlePacket(now: Instant, start: number, end: number): void;
  /** The turn is over: everything that lies in the receive batch must be used up on return. */
  flush(): void;
}

// What is read as hop limit is not authenticated by anything, and is not ours to forward: any value does.
const HOP_LIMIT = 64;

/** Receives one protocol of one address family. */
export class RawReceiver implements Readable {
  readonly descriptor: number;
  readonly #family: 4 | 6;
  readonly #protocol: number;
  readonly #arena: Arena;
  readonly #tally: EngineTally;
  readonly #batch: ReceiveBatch;
  readonly #handlers: RawPacketHandlers;

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
      else if (this.#restoreIpv6Header(index, start, end - start))
        this.#handlers.handlePacket(now, start - IPV6_HEADER_LENGTH, end);
    }
    this.#handlers.flush();
    batch.release(count);
  }

  // An IPv6 raw socket keeps the header to itself (RFC 3542 §3): what the data plane reads of it is put back together.
  #restoreIpv6Header(index: number, start: number, length: number): boolean {
    const batch = this.#batch;
    const { bytes, view } = this.#arena.memory;
    const source = batch.sourceOffset(index);
    const destination = batch.controlOffset(index, IPPROTO_IPV6, IPV6_PKTINFO);
    const trafficClass = batch.controlOffset(index, IPPROTO_IPV6, IPV6_TCLASS);
    if (destination < 0 || view.getUint16(source, true) !== AF_INET6) return false;
    const header = start - IPV6_HEADER_LENGTH;
    const octet = trafficClass < 0 ? 0 : view.getUint8(trafficClass);
    view.setUint32(header, 0x60000000 + octet * 2 ** 20);
    view.setUint16(header + Ipv6.payloadLength, length);
    view.setUint8(header + Ipv6.nextHeader, this.#protocol);
    view.setUint8(header + Ipv6.hopLimit, HOP_LIMIT);
    bytes.copyWithin(header + Ipv6.addresses, source + 8, source + 24);
    bytes.copyWithin(header + Ipv6.addresses + 16, destination, destination + 16);
    return true;
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

import type { Instant } from '../../lib/time.ts';
import { addressFamily, type IpAddress } from '../../model/address.ts';
import { AF_INET6, IPPROTO_IPV6, IPV6_PKTINFO, IPV6_TCLASS, lastErrno, libc, MSG_DONTWAIT } from '../libc.ts';
import { SOCKET_ADDRESS_LENGTH_MAX, writeSocketAddress } from '../socket-address.ts';
import type { Arena } from './arena.ts';
import type { EngineTally } from './engine-counters.ts';
import type { EngineRawSocket } from './messages.ts';
import type { Readable } from './poller.ts';
import { countSendFailure } from './udp-port.ts';

/** Takes a whole IP packet, header included, before it returns. */
export type IpPacketHandler = (now: Instant, packet: Uint8Array) => void;

const PACKET_LENGTH_MAX = 65_536;
const PACKETS_PER_TURN = 32;
const IPV6_HEADER_LENGTH = 40;
// What is read as hop limit is not authenticated by anything, and is not ours to forward: any value does.
const HOP_LIMIT = 64;
const MESSAGE_HEADER_LENGTH = 56;
const CONTROL_LENGTH = 128;
const CONTROL_HEADER_LENGTH = 16;

/** Receives one protocol (50 or 51) of one address family. */
export class RawReceiver implements Readable {
  readonly descriptor: number;
  readonly #family: 4 | 6;
  readonly #protocol: number;
  readonly #arena: Arena;
  readonly #tally: EngineTally;
  readonly #handlePacket: IpPacketHandler;
  readonly #buffer: number;
  readonly #message: number;
  readonly #vector: number;
  readonly #source: number;
  readonly #control: number;

  constructor(arena: Arena, tally: EngineTally, socket: EngineRawSocket, handlePacket: IpPacketHandler) {
    this.descriptor = socket.descriptor;
    this.#family = socket.family;
    this.#protocol = Number(socket.protocol);
    this.#arena = arena;
    this.#tally = tally;
    this.#handlePacket = handlePacket;
    this.#buffer = arena.reserve(IPV6_HEADER_LENGTH + PACKET_LENGTH_MAX) + IPV6_HEADER_LENGTH;
    this.#message = arena.reserve(MESSAGE_HEADER_LENGTH);
    this.#vector = arena.reserve(16);
    this.#source = arena.reserve(SOCKET_ADDRESS_LENGTH_MAX);
    this.#control = arena.reserve(CONTROL_LENGTH);
  }

  handleReadable(now: Instant): void {
    const { bytes, address } = this.#arena.memory;
    for (let count = 0; count < PACKETS_PER_TURN; count++) {
      if (this.#family === 4) {
        const length = libc.recvfrom(this.descriptor, address + this.#buffer, PACKET_LENGTH_MAX, MSG_DONTWAIT, 0, 0);
        if (length <= 0) return;
        this.#tally.count('socket-received');
        this.#handlePacket(now, bytes.subarray(this.#buffer, this.#buffer + length));
        continue;
      }
      this.#prepareMessage();
      const length = libc.recvmsg(this.descriptor, address + this.#message, MSG_DONTWAIT);
      if (length <= 0) return;
      this.#tally.count('socket-received');
      if (this.#restoreIpv6Header(length))
        this.#handlePacket(now, bytes.subarray(this.#buffer - IPV6_HEADER_LENGTH, this.#buffer + length));
    }
  }

  #prepareMessage(): void {
    const { view, address } = this.#arena.memory;
    const at = this.#message;
    setAddress(view, at, address + this.#source);
    view.setUint32(at + 8, SOCKET_ADDRESS_LENGTH_MAX, true);
    setAddress(view, at + 16, address + this.#vector);
    setAddress(view, at + 24, 1);
    setAddress(view, at + 32, address + this.#control);
    setAddress(view, at + 40, CONTROL_LENGTH);
    setAddress(view, this.#vector, address + this.#buffer);
    setAddress(view, this.#vector + 8, PACKET_LENGTH_MAX);
  }

  // An IPv6 raw socket keeps the header to itself (RFC 3542 §3): what the data plane reads of it is put back together.
  #restoreIpv6Header(length: number): boolean {
    const { bytes, view } = this.#arena.memory;
    const header = this.#buffer - IPV6_HEADER_LENGTH;
    let hasDestination = false;
    let trafficClass = 0;
    const controlEnd = this.#control + view.getUint32(this.#message + 40, true);
    for (let at = this.#control; at + CONTROL_HEADER_LENGTH <= controlEnd; ) {
      const messageLength = view.getUint32(at, true);
      if (messageLength < CONTROL_HEADER_LENGTH) break;
      if (view.getUint32(at + 8, true) === IPPROTO_IPV6) {
        const type = view.getUint32(at + 12, true);
        if (type === IPV6_PKTINFO) {
          const data = at + CONTROL_HEADER_LENGTH;
          bytes.copyWithin(header + 24, data, data + 16);
          hasDestination = true;
        } else if (type === IPV6_TCLASS) trafficClass = view.getUint32(at + CONTROL_HEADER_LENGTH, true) & 0xff;
      }
      at += (messageLength + 7) & ~7;
    }
    if (!hasDestination || view.getUint16(this.#source, true) !== AF_INET6) return false;
    view.setUint32(header, 0x60000000 + trafficClass * 2 ** 20);
    view.setUint16(header + 4, length);
    view.setUint8(header + 6, this.#protocol);
    view.setUint8(header + 7, HOP_LIMIT);
    bytes.copyWithin(header + 8, this.#source + 8, this.#source + 24);
    return true;
  }
}

/** Sends whole IP packets of both families. */
export class RawSender {
  readonly #arena: Arena;
  readonly #tally: EngineTally;
  readonly #descriptors = new Map<4 | 6, number>();
  readonly #destination: number;
  readonly #copy: number;
  #lastRemote: IpAddress | undefined;
  #lastLength = 0;

  constructor(arena: Arena, tally: EngineTally, sockets: readonly EngineRawSocket[]) {
    this.#arena = arena;
    this.#tally = tally;
    for (const socket of sockets)
      if (socket.protocol === 'send') this.#descriptors.set(socket.family, socket.descriptor);
    this.#destination = arena.reserve(SOCKET_ADDRESS_LENGTH_MAX);
    this.#copy = arena.reserve(PACKET_LENGTH_MAX);
  }

  /** Sends one packet. Its octets are the caller's again on return. */
  transmit(remote: IpAddress, packet: Uint8Array): void {
    const { bytes, view, address } = this.#arena.memory;
    const descriptor = this.#descriptors.get(addressFamily(remote));
    if (descriptor === undefined) return this.#tally.count('socket-missing');
    if (remote !== this.#lastRemote) {
      // raw(7): the port of the destination must be zero.
      this.#lastLength = writeSocketAddress(view, this.#destination, { address: remote, port: 0 });
      this.#lastRemote = remote;
    }
    let offset = packet.byteOffset;
    if (!this.#arena.holds(packet)) {
      offset = this.#copy;
      bytes.set(packet, offset);
    }
    const start = address + offset;
    const to = address + this.#destination;
    const sent = libc.sendto(descriptor, start, packet.length, MSG_DONTWAIT, to, this.#lastLength);
    if (sent >= 0) this.#tally.count('socket-sent');
    else countSendFailure(this.#tally, lastErrno());
  }
}

// The upper half of a pointer or size_t is written apart, since Numbers hold 53 bits.
function setAddress(view: DataView, offset: number, value: number): void {
  view.setUint32(offset, value % 2 ** 32, true);
  view.setUint32(offset + 4, Math.floor(value / 2 ** 32), true);
}

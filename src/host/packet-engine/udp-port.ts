import type { Instant } from '../../lib/time.ts';
import type { UdpPath } from '../../model/address.ts';
import { classifyUdp4500 } from '../../wire/udp-encapsulation.ts';
import { ERRNO, lastErrno, libc, MSG_DONTWAIT } from '../libc.ts';
import { SOCKET_ADDRESS_LENGTH_MAX } from '../socket-address.ts';
import type { Arena } from './arena.ts';
import type { EngineTally } from './engine-counters.ts';
import type { EngineUdpSocket } from './messages.ts';
import { PathTable } from './path-table.ts';
import type { Readable } from './poller.ts';

export interface UdpPortHandlers {
  /** Takes the datagram for good. */
  handleIke(path: UdpPath, datagram: Uint8Array<ArrayBuffer>): void;
  /** The payload is the port's again on return. */
  handleEsp(now: Instant, path: UdpPath, payload: Uint8Array): void;
}

const NAT_TRAVERSAL_PORT = 4500;
const HEADROOM = 256;
const DATAGRAM_LENGTH_MAX = 65_536;
const DATAGRAMS_PER_TURN = 32;

/** One UDP socket of IKE: port 500, or port 4500 with ESP on it. */
export class UdpPort implements Readable {
  readonly descriptor: number;
  readonly #isShared: boolean;
  readonly #arena: Arena;
  readonly #tally: EngineTally;
  readonly #handlers: UdpPortHandlers;
  readonly #paths: PathTable;
  readonly #buffer: number;
  readonly #copy: number;
  readonly #sourceOffset: number;
  readonly #lengthOffset: number;

  constructor(arena: Arena, tally: EngineTally, socket: EngineUdpSocket, handlers: UdpPortHandlers) {
    this.descriptor = socket.descriptor;
    this.#isShared = socket.port === NAT_TRAVERSAL_PORT;
    this.#arena = arena;
    this.#tally = tally;
    this.#handlers = handlers;
    this.#paths = new PathTable(arena, { address: socket.address, port: socket.port });
    this.#buffer = arena.reserve(HEADROOM + DATAGRAM_LENGTH_MAX) + HEADROOM;
    this.#copy = arena.reserve(DATAGRAM_LENGTH_MAX);
    this.#sourceOffset = arena.reserve(SOCKET_ADDRESS_LENGTH_MAX);
    this.#lengthOffset = arena.reserve(4);
  }

  handleReadable(now: Instant): void {
    const { bytes, view, address } = this.#arena.memory;
    for (let count = 0; count < DATAGRAMS_PER_TURN; count++) {
      view.setUint32(this.#lengthOffset, SOCKET_ADDRESS_LENGTH_MAX, true);
      const length = libc.recvfrom(
        this.descriptor,
        address + this.#buffer,
        DATAGRAM_LENGTH_MAX,
        MSG_DONTWAIT,
        address + this.#sourceOffset,
        address + this.#lengthOffset,
      );
      // An error here is an ICMP message about something sent before: it has been taken off the socket, and the next call goes on.
      if (length < 0 && lastErrno() === ERRNO.EAGAIN) return;
      if (length <= 0) continue;
      this.#tally.count('socket-received');
      const path = this.#paths.pathFrom(this.#sourceOffset);
      if (path) this.#handleDatagram(now, path, bytes.subarray(this.#buffer, this.#buffer + length));
    }
  }

  /** Sends one datagram. Its octets are the caller's again on return. */
  transmit(path: UdpPath, payload: Uint8Array): void {
    const { bytes, address } = this.#arena.memory;
    const { addressOffset, addressLength } = this.#paths.prepare(path);
    let offset = payload.byteOffset;
    if (!this.#arena.holds(payload)) {
      offset = this.#copy;
      bytes.set(payload, offset);
    }
    const start = address + offset;
    const sent = libc.sendto(
      this.descriptor,
      start,
      payload.length,
      MSG_DONTWAIT,
      address + addressOffset,
      addressLength,
    );
    if (sent >= 0) this.#tally.count('socket-sent');
    else countSendFailure(this.#tally, lastErrno());
  }

  #handleDatagram(now: Instant, path: UdpPath, datagram: Uint8Array): void {
    const content = this.#isShared ? classifyUdp4500(datagram) : 'ike';
    switch (content) {
      case 'esp':
        return this.#handlers.handleEsp(now, path, datagram);
      case 'ike':
        this.#tally.count('ike-received');
        return this.#handlers.handleIke(path, new Uint8Array(datagram));
      case 'keepalive':
        return this.#tally.count('keepalive-received');
      case 'malformed':
        return this.#tally.count('malformed-received');
    }
  }
}

/** Counts a datagram that the kernel did not take, by cause. */
export function countSendFailure(tally: EngineTally, errno: number): void {
  if (errno === ERRNO.EAGAIN || errno === ERRNO.ENOBUFS) tally.count('socket-buffer-full');
  else if (errno === ERRNO.EMSGSIZE) tally.count('socket-too-big');
  else tally.count('socket-send-refused');
}

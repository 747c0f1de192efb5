import { ERRNO, lastErrno, libc, MSG_DONTWAIT } from '../libc.ts';
import { SOCKET_ADDRESS_LENGTH_MAX } from '../socket-address.ts';
import type { Arena } from './arena.ts';
import { CONTROL_HEADER_LENGTH, MESSAGE_LENGTH, MessageField, writePointer } from './message-layout.ts';

/** Room in front of what is received: for IPv6 headers put back, and for the header of a write to a TUN device. */
export const RECEIVE_HEADROOM = 128;
const TAILROOM = 64;
const DATAGRAM_LENGTH_MAX = 65_536;
/** Of an IPv6 packet: its destination, its traffic class, and a few extension headers. */
const CONTROL_LENGTH = 256;
const VECTOR_LENGTH = 16;
/** Datagrams that one call receives at most; with GRO, each may hold up to 64 packets. */
const DATAGRAMS_MAX = 32;
const DATAGRAMS_MIN = 4;
/** What is worked on at once should stay in a processor's second-level cache. */
const OCTETS_PER_TURN = 256 * 1024;

/**
 * Receives several datagrams in one call (recvmmsg(2)). All sockets of an engine share one batch, since each turn is over before the
 * next begins: what a turn received stays valid until the next `receive`.
 */
export class ReceiveBatch {
  readonly #arena: Arena;
  readonly #messages: number;
  readonly #vectors: number;
  readonly #names: number;
  readonly #controls: number;
  readonly #slots: number;
  /** How many datagrams the next call may bring. */
  #wanted = DATAGRAMS_MAX;
  readonly #slotLength = RECEIVE_HEADROOM + DATAGRAM_LENGTH_MAX + TAILROOM;

  constructor(arena: Arena) {
    this.#arena = arena;
    this.#messages = arena.reserve(DATAGRAMS_MAX * MESSAGE_LENGTH);
    this.#vectors = arena.reserve(DATAGRAMS_MAX * VECTOR_LENGTH);
    this.#names = arena.reserve(DATAGRAMS_MAX * SOCKET_ADDRESS_LENGTH_MAX);
    this.#controls = arena.reserve(DATAGRAMS_MAX * CONTROL_LENGTH);
    this.#slots = arena.reserve(DATAGRAMS_MAX * this.#slotLength);
    const { view, address } = arena.memory;
    for (let index = 0; index < DATAGRAMS_MAX; index++) {
      const message = this.#messages + index * MESSAGE_LENGTH;
      const vector = this.#vectors + index * VECTOR_LENGTH;
      writePointer(view, message + MessageField.name, address + this.sourceOffset(index));
      writePointer(view, message + MessageField.vectors, address + vector);
      writePointer(view, message + MessageField.vectorCount, 1);
      writePointer(view, message + MessageField.control, address + this.#controls + index * CONTROL_LENGTH);
      writePointer(view, vector, address + this.offset(index));
      writePointer(view, vector + 8, DATAGRAM_LENGTH_MAX);
      this.#rearm(index);
    }
  }

  /** Receives what is there, up to a batch; returns how many datagrams. */
  receive(descriptor: number): number {
    const address = this.#arena.memory.address + this.#messages;
    // An error may be an ICMP message about something sent before: it has been taken off the socket, and the next call goes on.
    for (let attempt = 0; attempt < ERRORS_PER_TURN_MAX; attempt++) {
      const count = libc.recvmmsg(descriptor, address, this.#wanted, MSG_DONTWAIT, 0);
      if (count >= 0) {
        this.#adapt(count);
        return count;
      }
      if (lastErrno() === ERRNO.EAGAIN) return 0;
    }
    return 0;
  }

  /** Where the octets of the i-th datagram begin in the arena, with room on both sides. */
  offset(index: number): number {
    return this.#slots + index * this.#slotLength + RECEIVE_HEADROOM;
  }

  length(index: number): number {
    return this.#arena.memory.view.getUint32(this.#messages + index * MESSAGE_LENGTH + MessageField.length, true);
  }

  /** Where the sender's `sockaddr` lies. */
  sourceOffset(index: number): number {
    return this.#names + index * SOCKET_ADDRESS_LENGTH_MAX;
  }

  /** Where the data of a control message lies; -1 if the kernel sent none of that kind. */
  controlOffset(index: number, level: number, type: number): number {
    const { view } = this.#arena.memory;
    for (let at = this.nextControl(index, -1); at >= 0; at = this.nextControl(index, at))
      if (view.getUint32(at + 8, true) === level && view.getUint32(at + 12, true) === type)
        return at + CONTROL_HEADER_LENGTH;
    return -1;
  }

  /** Where the `struct cmsghdr` behind the one at `at` lies, or with -1 the first; -1 if there is none. */
  nextControl(index: number, at: number): number {
    const { view } = this.#arena.memory;
    const start = this.#controls + index * CONTROL_LENGTH;
    const message = this.#messages + index * MESSAGE_LENGTH;
    const end = start + view.getUint32(message + MessageField.controlLength, true);
    const next = at < 0 ? start : at + ((view.getUint32(at, true) + 7) & ~7);
    const isThere = next + CONTROL_HEADER_LENGTH <= end && view.getUint32(next, true) >= CONTROL_HEADER_LENGTH;
    return isThere ? next : -1;
  }

  /** Makes the first `count` messages ready for the next call, which their lengths have to be reset for. */
  release(count: number): void {
    for (let index = 0; index < count; index++) this.#rearm(index);
  }

  #adapt(count: number): void {
    let octets = 0;
    for (let index = 0; index < count; index++) octets += this.length(index);
    if (octets > OCTETS_PER_TURN) this.#wanted = Math.max(DATAGRAMS_MIN, count >> 1);
    else if (count === this.#wanted) this.#wanted = Math.min(2 * count, DATAGRAMS_MAX);
  }

  #rearm(index: number): void {
    const { view } = this.#arena.memory;
    const message = this.#messages + index * MESSAGE_LENGTH;
    view.setUint32(message + MessageField.nameLength, SOCKET_ADDRESS_LENGTH_MAX, true);
    view.setUint32(message + MessageField.controlLength, CONTROL_LENGTH, true);
  }
}

const ERRORS_PER_TURN_MAX = 8;

// Datagrams on their way out, collected and given to the kernel in one call (sendmmsg(2)). Datagrams of equal length along one path
// become one message that the kernel splits (UDP GSO, udp(7)): nothing is copied, since the message lists where each of them lies.

import { ERRNO, IP_TOS, IPPROTO_IP, IPPROTO_IPV6, IPV6_TCLASS, lastErrno, libc, MSG_DONTWAIT } from '../libc.ts';
import { SOCKET_ADDRESS_LENGTH_MAX } from '../socket-address.ts';
import type { Arena } from './arena.ts';
import type { EngineTally } from './engine-counters.ts';
import { MESSAGE_LENGTH, MessageField, writePointer } from './message-layout.ts';

const MESSAGES_MAX = 64;
const VECTORS_MAX = 1024;
const VECTOR_LENGTH = 16;
/** Two control messages: DSCP and ECN, then the length of segments. Which of them are sent, a message's pointer and length say. */
const CONTROL_MESSAGE_LENGTH = 24;
const CONTROL_LENGTH = 2 * CONTROL_MESSAGE_LENGTH;
const TRAFFIC_CLASS_LENGTH = 20;
const SEGMENT_LENGTH = 18;
const IPV4_ADDRESS_LENGTH = 16;
const SOL_UDP = 17;
const UDP_SEGMENT = 103;
/** The kernel's limit, UDP_MAX_SEGMENTS. */
const SEGMENTS_MAX = 64;
/** What one IPv4 packet carries behind IP and UDP headers; IPv6 would carry a little more. */
const SEGMENTED_LENGTH_MAX = 65_507;

/** Where to send, and what the kernel has been found not to do there. */
export interface SendTarget {
  readonly descriptor: number;
  /** A `sockaddr`. */
  readonly address: Uint8Array;
  /** Longest datagram that may be sent as one of several in a message; 0 for sockets that are not UDP. */
  segmentLengthMax: number;
  /** Whether DSCP and ECN can be said for each datagram; not for sockets whose packets have a header already. */
  takesTrafficClass?: boolean;
}

export interface SendHandlers {
  /** Is called before anything is sent: what was added need not be final before. */
  readonly complete: () => void;
  /** Is told, in words, what this host cannot do. */
  readonly handleNotice: (text: string) => void;
  /** A datagram was longer than the link to this target carries. */
  readonly handleTooBig: (target: SendTarget) => void;
}

/** One engine's outgoing datagrams. What is added belongs to the batch until `flush`. */
export class SendBatch {
  readonly #arena: Arena;
  readonly #tally: EngineTally;
  readonly #handlers: SendHandlers;
  readonly #messages: number;
  readonly #vectors: number;
  readonly #names: number;
  readonly #controls: number;
  readonly #targets: SendTarget[] = [];
  readonly #firstVectors = new Uint16Array(MESSAGES_MAX + 1);
  readonly #trafficClasses = new Uint8Array(MESSAGES_MAX);
  #descriptor = -1;
  #messageCount = 0;
  #vectorCount = 0;
  // Of the message that is still open:
  #segmentLength = 0;
  #segmentCount = 0;
  #octets = 0;
  #trafficClass = 0;
  #isOpen = false;

  constructor(arena: Arena, tally: EngineTally, handlers: SendHandlers) {
    this.#arena = arena;
    this.#tally = tally;
    this.#handlers = handlers;
    this.#messages = arena.reserve(MESSAGES_MAX * MESSAGE_LENGTH);
    this.#vectors = arena.reserve(VECTORS_MAX * VECTOR_LENGTH);
    this.#names = arena.reserve(MESSAGES_MAX * SOCKET_ADDRESS_LENGTH_MAX);
    this.#controls = arena.reserve(MESSAGES_MAX * CONTROL_LENGTH);
    const { view } = arena.memory;
    for (let index = 0; index < MESSAGES_MAX; index++) {
      const control = this.#controls + index * CONTROL_LENGTH;
      const segment = control + CONTROL_MESSAGE_LENGTH;
      writePointer(view, control, TRAFFIC_CLASS_LENGTH);
      writePointer(view, segment, SEGMENT_LENGTH);
      view.setUint32(segment + 8, SOL_UDP, true);
      view.setUint32(segment + 12, UDP_SEGMENT, true);
    }
  }

  /** Adds the datagram at `offset` in the arena, to leave with this DSCP and ECN. */
  add(target: SendTarget, offset: number, length: number, trafficClass = 0): void {
    if (!this.#continues(target, length, trafficClass)) this.#begin(target, length, trafficClass);
    const { memory } = this.#arena;
    const { view } = memory;
    const vector = this.#vectors + this.#vectorCount * VECTOR_LENGTH;
    memory.putAddress(vector, offset);
    view.setUint32(vector + 8, length, true);
    view.setUint32(vector + 12, 0, true);
    this.#vectorCount++;
    this.#segmentCount++;
    this.#octets += length;
    // Only the last datagram of a message may be shorter than the others.
    if (length < this.#segmentLength) this.#isOpen = false;
    if (this.#vectorCount === VECTORS_MAX) this.flush();
  }

  /** Sends everything added; then its octets are the caller's again. */
  flush(): void {
    this.#handlers.complete();
    if (this.#messageCount === 0) return;
    this.#close();
    const address = this.#arena.memory.address + this.#messages;
    for (let sent = 0; sent < this.#messageCount; ) {
      const count = libc.sendmmsg(
        this.#descriptor,
        address + sent * MESSAGE_LENGTH,
        this.#messageCount - sent,
        MSG_DONTWAIT,
      );
      if (count > 0) {
        this.#tally.count('socket-sent', this.#datagramsBetween(sent, sent + count));
        sent += count;
      } else {
        this.#handleFailure(sent, lastErrno());
        sent++;
      }
    }
    this.#messageCount = 0;
    this.#vectorCount = 0;
  }

  #continues(target: SendTarget, length: number, trafficClass: number): boolean {
    return (
      this.#isOpen &&
      this.#trafficClass === trafficClass &&
      this.#messageCount > 0 &&
      this.#targets[this.#messageCount - 1] === target &&
      length <= this.#segmentLength &&
      this.#segmentLength <= target.segmentLengthMax &&
      this.#segmentCount < SEGMENTS_MAX &&
      this.#octets + length <= SEGMENTED_LENGTH_MAX
    );
  }

  #begin(target: SendTarget, length: number, trafficClass: number): void {
    if (this.#messageCount === MESSAGES_MAX || target.descriptor !== this.#descriptor) this.flush();
    else this.#close();
    const { memory } = this.#arena;
    const { view, bytes } = memory;
    const index = this.#messageCount++;
    const message = this.#messages + index * MESSAGE_LENGTH;
    if (this.#targets[index] !== target) {
      const name = this.#names + index * SOCKET_ADDRESS_LENGTH_MAX;
      bytes.set(target.address, name);
      memory.putAddress(message + MessageField.name, name);
      view.setUint32(message + MessageField.nameLength, target.address.length, true);
    }
    memory.putAddress(message + MessageField.vectors, this.#vectors + this.#vectorCount * VECTOR_LENGTH);
    this.#descriptor = target.descriptor;
    this.#targets[index] = target;
    this.#firstVectors[index] = this.#vectorCount;
    this.#trafficClass = trafficClass;
    this.#trafficClasses[index] = target.takesTrafficClass ? trafficClass : 0;
    if (trafficClass !== 0) writeTrafficClass(view, this.#controls + index * CONTROL_LENGTH, target, trafficClass);
    this.#segmentLength = length;
    this.#segmentCount = 0;
    this.#octets = 0;
    this.#isOpen = true;
  }

  #close(): void {
    if (this.#messageCount === 0) return;
    const { view, address } = this.#arena.memory;
    const index = this.#messageCount - 1;
    const message = this.#messages + index * MESSAGE_LENGTH;
    const control = this.#controls + index * CONTROL_LENGTH;
    const isSegmented = this.#segmentCount > 1;
    const isMarked = this.#trafficClasses[index] !== 0;
    const first = control + (isMarked ? 0 : CONTROL_MESSAGE_LENGTH);
    const last = control + (isSegmented ? CONTROL_LENGTH : CONTROL_MESSAGE_LENGTH);
    writePointer(view, message + MessageField.vectorCount, this.#segmentCount);
    writePointer(view, message + MessageField.control, first === last ? 0 : address + first);
    view.setUint32(message + MessageField.controlLength, last - first, true);
    if (isSegmented) view.setUint16(control + CONTROL_MESSAGE_LENGTH + 16, this.#segmentLength, true);
    this.#firstVectors[this.#messageCount] = this.#vectorCount;
    this.#isOpen = false;
  }

  /** A message that the kernel would not take as a whole is sent datagram by datagram, and from then on what goes there is. */
  #handleFailure(index: number, errno: number): void {
    const count = this.#datagramsBetween(index, index + 1);
    const target = this.#targets[index];
    const isMarked = this.#trafficClasses[index] !== 0;
    const isRefusedAsWhole = errno === ERRNO.EINVAL || errno === ERRNO.EMSGSIZE || errno === ERRNO.EIO;
    const isWorthRetry = count > 1 ? isRefusedAsWhole : isMarked && errno === ERRNO.EINVAL;
    if (target === undefined) return;
    if (!isWorthRetry) return this.#fail(target, errno, count);
    const first = this.#firstVectors[index] ?? 0;
    if (count > 1) this.#narrow(target, first, errno);
    for (let vector = first; vector < first + count; vector++) {
      let failure = this.#sendSingle(index, vector, isMarked && target.takesTrafficClass === true);
      if (failure === ERRNO.EINVAL && isMarked) {
        failure = this.#sendSingle(index, vector, false);
        if (failure === 0) this.#unmark(target);
      }
      if (failure === 0) this.#tally.count('socket-sent');
      else this.#fail(target, failure, 1);
    }
  }

  /** Counts datagrams that the kernel did not take, by cause. */
  #fail(target: SendTarget, errno: number, count: number): void {
    if (errno === ERRNO.EAGAIN || errno === ERRNO.ENOBUFS) return this.#tally.count('socket-buffer-full', count);
    if (errno !== ERRNO.EMSGSIZE) return this.#tally.count('socket-send-refused', count);
    this.#tally.count('socket-too-big', count);
    this.#handlers.handleTooBig(target);
  }

  #narrow(target: SendTarget, firstVector: number, errno: number): void {
    const segmentLength = this.#arena.memory.view.getUint32(this.#vectors + firstVector * VECTOR_LENGTH + 8, true);
    // EIO: this interface does not split at all. Else: they are longer than it carries (EINVAL; EMSGSIZE from newer kernels).
    target.segmentLengthMax = errno === ERRNO.EIO ? 0 : segmentLength - 1;
    if (errno === ERRNO.EIO)
      this.#handlers.handleNotice(
        'an interface does not split messages (UDP GSO): datagrams to peers behind it are sent one by one',
      );
  }

  #unmark(target: SendTarget): void {
    target.takesTrafficClass = false;
    this.#handlers.handleNotice('this kernel does not take DSCP and ECN of datagrams: ESP in UDP leaves without them');
  }

  /** Sends one datagram of a message by itself, in the message's own place; returns the error's number, or 0. */
  #sendSingle(index: number, vector: number, isMarked: boolean): number {
    const { view, address } = this.#arena.memory;
    const message = this.#messages + index * MESSAGE_LENGTH;
    writePointer(view, message + MessageField.vectors, address + this.#vectors + vector * VECTOR_LENGTH);
    writePointer(view, message + MessageField.vectorCount, 1);
    writePointer(
      view,
      message + MessageField.control,
      isMarked ? address + this.#controls + index * CONTROL_LENGTH : 0,
    );
    view.setUint32(message + MessageField.controlLength, isMarked ? CONTROL_MESSAGE_LENGTH : 0, true);
    return libc.sendmsg(this.#descriptor, address + message, MSG_DONTWAIT) >= 0 ? 0 : lastErrno();
  }

  #datagramsBetween(from: number, to: number): number {
    return (this.#firstVectors[to] ?? 0) - (this.#firstVectors[from] ?? 0);
  }
}

/** The control message that names the TOS octet, which IPv6 calls traffic class (RFC 3542 §6.5). */
function writeTrafficClass(view: DataView, control: number, target: SendTarget, trafficClass: number): void {
  const isIpv4 = target.address.length === IPV4_ADDRESS_LENGTH;
  view.setUint32(control + 8, isIpv4 ? IPPROTO_IP : IPPROTO_IPV6, true);
  view.setUint32(control + 12, isIpv4 ? IP_TOS : IPV6_TCLASS, true);
  view.setUint32(control + 16, trafficClass, true);
}

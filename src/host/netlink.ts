// rtnetlink (rtnetlink(7)): the kernel's own interface to links, addresses, routes and rules, so that no tool need be installed.

import { getSystemErrorName } from 'node:util';
import { invariant } from '../lib/invariant.ts';
import { AF_NETLINK, check, libc, NativeMemory, SOCK_CLOEXEC, SOCK_RAW, SystemCallError } from './libc.ts';

const NETLINK_ROUTE = 0;
const HEADER_LENGTH = 16;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const RECEIVE_LENGTH = 256 * 1024;

const NLM_F_REQUEST = 0x1;
const NLM_F_ACK = 0x4;
export const NLM_F_REPLACE = 0x100;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;
const NLM_F_DUMP = 0x300;

/** An answer to a question or a dump: the fixed part and the attributes behind it. */
export interface NetlinkMessage {
  readonly type: number;
  readonly body: Uint8Array;
}

/** One rtnetlink conversation, synchronous. Errors are thrown as SystemCallError with the kernel's code. */
export class NetlinkSocket {
  readonly #descriptor: number;
  readonly #memory = NativeMemory.allocate(RECEIVE_LENGTH);
  #sequence = 0;

  constructor() {
    this.#descriptor = check(libc.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), 'socket', 'netlink');
  }

  /** Sends one change and waits until the kernel has made it. */
  change(type: number, flags: number, body: Uint8Array, purpose: string): void {
    this.#exchange(type, flags | NLM_F_REQUEST | NLM_F_ACK, body, purpose);
  }

  /** Asks for everything of a kind. */
  dump(type: number, body: Uint8Array, purpose: string): readonly NetlinkMessage[] {
    return this.#exchange(type, NLM_F_REQUEST | NLM_F_DUMP, body, purpose);
  }

  /** Asks for one thing. */
  ask(type: number, body: Uint8Array, purpose: string): NetlinkMessage | undefined {
    // The acknowledgement behind the answer ends the conversation.
    return this.#exchange(type, NLM_F_REQUEST | NLM_F_ACK, body, purpose)[0];
  }

  close(): void {
    libc.close(this.#descriptor);
  }

  #exchange(type: number, flags: number, body: Uint8Array, purpose: string): readonly NetlinkMessage[] {
    const { view, bytes, address } = this.#memory;
    const sequence = ++this.#sequence;
    const length = HEADER_LENGTH + body.length;
    invariant(length <= RECEIVE_LENGTH, 'a netlink request fits into the buffer');
    view.setUint32(0, length, true);
    view.setUint16(4, type, true);
    view.setUint16(6, flags, true);
    view.setUint32(8, sequence, true);
    view.setUint32(12, 0, true);
    bytes.set(body, HEADER_LENGTH);
    check(libc.sendto(this.#descriptor, address, length, 0, 0, 0), 'send', purpose);
    const answers: NetlinkMessage[] = [];
    for (;;) {
      const received = check(libc.recvfrom(this.#descriptor, address, RECEIVE_LENGTH, 0, 0, 0), 'recv', purpose);
      if (this.#collect(received, sequence, answers, purpose)) return answers;
    }
  }

  /** Takes the messages of one datagram; `true` after the last one of this conversation. */
  #collect(received: number, sequence: number, answers: NetlinkMessage[], purpose: string): boolean {
    const { view, bytes } = this.#memory;
    for (let offset = 0; offset + HEADER_LENGTH <= received; ) {
      const length = view.getUint32(offset, true);
      invariant(length >= HEADER_LENGTH && offset + length <= received, 'the kernel sends whole netlink messages');
      const type = view.getUint16(offset + 4, true);
      if (view.getUint32(offset + 8, true) === sequence) {
        if (type === NLMSG_DONE) return true;
        if (type === NLMSG_ERROR) {
          const code = view.getInt32(offset + HEADER_LENGTH, true);
          if (code < 0) throw new SystemCallError('netlink', getSystemErrorName(code), purpose);
          return true;
        }
        answers.push({ type, body: bytes.slice(offset + HEADER_LENGTH, offset + length) });
      }
      offset += align(length);
    }
    return false;
  }
}

/** Builds a message body: a fixed part, then attributes (type, length, value, padded to four octets). Numbers are little-endian. */
export class NetlinkBody {
  #bytes: Uint8Array;
  #length: number;

  constructor(fixed: Uint8Array) {
    this.#bytes = new Uint8Array(512);
    this.#bytes.set(fixed);
    this.#length = align(fixed.length);
  }

  attribute(type: number, value: Uint8Array): this {
    const length = 4 + value.length;
    invariant(this.#length + align(length) <= this.#bytes.length, 'a netlink body is short');
    new DataView(this.#bytes.buffer).setUint16(this.#length, length, true);
    new DataView(this.#bytes.buffer).setUint16(this.#length + 2, type, true);
    this.#bytes.set(value, this.#length + 4);
    this.#length += align(length);
    return this;
  }

  uint32(type: number, value: number): this {
    return this.attribute(type, littleEndian32(value));
  }

  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }
}

/** The attributes behind the fixed part of a message, by type; of a repeated one the last counts. */
export function netlinkAttributes(body: Uint8Array, fixedLength: number): ReadonlyMap<number, Uint8Array> {
  const attributes = new Map<number, Uint8Array>();
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  for (let offset = align(fixedLength); offset + 4 <= body.length; ) {
    const length = view.getUint16(offset, true);
    if (length < 4 || offset + length > body.length) break;
    attributes.set(view.getUint16(offset + 2, true) & 0x3fff, body.subarray(offset + 4, offset + length));
    offset += align(length);
  }
  return attributes;
}

export function littleEndian32(value: number): Uint8Array {
  const octets = new Uint8Array(4);
  new DataView(octets.buffer).setUint32(0, value, true);
  return octets;
}

/** The number in an attribute; 0 where it is absent. */
export function readUint32(value: Uint8Array | undefined): number {
  return value && value.length >= 4 ? new DataView(value.buffer, value.byteOffset).getUint32(0, true) : 0;
}

function align(length: number): number {
  return (length + 3) & ~3;
}

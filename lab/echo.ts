// A program: `echo ADDRESS COUNT INTERVAL WAIT` sends ICMP echo requests (RFC 792) with the lab's marker in them, and prints what came
// back as JSON. Times in milliseconds. Our own, since a small machine has no `ping`.

import {
  check,
  EPOLL_CTL_ADD,
  EPOLLIN,
  libc,
  MSG_DONTWAIT,
  NativeMemory,
  SOCK_CLOEXEC,
  SOCK_RAW,
} from '../src/host/libc.ts';
import { socketAddress } from '../src/host/socket-address.ts';
import { address } from '../src/model/address.ts';
import { PLAINTEXT_MARKER } from './wire-frame.ts';

/** What the program prints. */
export interface EchoReport {
  readonly sent: number;
  readonly received: number;
  /** Of the replies, in the order in which they came. */
  readonly roundTripMilliseconds: readonly number[];
}

const AF_INET = 2;
const IPPROTO_ICMP = 1;
const ECHO_REQUEST = 8;
const ECHO_REPLY = 0;
const HEADER_LENGTH = 8;
const LENGTH = HEADER_LENGTH + PLAINTEXT_MARKER.length;

const [target = '', count = 5, interval = 200, wait = 2000] = process.argv
  .slice(2)
  .map((argument, index) => (index === 0 ? argument : Number(argument)));
const identifier = process.pid & 0xffff;
const memory = NativeMemory.allocate(4096);
const ADDRESS_AT = 1024;
const EVENT_AT = 2048;
const REPLY_AT = 2560;
const socket = check(libc.socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP), 'socket', 'ICMP echo needs root');
const poll = check(libc.epollCreate(0), 'epoll_create1', 'ICMP echo');
memory.view.setUint32(EVENT_AT, EPOLLIN, true);
check(libc.epollControl(poll, EPOLL_CTL_ADD, socket, memory.address + EVENT_AT), 'epoll_ctl', 'ICMP echo');
const destination = socketAddress({ address: address(String(target)), port: 0 });
memory.bytes.set(destination, ADDRESS_AT);

const sentAt = new Map<number, number>();
const roundTripMilliseconds: number[] = [];
for (let sequence = 1; sequence <= Number(count); sequence++) {
  send(sequence);
  receiveUntil(performance.now() + Number(interval));
}
receiveUntil(performance.now() + Number(wait));
process.stdout.write(
  `${JSON.stringify({ sent: Number(count), received: roundTripMilliseconds.length, roundTripMilliseconds } satisfies EchoReport)}\n`,
);

function send(sequence: number): void {
  const message = memory.bytes.subarray(0, LENGTH);
  message.fill(0);
  message[0] = ECHO_REQUEST;
  memory.view.setUint16(4, identifier);
  memory.view.setUint16(6, sequence);
  message.set(PLAINTEXT_MARKER, HEADER_LENGTH);
  memory.view.setUint16(2, checksum(message));
  sentAt.set(sequence, performance.now());
  // A refusal (no route, or one that drops) counts as a request without a reply.
  libc.sendto(socket, memory.address, LENGTH, 0, memory.address + ADDRESS_AT, destination.length);
}

/** Takes replies until then, or until there is nothing left to wait for. */
function receiveUntil(deadline: number): void {
  for (;;) {
    const left = deadline - performance.now();
    if (left <= 0 || (sentAt.size === 0 && roundTripMilliseconds.length === Number(count))) return;
    if (libc.epollWait(poll, memory.address + EVENT_AT, 1, Math.ceil(left)) <= 0) continue;
    const length = libc.recvfrom(socket, memory.address + REPLY_AT, 1024, MSG_DONTWAIT, 0, 0);
    if (length > 0) take(REPLY_AT);
  }
}

function take(at: number): void {
  const icmp = at + (memory.view.getUint8(at) & 15) * 4;
  if (memory.view.getUint8(icmp) !== ECHO_REPLY || memory.view.getUint16(icmp + 4) !== identifier) return;
  const sequence = memory.view.getUint16(icmp + 6);
  const start = sentAt.get(sequence);
  if (start === undefined) return;
  sentAt.delete(sequence);
  roundTripMilliseconds.push(performance.now() - start);
}

/** The Internet checksum (RFC 1071). */
function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let index = 0; index < bytes.length; index += 2) sum += ((bytes[index] ?? 0) << 8) | (bytes[index + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

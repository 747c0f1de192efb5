// The sender of bench/small-packets.ts: UDP packets of 64 octets to the address and port in its arguments. Each line on its standard input asks for one
// series, `SERIES RATE SECONDS DATAGRAMS`: packets a second (0: as fast as it can), for so long, so many of them in one message that the
// kernel splits (UDP GSO; 1: each is one from the start). Answered by one line, how many packets that were and how many seconds, as JSON.
//
// Packets are given to the kernel many at a time and in small bursts, between which this process sleeps: the processors are the contenders'.

import { createInterface } from 'node:readline';
import { foreignFunctions } from '../src/host/foreign-functions.ts';
import {
  AF_INET,
  check,
  ERRNO,
  lastErrno,
  libc,
  NativeMemory,
  SO_SNDBUFFORCE,
  SOCK_DGRAM,
  SOL_SOCKET,
} from '../src/host/libc.ts';
import { MESSAGE_LENGTH, MessageField, writePointer } from '../src/host/packet-engine/message-layout.ts';
import { socketAddress } from '../src/host/socket-address.ts';
import { address } from '../src/model/address.ts';

const PACKET_LENGTH = 64;
const MESSAGES = 64;
const VECTOR_LENGTH = 16;
const DATAGRAMS_MAX = 64;
const BUFFER_LENGTH = 4 * 1024 * 1024;
const SOL_UDP = 17;
const UDP_SEGMENT = 103;
/** Microseconds. */
const NAP = 250;
/** Packets that a sender who was kept from sending makes up for; what is more would be a burst that nobody asked for. */
const ARREARS_MAX = 200;

const [target = '', port = '0'] = process.argv.slice(2);
const library = foreignFunctions?.load(null);
const connect = library?.func('connect', 'int', ['int', 'uintptr_t', 'uint32_t']);
const usleep = library?.func('usleep', 'int', ['uint32_t']);
if (!connect || !usleep) throw new Error('the small packets of the benchmark need FFI');

const messages = NativeMemory.allocate(MESSAGES * MESSAGE_LENGTH);
const vectors = NativeMemory.allocate(MESSAGES * VECTOR_LENGTH);
const payload = NativeMemory.allocate(MESSAGES * DATAGRAMS_MAX * PACKET_LENGTH);
const option = NativeMemory.allocate(128);
const descriptor = check(libc.socket(AF_INET, SOCK_DGRAM, 0), 'socket', 'packet source');
setOption(SOL_SOCKET, SO_SNDBUFFORCE, BUFFER_LENGTH);
const name = socketAddress({ address: address(target), port: Number(port) });
option.bytes.set(name);
check(connect(descriptor, option.address, name.length), 'connect', 'packet source');
console.log('ready');
createInterface({ input: process.stdin }).on('line', (line) => {
  const [series = 0, rate = 0, seconds = 0, datagrams = 1] = line.split(' ').map(Number);
  console.log(JSON.stringify(send(series, rate, seconds, datagrams)));
});

function send(series: number, rate: number, seconds: number, datagrams: number): { sent: number; seconds: number } {
  layOut(series, datagrams);
  let [sent, owedBefore] = [0, 0];
  const startedAt = performance.now();
  for (;;) {
    const elapsed = performance.now() - startedAt;
    if (elapsed >= seconds * 1000) return { sent, seconds: elapsed / 1000 };
    const owed = rate === 0 ? ARREARS_MAX : Math.floor((elapsed * rate) / 1000) - sent - owedBefore;
    owedBefore += Math.max(0, owed - ARREARS_MAX);
    const wanted = Math.min(MESSAGES, Math.floor(owed / datagrams));
    if (wanted <= 0) usleep?.(NAP);
    else sent += sendMessages(sent, wanted, datagrams) * datagrams;
  }
}

/** Each packet starts with the number of its series and its own. */
function layOut(series: number, datagrams: number): void {
  setOption(SOL_UDP, UDP_SEGMENT, datagrams === 1 ? 0 : PACKET_LENGTH);
  const length = datagrams * PACKET_LENGTH;
  for (let index = 0; index < MESSAGES; index++) {
    const message = index * MESSAGE_LENGTH;
    writePointer(vectors.view, index * VECTOR_LENGTH, payload.address + index * length);
    writePointer(vectors.view, index * VECTOR_LENGTH + 8, length);
    writePointer(messages.view, message + MessageField.vectors, vectors.address + index * VECTOR_LENGTH);
    writePointer(messages.view, message + MessageField.vectorCount, 1);
  }
  for (let at = 0; at < payload.bytes.length; at += PACKET_LENGTH) payload.view.setUint32(at, series);
}

/** Returns how many messages the kernel took. */
function sendMessages(first: number, wanted: number, datagrams: number): number {
  for (let index = 0; index < wanted * datagrams; index++)
    payload.view.setUint32(index * PACKET_LENGTH + 4, first + index);
  const taken = libc.sendmmsg(descriptor, messages.address, wanted, 0);
  if (taken >= 0) return taken;
  // Nobody listens yet, or the queue of an interface is full: as good as sent.
  if ([ERRNO.ECONNREFUSED, ERRNO.ENOBUFS].includes(lastErrno())) return wanted;
  return check(taken, 'sendmmsg', 'packet source');
}

function setOption(level: number, number: number, value: number): void {
  option.view.setInt32(0, value, true);
  check(libc.setsockopt(descriptor, level, number, option.address, 4), 'setsockopt', 'packet source');
}

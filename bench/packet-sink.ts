// The receiver of bench/small-packets.ts, on the UDP port in its argument: counts the packets of the series that it is in, each number of a
// series once. It looks into its buffer, which holds far more than comes in between, every two milliseconds, so that no packet has to wake it.
// Each line on its standard input is a series, and is answered by one line, how many of that series have come.

import { createInterface } from 'node:readline';
import {
  AF_INET,
  check,
  libc,
  MSG_DONTWAIT,
  NativeMemory,
  SO_RCVBUFFORCE,
  SOCK_DGRAM,
  SOL_SOCKET,
} from '../src/host/libc.ts';
import { MESSAGE_LENGTH, MessageField, writePointer } from '../src/host/packet-engine/message-layout.ts';
import { socketAddress } from '../src/host/socket-address.ts';
import { address } from '../src/model/address.ts';

const MESSAGES = 64;
const VECTOR_LENGTH = 16;
/** The number of the series and of the packet are all that is looked at. */
const HEAD_LENGTH = 8;
const BUFFER_LENGTH = 256 * 1024 * 1024;
const INTERVAL = 2;
const NUMBERS_MAX = 2 ** 25;

// All in one, whose head is looked at later: what only the kernel looks at would be collected.
const VECTORS = MESSAGES * MESSAGE_LENGTH;
const HEADS = VECTORS + MESSAGES * VECTOR_LENGTH;
const memory = NativeMemory.allocate(HEADS + MESSAGES * HEAD_LENGTH);
const seen = new Uint8Array(NUMBERS_MAX >> 3);
let [series, count] = [0, 0];

const descriptor = check(libc.socket(AF_INET, SOCK_DGRAM, 0), 'socket', 'packet sink');
const option = NativeMemory.allocate(128);
option.view.setInt32(0, BUFFER_LENGTH, true);
check(libc.setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, option.address, 4), 'setsockopt', 'packet sink');
const name = socketAddress({ address: address('0.0.0.0'), port: Number(process.argv[2] ?? 0) });
option.bytes.set(name);
check(libc.bind(descriptor, option.address, name.length), 'bind', 'packet sink');
for (let index = 0; index < MESSAGES; index++) {
  const [message, vector] = [index * MESSAGE_LENGTH, VECTORS + index * VECTOR_LENGTH];
  writePointer(memory.view, vector, memory.address + HEADS + index * HEAD_LENGTH);
  writePointer(memory.view, vector + 8, HEAD_LENGTH);
  writePointer(memory.view, message + MessageField.vectors, memory.address + vector);
  writePointer(memory.view, message + MessageField.vectorCount, 1);
}
setInterval(drain, INTERVAL);
console.log('ready');
const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => {
  drain();
  console.log(Number(line) === series ? count : 0);
});
lines.on('close', () => process.exit(0));

function drain(): void {
  for (;;) {
    const received = libc.recvmmsg(descriptor, memory.address, MESSAGES, MSG_DONTWAIT, 0);
    for (let index = 0; index < received; index++)
      take(memory.view.getUint32(HEADS + index * HEAD_LENGTH), memory.view.getUint32(HEADS + index * HEAD_LENGTH + 4));
    if (received < MESSAGES) return;
  }
}

function take(packetSeries: number, number: number): void {
  if (packetSeries > series) {
    [series, count] = [packetSeries, 0];
    seen.fill(0);
  }
  const [at, bit] = [number >>> 3, 1 << (number & 7)];
  const before = seen[at] ?? 0xff;
  if (packetSeries !== series || (before & bit) !== 0) return;
  seen[at] = before | bit;
  count++;
}

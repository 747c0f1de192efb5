// A program: watches an interface of the namespace that it runs in (`wire-tap INTERFACE LAN…`) and, for each line on its standard
// input, prints how many packets of each kind it has seen since the line before. Ends with its standard input.

import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import {
  check,
  EPOLL_CTL_ADD,
  EPOLLIN,
  libc,
  MSG_DONTWAIT,
  NativeMemory,
  SO_RCVBUFFORCE,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOL_SOCKET,
} from '../src/host/libc.ts';
import { setOption } from '../src/host/sockets.ts';
import { type Prefix, parsePrefix } from '../src/model/address.ts';
import { classifyFrame, type FrameKind } from './wire-frame.ts';

/** What the tap prints for each line. `lost` packets came too fast to be looked at. */
export type TapReport = Readonly<Record<FrameKind | 'lost', number>>;

const AF_PACKET = 17;
const ETH_P_ALL = 3;
const SOL_PACKET = 263;
const PACKET_STATISTICS = 6;
/** The start of a packet is enough: the marker stands within it. */
const SNAP_LENGTH = 512;
const BUFFER_LENGTH = 64 * 1024 * 1024;
const BATCH = 2000;

const [name = '', ...lanArguments] = process.argv.slice(2);
const lans = lanArguments.map(parsePrefix).filter((prefix): prefix is Prefix => prefix !== undefined);
const memory = NativeMemory.allocate(1024);
const socket = openPacketSocket(Number(readFileSync(`/sys/class/net/${name}/ifindex`, 'utf8')));
const poll = check(libc.epollCreate(0), 'epoll_create1', 'wire tap');
memory.view.setUint32(640, EPOLLIN, true);
check(libc.epollControl(poll, EPOLL_CTL_ADD, socket, memory.address + 640), 'epoll_ctl', 'wire tap');

let counts = noCounts();
let isOpen = true;
createInterface({ input: process.stdin })
  .on('line', () => {
    while (readBatch() === BATCH);
    process.stdout.write(`${JSON.stringify({ ...counts, lost: lostCount() })}\n`);
    counts = noCounts();
  })
  .on('close', () => {
    isOpen = false;
  });
process.stdout.write('ready\n');
watch();

function watch(): void {
  if (!isOpen) return;
  if (libc.epollWait(poll, memory.address + 656, 1, 20) > 0) readBatch();
  setImmediate(watch);
}

function readBatch(): number {
  let count = 0;
  for (; count < BATCH; count++) {
    const length = libc.recvfrom(socket, memory.address, SNAP_LENGTH, MSG_DONTWAIT, 0, 0);
    if (length < 0) break;
    counts[classifyFrame(memory.bytes.subarray(0, length), lans)]++;
  }
  return count;
}

function openPacketSocket(interfaceIndex: number): number {
  const protocol = ((ETH_P_ALL & 255) << 8) | (ETH_P_ALL >> 8);
  const descriptor = check(libc.socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0), 'socket', 'wire tap');
  setOption(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_LENGTH);
  // struct sockaddr_ll: family, protocol in network order, interface index; the rest is not looked at by bind.
  memory.bytes.fill(0, 0, 20);
  memory.view.setUint16(0, AF_PACKET, true);
  memory.view.setUint16(2, protocol, true);
  memory.view.setInt32(4, interfaceIndex, true);
  check(libc.bind(descriptor, memory.address, 20), 'bind', `wire tap on ${name}`);
  return descriptor;
}

/** Since it was asked last: the kernel sets it back. */
function lostCount(): number {
  memory.view.setUint32(700, 8, true);
  const done = libc.getsockopt(socket, SOL_PACKET, PACKET_STATISTICS, memory.address + 704, memory.address + 700);
  return done < 0 ? 0 : memory.view.getUint32(708, true);
}

function noCounts(): Record<FrameKind, number> {
  return { esp: 0, 'esp-in-udp': 0, ike: 0, keepalive: 0, cleartext: 0, other: 0 };
}

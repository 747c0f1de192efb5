// The small forwarder of bench/loss.ts: whatever the kernel routes into its TUN device, which its argument names, comes back out of it one to three
// milliseconds later, and has been overtaken by what went past. Prints `ready`.

import { Buffer } from 'node:buffer';
import { libc, NativeMemory } from '../src/host/libc.ts';
import { openTunnelDevice } from '../src/host/tunnel-device.ts';

const PACKET_MAX = 10_000;
/** Turns of a millisecond that a packet stays. */
const STAY_MAX = 3;

const { descriptor } = openTunnelDevice(process.argv[2] ?? '', 'none');
const memory = NativeMemory.allocate(PACKET_MAX);
/** What leaves at the next turn, and at those after it. */
const leaving: Buffer[][] = Array.from({ length: STAY_MAX }, () => []);
let count = 0;

setInterval(() => {
  for (const packet of leaving.shift() ?? []) {
    memory.bytes.set(packet);
    libc.write(descriptor, memory.address, packet.length);
  }
  leaving.push([]);
  for (;;) {
    const length = libc.read(descriptor, memory.address, PACKET_MAX);
    if (length <= 0) return;
    leaving[count++ % STAY_MAX]?.push(Buffer.from(memory.bytes.subarray(0, length)));
  }
}, 1);
console.log('ready');

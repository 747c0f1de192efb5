// Run by sockets.test.ts in a namespace of its own, with a family and a loopback address: what of ICMP comes to our socket, as JSON.

import { execFileSync } from 'node:child_process';
import { address } from '../model/address.ts';
import { libc, MSG_DONTWAIT, NativeMemory } from './libc.ts';
import { socketAddress } from './socket-address.ts';
import { openIcmpErrorSocket, openRawSendSocket } from './sockets.ts';

const isIpv4 = process.argv[2] === '4';
const loopback = process.argv[3] ?? '';
const descriptor = openIcmpErrorSocket(isIpv4 ? 4 : 6);
execFileSync('ping', ['-c', '1', '-W', '5', loopback]);
const afterPing = countReceived();
sendError();
process.stdout.write(JSON.stringify({ afterPing, afterError: countReceived() }));

function countReceived(): number {
  const buffer = NativeMemory.allocate(2048);
  let count = 0;
  while (libc.recvfrom(descriptor, buffer.address, 2048, MSG_DONTWAIT, 0, 0) >= 0) count++;
  return count;
}

/** "Destination unreachable" over IPv4, "packet too big" over IPv6, with nothing behind its header: only its type counts. */
function sendError(): void {
  const packet = NativeMemory.allocate(128);
  const headerLength = isIpv4 ? 20 : 40;
  const own = socketAddress({ address: address(loopback), port: 0 });
  if (isIpv4) {
    packet.bytes.set([0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1, 3, 4, 0xfc, 0xfb]);
  } else {
    packet.bytes.set([0x60, 0, 0, 0, 0, 8, 58, 64]);
    packet.bytes[23] = packet.bytes[39] = 1;
    // The sum of the pseudo-header (1 + 1 + 8 + 58) and of the type is 0x0244.
    packet.bytes.set([2, 0, 0xfd, 0xbb], headerLength);
  }
  packet.bytes.set(own, 64);
  const sender = openRawSendSocket(isIpv4 ? 4 : 6);
  const sent = libc.sendto(sender, packet.address, headerLength + 8, 0, packet.address + 64, own.length);
  if (sent < 0) throw new Error('the error could not be sent');
}

// Run by sockets.test.ts in a namespace of its own, with a family and a loopback address: how many packets of each protocol come to the raw
// sockets of each of three engines, as JSON.

import { address } from '../model/address.ts';
import { openRawSockets } from './host-sockets.ts';
import { libc, MSG_DONTWAIT, NativeMemory } from './libc.ts';
import { socketAddress } from './socket-address.ts';
import { openRawSendSocket } from './sockets.ts';

const ENGINES = 3;
const family = process.argv[2] === '4' ? 4 : 6;
const loopback = address(process.argv[3] ?? '');
const sockets = openRawSockets(ENGINES).filter((socket) => socket.family === family);
const sender = openRawSendSocket(family);
for (const protocol of [50, 51])
  for (const spi of [0x1000, 0x1001, 0x1002, 0xfffffffe, 0xffffffff]) send(protocol, spi, 24);
// Too short to have an SPI.
send(50, 0, 3);
send(51, 0, 7);
const counts = (protocol: number) =>
  sockets.filter((socket) => socket.protocol === protocol).map(({ descriptor }) => countReceived(descriptor));
process.stdout.write(JSON.stringify({ esp: counts(50), ah: counts(51) }));

function countReceived(descriptor: number): number {
  const buffer = NativeMemory.allocate(2048);
  let count = 0;
  while (libc.recvfrom(descriptor, buffer.address, 2048, MSG_DONTWAIT, 0, 0) >= 0) count++;
  return count;
}

/** Over IPv4 with options in the header, so that what follows is not where it usually is. */
function send(protocol: number, spi: number, length: number): void {
  const packet = NativeMemory.allocate(256);
  const headerLength = family === 4 ? 24 : 40;
  const own = socketAddress({ address: loopback, port: 0 });
  if (family === 4) {
    packet.bytes.set([0x46, 0, 0, headerLength + length, 0, 0, 0, 0, 64, protocol, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1]);
    packet.bytes.set([1, 1, 1, 0], 20);
  } else {
    packet.bytes.set([0x60, 0, 0, 0, 0, length, protocol, 64]);
    packet.bytes[23] = packet.bytes[39] = 1;
  }
  if (length >= 12) packet.view.setUint32(headerLength + (protocol === 50 ? 0 : 4), spi);
  packet.bytes.set(own, 128);
  const sent = libc.sendto(sender, packet.address, headerLength + length, 0, packet.address + 128, own.length);
  if (sent < 0) throw new Error('the packet could not be sent');
}

// A program: sends UDP datagrams of one length to an address, as fast as it can, under the TOS octets named in turn (in hexadecimal).

import { libc, NativeMemory } from '../../src/host/libc.ts';
import { socketAddress } from '../../src/host/socket-address.ts';
import { openUdpSocket, setOption } from '../../src/host/sockets.ts';
import { address } from '../../src/model/address.ts';

const [local = '', remote = '', count = '0', ...octets] = process.argv.slice(2);
const LENGTH = 500;
const IP_TOS = 1;
const name = socketAddress({ address: address(remote), port: 9 });
const memory = NativeMemory.allocate(1024);
memory.bytes.set(name, 512);
const descriptor = openUdpSocket({ address: address(local), port: 5009 });
for (let index = 0; index < Number(count); index++) {
  setOption(descriptor, 0, IP_TOS, Number.parseInt(octets[index % octets.length] ?? '0', 16));
  if (libc.sendto(descriptor, memory.address, LENGTH, 0, memory.address + 512, name.length) < 0)
    throw new Error('not sent');
}

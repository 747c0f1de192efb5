// Run by transfer.test.ts between two gateways that take it for each other: passes datagrams on between two addresses of its own, and loses, doubles
// and delays some of them. Arguments: its two addresses, then where the gateways are. Prints `forwarding`; and, when its standard input
// ends, what it has done, as JSON.

import { createSocket, type Socket } from 'node:dgram';
import { SeededRandom } from '../../lib/random.ts';

const PORT = 4500;
const BUFFER_LENGTH = 4 * 1024 * 1024;
const LOST = 0.003;
const DOUBLED = 0.01;
const DELAYED = 0.05;
/** Packets that overtake a delayed one, and how many milliseconds it waits at most. */
const OVERTAKEN_MAX = 40;
const DELAY_MAX = 20;

const [westOwn = '', eastOwn = '', west = '', east = ''] = process.argv.slice(2);
const random = new SeededRandom(1);
const counts = { passed: 0, lost: 0, doubled: 0, delayed: 0 };
const [westSocket, eastSocket] = await Promise.all([open(westOwn), open(eastOwn)]);
forward(westSocket, eastSocket, east);
forward(eastSocket, westSocket, west);
console.log('forwarding');
process.stdin.on('end', () => {
  console.log(JSON.stringify(counts));
  process.exit(0);
});
process.stdin.resume();

function open(address: string): Promise<Socket> {
  const socket = createSocket('udp4');
  return new Promise((resolve) => {
    socket.bind(PORT, address, () => {
      socket.setRecvBufferSize(BUFFER_LENGTH);
      socket.setSendBufferSize(BUFFER_LENGTH);
      resolve(socket);
    });
  });
}

function forward(from: Socket, to: Socket, target: string): void {
  const held: { readonly datagram: Buffer; after: number }[] = [];
  const send = (datagram: Buffer) => to.send(datagram, PORT, target);
  const release = (all: boolean) => {
    for (let index = held.length - 1; index >= 0; index--) {
      const one = held[index];
      if (one === undefined || (!all && --one.after > 0)) continue;
      held.splice(index, 1);
      send(one.datagram);
    }
  };
  setInterval(() => release(true), DELAY_MAX).unref();
  from.on('message', (datagram) => {
    counts.passed++;
    const chance = random.fraction();
    if (chance < LOST) counts.lost++;
    else if (chance < LOST + DELAYED) {
      counts.delayed++;
      held.push({ datagram, after: 1 + Math.floor(random.fraction() * OVERTAKEN_MAX) });
    } else {
      send(datagram);
      if (chance > 1 - DOUBLED) {
        counts.doubled++;
        send(datagram);
      }
    }
    release(false);
  });
}

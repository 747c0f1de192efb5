// Run by engine.test.ts: floods port 4500 of a host with ESP of an SPI that nobody has, from as many flows as it takes to fill the
// receiver's buffer, and puts an IKE message between now and then. Prints how many of each it has sent.

import { createSocket } from 'node:dgram';

const [target = ''] = process.argv.slice(2);
const BURST = 200;
/** More than a buffer of 8 MiB holds, several times over. */
const ENOUGH = 30_000;
const AFTERWARDS = 5_000;
const IKE_EVERY = 10;

const socket = createSocket('udp4');
const esp = Buffer.alloc(1400, 0x5a);
const ike = Buffer.alloc(300);
ike.fill(0xa5, 4);
const sent = { esp: 0, ike: 0 };

socket.bind(0, () => {
  socket.setSendBufferSize(4 * 1024 * 1024);
  console.log('started');
  burst(0);
});

function burst(turn: number): void {
  if (sent.esp >= ENOUGH + AFTERWARDS) {
    socket.close();
    console.log(JSON.stringify(sent));
    return;
  }
  if (turn % IKE_EVERY === 0) {
    sent.ike++;
    socket.send(ike, 4500, target);
  }
  for (let count = 1; count < BURST; count++) socket.send(esp, 4500, target);
  // The next burst follows when this one has left.
  socket.send(esp, 4500, target, () => setImmediate(burst, turn + 1));
  sent.esp += BURST;
  if (sent.esp === ENOUGH) console.log('enough');
}

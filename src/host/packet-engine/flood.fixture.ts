// Run by engine.test.ts: floods port 4500 of a host with ESP of an SPI that nobody has, from as many flows as it takes to fill the
// receiver's buffer, and puts an IKE message between now and then. Prints how many of each it has sent.

import { createSocket } from 'node:dgram';

const [target = ''] = process.argv.slice(2);
const DURATION = 1500;
const IKE_INTERVAL = 15;
const BURST = 200;

const socket = createSocket('udp4');
const esp = Buffer.alloc(1400, 0x5a);
const ike = Buffer.alloc(300);
ike.fill(0xa5, 4);
const sent = { esp: 0, ike: 0 };
const end = performance.now() + DURATION;
let ikeAt = 0;

socket.bind(0, () => {
  socket.setSendBufferSize(4 * 1024 * 1024);
  burst();
});

function burst(): void {
  const now = performance.now();
  if (now >= end) {
    // The last datagrams have left once a later one has.
    socket.send(esp, 4500, target, () => {
      socket.close();
      process.stdout.write(JSON.stringify(sent));
    });
    return;
  }
  if (now >= ikeAt) {
    ikeAt = now + IKE_INTERVAL;
    sent.ike++;
    socket.send(ike, 4500, target);
  }
  for (let count = 0; count < BURST; count++) socket.send(esp, 4500, target);
  sent.esp += BURST;
  setImmediate(burst);
}

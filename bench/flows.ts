// Many TCP flows in one process, for bench/tunnels.ts. `serve` takes what comes, and answers each line on its standard input with the octets
// that have come so far; `send ADDRESS,...` fills one connection to each address until it is ended.

import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

const PORT = 7799;
const CHUNK = Buffer.alloc(256 * 1024, 0x5a);
const [role, addresses = ''] = process.argv.slice(2);

if (role === 'serve') {
  let octets = 0;
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk) => {
      octets += chunk.length;
    });
  });
  server.listen(PORT, '0.0.0.0', 4096, () => console.log('listening'));
  process.stdin.on('data', () => console.log(octets));
} else {
  const sockets = await Promise.all(addresses.split(',').map(open));
  console.log('open');
  for (const socket of sockets) {
    const fill = (): void => {
      while (socket.write(CHUNK));
    };
    socket.on('drain', fill);
    fill();
  }
}

async function open(address: string): Promise<Socket> {
  const socket = connect({ host: address, port: PORT });
  await once(socket, 'connect');
  return socket;
}

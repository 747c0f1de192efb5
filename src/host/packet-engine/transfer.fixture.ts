// A TCP transfer with a digest at both ends. `serve ADDRESS` prints the SHA-256 of what one connection sent; `send ADDRESS MEGABYTES`
// sends
// at least so many octets, and goes on until its standard input ends, and prints theirs. They are ones that no repetition could make up for.

import { createCipheriv, createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';

const PORT = 7788;
const CHUNK_LENGTH = 1024 * 1024;
const [role, host = '', megabytes = '1'] = process.argv.slice(2);

if (role === 'serve') {
  const server = createServer((socket) => {
    const hash = createHash('sha256');
    socket.on('data', (chunk) => hash.update(chunk));
    socket.on('end', () => {
      console.log(hash.digest('hex'));
      socket.end();
      server.close();
    });
  });
  server.listen(PORT, host, () => console.log('listening'));
} else {
  const socket = connect(PORT, host);
  await once(socket, 'connect');
  const hash = createHash('sha256');
  const stream = createCipheriv('aes-128-ctr', randomBytes(16), randomBytes(16));
  const zeros = Buffer.alloc(CHUNK_LENGTH);
  let isWanted = true;
  process.stdin.on('end', () => {
    isWanted = false;
  });
  process.stdin.resume();
  for (let count = 0; isWanted || count < Number(megabytes); count++) {
    const chunk = stream.update(zeros);
    hash.update(chunk);
    if (!socket.write(chunk)) await once(socket, 'drain');
  }
  socket.end();
  await once(socket, 'close');
  console.log(hash.digest('hex'));
}

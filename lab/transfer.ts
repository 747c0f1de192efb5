// A program: `transfer receive ADDRESS PORT` takes one TCP connection and prints as JSON how many octets came and how long it took;
// `transfer send ADDRESS PORT MILLISECONDS` opens one and sends the lab's marker over and over for that long.

import { connect, createServer } from 'node:net';
import { PLAINTEXT_MARKER } from './wire-frame.ts';

/** What the receiver prints. `milliseconds` run from the first octet to the last. */
export interface TransferReport {
  readonly octets: number;
  readonly milliseconds: number;
}

const CHUNK_LENGTH = 256 * 1024;

const [mode = '', host = '', port = '', duration = '0'] = process.argv.slice(2);
if (mode === 'receive') receive();
else send();

function receive(): void {
  let octets = 0;
  let first = 0;
  let last = 0;
  const server = createServer((socket) => {
    server.close();
    socket.on('data', (chunk) => {
      last = performance.now();
      if (octets === 0) first = last;
      octets += chunk.length;
    });
    socket.on('error', (error) => process.stderr.write(`${error.message}\n`));
    socket.on('close', () => {
      process.stdout.write(`${JSON.stringify({ octets, milliseconds: last - first } satisfies TransferReport)}\n`);
    });
  });
  server.listen(Number(port), host, () => process.stdout.write('ready\n'));
}

function send(): void {
  const chunk = new Uint8Array(CHUNK_LENGTH);
  for (let at = 0; at < chunk.length; at += PLAINTEXT_MARKER.length)
    chunk.set(PLAINTEXT_MARKER.subarray(0, chunk.length - at), at);
  const socket = connect(Number(port), host);
  socket.on('error', (error) => {
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  });
  socket.on('connect', () => {
    const end = performance.now() + Number(duration);
    const fill = (): void => {
      while (performance.now() < end) if (!socket.write(chunk)) return;
      socket.off('drain', fill);
      socket.end();
    };
    socket.on('drain', fill);
    fill();
  });
}

// The packet engine's thread. It blocks in epoll, so its event loop never turns: messages are fetched with `receiveMessageOnPort`.

import { setFlagsFromString } from 'node:v8';
import { parentPort, workerData } from 'node:worker_threads';
import { invariant } from '../../lib/invariant.ts';
import { PacketEngine } from './engine.ts';

// A packet passes through many small functions. V8 stops inlining them long before the end; with these limits, which hold for the whole process, an
// eighth of the packet path's time is saved, for code that takes a little more memory.
for (const limit of [
  'inlined-bytecode-size=2000',
  'inlined-bytecode-size-cumulative=5000',
  'optimized-bytecode-size=200000',
])
  setFlagsFromString(`--max-${limit}`);

const port = parentPort;
invariant(port !== null, 'this file runs as a worker');
new PacketEngine(workerData, port).run();

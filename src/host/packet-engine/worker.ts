// The packet engine's thread. It blocks in epoll, so its event loop never turns: messages are fetched with `receiveMessageOnPort`.

import { setFlagsFromString } from 'node:v8';
import { parentPort, workerData } from 'node:worker_threads';
import { invariant } from '../../lib/invariant.ts';
import { PacketEngine } from './engine.ts';

// A packet passes through many small functions. V8 stops inlining them long before the end; with this limit, which holds for the whole process, a tenth
// of the packet path's time is saved. With a higher one compiling takes so long that the first second under load is lost.
setFlagsFromString('--max-inlined-bytecode-size-cumulative=1500');

const port = parentPort;
invariant(port !== null, 'this file runs as a worker');
new PacketEngine(workerData, port).run();

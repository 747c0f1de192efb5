// The packet engine's thread. It blocks in epoll, so its event loop never turns: messages are fetched with `receiveMessageOnPort`.

import { parentPort, workerData } from 'node:worker_threads';
import { invariant } from '../../lib/invariant.ts';
import { PacketEngine } from './engine.ts';

const port = parentPort;
invariant(port !== null, 'this file runs as a worker');
new PacketEngine(workerData, port).run();

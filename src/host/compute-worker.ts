// A thread that computes Diffie-Hellman, so that a MODP-8192 secret never stops the control thread.

import { parentPort } from 'node:worker_threads';
import { computeDiffieHellman } from '../crypto/diffie-hellman.ts';
import { invariant } from '../lib/invariant.ts';
import type { ComputeJob } from '../model/compute-job.ts';

const port = parentPort;
invariant(port !== null, 'this file runs as a worker');
port.on('message', (job: ComputeJob) => {
  port.postMessage({ jobId: job.id, result: computeDiffieHellman(job) });
  job.privateValue.fill(0);
});

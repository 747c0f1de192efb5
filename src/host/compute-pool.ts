import { Worker } from 'node:worker_threads';
import { computeDiffieHellman } from '../crypto/diffie-hellman.ts';
import type { DhGroup } from '../model/algorithms.ts';
import type { ComputeJob, ComputeResult } from '../model/compute-job.ts';

/** Computed in less time than it takes to hand the job to a thread and back: OpenSSL has code of its own for P-256. */
const QUICK_GROUPS: ReadonlySet<DhGroup> = new Set<DhGroup>(['group19']);

interface Answer {
  readonly jobId: number;
  readonly result: ComputeResult;
}

interface Lane {
  readonly worker: Worker;
  /** Jobs given and not answered yet. */
  waitingCount: number;
}

/** Threads for long computations. A job goes to the thread with the least to do; answers come in any order. */
export class ComputePool {
  readonly #lanes: Lane[] = [];
  readonly #handleComputed: (jobId: number, result: ComputeResult) => void;

  /** `handleComputed` is called on the thread that made the pool; `handleFailure` when a thread dies, after which jobs are lost. */
  constructor(
    threadCount: number,
    handleComputed: (jobId: number, result: ComputeResult) => void,
    handleFailure: (error: unknown) => void,
  ) {
    this.#handleComputed = handleComputed;
    for (let count = 0; count < threadCount; count++) {
      const lane: Lane = { worker: new Worker(new URL('./compute-worker.js', import.meta.url)), waitingCount: 0 };
      lane.worker.on('message', (answer: Answer) => {
        lane.waitingCount--;
        handleComputed(answer.jobId, answer.result);
      });
      lane.worker.on('error', handleFailure);
      this.#lanes.push(lane);
    }
  }

  submit(job: ComputeJob): void {
    if (QUICK_GROUPS.has(job.group)) {
      // Not at once: who submits a job is not called back before it is done with what it is doing.
      queueMicrotask(() => this.#handleComputed(job.id, computeDiffieHellman(job)));
      return;
    }
    let chosen = this.#lanes[0];
    for (const lane of this.#lanes) if (chosen && lane.waitingCount < chosen.waitingCount) chosen = lane;
    if (!chosen) return;
    chosen.waitingCount++;
    chosen.worker.postMessage(job);
  }

  async close(): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.worker.terminate()));
  }
}

import { Worker } from 'node:worker_threads';
import type { ComputeJob, ComputeResult } from '../model/compute-job.ts';

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

  /** `handleComputed` is called on the thread that made the pool; `handleFailure` when a thread dies, after which jobs are lost. */
  constructor(
    threadCount: number,
    handleComputed: (jobId: number, result: ComputeResult) => void,
    handleFailure: (error: unknown) => void,
  ) {
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

import { type Profiler, Session } from 'node:inspector';

/** Which blocks of our own code have run, as V8 counts them. Slow to ask: once for many inputs. */
export class Coverage {
  readonly #session = new Session();
  readonly #isOurs: (url: string) => boolean;
  readonly #seen = new Set<string>();

  /** `isOurs` says which scripts count, by their URL. */
  constructor(isOurs: (url: string) => boolean) {
    this.#isOurs = isOurs;
    this.#session.connect();
    this.#session.post('Profiler.enable');
    this.#session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  }

  /** Blocks seen so far. */
  get size(): number {
    return this.#seen.size;
  }

  /** The blocks that ran since the last call and never before. Answers at once: the session is on this thread. */
  takeNew(): ReadonlySet<string> {
    const fresh = new Set<string>();
    for (const block of this.#take()) if (!this.#seen.has(block)) fresh.add(block);
    for (const block of fresh) this.#seen.add(block);
    return fresh;
  }

  /** Of `blocks`, those that ran since the last call. */
  takeAmong(blocks: ReadonlySet<string>): readonly string[] {
    return [...this.#take()].filter((block) => blocks.has(block));
  }

  close(): void {
    this.#session.post('Profiler.stopPreciseCoverage');
    this.#session.disconnect();
  }

  #take(): ReadonlySet<string> {
    const blocks = new Set<string>();
    this.#session.post('Profiler.takePreciseCoverage', (error, coverage) => {
      if (error !== null) throw error;
      for (const script of coverage.result) if (this.#isOurs(script.url)) addBlocks(script, blocks);
    });
    return blocks;
  }
}

function addBlocks(script: Profiler.ScriptCoverage, blocks: Set<string>): void {
  for (const { ranges } of script.functions) {
    for (const { startOffset, endOffset, count } of ranges) {
      if (count > 0) blocks.add(`${script.scriptId} ${startOffset} ${endOffset}`);
    }
  }
}

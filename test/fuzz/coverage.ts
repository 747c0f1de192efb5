import { type Profiler, Session } from 'node:inspector';

/** Blocks are told apart by this many bits: of some ten thousand blocks, one in a hundred may be taken for another. */
const BLOCK_BITS = 20;

/** Which blocks of our own code have run, as V8 counts them. Slow to ask: once for many inputs. What it remembers takes the same room from the start. */
export class Coverage {
  readonly #session = new Session();
  readonly #isOurs: (url: string) => boolean;
  readonly #seen = new Uint8Array(2 ** BLOCK_BITS);
  #size = 0;

  /** `isOurs` says which scripts count, by their URL. */
  constructor(isOurs: (url: string) => boolean) {
    this.#isOurs = isOurs;
    this.#session.connect();
    this.#session.post('Profiler.enable');
    this.#session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  }

  /** Blocks seen so far. */
  get size(): number {
    return this.#size;
  }

  /** The blocks that ran since the last call and never before. Answers at once: the session is on this thread. */
  takeNew(): Set<number> {
    const fresh = new Set<number>();
    for (const block of this.#take()) if (this.#seen[block] === 0) fresh.add(block);
    for (const block of fresh) this.#seen[block] = 1;
    this.#size += fresh.size;
    return fresh;
  }

  /** Of `blocks`, those that ran since the last call. */
  takeAmong(blocks: ReadonlySet<number>): readonly number[] {
    return [...this.#take()].filter((block) => blocks.has(block));
  }

  close(): void {
    this.#session.post('Profiler.stopPreciseCoverage');
    this.#session.disconnect();
  }

  #take(): ReadonlySet<number> {
    const blocks = new Set<number>();
    this.#session.post('Profiler.takePreciseCoverage', (error, coverage) => {
      if (error !== null) throw error;
      for (const script of coverage.result) if (this.#isOurs(script.url)) addBlocks(script, blocks);
    });
    return blocks;
  }
}

function addBlocks(script: Profiler.ScriptCoverage, blocks: Set<number>): void {
  for (const { ranges } of script.functions) {
    for (const { startOffset, endOffset, count } of ranges) {
      if (count > 0) blocks.add(blockNumber(Number(script.scriptId), startOffset, endOffset));
    }
  }
}

/** Mixes where a block is into a number of BLOCK_BITS. */
function blockNumber(script: number, start: number, end: number): number {
  const mixed = Math.imul(Math.imul(script, 0x9e3779b1) ^ start, 0x85ebca6b) ^ Math.imul(end, 0xc2b2ae35);
  return Math.imul(mixed ^ (mixed >>> 15), 0x27d4eb2f) >>> (32 - BLOCK_BITS);
}

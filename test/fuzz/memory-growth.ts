// Whether something that takes many inputs keeps ever more memory: what is in use after a forced collection, sampled between inputs,
// and the slope of the later half of the samples. The earlier half is warming up: code is compiled, tables of fixed size are filled.

import { getHeapCodeStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Memory in use, less what the one who samples keeps himself, after so many inputs. */
export interface MemorySample {
  readonly runs: number;
  readonly octets: number;
}

export interface Growth {
  /** The slope over the later half of the samples. Negative where memory was given back. */
  readonly octetsPerThousandRuns: number;
  /** What that comes to over the runs of the later half. */
  readonly octets: number;
  /** Whether that is more than measuring can be wrong by. */
  readonly isUnbounded: boolean;
}

/** Sixteen octets an input: whatever is kept of each, or because of it, takes more in JavaScript. */
const OCTETS_PER_THOUSAND_RUNS_MAX = 16_000;
/** What belongs to compiled code and is not counted as such (lists of what depends on it) grows for some time, to some hundred thousand octets. */
const OCTETS_MAX = 256 * 1024;
const SAMPLES_MIN = 8;
/** When there are so many, every other one goes, and the next ones come half as often. */
const SAMPLES_MAX = 64;

/** Samples the memory in use, every so many runs: few samples however many runs there are. */
export class MemoryMeter {
  #interval: number;
  #dueAt: number;
  #samples: MemorySample[] = [];

  constructor(interval: number) {
    this.#interval = interval;
    this.#dueAt = interval;
  }

  /** Takes a sample if one is due after so many runs in all; `ownOctets` is what the caller itself keeps, and shall not count. */
  handleRuns(runs: number, ownOctets: () => number): void {
    if (runs < this.#dueAt) return;
    this.#samples.push({ runs, octets: memoryInUse() - ownOctets() });
    if (this.#samples.length === SAMPLES_MAX) {
      this.#samples = this.#samples.filter((_, index) => index % 2 === 1);
      this.#interval *= 2;
    }
    this.#dueAt = runs + this.#interval;
  }

  /** `undefined` if there are too few samples to say. */
  growth(): Growth | undefined {
    return growthOf(this.#samples);
  }
}

/** Judges samples in the order of their runs; `undefined` if there are too few to say. */
export function growthOf(samples: readonly MemorySample[]): Growth | undefined {
  if (samples.length < SAMPLES_MIN) return undefined;
  const later = samples.slice(samples.length >>> 1);
  const slope = medianSlope(later);
  const octets = slope * ((later.at(-1)?.runs ?? 0) - (later[0]?.runs ?? 0));
  const octetsPerThousandRuns = slope * 1000;
  return {
    octetsPerThousandRuns,
    octets,
    isUnbounded: octetsPerThousandRuns > OCTETS_PER_THOUSAND_RUNS_MAX && octets > OCTETS_MAX,
  };
}

/**
 * Octets that are reachable, in V8's heap and outside it (array buffers among the latter), compiled code aside: V8 goes on compiling
 * for hundreds of thousands of inputs. Takes milliseconds: everything else is collected first.
 */
export function memoryInUse(): number {
  // What a first collection finishes, a second one frees: objects with memory outside the heap.
  collectGarbage();
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  const { code_and_metadata_size: code, bytecode_and_metadata_size: bytecode } = getHeapCodeStatistics();
  return heapUsed + external - code - bytecode;
}

const collectGarbage = garbageCollector();

/** V8's own function, which a context has that was made under its flag. */
function garbageCollector(): () => void {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  setFlagsFromString('--no-expose-gc');
  if (typeof collect !== 'function') throw new Error('V8 offers no function that collects garbage');
  return () => collect();
}

/** The median of the slopes between all pairs (Theil and Sen): a step, or a few samples that are far off, do not move it. */
function medianSlope(samples: readonly MemorySample[]): number {
  const slopes = samples.flatMap((from, index) =>
    samples.slice(index + 1).map((to) => (to.octets - from.octets) / (to.runs - from.runs)),
  );
  slopes.sort((a, b) => a - b);
  const middle = slopes.length >>> 1;
  const upper = slopes[middle] ?? 0;
  return slopes.length % 2 === 1 ? upper : ((slopes[middle - 1] ?? upper) + upper) / 2;
}

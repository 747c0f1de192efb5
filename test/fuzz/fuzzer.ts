import type { SeededRandom } from '../../src/lib/random.ts';
import type { Coverage } from './coverage.ts';
import { Mutator } from './mutator.ts';

/** Something that takes octets from anyone. */
export interface FuzzTarget {
  readonly name: string;
  /** Changed inputs that every `npm test` tries. */
  readonly shortRuns: number;
  /** Valid inputs to start from. Made when asked for: some take a negotiation. */
  seeds(): readonly Uint8Array[];
  /** Throws if the code under test does, or if what it said is not true. */
  run(input: Uint8Array): void;
  /** Makes a changed input pass the outermost checks, such as a length field, so that the inner ones are reached. */
  repair?(input: Uint8Array): Uint8Array;
}

/** An input that a target did not withstand. */
export interface FuzzFailure {
  readonly target: string;
  readonly input: Uint8Array;
  readonly reason: string;
}

export interface FuzzOutcome {
  readonly runs: number;
  /** Inputs that reached new code, seeds not included. */
  readonly found: readonly Uint8Array[];
  readonly failure?: FuzzFailure;
}

/** Longer than this for one input counts as hanging, in milliseconds. */
const RUN_DURATION_MAX = 2000;
/** Inputs between two looks at the coverage: fewer where one takes long. */
const BATCH_MAX = 200;
const BATCHES_OF_SHORT_RUN = 10;

/** Mutates seeds and what reached new code before, until a target fails or `isOver` says so after a number of runs. */
export function fuzz(
  target: FuzzTarget,
  random: SeededRandom,
  isOver: (runs: number) => boolean,
  coverage?: Coverage,
): FuzzOutcome {
  const mutator = new Mutator(random);
  const corpus = [...target.seeds()];
  const found: Uint8Array[] = [];
  const batchLength = Math.min(BATCH_MAX, Math.ceil(target.shortRuns / BATCHES_OF_SHORT_RUN) + 1);
  let runs = 0;
  for (const seed of corpus) {
    const failure = tryInput(target, seed);
    if (failure) return { runs, found, failure };
  }
  coverage?.takeNew();
  while (!isOver(runs)) {
    const batch = Array.from({ length: batchLength }, () => nextInput(target, mutator, corpus));
    for (const input of batch) {
      runs++;
      const failure = tryInput(target, input);
      if (failure) return { runs, found, failure };
    }
    const fresh = coverage?.takeNew();
    if (coverage !== undefined && fresh !== undefined && fresh.size > 0) {
      const useful = findUseful(target, batch, fresh, coverage);
      corpus.push(...useful);
      found.push(...useful);
    }
  }
  return { runs, found };
}

/** Runs one input; says what went wrong, if anything did. */
export function tryInput(target: FuzzTarget, input: Uint8Array): FuzzFailure | undefined {
  const started = performance.now();
  try {
    target.run(input);
  } catch (fault) {
    const reason = fault instanceof Error ? (fault.stack ?? fault.message) : `threw ${String(fault)}`;
    return { target: target.name, input, reason };
  }
  const duration = performance.now() - started;
  if (duration < RUN_DURATION_MAX) return undefined;
  return { target: target.name, input, reason: `took ${Math.round(duration)} ms` };
}

function nextInput(target: FuzzTarget, mutator: Mutator, corpus: readonly Uint8Array[]): Uint8Array {
  const input = mutator.mutate(mutator.pick(corpus) ?? new Uint8Array(), corpus);
  return target.repair !== undefined && mutator.below(4) > 0 ? target.repair(input) : input;
}

/** Which inputs of a batch ran the `fresh` blocks: each is run again alone, and kept if it runs one that no input before it did. */
function findUseful(
  target: FuzzTarget,
  batch: readonly Uint8Array[],
  fresh: ReadonlySet<string>,
  coverage: Coverage,
): readonly Uint8Array[] {
  const unclaimed = new Set(fresh);
  return batch.filter((input) => {
    if (unclaimed.size === 0) return false;
    target.run(input);
    const claimed = coverage.takeAmong(unclaimed);
    for (const block of claimed) unclaimed.delete(block);
    return claimed.length > 0;
  });
}

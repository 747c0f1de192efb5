import type { SeededRandom } from '../../src/lib/random.ts';
import type { Coverage } from './coverage.ts';
import { type Growth, MemoryMeter } from './memory-growth.ts';
import { Mutator } from './mutator.ts';

/** Something that takes octets from anyone. */
export interface FuzzTarget {
  readonly name: string;
  /** Changed inputs that every `npm test` tries. */
  readonly shortRuns: number;
  /** What one input leaves behind meets the next: if one fails, those before it belong to the failure. */
  readonly keepsState?: boolean;
  /** Its part of a long run's time, where that is not 1. */
  readonly share?: number;
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
  /** What came before it, oldest first, if the target keeps state. */
  readonly history?: readonly Uint8Array[];
}

export interface FuzzOutcome {
  readonly runs: number;
  /** Inputs that reached new code, seeds not included. */
  readonly found: readonly Uint8Array[];
  readonly failure?: FuzzFailure;
  /** How the memory in use went; absent if there were too few inputs to say. */
  readonly growth?: Growth;
}

/** Longer than this for one input counts as hanging, in milliseconds. */
const RUN_DURATION_MAX = 2000;
/** Inputs between two looks at the coverage, of which each takes longer than many inputs. */
const BATCH_LENGTH = 200;
/** Samples of the memory in use that a short run takes. */
const SAMPLES_OF_SHORT_RUN = 20;
/** What seems to grow is given half as many inputs again, so often, to show that it has come to its limit. */
const EXTENSIONS_MAX = 3;
const HISTORY_MAX = 256;
/** Of an input, beyond its octets. */
const OBJECT_OCTETS = 150;

/** Mutates seeds and what reached new code before, until a target fails or `isOver` says so after a number of runs. */
export function fuzz(
  target: FuzzTarget,
  random: SeededRandom,
  isOver: (runs: number) => boolean,
  coverage?: Coverage,
): FuzzOutcome {
  const fuzzer = new Fuzzer(target, random, coverage);
  return fuzzer.run(isOver);
}

/** Runs one input; says what went wrong, if anything did. */
export function tryInput(target: FuzzTarget, input: Uint8Array): FuzzFailure | undefined {
  // A machine that stood still in between does so once, not again and again.
  let duration = 0;
  for (let count = 0; count < 3; count++) {
    const started = performance.now();
    try {
      target.run(input);
    } catch (fault) {
      const reason = fault instanceof Error ? (fault.stack ?? fault.message) : `threw ${String(fault)}`;
      return { target: target.name, input, reason };
    }
    duration = performance.now() - started;
    if (duration < RUN_DURATION_MAX) return undefined;
  }
  return { target: target.name, input, reason: `took ${Math.round(duration)} ms, and as long before` };
}

interface Useful {
  readonly useful: readonly Uint8Array[];
  readonly failure?: FuzzFailure;
}

class Fuzzer {
  readonly #target: FuzzTarget;
  readonly #mutator: Mutator;
  readonly #coverage: Coverage | undefined;
  readonly #meter: MemoryMeter;
  readonly #corpus: Uint8Array[];
  readonly #found: Uint8Array[] = [];
  readonly #history: Uint8Array[] = [];
  #runs = 0;

  constructor(target: FuzzTarget, random: SeededRandom, coverage: Coverage | undefined) {
    this.#target = target;
    this.#mutator = new Mutator(random);
    this.#coverage = coverage;
    this.#meter = new MemoryMeter(sampleInterval(target));
    this.#corpus = [...target.seeds()];
  }

  run(isOver: (runs: number) => boolean): FuzzOutcome {
    for (const seed of this.#corpus) {
      const failure = this.#try(seed);
      if (failure) return this.#outcome(failure);
    }
    this.#coverage?.takeNew();
    let failure = this.#runUntil(isOver);
    for (let count = 0; count < EXTENSIONS_MAX && !failure && this.#isGrowing; count++) {
      const end = this.#runs * 1.5;
      failure = this.#runUntil((runs) => runs >= end);
    }
    return this.#outcome(failure ?? (this.#isGrowing ? this.#growthFailure() : undefined));
  }

  #runUntil(isOver: (runs: number) => boolean): FuzzFailure | undefined {
    while (!isOver(this.#runs)) {
      const failure = this.#runBatch();
      if (failure) return failure;
      this.#meter.handleRuns(this.#runs, () => this.#ownOctets());
    }
    return undefined;
  }

  #runBatch(): FuzzFailure | undefined {
    const length = this.#coverage === undefined ? Math.min(BATCH_LENGTH, sampleInterval(this.#target)) : BATCH_LENGTH;
    const batch = Array.from({ length }, () => this.#nextInput());
    for (const input of batch) {
      this.#runs++;
      const failure = this.#try(input);
      if (failure) return failure;
    }
    const fresh = this.#coverage?.takeNew();
    if (this.#coverage === undefined || fresh === undefined || fresh.size === 0) return undefined;
    const { failure, useful } = this.#findUseful(batch, fresh, this.#coverage);
    for (const input of useful) {
      // A copy: what it was cut out of may be far longer.
      const kept = input.slice();
      this.#corpus.push(kept);
      this.#found.push(kept);
    }
    return failure;
  }

  /**
   * Which inputs of a batch ran the `fresh` blocks: halves of it are run again, and halves of those that ran one, down to single inputs. A
   * block is claimed by the first that runs it. What withstood an input once need not do so again, if it keeps state.
   */
  #findUseful(batch: readonly Uint8Array[], fresh: Set<number>, coverage: Coverage): Useful {
    if (fresh.size === 0) return { useful: [] };
    for (const input of batch) {
      const failure = this.#try(input);
      if (failure) return { useful: [], failure };
    }
    const claimed = coverage.takeAmong(fresh);
    if (claimed.length === 0) return { useful: [] };
    if (batch.length === 1) {
      for (const block of claimed) fresh.delete(block);
      return { useful: batch };
    }
    const middle = batch.length >>> 1;
    const first = this.#findUseful(batch.slice(0, middle), fresh, coverage);
    if (first.failure) return first;
    const second = this.#findUseful(batch.slice(middle), fresh, coverage);
    return { ...second, useful: [...first.useful, ...second.useful] };
  }

  #nextInput(): Uint8Array {
    const input = this.#mutator.mutate(this.#mutator.pick(this.#corpus) ?? new Uint8Array(), this.#corpus);
    return this.#target.repair !== undefined && this.#mutator.below(4) > 0 ? this.#target.repair(input) : input;
  }

  #try(input: Uint8Array): FuzzFailure | undefined {
    const failure = tryInput(this.#target, input);
    if (failure) return { ...failure, ...(this.#target.keepsState ? { history: [...this.#history] } : {}) };
    if (this.#target.keepsState) this.#remember(input);
    return undefined;
  }

  #remember(input: Uint8Array): void {
    this.#history.push(input.slice());
    if (this.#history.length > HISTORY_MAX) this.#history.shift();
  }

  get #isGrowing(): boolean {
    return this.#meter.growth()?.isUnbounded ?? false;
  }

  #growthFailure(): FuzzFailure {
    const growth = this.#meter.growth();
    const rate = Math.round(growth?.octetsPerThousandRuns ?? 0);
    const reason = `memory grows by ${rate} octets a thousand inputs, and came to ${Math.round(growth?.octets ?? 0)}`;
    return { target: this.#target.name, input: new Uint8Array(), reason, history: [...this.#history] };
  }

  /** What the fuzzer keeps, and its target does not; the coverage that has been seen takes the same room from the start. */
  #ownOctets(): number {
    return [...this.#found, ...this.#history].reduce((sum, input) => sum + input.length + OBJECT_OCTETS, 0);
  }

  #outcome(failure: FuzzFailure | undefined): FuzzOutcome {
    const growth = this.#meter.growth();
    return { runs: this.#runs, found: this.#found, ...(failure && { failure }), ...(growth && { growth }) };
  }
}

function sampleInterval(target: FuzzTarget): number {
  return Math.max(1, Math.ceil(target.shortRuns / SAMPLES_OF_SHORT_RUN));
}

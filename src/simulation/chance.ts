import { SeededRandom } from '../lib/random.ts';

/** Repeatable dice. Each part of a simulation has its own, so that one more throw in one part does not change the others. */
export class Chance {
  readonly random: SeededRandom;

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
  }

  /** Dice of its own for a named part. */
  fork(name: string): Chance {
    let mixed = this.random.uint32();
    for (const character of name) mixed = Math.imul(mixed ^ (character.codePointAt(0) ?? 0), 0x01000193) >>> 0;
    return new Chance(mixed);
  }

  /** Whether something of this probability happens; 0 never does. */
  happens(probability: number): boolean {
    return probability > 0 && this.random.fraction() < probability;
  }

  /** A number in [low, high). */
  between(low: number, high: number): number {
    return low + this.random.fraction() * (high - low);
  }

  /** An integer from `low` to `high`, both included. */
  integer(low: number, high: number): number {
    return low + (this.random.uint32() % (high - low + 1));
  }

  /** One member of a list that is not empty. */
  pick<T>(choices: readonly [T, ...T[]]): T {
    return choices[this.random.uint32() % choices.length] ?? choices[0];
  }
}

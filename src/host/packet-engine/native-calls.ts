import type { Arena } from './arena.ts';
import { CALL_LENGTH, type CallRunner } from './call-runner.ts';

const WORDS_PER_CALL = CALL_LENGTH / 4;
const SUBSPACE = 2 ** 32;

/** A list of native calls in the arena, made one after another until one returns 0 or less. What is the same each time is written once. */
export class NativeCalls {
  readonly #arena: Arena;
  readonly #run: CallRunner;
  readonly #words: Uint32Array;
  readonly #first: number;
  readonly #address: number;
  readonly #count: number;
  #context = 0;

  /** Each call: the function's address and its arguments, up to six; those that vary are put in later. */
  constructor(arena: Arena, run: CallRunner, calls: readonly (readonly number[])[]) {
    const offset = arena.reserve(calls.length * CALL_LENGTH);
    const { memory } = arena;
    this.#arena = arena;
    this.#run = run;
    this.#words = memory.words;
    this.#first = offset / 4;
    this.#address = memory.address + offset;
    this.#count = calls.length;
    for (const [index, parts] of calls.entries()) this.set(index, parts);
  }

  /** Sets a whole call. */
  set(call: number, parts: readonly number[]): void {
    for (const [position, value] of parts.entries()) this.put(call, position - 1, value);
  }

  /** Sets an argument to a number below 2^53: a length, or an address from elsewhere. */
  put(call: number, argument: number, value: number): void {
    const word = this.#wordOf(call, argument);
    this.#words[word] = value % SUBSPACE;
    this.#words[word + 1] = Math.floor(value / SUBSPACE);
  }

  /** Sets an argument to a number below 2^31 where one has been before. */
  putSmall(call: number, argument: number, value: number): void {
    this.#words[this.#wordOf(call, argument)] = value;
  }

  /** Sets an argument to the address of this offset in the arena. */
  putOffset(call: number, argument: number, offset: number): void {
    this.#arena.memory.putAddress(this.#wordOf(call, argument) * 4, offset);
  }

  /** Sets the first argument of every call, which is the object that they are about. */
  useContext(address: number): void {
    if (address === this.#context) return;
    this.#context = address;
    for (let call = 0; call < this.#count; call++) this.put(call, 0, address);
  }

  /** Makes the calls, or `count` of them from the given one on; says how many returned more than 0. */
  run(first = 0, count = this.#count): number {
    return this.#run(this.#address + first * CALL_LENGTH, count);
  }

  #wordOf(call: number, argument: number): number {
    return this.#first + call * WORDS_PER_CALL + 2 + argument * 2;
  }
}

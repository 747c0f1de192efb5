// The Internet checksum (RFC 1071) over octets in the arena, with 128-bit vectors where the engine has them.

import type { Arena } from './arena.ts';
import type { EngineFeature } from './messages.ts';
import {
  add,
  addLanes,
  and,
  assembleModule,
  type Code,
  constant,
  get,
  isAtLeast,
  lane,
  load8,
  load16,
  loadVector,
  set,
  shiftRight,
  store8,
  store16,
  storeVector,
  subtract,
  sumPairs,
  type WasmFunction,
  when,
  whileTrue,
} from './wasm-assembler.ts';

/**
 * Ones' complement sums of 16-bit words in the machine's (little-endian) order, not complemented: at most 17 bits, to be added up and
 * folded by `foldSum`. The order of octets does not matter as long as it is the same everywhere (RFC 1071 §2 (B)). An odd last octet
 * counts as the first of a word whose second is zero.
 */
export interface PacketArithmetic {
  sum(offset: number, length: number): number;
  /** Copies octets that do not overlap, and sums them on the way. */
  copyAndSum(target: number, source: number, length: number): number;
}

/** Folds a sum of sums into 16 bits. */
export function foldSum(sum: number): number {
  sum = (sum & 0xffff) + (sum >>> 16);
  return (sum & 0xffff) + (sum >>> 16);
}

/** The fastest that this process has. */
export function createPacketArithmetic(arena: Arena, without: readonly EngineFeature[] = []): PacketArithmetic {
  const fast = without.includes('vectors') ? undefined : createVectorArithmetic(arena);
  return fast ?? new ScalarArithmetic(arena);
}

const PAGE_LENGTH = 65_536;

/** `undefined` where there is no WebAssembly with 128-bit vectors. */
export function createVectorArithmetic(arena: Arena): PacketArithmetic | undefined {
  const code = assembleModule(arena.memory.bytes.length / PAGE_LENGTH, [SUM, COPY_AND_SUM]);
  if (!globalThis.WebAssembly.validate(code)) return undefined;
  const module = new globalThis.WebAssembly.Module(code);
  const { exports } = new globalThis.WebAssembly.Instance(module, { host: { memory: arena.linearMemory } });
  const { sum, copyAndSum } = exports;
  return isArithmetic(sum) && isArithmetic(copyAndSum) ? { sum, copyAndSum } : undefined;
}

function isArithmetic(value: unknown): value is (...parameters: number[]) => number {
  return typeof value === 'function';
}

/** Octet by octet, for processes without WebAssembly vectors, and to check the other one by. */
export class ScalarArithmetic implements PacketArithmetic {
  readonly #bytes: Uint8Array;

  constructor(arena: Arena) {
    this.#bytes = arena.memory.bytes;
  }

  sum(offset: number, length: number): number {
    const bytes = this.#bytes;
    const end = offset + length;
    let sum = 0;
    for (; offset + 1 < end; offset += 2) sum += (bytes[offset] ?? 0) | ((bytes[offset + 1] ?? 0) << 8);
    if (offset < end) sum += bytes[offset] ?? 0;
    return (sum & 0xffff) + Math.floor(sum / 0x10000);
  }

  copyAndSum(target: number, source: number, length: number): number {
    this.#bytes.copyWithin(target, source, source + length);
    return this.sum(source, length);
  }
}

const VECTOR_LENGTH = 16;

const SUM = loop('sum', false);
const COPY_AND_SUM = loop('copyAndSum', true);

/** One loop over octets: two vectors a turn, then one, then words, then a last octet. */
function loop(name: string, isCopying: boolean): WasmFunction {
  const parameterCount = isCopying ? 3 : 2;
  const [target, source, length] = isCopying ? [0, 1, 2] : [0, 0, 1];
  const [total, first, second, chunk] = [parameterCount, parameterCount + 1, parameterCount + 2, parameterCount + 3];
  const moveOn = (octets: number): Code => [
    ...set(source, add(get(source), constant(octets))),
    ...(isCopying ? set(target, add(get(target), constant(octets))) : []),
    ...set(length, subtract(get(length), constant(octets))),
  ];
  const takeVector = (accumulator: number, offset: number): Code => [
    ...set(chunk, loadVector(get(source), offset)),
    ...(isCopying ? storeVector(get(target), offset, get(chunk)) : []),
    ...set(accumulator, addLanes(get(accumulator), sumPairs(get(chunk)))),
  ];
  const takeSmall = (octets: 1 | 2): Code => {
    const [load, store] = octets === 2 ? [load16, store16] : [load8, store8];
    return [
      ...(isCopying ? store(get(target), load(get(source))) : []),
      ...set(total, add(get(total), load(get(source)))),
      ...moveOn(octets),
    ];
  };
  const hasLeft = (octets: number): Code => isAtLeast(get(length), constant(octets));
  // Each lane is folded before they are added, so that nothing overflows whatever the length.
  const folded = (accumulator: number, index: number): Code =>
    add(and(lane(get(accumulator), index), constant(0xffff)), shiftRight(lane(get(accumulator), index), 16));
  const lanes = [0, 1, 2, 3].flatMap((index) => [folded(first, index), folded(second, index)]);
  return {
    name,
    parameterCount,
    i32Locals: 1,
    v128Locals: 3,
    body: [
      ...whileTrue(hasLeft(2 * VECTOR_LENGTH), [
        ...takeVector(first, 0),
        ...takeVector(second, VECTOR_LENGTH),
        ...moveOn(2 * VECTOR_LENGTH),
      ]),
      ...when(hasLeft(VECTOR_LENGTH), [...takeVector(first, 0), ...moveOn(VECTOR_LENGTH)]),
      ...whileTrue(hasLeft(2), takeSmall(2)),
      ...when(hasLeft(1), takeSmall(1)),
      ...lanes.flatMap((value) => set(total, add(get(total), value))),
      ...add(and(get(total), constant(0xffff)), shiftRight(get(total), 16)),
    ],
  };
}

import { COUNTER_CELLS, Counters } from '../../ipsec/counters.ts';
import type { EngineCounterName, EngineCounters } from './messages.ts';

/** Where each of the engine's own counters lies among the cells. */
const CELL: Readonly<Record<EngineCounterName, number>> = {
  'tunnel-read': 0,
  'tunnel-written': 1,
  'tunnel-write-refused': 2,
  'tunnel-queue-full': 3,
  'tunnel-malformed': 4,
  'tunnel-missing': 5,
  'socket-received': 6,
  'socket-sent': 7,
  'socket-send-refused': 8,
  'socket-buffer-full': 9,
  'socket-too-big': 10,
  'socket-missing': 11,
  'ike-received': 12,
  'keepalive-received': 13,
  'malformed-received': 14,
  'handed-over': 15,
  'taken-over': 16,
  'hand-over-full': 17,
};
const NAMES = Object.keys(CELL).filter((name): name is EngineCounterName => Object.hasOwn(CELL, name));

/**
 * Memory that an engine counts in and the control thread reads, whenever it likes and without a word to the engine. Each cell has one writer
 * and only grows; a 64-bit processor reads and writes it whole.
 */
export interface CounterMemory {
  readonly engine: Float64Array;
  readonly dataPlane: Float64Array;
}

export function allocateCounterMemory(): CounterMemory {
  return { engine: sharedCells(NAMES.length), dataPlane: sharedCells(COUNTER_CELLS) };
}

/** So many cells, all zero, that stay the same memory when they cross threads. */
export function sharedCells(count: number): Float64Array<SharedArrayBuffer> {
  return new Float64Array(new SharedArrayBuffer(count * Float64Array.BYTES_PER_ELEMENT));
}

/** What some engines have counted together. */
export function readCounters(memories: readonly CounterMemory[]): EngineCounters {
  const dataPlane = new Counters();
  const engine: Record<EngineCounterName, number> = { ...CELL };
  for (const name of NAMES) engine[name] = memories.reduce((sum, memory) => sum + (memory.engine[CELL[name]] ?? 0), 0);
  for (const memory of memories) dataPlane.addAll(memory.dataPlane);
  return { dataPlane: dataPlane.snapshot(), engine };
}

/** What the engine itself has done and dropped, by cause. */
export class EngineTally {
  readonly #cells: Float64Array;

  constructor(cells: Float64Array = new Float64Array(NAMES.length)) {
    this.#cells = cells;
  }

  count(name: EngineCounterName, by = 1): void {
    const index = CELL[name];
    this.#cells[index] = (this.#cells[index] ?? 0) + by;
  }

  get(name: EngineCounterName): number {
    return this.#cells[CELL[name]] ?? 0;
  }
}

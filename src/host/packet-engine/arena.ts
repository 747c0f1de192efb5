import { invariant } from '../../lib/invariant.ts';
import { NativeMemory } from '../libc.ts';
import type { WasmMemory } from './web-assembly.ts';

const PAGE_LENGTH = 65_536;
const ALIGNMENT = 64;

/**
 * The one block of memory that packets live in from the first system call to the last: WebAssembly's linear memory, so that
 * typed arrays, WASM functions (by offset) and the kernel (by address) all reach the same octets. It never grows, and so never moves.
 */
export class Arena {
  readonly linearMemory: WasmMemory;
  readonly memory: NativeMemory;
  #used = ALIGNMENT;

  constructor(length: number) {
    const pages = Math.ceil(length / PAGE_LENGTH);
    this.linearMemory = new globalThis.WebAssembly.Memory({ initial: pages, maximum: pages });
    this.memory = new NativeMemory(this.linearMemory.buffer);
  }

  /** Reserves octets for good; returns their offset, aligned to a cache line. */
  reserve(length: number): number {
    const offset = this.#used;
    this.#used = Math.ceil((offset + length) / ALIGNMENT) * ALIGNMENT;
    invariant(this.#used <= this.memory.bytes.length, 'the arena is large enough for all buffers');
    return offset;
  }

  /** Whether these octets lie in the arena. */
  holds(bytes: Uint8Array): boolean {
    return bytes.buffer === this.memory.bytes.buffer;
  }
}

import type { Arena } from './arena.ts';

const COPY_LENGTH = 65_536 + 256;
const SMALL_LENGTH = 512;

/** Places in the arena where the arguments of one native call at a time lie. */
export class NativeScratch {
  readonly arena: Arena;
  /** For nonces, additional data, lengths and parameters. */
  readonly small: number;
  readonly #copy: number;

  constructor(arena: Arena) {
    this.arena = arena;
    this.small = arena.reserve(SMALL_LENGTH);
    this.#copy = arena.reserve(COPY_LENGTH);
  }

  /** The offset in the arena of `bytes[start]`; -1 if these octets lie elsewhere. */
  offsetOf(bytes: Uint8Array, start: number): number {
    const arenaBytes = this.arena.memory.bytes;
    if (bytes === arenaBytes) return start;
    return bytes.buffer === arenaBytes.buffer ? bytes.byteOffset + start : -1;
  }

  /** Copies octets that lie elsewhere into the arena; returns their offset. They stay until the next call. */
  copyIn(bytes: Uint8Array, start: number, end: number): number {
    this.arena.memory.bytes.set(bytes.subarray(start, end), this.#copy);
    return this.#copy;
  }

  /** Copies octets from the arena to where they belong. */
  copyOut(offset: number, length: number, bytes: Uint8Array, start: number): void {
    bytes.set(this.arena.memory.bytes.subarray(offset, offset + length), start);
  }

  /** Writes a short array, such as an IV, or what it holds from `start` on, at `offset`. */
  putSmall(offset: number, bytes: Uint8Array, start = 0): void {
    const arenaBytes = this.arena.memory.bytes;
    for (let index = start; index < bytes.length; index++) arenaBytes[offset + index - start] = bytes[index] ?? 0;
  }
}

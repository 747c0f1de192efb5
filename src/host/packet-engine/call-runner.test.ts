import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Arena } from './arena.ts';
import { createCallRunner, functionAddress } from './call-runner.ts';
import { NativeCalls } from './native-calls.ts';

const KINDS = { 'the loop in machine code': [], 'the loop in JavaScript': ['machine-code'] } as const;

for (const [name, without] of Object.entries(KINDS)) {
  test(`${name} makes the calls in order, each with its six arguments`, () => {
    const arena = new Arena(65_536);
    const text = place(arena, 'abcdefgh');
    const [copy, sum] = [arena.reserve(64), arena.reserve(64)];
    const { memory } = arena;
    // memcpy returns an address, of which the lower half counts; snprintf takes all six, and returns how many octets it wrote.
    const format = place(arena, '%d-%d-%d');
    const calls = new NativeCalls(arena, createCallRunner(arena, without), [
      [functionAddress('snprintf'), 0, 64, 0, 11, 22, 33],
      [functionAddress('strlen'), 0],
      [functionAddress('snprintf'), 0, 64, 0, 0, 5, 6],
    ]);
    calls.putOffset(0, 0, copy);
    calls.putOffset(0, 2, format);
    calls.putOffset(1, 0, text);
    calls.putOffset(2, 0, sum);
    calls.putOffset(2, 2, format);
    calls.putSmall(2, 3, 4);
    assert.equal(calls.run(), 3);
    assert.equal(textAt(memory.bytes, copy), '11-22-33');
    assert.equal(textAt(memory.bytes, sum), '4-5-6');
  });

  test(`${name} ends at the first call that returns 0 or less, and says how many succeeded`, () => {
    const arena = new Arena(65_536);
    const [empty, full, never] = [place(arena, ''), place(arena, 'x'), place(arena, 'unchanged')];
    const calls = new NativeCalls(arena, createCallRunner(arena, without), [
      [functionAddress('strlen'), 0],
      [functionAddress('strlen'), 0],
      [functionAddress('memset'), 0, 0, 9],
    ]);
    calls.putOffset(0, 0, full);
    calls.putOffset(1, 0, empty);
    calls.putOffset(2, 0, never);
    assert.equal(calls.run(), 1);
    assert.equal(textAt(arena.memory.bytes, never), 'unchanged');
    calls.putOffset(1, 0, full);
    calls.run();
    assert.equal(textAt(arena.memory.bytes, never), '');
  });
}

function place(arena: Arena, text: string): number {
  const offset = arena.reserve(text.length + 1);
  arena.memory.bytes.set(Buffer.from(text), offset);
  return offset;
}

function textAt(bytes: Uint8Array, offset: number): string {
  return Buffer.from(bytes.subarray(offset, bytes.indexOf(0, offset))).toString();
}

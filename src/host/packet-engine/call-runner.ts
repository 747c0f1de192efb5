// A loop in machine code that makes the native calls of a list, so that one call through FFI does for several packets. Each call through FFI
// takes as long as OpenSSL needs for several hundred octets. V8 makes its own code executable in the same way, so wherever JavaScript is fast this may run.

import { invariant } from '../../lib/invariant.ts';
import { foreignFunctions } from '../foreign-functions.ts';
import { libc, NativeMemory, nativeString } from '../libc.ts';
import type { Arena } from './arena.ts';
import type { EngineFeature } from './messages.ts';

/** One entry of a list: the function's address, six arguments, and what it returned; each eight octets. */
export const CALL_LENGTH = 64;
const ARGUMENTS_MAX = 6;

/** Makes up to `count` calls of the list at `address`, until one returns 0 or less; says how many returned more than 0. */
export type CallRunner = (address: number, count: number) => number;

/** The address of a function of this process, or 0. */
export function functionAddress(name: string): number {
  return libc.dlsym(0, nativeString(name).address);
}

/** The fastest runner that this machine has, for lists in `arena`; `handleNotice` is told, in words, if that is the slow one. */
export function createCallRunner(
  arena: Arena,
  without: readonly EngineFeature[] = [],
  handleNotice: (text: string) => void = () => undefined,
): CallRunner {
  const fast = without.includes('machine-code') ? undefined : machineRunner();
  if (fast) return fast;
  handleNotice('no machine code for this processor, or none allowed: OpenSSL is called step by step, slower');
  return interpretingRunner(arena);
}

// The code below was assembled by hand after the manuals of both architectures; what a disassembler says of it stands behind each line.

// System V ABI: arguments in rdi, rsi, rdx, rcx, r8, r9; rbx, rbp and r12 are the caller's; the stack is aligned at each call.
const X64 = [
  ...[0x53, 0x55, 0x41, 0x54], //            push rbx; push rbp; push r12
  ...[0x48, 0x89, 0xfb], //                  mov rbx, rdi       the entry
  ...[0x89, 0xf5], //                        mov ebp, esi       how many
  ...[0x45, 0x31, 0xe4], //                  xor r12d, r12d     how many have succeeded
  ...[0x85, 0xed, 0x74, 0x30], //            test ebp, ebp; je end
  ...[0x48, 0x8b, 0x7b, 0x08], //      next: mov rdi, [rbx+8]
  ...[0x48, 0x8b, 0x73, 0x10], //            mov rsi, [rbx+16]
  ...[0x48, 0x8b, 0x53, 0x18], //            mov rdx, [rbx+24]
  ...[0x48, 0x8b, 0x4b, 0x20], //            mov rcx, [rbx+32]
  ...[0x4c, 0x8b, 0x43, 0x28], //            mov r8, [rbx+40]
  ...[0x4c, 0x8b, 0x4b, 0x30], //            mov r9, [rbx+48]
  ...[0x31, 0xc0, 0xff, 0x13], //            xor eax, eax; call [rbx]
  ...[0x48, 0x89, 0x43, 0x38], //            mov [rbx+56], rax
  ...[0x85, 0xc0, 0x7e, 0x0c], //            test eax, eax; jle end
  ...[0x41, 0xff, 0xc4], //                  inc r12d
  ...[0x48, 0x83, 0xc3, 0x40], //            add rbx, 64
  ...[0x41, 0x39, 0xec, 0x75, 0xd0], //      cmp r12d, ebp; jne next
  ...[0x44, 0x89, 0xe0], //             end: mov eax, r12d
  ...[0x41, 0x5c, 0x5d, 0x5b, 0xc3], //      pop r12; pop rbp; pop rbx; ret
];

// AAPCS64: arguments in x0 to x5; x19 to x21 are the caller's. Words of 32 bits, little-endian.
const ARM64 = [
  0xa9bd7bfd, //       stp x29, x30, [sp, #-48]!
  0x910003fd, //       mov x29, sp
  0xa90153f3, //       stp x19, x20, [sp, #16]
  0xf90013f5, //       str x21, [sp, #32]
  0xaa0003f3, //       mov x19, x0             the entry
  0x2a0103f4, //       mov w20, w1             how many
  0x52800015, //       mov w21, #0             how many have succeeded
  0x340001b4, //       cbz w20, end
  0xa9400268, // next: ldp x8, x0, [x19]
  0xa9410a61, //       ldp x1, x2, [x19, #16]
  0xa9421263, //       ldp x3, x4, [x19, #32]
  0xf9401a65, //       ldr x5, [x19, #48]
  0xd63f0100, //       blr x8
  0xf9001e60, //       str x0, [x19, #56]
  0x7100001f, //       cmp w0, #0
  0x540000ad, //       b.le end
  0x110006b5, //       add w21, w21, #1
  0x91010273, //       add x19, x19, #64
  0x6b1402bf, //       cmp w21, w20
  0x54fffea1, //       b.ne next
  0x2a1503e0, //  end: mov w0, w21
  0xf94013f5, //       ldr x21, [sp, #32]
  0xa94153f3, //       ldp x19, x20, [sp, #16]
  0xa8c37bfd, //       ldp x29, x30, [sp], #48
  0xd65f03c0, //       ret
];

const PROT_READ = 1;
const PROT_WRITE = 2;
const PROT_EXEC = 4;
const MAP_PRIVATE = 2;
const MAP_ANONYMOUS = 0x20;
const PAGE_LENGTH = 65_536;

/** The loop in machine code; `undefined` on an architecture that it is not written for, or where memory may not be made executable. */
function machineRunner(): CallRunner | undefined {
  const code = machineCode();
  if (!code) return undefined;
  try {
    const page = libc.mmap(0, PAGE_LENGTH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const source = NativeMemory.allocate(PAGE_LENGTH);
    source.bytes.set(code);
    libc.memcpy(page, source.address, code.length);
    // Never writable and executable at once.
    if (libc.mprotect(page, PAGE_LENGTH, PROT_READ | PROT_EXEC) !== 0) return undefined;
    return foreignFunctions?.decode(BigInt(page), foreignFunctions.proto('int', ['uintptr_t', 'int']));
  } catch {
    return undefined;
  }
}

function machineCode(): Uint8Array | undefined {
  if (process.platform !== 'linux') return undefined;
  if (process.arch === 'x64') return Uint8Array.from(X64);
  return process.arch === 'arm64' ? new Uint8Array(Uint32Array.from(ARM64).buffer) : undefined;
}

type NativeFunction = (...parameters: number[]) => number;

/** The same loop in JavaScript. */
function interpretingRunner(arena: Arena): CallRunner {
  const foreign = foreignFunctions;
  invariant(foreign !== undefined, 'FFI is there');
  const type = foreign.proto('int', new Array(ARGUMENTS_MAX).fill('uintptr_t'));
  const functions = new Map<number, NativeFunction>();
  const functionAt = (address: number): NativeFunction => {
    const known = functions.get(address);
    if (known) return known;
    const found: NativeFunction = foreign.decode(BigInt(address), type);
    functions.set(address, found);
    return found;
  };
  const { view, address: base } = arena.memory;
  const wordAt = (offset: number): number => view.getUint32(offset, true) + view.getUint32(offset + 4, true) * 2 ** 32;
  return (address, count) => {
    const start = address - base;
    invariant(start >= 0, 'a list of calls lies in the arena');
    for (let index = 0; index < count; index++) {
      const at = start + index * CALL_LENGTH;
      const parameters = Array.from({ length: ARGUMENTS_MAX }, (_, position) => wordAt(at + 8 + 8 * position));
      const result = functionAt(wordAt(at))(...parameters);
      view.setInt32(at + 56, result, true);
      if (result <= 0) return index;
    }
    return count;
  };
}

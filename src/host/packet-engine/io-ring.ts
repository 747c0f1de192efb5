// A queue of reads and writes that the kernel carries out in one system call (io_uring(7)). TUN devices have no call that takes several
// packets, and entering the kernel takes longer than reading a small packet. Nothing is left in the air: `run` returns when all is done.

import { invariant } from '../../lib/invariant.ts';
import { foreignFunctions } from '../foreign-functions.ts';
import {
  check,
  ERRNO,
  lastErrno,
  libc,
  NativeMemory,
  nativeString,
  O_CLOEXEC,
  O_NONBLOCK,
  O_RDWR,
  SystemCallError,
} from '../libc.ts';
import type { Arena } from './arena.ts';
import type { EngineFeature } from './messages.ts';

/** Operations in one `run` at most. */
export const RING_OPERATIONS_MAX = 64;

/** What a ring does, by the kernel's numbers. */
export const RingOperation = { writeVector: 2, read: 22, write: 23 } as const;

type RingOperationNumber = (typeof RingOperation)[keyof typeof RingOperation];

const SYS_IO_URING_SETUP = 425;
const SYS_IO_URING_ENTER = 426;
const ENTER_GETEVENTS = 1;
const FEATURE_SINGLE_MMAP = 1;
const OFFSET_SUBMISSION_ENTRIES = 0x10000000;
const RWF_NOWAIT = 8;
/** Of a descriptor of /dev/net/tun without a device; Node has no name for it. */
const EBADFD = 77;
const ENTRY_WORDS = 16;
const COMPLETION_WORDS = 4;
const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const MAP_FAILED = 2 ** 64;

/** One thread's ring, for memory in the arena. */
export class IoRing {
  readonly #arena: Arena;
  readonly #descriptor: number;
  readonly #ring: Uint32Array;
  readonly #entries: Uint32Array;
  readonly #submissionTail: number;
  readonly #submissionMask: number;
  readonly #completionHead: number;
  readonly #completionTail: number;
  readonly #completionMask: number;
  readonly #completions: number;
  readonly #results = new Int32Array(RING_OPERATIONS_MAX);
  #count = 0;

  private constructor(arena: Arena, descriptor: number, parameters: DataView) {
    this.#arena = arena;
    this.#descriptor = descriptor;
    const field = (at: number): number => parameters.getUint32(at, true);
    const array = field(64);
    const length = Math.max(array + field(0) * 4, field(100) + field(4) * COMPLETION_WORDS * 4);
    const ring = mapRing(descriptor, length, 0);
    this.#ring = ring;
    this.#entries = mapRing(descriptor, field(0) * ENTRY_WORDS * 4, OFFSET_SUBMISSION_ENTRIES);
    this.#submissionTail = field(44) / 4;
    this.#submissionMask = ring[field(48) / 4] ?? 0;
    this.#completionHead = field(80) / 4;
    this.#completionTail = field(84) / 4;
    this.#completionMask = ring[field(88) / 4] ?? 0;
    this.#completions = field(100) / 4;
    for (let index = 0; index < field(0); index++) ring[array / 4 + index] = index;
  }

  /** `undefined` where the kernel has no io_uring, or this process may not use it, as in most containers. */
  static open(arena: Arena, without: readonly EngineFeature[]): IoRing | undefined {
    if (without.includes('io-ring') || process.platform !== 'linux') return undefined;
    const parameters = NativeMemory.allocate(128);
    const descriptor = libc.syscall(SYS_IO_URING_SETUP, RING_OPERATIONS_MAX, parameters.address, 0, 0, 0, 0);
    if (descriptor < 0) return undefined;
    try {
      if ((parameters.view.getUint32(20, true) & FEATURE_SINGLE_MMAP) !== 0) {
        const ring = new IoRing(arena, descriptor, parameters.view);
        if (ring.#isFitForTunnels()) return ring;
      }
    } catch (error) {
      // A ring may be made, but not mapped or entered here: the engine works without one.
      if (!(error instanceof SystemCallError)) throw error;
    }
    libc.close(descriptor);
    return undefined;
  }

  /** Operations that have been put since the last `run`. */
  get count(): number {
    return this.#count;
  }

  /**
   * Puts an operation: `length` octets (of `writeVector`: entries of an iovec array) at `offset` in the arena, which stay unchanged until `run`. It
   * never waits: where it would, its result is -EAGAIN. There must be room.
   */
  put(operation: RingOperationNumber, descriptor: number, offset: number, length: number): void {
    const ring = this.#ring;
    const entries = this.#entries;
    const tail = ring[this.#submissionTail] ?? 0;
    const entry = (tail & this.#submissionMask) * ENTRY_WORDS;
    entries[entry] = operation;
    entries[entry + 1] = descriptor;
    this.#arena.memory.putAddressInto(entries, entry + 4, offset);
    entries[entry + 6] = length;
    entries[entry + 7] = RWF_NOWAIT;
    entries[entry + 8] = this.#count++;
    ring[this.#submissionTail] = tail + 1;
  }

  /**
   * Carries out what was put, in its order, and returns how many operations that was; `result` tells of each. The rings need no barriers: the kernel
   * looks at them within the call only, on this thread.
   */
  run(): number {
    const count = this.#count;
    this.#count = 0;
    for (let left = count, done = 0; done < count; ) {
      const taken = libc.syscall(SYS_IO_URING_ENTER, this.#descriptor, left, count - done, ENTER_GETEVENTS, 0, 0);
      if (taken >= 0) left -= taken;
      else if (!PASSING_ERRORS.includes(lastErrno())) check(taken, 'io_uring_enter', 'packet engine');
      done += this.#takeCompletions();
    }
    return count;
  }

  /** What the i-th operation of the last `run` returned: octets, or an error's number, negative. */
  result(index: number): number {
    return this.#results[index] ?? 0;
  }

  close(): void {
    libc.close(this.#descriptor);
  }

  /** Whether TUN devices promise not to wait (Linux 6.4): a descriptor that has no device yet is asked for an octet. */
  #isFitForTunnels(): boolean {
    const tunnel = libc.open(nativeString('/dev/net/tun').address, O_RDWR | O_NONBLOCK | O_CLOEXEC, 0);
    // Where there are no TUN devices, there is nothing that could not be read.
    if (tunnel < 0) return true;
    this.put(RingOperation.read, tunnel, this.#arena.reserve(1), 1);
    this.run();
    libc.close(tunnel);
    return this.result(0) === -EBADFD;
  }

  #takeCompletions(): number {
    const ring = this.#ring;
    const head = ring[this.#completionHead] ?? 0;
    const tail = ring[this.#completionTail] ?? 0;
    const count = (tail - head) >>> 0;
    for (let index = 0; index < count; index++) {
      const at = this.#completions + ((head + index) & this.#completionMask) * COMPLETION_WORDS;
      this.#results[ring[at] ?? 0] = ring[at + 2] ?? 0;
    }
    ring[this.#completionHead] = tail;
    return count;
  }
}

const PASSING_ERRORS: readonly number[] = [ERRNO.EINTR, ERRNO.EAGAIN, ERRNO.EBUSY];

/** The ring's memory, or its entries', in this process. */
function mapRing(descriptor: number, length: number, position: number): Uint32Array {
  invariant(foreignFunctions !== undefined, 'FFI is there');
  const address = libc.mmap(0, length, PROT_READ_WRITE, MAP_SHARED, descriptor, position);
  check(address === MAP_FAILED ? -1 : 0, 'mmap', 'packet engine');
  return new Uint32Array(foreignFunctions.view(BigInt(address), length));
}

import { ERRNO, lastErrno, libc } from '../libc.ts';
import type { Arena } from './arena.ts';
import type { EngineTally } from './engine-counters.ts';
import { type IoRing, RING_OPERATIONS_MAX, RingOperation } from './io-ring.ts';

/** Writes to TUN devices: with a ring, many in one system call. */
export class TunnelOutput {
  readonly #arena: Arena;
  readonly #tally: EngineTally;
  readonly #ring: IoRing | undefined;
  readonly #packets = new Uint16Array(RING_OPERATIONS_MAX);

  constructor(arena: Arena, tally: EngineTally, ring: IoRing | undefined) {
    this.#arena = arena;
    this.#tally = tally;
    this.#ring = ring;
  }

  /** Writes `length` octets at `offset` in the arena, one packet; they must stay unchanged until `flush`. */
  write(descriptor: number, offset: number, length: number): void {
    const ring = this.#ring;
    if (ring) return this.#put(ring, RingOperation.write, descriptor, offset, length, 1);
    this.#count(libc.write(descriptor, this.#arena.memory.address + offset, length) >= 0 ? 0 : lastErrno(), 1);
  }

  /** Writes as one super-packet the `count` pieces that the iovec array at `vectors` lists, the array too unchanged until `flush`. */
  writePieces(descriptor: number, vectors: number, count: number): void {
    const ring = this.#ring;
    if (ring) return this.#put(ring, RingOperation.writeVector, descriptor, vectors, count, count);
    const result = libc.writev(descriptor, this.#arena.memory.address + vectors, count);
    this.#count(result >= 0 ? 0 : lastErrno(), count);
  }

  /** Carries out what is left. */
  flush(): void {
    const ring = this.#ring;
    if (!ring || ring.count === 0) return;
    const count = ring.run();
    for (let index = 0; index < count; index++)
      this.#count(Math.max(0, -ring.result(index)), this.#packets[index] ?? 0);
  }

  #put(
    ring: IoRing,
    operation: (typeof RingOperation)['write' | 'writeVector'],
    descriptor: number,
    offset: number,
    length: number,
    packets: number,
  ): void {
    if (ring.count === RING_OPERATIONS_MAX) this.flush();
    this.#packets[ring.count] = packets;
    ring.put(operation, descriptor, offset, length);
  }

  #count(errno: number, packets: number): void {
    // The device is down, or the packet is none that the host takes; or its queue is full.
    const refusal = errno === ERRNO.EAGAIN ? 'tunnel-queue-full' : 'tunnel-write-refused';
    this.#tally.count(errno === 0 ? 'tunnel-written' : refusal, packets);
  }
}

// The other end of the device is a packet socket, which keeps packets apart as a TUN device does.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { check, libc, NativeMemory } from '../libc.ts';
import { Arena } from './arena.ts';
import { EngineTally } from './engine-counters.ts';
import { IoRing, RING_OPERATIONS_MAX, RingOperation } from './io-ring.ts';
import { whyNoIoUring } from './io-uring.fixture.ts';
import { TunnelInput } from './tunnel-input.ts';
import { TunnelOutput } from './tunnel-output.ts';

const AF_UNIX = 1;
const SOCK_SEQPACKET = 5;
const SOCK_NONBLOCK = 0o4000;
const EAGAIN = 11;

for (const isRingWanted of [true, false]) {
  const how = isRingWanted ? 'through a ring' : 'by system calls';

  test(`packets come out of a device as they went in, ${how}`, (context) => {
    const bench = Bench.open(context, isRingWanted);
    if (!bench) return;
    const packets = Array.from({ length: 100 }, (_, index) => Uint8Array.from({ length: 20 + index }, () => index));
    for (const packet of packets) bench.send(packet);
    const reader = new BatchReader(bench, 17);
    for (let turns = 0; turns < 10 && reader.packets.length < packets.length; turns++) reader.read();
    assert.deepEqual(reader.packets, packets);
    reader.read();
    assert.equal(reader.packets.length, packets.length, 'what is empty is not waited for');
  });

  test(`more devices than there are slots are all read, and what lies in a slot is sent before it is used again, ${how}`, (context) => {
    const benches = Array.from({ length: 30 }, () => Bench.open(context, isRingWanted)).filter(
      (bench) => bench !== undefined,
    );
    const [first] = benches;
    if (!first) return;
    let sent = 0;
    const input = new TunnelInput(first.arena, first.ring, () => sent++);
    const seen: number[][] = benches.map(() => []);
    for (const [number, bench] of benches.entries()) {
      for (let count = 0; count < 3; count++) bench.send(Uint8Array.of(number, count, 0xff));
      const slot = input.ask(
        {
          handleRead: () => {
            for (let index = 0; index < 5; index++)
              if (input.length(slot + index) > 0)
                seen[number]?.push(first.arena.memory.view.getUint16(input.offset(slot + index)));
          },
        },
        bench.near,
        5,
      );
    }
    assert.ok(sent > 0);
    input.run();
    for (const [number, packets] of seen.entries())
      assert.deepEqual(packets, [256 * number, 256 * number + 1, 256 * number + 2]);
    const before = sent;
    input.run();
    assert.equal(sent, before, 'nobody has asked');
  });

  test(`what is written to a device arrives in order and is counted, and so is what does not fit, ${how}`, (context) => {
    const bench = Bench.open(context, isRingWanted);
    if (!bench) return;
    const tally = new EngineTally();
    const output = new TunnelOutput(bench.arena, tally, bench.ring);
    const { memory } = bench.arena;
    const packet = bench.arena.reserve(1000);
    const vectors = bench.arena.reserve(32);
    memory.bytes.set([1, 2, 3, 4, 5], packet);
    memory.putAddress(vectors, packet);
    memory.view.setUint32(vectors + 8, 2, true);
    memory.putAddress(vectors + 16, packet + 4);
    memory.view.setUint32(vectors + 24, 1, true);
    output.write(bench.near, packet, 4);
    output.writePieces(bench.near, vectors, 2);
    output.write(bench.near, packet + 1, 3);
    output.flush();
    assert.deepEqual(bench.received(), [
      [1, 2, 3, 4],
      [1, 2, 5],
      [2, 3, 4],
    ]);
    assert.equal(tally.get('tunnel-written'), 4, 'two of them were one');

    const attempts = 40 * RING_OPERATIONS_MAX;
    for (let index = 0; index < attempts; index++) output.write(bench.near, packet, 1000);
    output.flush();
    const [written, full] = [tally.get('tunnel-written'), tally.get('tunnel-queue-full')];
    assert.ok(full > 0, 'a queue has an end');
    assert.equal(written - 4 + full, attempts);
    assert.equal(tally.get('tunnel-write-refused'), 0);
    assert.equal(bench.received().length, written - 4);

    output.write(-1, packet, 4);
    output.flush();
    assert.equal(tally.get('tunnel-write-refused'), 1);
  });
}

test('a ring tells the result of each operation, in the order in which they were put, time and again', (context) => {
  const bench = Bench.open(context, true);
  if (!bench?.ring) return;
  const { ring } = bench;
  for (let round = 0; round < 10; round++) {
    bench.send(Uint8Array.from({ length: round + 1 }, () => round));
    for (let index = 0; index < RING_OPERATIONS_MAX; index++)
      ring.put(RingOperation.read, index === 1 ? -1 : bench.near, 1024 + 16 * index, 16);
    assert.equal(ring.count, RING_OPERATIONS_MAX);
    assert.equal(ring.run(), RING_OPERATIONS_MAX);
    assert.equal(ring.result(0), round + 1);
    assert.equal(ring.result(1), -9, 'EBADF');
    for (let index = 2; index < RING_OPERATIONS_MAX; index++) assert.equal(ring.result(index), -EAGAIN);
    assert.equal(ring.count, 0);
  }
});

/** Reads a device batch by batch. */
class BatchReader {
  readonly packets: Uint8Array[] = [];
  readonly #bench: Bench;
  readonly #input: TunnelInput;
  readonly #count: number;
  #slot = 0;

  constructor(bench: Bench, count: number) {
    this.#bench = bench;
    this.#count = count;
    this.#input = new TunnelInput(bench.arena, bench.ring, () => undefined);
  }

  read(): void {
    this.#slot = this.#input.ask(this, this.#bench.near, this.#count);
    this.#input.run();
  }

  handleRead(): void {
    for (let slot = this.#slot; slot < this.#slot + this.#count; slot++) {
      const start = this.#input.offset(slot);
      const length = this.#input.length(slot);
      if (length > 0) this.packets.push(this.#bench.arena.memory.bytes.slice(start, start + length));
    }
  }
}

/** A device and its far end. */
class Bench {
  readonly arena: Arena;
  readonly ring: IoRing | undefined;
  readonly near: number;
  readonly #far: number;
  readonly #scratch = NativeMemory.allocate(2048);

  private constructor(context: TestContext, arena: Arena, ring: IoRing | undefined) {
    const pair = NativeMemory.allocate(128);
    check(libc.socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair.address), 'socketpair', 'test');
    this.arena = arena;
    this.ring = ring;
    this.near = pair.view.getInt32(0, true);
    this.#far = pair.view.getInt32(4, true);
    context.after(() => {
      ring?.close();
      libc.close(this.near);
      libc.close(this.#far);
    });
  }

  static open(context: TestContext, isRingWanted: boolean): Bench | undefined {
    const arena = new Arena(8 * 1024 * 1024);
    const obstacle = isRingWanted && whyNoIoUring();
    if (obstacle) {
      context.skip(obstacle);
      return undefined;
    }
    const ring = isRingWanted ? IoRing.open(arena, []) : undefined;
    assert.equal(ring !== undefined, isRingWanted, 'where there is io_uring, it is used');
    return new Bench(context, arena, ring);
  }

  send(packet: Uint8Array): void {
    this.#scratch.bytes.set(packet);
    check(libc.write(this.#far, this.#scratch.address, packet.length), 'write', 'test');
  }

  received(): number[][] {
    const packets: number[][] = [];
    for (;;) {
      const length = libc.read(this.#far, this.#scratch.address, 2048);
      if (length <= 0) return packets;
      packets.push([...this.#scratch.bytes.subarray(0, length)]);
    }
  }
}

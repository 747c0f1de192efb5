import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeededRandom } from '../../lib/random.ts';
import { check, libc, NativeMemory } from '../libc.ts';
import type { TunnelOffload } from '../tunnel-device.ts';
import { Arena } from './arena.ts';
import { EngineTally } from './engine-counters.ts';
import { describeLoss, FlowMaker } from './flow-maker.fixture.ts';
import { OutboundArea } from './outbound-area.ts';
import { createPacketArithmetic, ScalarArithmetic } from './packet-arithmetic.ts';
import { SuperPacketSplitter } from './super-packet.ts';
import { TunnelOutput } from './tunnel-output.ts';
import { TunnelWriter } from './tunnel-writer.ts';
import { VIRTIO_HEADER_LENGTH } from './virtio-header.ts';

const ROUNDS = 40;
const SEEDS = [1, 2];
const AF_UNIX = 1;
const SOCK_SEQPACKET = 5;
const SOCK_NONBLOCK = 0o4000;
const SLOT_LENGTH = 2048;
const SLOTS = 256;

for (const isScalar of [false, true])
  for (const offload of ['tcp-and-udp', 'tcp', 'none'] as const)
    for (const seed of SEEDS)
      test(`what is joined for a TUN device splits into exactly the packets that went in (offload ${offload}, ${isScalar ? 'scalar' : 'vectors'}, seed ${seed})`, () => {
        const joined = new JoiningBench(offload, isScalar);
        const maker = new FlowMaker(new SeededRandom(seed));
        let writes = 0;
        let packets = 0;
        for (let round = 0; round < ROUNDS; round++) {
          const batch = maker.batch(SLOTS);
          const { pieces, writeCount } = joined.carry(batch);
          writes += writeCount;
          packets += batch.length;
          assert.equal(describeLoss(batch, pieces), '', `round ${round}`);
        }
        joined.close();
        if (offload === 'none') assert.equal(writes, packets);
        else assert.ok(writes < packets * 0.9, `${packets} packets in ${writes} writes: joining does something`);
      });

/** A writer and a splitter with a socket pair between them, which keeps the borders of writes as a TUN device does. */
class JoiningBench {
  readonly #arena = new Arena(8 * 1024 * 1024);
  readonly #area: OutboundArea;
  readonly #writer: TunnelWriter;
  readonly #splitter: SuperPacketSplitter;
  readonly #offload: TunnelOffload;
  readonly #slots: number;
  readonly #read: number;
  readonly #descriptors: readonly [number, number];

  constructor(offload: TunnelOffload, isScalar: boolean) {
    const arithmetic = isScalar ? new ScalarArithmetic(this.#arena) : createPacketArithmetic(this.#arena);
    this.#offload = offload;
    this.#area = new OutboundArea(this.#arena, 256 * 1024);
    this.#writer = new TunnelWriter(
      this.#arena,
      new TunnelOutput(this.#arena, new EngineTally(), undefined),
      arithmetic,
    );
    this.#splitter = new SuperPacketSplitter(this.#arena, arithmetic, this.#area, () => this.#area.reset());
    this.#slots = this.#arena.reserve(SLOTS * SLOT_LENGTH);
    this.#read = this.#arena.reserve(70_000);
    const pair = NativeMemory.allocate(128);
    check(libc.socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair.address), 'socketpair', 'test');
    this.#descriptors = [pair.view.getInt32(0, true), pair.view.getInt32(4, true)];
  }

  carry(batch: readonly Uint8Array[]): { readonly pieces: readonly Uint8Array[]; readonly writeCount: number } {
    const pieces: Uint8Array[] = [];
    let writeCount = 0;
    const { bytes } = this.#arena.memory;
    const target = { descriptor: this.#descriptors[0], offload: this.#offload };
    for (const [index, packet] of batch.entries()) {
      const start = this.#slots + index * SLOT_LENGTH + 64;
      bytes.set(packet, start);
      this.#writer.add(target, start, start + packet.length);
      writeCount += this.#drain(pieces);
    }
    this.#writer.flush();
    writeCount += this.#drain(pieces);
    return { pieces, writeCount };
  }

  close(): void {
    for (const descriptor of this.#descriptors) libc.close(descriptor);
  }

  #drain(pieces: Uint8Array[]): number {
    const { bytes, address } = this.#arena.memory;
    for (let count = 0; ; count++) {
      const length = libc.read(this.#descriptors[1], address + this.#read, 70_000);
      if (length <= 0) return count;
      const take = (start: number, end: number) => pieces.push(bytes.slice(start, end));
      const end = this.#read + length;
      if (this.#offload === 'none') take(this.#read, end);
      else assert.ok(this.#splitter.split(this.#read, this.#read + VIRTIO_HEADER_LENGTH, end, take));
      this.#area.reset();
    }
  }
}

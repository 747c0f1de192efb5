// From one engine to another. The kernel joins datagrams of one sender whatever their SPIs are (UDP GRO), so behind a packet of its own an
// engine may find one whose SA another has; and a kernel without socket filters gives everything to the first. SAs of one peer are one engine's, so it
// is rare, and may cost a copy and a system call.

import type { Instant } from '../../lib/time.ts';
import type { UdpEndpoint, UdpPath } from '../../model/address.ts';
import { libc } from '../libc.ts';
import { readSocketAddress, socketAddress } from '../socket-address.ts';
import type { Arena } from './arena.ts';
import type { EngineTally } from './engine-counters.ts';
import type { EngineSettings } from './messages.ts';
import type { Readable } from './poller.ts';
import type { ReceiveBatch } from './receive-batch.ts';

/** A record is what the kernel has said of the packet, and then the packet. */
const RECORD = { hasTrafficClass: 0, trafficClass: 1, local: 4, remote: 32, packet: 64 } as const;
const DATAGRAM_LENGTH_MAX = 65_536;

export interface HandOverHandlers {
  /** The path from this host's endpoint to the peer's, whose `sockaddr` lies at `remoteOffset` in the arena; `undefined` without such a socket. */
  pathFrom(local: UdpEndpoint, remoteOffset: number): UdpPath | undefined;
  /** Takes the ESP packet at `[start, end)` in the arena; what is made of it may stay there until the turn is over. */
  handleEsp(now: Instant, path: UdpPath, start: number, end: number, trafficClass: number | undefined): void;
  /** The turn is over: everything that lies in the receive batch must be used up on return. */
  flush(): void;
}

/** Gives ESP packets in UDP to the engine that has their SA, and takes those that others give. */
export class HandOver implements Readable {
  readonly descriptor: number;
  readonly #engine: number;
  readonly #descriptors: readonly number[];
  readonly #arena: Arena;
  readonly #tally: EngineTally;
  readonly #batch: ReceiveBatch;
  readonly #handlers: HandOverHandlers;
  readonly #record: number;

  constructor(
    arena: Arena,
    tally: EngineTally,
    batch: ReceiveBatch,
    { engine, handOver }: Pick<EngineSettings, 'engine' | 'handOver'>,
    handlers: HandOverHandlers,
  ) {
    this.descriptor = handOver.receive;
    this.#engine = engine;
    this.#descriptors = handOver.send;
    this.#arena = arena;
    this.#tally = tally;
    this.#batch = batch;
    this.#handlers = handlers;
    this.#record = arena.reserve(RECORD.packet + DATAGRAM_LENGTH_MAX);
  }

  /** Whether the ESP packet at `start` is another engine's. */
  isForeign(start: number): boolean {
    return this.#arena.memory.view.getUint32(start) % this.#descriptors.length !== this.#engine;
  }

  /** Hands the ESP packet at `[start, end)`, which is another engine's, over to that. */
  give(path: UdpPath, start: number, end: number, trafficClass: number | undefined): void {
    const { bytes, view, address } = this.#arena.memory;
    const record = this.#record;
    const engine = view.getUint32(start) % this.#descriptors.length;
    view.setUint8(record + RECORD.hasTrafficClass, trafficClass === undefined ? 0 : 1);
    view.setUint8(record + RECORD.trafficClass, trafficClass ?? 0);
    bytes.set(socketAddress(path.local), record + RECORD.local);
    bytes.set(socketAddress(path.remote), record + RECORD.remote);
    bytes.copyWithin(record + RECORD.packet, start, end);
    const length = RECORD.packet + end - start;
    const isTaken = libc.write(this.#descriptors[engine] ?? -1, address + record, length) === length;
    this.#tally.count(isTaken ? 'handed-over' : 'hand-over-full');
  }

  handleReadable(now: Instant): void {
    const batch = this.#batch;
    const count = batch.receive(this.descriptor);
    this.#tally.count('taken-over', count);
    for (let index = 0; index < count; index++) this.#take(now, batch.offset(index), batch.length(index));
    this.#handlers.flush();
    batch.release(count);
  }

  #take(now: Instant, record: number, length: number): void {
    const { view } = this.#arena.memory;
    const local = readSocketAddress(view, record + RECORD.local);
    const path = local && this.#handlers.pathFrom(local, record + RECORD.remote);
    if (!path) return this.#tally.count('socket-missing');
    const hasTrafficClass = view.getUint8(record + RECORD.hasTrafficClass) === 1;
    const trafficClass = hasTrafficClass ? view.getUint8(record + RECORD.trafficClass) : undefined;
    this.#handlers.handleEsp(now, path, record + RECORD.packet, record + length, trafficClass);
  }
}

// A socket that only IKE uses: the control thread reads and writes it itself, without the packet engine between. Node's own UDP sockets could, too,
// but take two system calls and two buffers of 64 KiB for each datagram.

import { invariant } from '../lib/invariant.ts';
import type { UdpEndpoint, UdpPath } from '../model/address.ts';
import { foreignFunctions } from './foreign-functions.ts';
import { libc, NativeMemory } from './libc.ts';
import { Arena } from './packet-engine/arena.ts';
import { PathTable } from './packet-engine/path-table.ts';
import { ReceiveBatch } from './packet-engine/receive-batch.ts';
import { socketAddress } from './socket-address.ts';

const ARENA_LENGTH = 4 * 1024 * 1024;
const DATAGRAM_LENGTH_MAX = 65_536;
/** Where a datagram and its address lie while the kernel copies them. */
const content = NativeMemory.allocate(DATAGRAM_LENGTH_MAX);
const name = NativeMemory.allocate(128);

/** Takes a datagram for good. */
export type DatagramHandler = (path: UdpPath, datagram: Uint8Array) => void;

/** Reads and writes bound, non-blocking sockets from the event loop of its thread; they stay the caller's to close. */
export class IkeSocket {
  readonly local: UdpEndpoint;
  readonly #descriptor: number;
  readonly #handleDatagram: DatagramHandler;
  readonly #buffers: IkeBuffers;
  readonly #paths: PathTable;
  readonly #poll: { close(): void };
  #isReading = true;

  constructor(local: UdpEndpoint, descriptor: number, buffers: IkeBuffers, handleDatagram: DatagramHandler) {
    invariant(foreignFunctions !== undefined, 'sockets are opened through FFI');
    this.local = local;
    this.#descriptor = descriptor;
    this.#handleDatagram = handleDatagram;
    this.#buffers = buffers;
    this.#paths = new PathTable(buffers.arena, descriptor, local, { isSplitByKernel: false, takesTrafficClass: false });
    // In the same turn of the event loop, but as a callback of Node's, which runs microtasks afterwards and reports what is thrown.
    this.#poll = foreignFunctions.node.poll(descriptor, () => setImmediate(() => this.#receive()));
  }

  /** Sends at once, or not at all: what a full buffer or a firewall refuses is repeated like any datagram that is lost. */
  send(to: UdpEndpoint, datagram: Uint8Array): void {
    const target = socketAddress(to);
    content.bytes.set(datagram);
    name.bytes.set(target);
    libc.sendto(this.#descriptor, content.address, datagram.length, 0, name.address, target.length);
  }

  /** Stops reading; then the descriptor may be closed. */
  stop(): void {
    this.#isReading = false;
    this.#poll.close();
  }

  /** One batch: what is left makes the socket readable again, after others had their turn. */
  #receive(): void {
    if (!this.#isReading) return;
    const { batch, arena } = this.#buffers;
    const count = batch.receive(this.#descriptor);
    const received: { readonly path: UdpPath; readonly datagram: Uint8Array }[] = [];
    for (let index = 0; index < count; index++) {
      const path = this.#paths.pathFrom(batch.sourceOffset(index));
      const start = batch.offset(index);
      if (path) received.push({ path, datagram: arena.memory.bytes.slice(start, start + batch.length(index)) });
    }
    batch.release(count);
    for (const { path, datagram } of received) this.#handleDatagram(path, datagram);
  }
}

/** What all sockets of a thread receive into, by turns. */
export class IkeBuffers {
  readonly arena = new Arena(ARENA_LENGTH);
  readonly batch = new ReceiveBatch(this.arena);
}

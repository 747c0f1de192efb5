import { Worker } from 'node:worker_threads';
import type { UdpPath } from '../model/address.ts';
import type { DataPlaneCommand, DataPlaneEvent } from '../model/data-plane.ts';
import { check, EFD_CLOEXEC, EFD_NONBLOCK, libc, NativeMemory } from './libc.ts';
import { allocateCounterMemory } from './packet-engine/engine-counters.ts';
import type {
  EngineReport,
  EngineRequest,
  EngineSettings,
  EngineTunnel,
  EngineUdpSocket,
} from './packet-engine/messages.ts';

/** What the engine tells the control thread. */
export interface EngineHandlers {
  handleDatagram(path: UdpPath, datagram: Uint8Array): void;
  handleEvent(event: DataPlaneEvent): void;
  handleNotice(text: string): void;
  /** The engine has died: nothing more will pass, and the process should stop. */
  handleFailure(error: unknown): void;
}

interface Waiter {
  resolve(): void;
  reject(error: Error): void;
}

/** The control thread's end of one packet engine: requests are kept in order and wake the engine out of its wait. */
export class EngineClient {
  readonly #worker: Worker;
  readonly #wakeDescriptor: number;
  readonly #one = NativeMemory.allocate(128);
  /** What it counts in. */
  readonly memory = allocateCounterMemory();
  readonly #waiting = new Map<number, Waiter>();
  readonly #stopped: Promise<void>;
  /** Written by the engine: messages that it has carried out. */
  readonly #progress = new Int32Array(new SharedArrayBuffer(4));
  #unsent: EngineRequest[] = [];
  #sentCount = 0;
  #lastId = 0;
  #hasStopped = false;

  constructor(given: Omit<EngineSettings, 'wakeDescriptor' | 'counters' | 'progress'>, handlers: EngineHandlers) {
    const flags = EFD_NONBLOCK | EFD_CLOEXEC;
    this.#wakeDescriptor = check(libc.eventfd(0, flags), 'eventfd', 'packet engine');
    this.#one.view.setUint32(0, 1, true);
    const settings: EngineSettings = {
      ...given,
      wakeDescriptor: this.#wakeDescriptor,
      counters: this.memory,
      progress: this.#progress,
    };
    this.#worker = new Worker(new URL('./packet-engine/worker.js', import.meta.url), {
      workerData: settings,
      name: `packet-engine-${given.engine}`,
    });
    this.#worker.on('message', (reports: readonly EngineReport[]) => {
      for (const report of reports) this.#handleReport(report, handlers);
    });
    this.#worker.on('error', (error) => handlers.handleFailure(error));
    this.#stopped = new Promise((resolve) => {
      this.#worker.once('exit', () => {
        this.#hasStopped = true;
        for (const waiter of this.#waiting.values()) waiter.reject(new Error('the packet engine has stopped'));
        this.#waiting.clear();
        resolve();
      });
    });
  }

  /** Whether the engine has carried out everything asked so far. */
  get isIdle(): boolean {
    // A message count has 32 bits there.
    return this.#unsent.length === 0 && Atomics.load(this.#progress, 0) === (this.#sentCount | 0);
  }

  /** An SA that the command adds counts in `cells`. */
  command(command: DataPlaneCommand, cells?: Float64Array): void {
    this.#send({ kind: 'command', command, ...(cells && { cells }) });
  }

  transmit(path: UdpPath, datagram: Uint8Array): void {
    this.#send({ kind: 'transmit', path, datagram });
  }

  addTunnel(tunnel: EngineTunnel, isForWritingOnly: boolean): void {
    this.#send({ kind: 'add-tunnel', tunnel, isForWritingOnly });
  }

  removeTunnel(name: string): void {
    this.#send({ kind: 'remove-tunnel', name });
  }

  addUdpSocket(socket: EngineUdpSocket): void {
    this.#send({ kind: 'add-udp-socket', socket });
  }

  removeUdpSocket(descriptor: number): void {
    this.#send({ kind: 'remove-udp-socket', descriptor });
  }

  /** Resolves once the engine has carried out everything asked before; rejects if it has died. */
  settle(): Promise<void> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      if (this.#hasStopped) return reject(new Error('the packet engine has stopped'));
      this.#waiting.set(id, { resolve, reject });
      this.#send({ kind: 'settle', id });
    });
  }

  /** Stops the thread after everything asked before; descriptors are free to close when it resolves. */
  async stop(): Promise<void> {
    this.#send({ kind: 'stop' });
    await this.#stopped;
    libc.close(this.#wakeDescriptor);
  }

  /** What one call into the core asks for crosses at once: a message between threads costs both of them more than most requests do. */
  #send(request: EngineRequest): void {
    if (this.#unsent.length === 0) queueMicrotask(() => this.#flush());
    this.#unsent.push(request);
  }

  #flush(): void {
    const requests = this.#unsent;
    this.#unsent = [];
    // Once the thread has ended, the descriptor may be somebody else's.
    if (this.#hasStopped) return;
    this.#sentCount++;
    this.#worker.postMessage(requests);
    libc.write(this.#wakeDescriptor, this.#one.address, 8);
  }

  #handleReport(report: EngineReport, handlers: EngineHandlers): void {
    switch (report.kind) {
      case 'datagram':
        return handlers.handleDatagram(report.path, report.datagram);
      case 'event':
        return handlers.handleEvent(report.event);
      case 'notice':
        return handlers.handleNotice(report.text);
      case 'settled': {
        const waiter = this.#waiting.get(report.id);
        this.#waiting.delete(report.id);
        return waiter?.resolve();
      }
      case 'stopped':
        return;
    }
  }
}

import { createConnection, type Socket } from 'node:net';
import type { IkeEvent } from '../model/ike-event.ts';
import { type ControlMessage, type ControlRequest, LineSplitter } from './control-protocol.ts';

/** Longest line that a gateway may send, in characters: a table of 10,000 SAs fits. */
const MESSAGE_LENGTH_MAX = 64 * 1024 * 1024;

/** What a command brought back. */
export interface ControlOutput {
  readonly text: string;
  readonly value: unknown;
}

interface Waiting {
  readonly resolve: (output: ControlOutput) => void;
  readonly reject: (error: Error) => void;
}

/** The CLI's end of the control socket. */
export class ControlClient {
  readonly #socket: Socket;
  readonly #waiting = new Map<number, Waiting>();
  #onEvent: ((event: IkeEvent) => void) | undefined;
  #nextId = 1;

  private constructor(socket: Socket) {
    this.#socket = socket;
    const lines = new LineSplitter(MESSAGE_LENGTH_MAX);
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => {
      for (const line of lines.push(text) ?? []) this.#take(JSON.parse(line));
    });
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail(new Error('the gateway closed the control socket')));
  }

  /** Connects to a running gateway; rejects if none listens there. */
  static connect(path: string): Promise<ControlClient> {
    return new Promise((resolve, reject) => {
      const socket = createConnection(path);
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve(new ControlClient(socket));
      });
    });
  }

  /** Sends an operator's command; rejects with the gateway's sentence if it does not fit. */
  command(text: string): Promise<ControlOutput> {
    const words = text.split(/\s+/).filter((word) => word !== '');
    return this.#ask({ id: this.#nextId++, kind: 'command', words });
  }

  /** Calls `onEvent` for everything that the gateway reports from now on. */
  async subscribe(onEvent: (event: IkeEvent) => void): Promise<void> {
    this.#onEvent = onEvent;
    await this.#ask({ id: this.#nextId++, kind: 'subscribe' });
  }

  close(): void {
    this.#socket.destroy();
  }

  #ask(request: ControlRequest): Promise<ControlOutput> {
    return new Promise((resolve, reject) => {
      this.#waiting.set(request.id, { resolve, reject });
      this.#socket.write(`${JSON.stringify(request)}\n`);
    });
  }

  #take(message: ControlMessage): void {
    if (message.kind === 'event') {
      this.#onEvent?.(message.event);
      return;
    }
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if (message.kind === 'output') waiting?.resolve({ text: message.text, value: message.value });
    else waiting?.reject(new Error(message.error));
  }

  #fail(error: Error): void {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

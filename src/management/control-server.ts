import { chmodSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import type { IkeEvent } from '../model/ike-event.ts';
import { executeCommand } from '../operations/execute-command.ts';
import type { GatewayView } from '../operations/gateway-view.ts';
import {
  type ControlMessage,
  type ControlRequest,
  LineSplitter,
  parseRequest,
  REQUEST_LENGTH_MAX,
} from './control-protocol.ts';

/** Clients at a time; one more is turned away. */
const CLIENTS_MAX = 32;

/** Octets that may wait for a slow subscriber before it is cut off: events must not pile up in the gateway. */
const BACKLOG_MAX = 4 * 1024 * 1024;

/** The gateway's end of the control socket. */
export class ControlServer {
  readonly #view: GatewayView;
  readonly #path: string;
  readonly #server: Server;
  readonly #clients = new Set<Socket>();
  readonly #subscribers = new Set<Socket>();

  private constructor(path: string, view: GatewayView) {
    this.#path = path;
    this.#view = view;
    this.#server = createServer((socket) => this.#accept(socket));
  }

  /** Listens at `path`, readable by this user alone. Throws if another process listens there; a dead one's socket is replaced. */
  static async listen(path: string, view: GatewayView): Promise<ControlServer> {
    if (existsSync(path)) {
      if (await answers(path)) throw new Error(`another gateway already listens on ${path}`);
      rmSync(path);
    }
    mkdirSync(dirname(path), { recursive: true });
    const control = new ControlServer(path, view);
    await new Promise<void>((resolve, reject) => {
      control.#server.once('error', reject);
      control.#server.listen(path, () => resolve());
    });
    chmodSync(path, 0o600);
    return control;
  }

  /** Hands an event to every subscriber. */
  publish(event: IkeEvent): void {
    if (this.#subscribers.size === 0) return;
    for (const socket of this.#subscribers) {
      if (socket.writableLength > BACKLOG_MAX) socket.destroy();
      else send(socket, { kind: 'event', event });
    }
  }

  async close(): Promise<void> {
    for (const socket of this.#clients) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
    rmSync(this.#path, { force: true });
  }

  #accept(socket: Socket): void {
    if (this.#clients.size >= CLIENTS_MAX) {
      socket.destroy();
      return;
    }
    this.#clients.add(socket);
    const lines = new LineSplitter(REQUEST_LENGTH_MAX);
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => {
      const complete = lines.push(text);
      if (complete === undefined) socket.destroy();
      for (const line of complete ?? []) this.#answer(socket, line);
    });
    // A client that went away is not an error of the gateway.
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      this.#clients.delete(socket);
      this.#subscribers.delete(socket);
    });
  }

  #answer(socket: Socket, line: string): void {
    const request = parseRequest(line);
    if (request === undefined) send(socket, { id: 0, kind: 'error', error: 'not a request' });
    else send(socket, this.#carryOut(socket, request));
  }

  #carryOut(socket: Socket, request: ControlRequest): ControlMessage {
    const { id } = request;
    if (request.kind === 'subscribe') {
      this.#subscribers.add(socket);
      return { id, kind: 'output', text: '', value: true };
    }
    try {
      const result = executeCommand(request.words, this.#view);
      return result.ok ? { id, kind: 'output', ...result.value } : { id, kind: 'error', error: result.error };
    } catch (error) {
      return { id, kind: 'error', error: String(error) };
    }
  }
}

function send(socket: Socket, message: ControlMessage): void {
  socket.write(`${JSON.stringify(message)}\n`);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ControlClient } from '../src/management/control-client.ts';
import type { IkeEvent, IkeSaStatus, IpsecSaStatus } from '../src/model/ike-event.ts';
import type { Namespaces } from './namespaces.ts';

/** What a gateway in a namespace is started with. */
export interface GatewayProcessOptions {
  readonly namespaces: Namespaces;
  readonly namespace: string;
  /** The executable's compiled file. */
  readonly program: string;
  readonly configuration: string;
  /** For its log and its control socket. */
  readonly folder: string;
  /** More of the command line. */
  readonly arguments?: readonly string[];
}

/** A busy machine may take long to start a program and its threads. */
const START_TIMEOUT_MILLISECONDS = 60_000;
const STOP_TIMEOUT_MILLISECONDS = 10_000;

/** `sallyport run` in a namespace, with everything that it has reported so far. */
export class GatewayProcess {
  readonly events: IkeEvent[] = [];
  readonly #process: ChildProcess;
  readonly #logPath: string;
  #client: ControlClient | undefined;

  private constructor(options: GatewayProcessOptions, controlPath: string) {
    this.#logPath = join(options.folder, `${options.namespace}.log`);
    const log = openSync(this.#logPath, 'a');
    this.#process = options.namespaces.spawn(
      options.namespace,
      process.execPath,
      [
        '--enable-source-maps',
        options.program,
        'run',
        '-c',
        options.configuration,
        '--control',
        controlPath,
        '--log-level',
        'debug',
        ...(options.arguments ?? []),
      ],
      { stdio: ['ignore', log, log] },
    );
    closeSync(log);
  }

  /** Starts a gateway and waits until it answers its operator; rejects with its log if it ends before. */
  static async start(options: GatewayProcessOptions): Promise<GatewayProcess> {
    const controlPath = join(options.folder, `${options.namespace}.control`);
    const gateway = new GatewayProcess(options, controlPath);
    const deadline = performance.now() + START_TIMEOUT_MILLISECONDS;
    for (;;) {
      gateway.#client = await ControlClient.connect(controlPath).catch(() => undefined);
      if (gateway.#client) break;
      if (gateway.hasEnded || performance.now() > deadline)
        throw new Error(`sallyport run did not start in ${options.namespace}:\n${gateway.log()}`);
      await sleep(50);
    }
    await gateway.#client.subscribe((event) => gateway.events.push(event));
    return gateway;
  }

  get hasEnded(): boolean {
    return this.#process.exitCode !== null || this.#process.signalCode !== null;
  }

  /** The text that an operator's command prints. */
  async show(command: string): Promise<string> {
    return (await this.#ask(command)).text;
  }

  async ikeSas(): Promise<readonly IkeSaStatus[]> {
    return this.#table<IkeSaStatus>('show security ike security-associations');
  }

  async ipsecSas(): Promise<readonly IpsecSaStatus[]> {
    return this.#table<IpsecSaStatus>('show security ipsec security-associations');
  }

  /** Ends every SA, with a word to the peer. */
  async clear(): Promise<void> {
    await this.#ask('clear security ike security-associations');
    await this.#ask('clear security ipsec security-associations');
  }

  /** Waits until `isSo` holds for what the gateway has reported; `false` if it does not in time. */
  async waitFor(isSo: (events: readonly IkeEvent[]) => boolean, milliseconds = 10_000): Promise<boolean> {
    for (const deadline = performance.now() + milliseconds; performance.now() < deadline; await sleep(20))
      if (isSo(this.events)) return true;
    return isSo(this.events);
  }

  /** Holds the process where it is, as if its machine had stopped; `resume` lets it go on. */
  pause(): void {
    this.#process.kill('SIGSTOP');
  }

  resume(): void {
    this.#process.kill('SIGCONT');
  }

  /** Ends the process without a word to its peer. */
  kill(): void {
    this.#process.kill('SIGKILL');
  }

  /** Stops the gateway as Ctrl-C does; resolves with its exit status, -1 if it had to be ended. */
  async stop(): Promise<number> {
    this.#client?.close();
    if (!this.hasEnded) {
      const ended = new Promise((resolve) => this.#process.once('exit', resolve));
      this.#process.kill('SIGTERM');
      const patience = new AbortController();
      await Promise.race([
        ended,
        sleep(STOP_TIMEOUT_MILLISECONDS, undefined, { signal: patience.signal }).catch(() => {}),
      ]);
      patience.abort();
    }
    if (!this.hasEnded) this.#process.kill('SIGKILL');
    return this.#process.exitCode ?? -1;
  }

  log(): string {
    return readFileSync(this.#logPath, 'utf8');
  }

  async #table<T>(command: string): Promise<readonly T[]> {
    const { value } = await this.#ask(command);
    return Array.isArray(value) ? value : [];
  }

  async #ask(command: string): ReturnType<ControlClient['command']> {
    if (!this.#client) throw new Error('the gateway is not connected');
    return await this.#client.command(command);
  }
}

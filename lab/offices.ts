import { createInterface, type Interface } from 'node:readline';
import { type Readable, Writable } from 'node:stream';
import type { EchoReport } from './echo.ts';
import type { Namespaces } from './namespaces.ts';
import { BRANCH_HOST, LANS, WAN } from './topology.ts';
import type { TransferReport } from './transfer.ts';
import type { TapReport } from './wire-tap.ts';

/** How the lab's programs are found: compiled, beside this file. */
export type ProgramPath = (name: 'echo' | 'transfer' | 'wire-tap') => string;

const TRANSFER_PORT = 5001;

/** Sends echo requests from the main office's host to the branch office's; times in milliseconds. */
export async function pingBranch(
  namespaces: Namespaces,
  programs: ProgramPath,
  count: number,
  interval: number,
  wait: number,
): Promise<EchoReport> {
  const args = [programs('echo'), BRANCH_HOST, String(count), String(interval), String(wait)];
  const done = await namespaces.runAsync('main-lan', process.execPath, args);
  if (done.status !== 0) throw new Error(`the ping could not run: ${done.stderr}`);
  return JSON.parse(done.stdout);
}

/** Sends TCP from the main office's host to the branch office's for so long; what arrived. */
export async function transferToBranch(
  namespaces: Namespaces,
  programs: ProgramPath,
  milliseconds: number,
): Promise<TransferReport> {
  const program = programs('transfer');
  const port = String(TRANSFER_PORT);
  const receiver = namespaces.spawn('branch-lan', process.execPath, [program, 'receive', BRANCH_HOST, port], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = linesOf(receiver.stdout);
  if ((await nextLine(lines, 10_000)) !== 'ready') throw new Error('the receiver of the transfer did not start');
  const sender = await namespaces.runAsync(
    'main-lan',
    process.execPath,
    [program, 'send', BRANCH_HOST, port, String(milliseconds)],
    milliseconds + 20_000,
  );
  if (sender.status !== 0) {
    receiver.kill('SIGKILL');
    throw new Error(`the transfer failed: ${sender.stderr.trim() || 'it did not end'}`);
  }
  const report = await nextLine(lines, 20_000);
  receiver.kill('SIGKILL');
  if (report === undefined) throw new Error('the receiver of the transfer never saw its end');
  return JSON.parse(report);
}

/** Watches the wire between the gateways; `read` says what passed since it was last asked. */
export class WireTap {
  readonly #lines: Interface;
  readonly #input: Writable;

  private constructor(lines: Interface, input: Writable) {
    this.#lines = lines;
    this.#input = input;
  }

  static async start(namespaces: Namespaces, programs: ProgramPath): Promise<WireTap> {
    const child = namespaces.spawn('main-gw', process.execPath, [programs('wire-tap'), WAN, ...LANS], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const tap = new WireTap(linesOf(child.stdout), child.stdin ?? new Writable());
    if ((await nextLine(tap.#lines, 10_000)) !== 'ready') throw new Error('the wire tap did not start');
    return tap;
  }

  async read(): Promise<TapReport> {
    const report = nextLine(this.#lines, 10_000);
    this.#input.write('\n');
    const line = await report;
    if (line === undefined) throw new Error('the wire tap has ended');
    return JSON.parse(line);
  }

  close(): void {
    this.#input.end();
  }
}

function linesOf(stream: Readable | null): Interface {
  if (!stream) throw new Error('the program has no output to read');
  return createInterface({ input: stream });
}

function nextLine(lines: Interface, timeoutMilliseconds: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => finish(undefined), timeoutMilliseconds);
    const finish = (line: string | undefined): void => {
      clearTimeout(timer);
      lines.off('line', finish);
      lines.off('close', onClose);
      resolve(line);
    };
    const onClose = (): void => finish(undefined);
    lines.once('line', finish);
    lines.once('close', onClose);
  });
}

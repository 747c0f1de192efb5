import { Writable } from 'node:stream';
import type { EchoReport } from './echo.ts';
import { LineReader } from './line-reader.ts';
import type { Namespaces } from './namespaces.ts';
import { BRANCH_HOST, LANS, WAN } from './topology.ts';
import type { TransferReport } from './transfer.ts';
import type { TapReport } from './wire-tap.ts';

/** How the lab's programs are found: compiled, beside this file. */
export type ProgramPath = (name: 'echo' | 'transfer' | 'wire-tap') => string;

const TRANSFER_PORT = 5001;

/** From which namespace to which, and the address of a host there. */
export interface Journey {
  readonly from: string;
  readonly to: string;
  readonly address: string;
}

/** The lab's own: from the main office's host to the branch office's. */
export const TO_BRANCH: Journey = { from: 'main-lan', to: 'branch-lan', address: BRANCH_HOST };

/** Sends echo requests; times in milliseconds. */
export async function ping(
  namespaces: Namespaces,
  programs: ProgramPath,
  journey: Journey,
  { count, interval, wait }: { readonly count: number; readonly interval: number; readonly wait: number },
): Promise<EchoReport> {
  const args = [programs('echo'), journey.address, String(count), String(interval), String(wait)];
  const done = await namespaces.runAsync(journey.from, process.execPath, args);
  if (done.status !== 0) throw new Error(`the ping could not run: ${done.stderr}`);
  return JSON.parse(done.stdout);
}

/** Sends TCP for so long; what arrived. */
export async function transfer(
  namespaces: Namespaces,
  programs: ProgramPath,
  journey: Journey,
  milliseconds: number,
): Promise<TransferReport> {
  const program = programs('transfer');
  const port = String(TRANSFER_PORT);
  const receiver = namespaces.spawn(journey.to, process.execPath, [program, 'receive', journey.address, port], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = new LineReader(receiver.stdout);
  try {
    if ((await lines.next(10_000)) !== 'ready') throw new Error('the receiver of the transfer did not start');
    const sender = await namespaces.runAsync(
      journey.from,
      process.execPath,
      [program, 'send', journey.address, port, String(milliseconds)],
      milliseconds + 20_000,
    );
    if (sender.status !== 0) throw new Error(`the transfer failed: ${sender.stderr.trim() || 'it did not end'}`);
    const report = await lines.next(20_000);
    if (report === undefined) throw new Error('the receiver of the transfer never saw its end');
    return JSON.parse(report);
  } finally {
    receiver.kill('SIGKILL');
  }
}

/** Watches the wire between the gateways; `read` says what passed since it was last asked. */
export class WireTap {
  readonly #lines: LineReader;
  readonly #input: Writable;

  private constructor(lines: LineReader, input: Writable) {
    this.#lines = lines;
    this.#input = input;
  }

  static async start(namespaces: Namespaces, programs: ProgramPath): Promise<WireTap> {
    const child = namespaces.spawn('main-gw', process.execPath, [programs('wire-tap'), WAN, ...LANS], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const tap = new WireTap(new LineReader(child.stdout), child.stdin ?? new Writable());
    if ((await tap.#lines.next(10_000)) !== 'ready') throw new Error('the wire tap did not start');
    return tap;
  }

  async read(): Promise<TapReport> {
    const report = this.#lines.next(10_000);
    this.#input.write('\n');
    const line = await report;
    if (line === undefined) throw new Error('the wire tap has ended');
    return JSON.parse(line);
  }

  close(): void {
    this.#input.end();
  }
}

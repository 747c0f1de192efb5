import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Namespaces } from '../lab/namespaces.ts';

const PORT = '7733';
const source = new URL('./packet-source.js', import.meta.url).pathname;
const sink = new URL('./packet-sink.js', import.meta.url).pathname;
/** Milliseconds without a packet after which no more are expected, and how long that is waited for. */
const QUIET = 60;
const PATIENCE = 5000;

export interface SeriesRequest {
  /** Packets a second; 0: as fast as they can be given to the kernel. */
  readonly rate: number;
  readonly seconds: number;
  /** How many are given to the kernel as one message; absent: one. */
  readonly datagrams?: number;
}

export interface SeriesOutcome {
  readonly sent: number;
  readonly seconds: number;
  /** How many had come when the last was sent. */
  readonly delivered: number;
  /** How many have come in the end. */
  readonly arrived: number;
}

/** Series of small UDP packets from `a` to an address of `b`, each packet counted by its number. */
export class PacketSeries {
  readonly #source: ChildProcess;
  readonly #sink: ChildProcess;
  readonly #sent: AsyncIterator<string>;
  readonly #received: AsyncIterator<string>;
  #series = 0;

  private constructor(from: ChildProcess, to: ChildProcess) {
    [this.#source, this.#sink] = [from, to];
    [this.#sent, this.#received] = [linesOf(from), linesOf(to)];
  }

  /** Ends with the namespaces. */
  static async start(namespaces: Namespaces, peer: string): Promise<PacketSeries> {
    const start = (namespace: string, ...args: readonly string[]) =>
      namespaces.spawn(namespace, process.execPath, ['--enable-source-maps', ...args], {
        stdio: ['pipe', 'pipe', 'inherit'],
      });
    const series = new PacketSeries(start('a', source, peer, PORT), start('b', sink, PORT));
    for (const lines of [series.#sent, series.#received])
      if ((await lines.next()).value !== 'ready') throw new Error('the small packets have no sender or no receiver');
    return series;
  }

  async send({ rate, seconds, datagrams = 1 }: SeriesRequest): Promise<SeriesOutcome> {
    const series = ++this.#series;
    const done: { sent: number; seconds: number } = JSON.parse(
      await ask(this.#source, this.#sent, `${series} ${rate} ${seconds} ${datagrams}`),
    );
    const delivered = await this.#count(series);
    let arrived = delivered;
    for (let waited = 0; waited < PATIENCE; waited += QUIET) {
      await sleep(QUIET);
      const now = await this.#count(series);
      if (now === arrived) break;
      arrived = now;
    }
    return { ...done, delivered, arrived };
  }

  async #count(series: number): Promise<number> {
    return Number(await ask(this.#sink, this.#received, String(series)));
  }
}

async function ask(child: ChildProcess, answers: AsyncIterator<string>, question: string): Promise<string> {
  child.stdin?.write(`${question}\n`);
  const answer = await answers.next();
  if (answer.done) throw new Error('the sender or the receiver of small packets has ended');
  return answer.value;
}

function linesOf(child: ChildProcess): AsyncIterator<string> {
  if (!child.stdout) throw new Error('the program has no output');
  return createInterface({ input: child.stdout })[Symbol.asyncIterator]();
}

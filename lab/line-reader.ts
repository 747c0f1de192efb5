import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';

/** The lines that a program prints, kept until they are asked for. */
export class LineReader {
  readonly #lines: string[] = [];
  #isClosed = false;
  #wake: () => void = () => {};

  constructor(stream: Readable | null) {
    if (!stream) throw new Error('the program has no output to read');
    createInterface({ input: stream })
      .on('line', (line) => {
        this.#lines.push(line);
        this.#wake();
      })
      .on('close', () => {
        this.#isClosed = true;
        this.#wake();
      });
  }

  /** The next line; `undefined` if the program ended or the time passed before it came. */
  async next(timeoutMilliseconds: number): Promise<string | undefined> {
    const deadline = performance.now() + timeoutMilliseconds;
    while (this.#lines.length === 0 && !this.#isClosed && performance.now() < deadline)
      await this.#change(deadline - performance.now());
    return this.#lines.shift();
  }

  #change(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

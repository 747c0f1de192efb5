import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Namespaces } from '../lab/namespaces.ts';
import { joinedNamespaces } from '../src/host/packet-engine/keyed-pair.fixture.ts';
import type { Contender, RunningTunnel } from './contenders.ts';
import { type Spread, spreadOf } from './measure.ts';
import { numberText, spreadText } from './report.ts';

/** One contender in one run: namespaces `a` and `b`, joined by its tunnel. */
export interface Turn {
  readonly contender: Contender;
  readonly namespaces: Namespaces;
  readonly tunnel: RunningTunnel;
  record(figure: string, value: number): void;
}

/** Lets the contenders take turns within each run, so that a busy machine is busy for all of them. What cannot run is named and left out. */
export async function takeTurns(
  contenders: readonly Contender[],
  runs: number,
  only: string | undefined,
  measure: (turn: Turn) => Promise<void>,
): Promise<Results> {
  const results = new Results();
  for (let run = 0; run < runs; run++)
    for (const contender of contenders) {
      if (only !== undefined && !contender.name.includes(only)) continue;
      const obstacle = contender.whyNot();
      if (obstacle === undefined) await takeTurn(contender, run, results, measure);
      else results.leaveOut(`${contender.name}: left out, ${obstacle}`);
    }
  return results;
}

async function takeTurn(
  contender: Contender,
  run: number,
  results: Results,
  measure: (turn: Turn) => Promise<void>,
): Promise<void> {
  const namespaces = joinedNamespaces('bench');
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-bench-'));
  let tunnel: RunningTunnel | undefined;
  try {
    tunnel = await contender.start(namespaces, folder);
    const record = (figure: string, value: number) => {
      results.add(contender.name, figure, run, value);
      console.log(
        `run ${run + 1}, ${contender.name}, ${figure}: ${value >= 1000 ? numberText(value) : value.toFixed(3)}`,
      );
    };
    await measure({ contender, namespaces, tunnel, record });
  } catch (error) {
    results.leaveOut(`${contender.name}, run ${run + 1}: ${error instanceof Error ? error.message : String(error)}`);
  } finally {
    await tunnel?.stop();
    namespaces.remove();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Figures by contender, name and run. */
export class Results {
  readonly #values = new Map<string, Map<number, number>>();
  readonly #omissions = new Set<string>();

  add(contender: string, figure: string, run: number, value: number): void {
    const key = keyOf(contender, figure);
    const values = this.#values.get(key) ?? new Map<number, number>();
    this.#values.set(key, values.set(run, value));
  }

  leaveOut(why: string): void {
    if (!this.#omissions.has(why)) console.log(why);
    this.#omissions.add(why);
  }

  /** What was left out and why, in words. */
  get omissions(): readonly string[] {
    return [...this.#omissions];
  }

  /** `undefined` if it was not measured. */
  spread(contender: string, figure: string): Spread | undefined {
    const values = this.#values.get(keyOf(contender, figure));
    return values && spreadOf([...values.values()]);
  }

  /** How a figure stands beside a rival's of the same run; `undefined` if no run has both. */
  ratio(contender: string, rival: string, figure: string, rivalFigure = figure): Spread | undefined {
    const rivals = this.#values.get(keyOf(rival, rivalFigure));
    const ratios = [...(this.#values.get(keyOf(contender, figure)) ?? [])].flatMap(([run, value]) => {
      const other = rivals?.get(run);
      return other === undefined || other === 0 ? [] : value / other;
    });
    return ratios.length === 0 ? undefined : spreadOf(ratios);
  }

  /** A table's cell. */
  cell(contender: string, figure: string, digits: number, factor = 1): string {
    const spread = this.spread(contender, figure);
    if (!spread) return '';
    const { median, lowest, highest } = spread;
    return spreadText({ median: median * factor, lowest: lowest * factor, highest: highest * factor }, digits);
  }
}

function keyOf(contender: string, figure: string): string {
  return `${contender}\n${figure}`;
}

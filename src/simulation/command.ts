// `sallyport simulate`: arguments in, text and exit status out.

import { seconds } from '../lib/time.ts';
import type { SimulationCrypto } from './simulated-host.ts';
import { runSimulation, type SimulationOptions } from './simulation.ts';
import { renderReport } from './simulation-report.ts';

const SIMULATE_USAGE = `usage: sallyport simulate --seed N [--seconds S] [--loss P] [--seeds COUNT] [--json] [--trace]
  --seed N       the run to make, 0 to 4294967295
  --seconds S    virtual seconds with faults (default 180); a calm in which the tunnel must recover follows
  --loss P       packets lost at most, in percent (default 30)
  --seeds COUNT  runs N, N+1, ...: one line each, and the whole report of those that fail
  --json         reports as JSON, one a line
  --trace        what both gateways report, as it happens`;

/** What the command prints and how it ends: 0 if every check passed, 1 if not, 2 if the arguments make no sense. */
export interface SimulateOutcome {
  readonly exitStatus: 0 | 1 | 2;
}

interface SimulateArguments {
  readonly seed: number;
  readonly seedCount: number;
  readonly options: Omit<SimulationOptions, 'seed'>;
  readonly isJson: boolean;
  readonly isTraced: boolean;
}

/** Runs the command; every line goes to `print`. */
export function simulate(
  words: readonly string[],
  crypto: SimulationCrypto,
  print: (line: string) => void,
): SimulateOutcome {
  const parsed = parseArguments(words);
  if (typeof parsed === 'string') {
    print(parsed);
    print(SIMULATE_USAGE);
    return { exitStatus: 2 };
  }
  let failedCount = 0;
  for (let index = 0; index < parsed.seedCount; index++) {
    if (!runOne(parsed, (parsed.seed + index) % 2 ** 32, crypto, print)) failedCount++;
  }
  if (parsed.seedCount > 1 && !parsed.isJson) print(`${parsed.seedCount} seeds, ${failedCount} failed`);
  return { exitStatus: failedCount === 0 ? 0 : 1 };
}

function runOne(
  parsed: SimulateArguments,
  seed: number,
  crypto: SimulationCrypto,
  print: (line: string) => void,
): boolean {
  const trace: Pick<SimulationOptions, 'onEvent'> = parsed.isTraced
    ? {
        onEvent: (at, office, event) =>
          print(`${at.toFixed(3).padStart(10)} ${office.padEnd(6)} ${JSON.stringify(event)}`),
      }
    : {};
  const report = runSimulation({ ...parsed.options, ...trace, seed }, crypto);
  const isClean = report.violations.length === 0;
  if (parsed.isJson) print(JSON.stringify(report));
  else if (parsed.seedCount === 1 || !isClean) print(renderReport(report));
  else print(`seed ${seed}: recovered after ${report.recoveredAfterSeconds?.toFixed(1)} s`);
  return isClean;
}

/** The arguments, or what is wrong with them. */
function parseArguments(words: readonly string[]): SimulateArguments | string {
  const values = new Map<string, number>();
  const flags = new Set<string>();
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? '';
    if (word === '--json' || word === '--trace') {
      flags.add(word);
      continue;
    }
    if (!['--seed', '--seconds', '--loss', '--seeds'].includes(word)) return `unknown argument: ${word}`;
    const value = words[++index];
    if (value === undefined || !/^\d{1,10}$/.test(value)) return `${word} needs a whole number`;
    values.set(word, Number(value));
  }
  const seed = values.get('--seed');
  if (seed === undefined || seed >= 2 ** 32) return '--seed is required, and at most 4294967295';
  const loss = values.get('--loss');
  const duration = values.get('--seconds');
  if (loss !== undefined && loss > 100) return '--loss is a percentage';
  return {
    seed,
    seedCount: values.get('--seeds') ?? 1,
    options: {
      ...(duration === undefined ? {} : { seconds: seconds(duration) }),
      ...(loss === undefined ? {} : { lossMax: loss / 100 }),
    },
    isJson: flags.has('--json'),
    isTraced: flags.has('--trace'),
  };
}

// `sallyport simulate`: see src/simulation.

import { IN_PROCESS_CRYPTO } from '../lab/in-process-crypto.ts';
import { simulate } from '../src/simulation/command.ts';

/** 0 if every check of every seed passed. */
export async function simulateCommand(words: readonly string[]): Promise<number> {
  return simulate(words, IN_PROCESS_CRYPTO, (line) => process.stdout.write(`${line}\n`)).exitStatus;
}

// `sallyport check FILE`: what is wrong with a configuration, and what in it is kept but not acted on.

import { readFileSync } from 'node:fs';
import { checkConfiguration } from '../src/operations/check.ts';
import { parseArguments, UsageError } from './usage-error.ts';

/** 0 if the configuration has no error, 1 if it has, 2 if it cannot be read. */
export async function checkCommand(words: readonly string[]): Promise<number> {
  const { values, positionals } = parseArguments({
    args: [...words],
    options: { json: { type: 'boolean', default: false }, config: { type: 'string', short: 'c' } },
    allowPositionals: true,
  });
  const path = positionals[0] ?? values.config;
  if (path === undefined) throw new UsageError('FILE is required: the configuration (- for standard input)');
  const { exitCode, text, data } = checkConfiguration(read(path));
  process.stdout.write(values.json ? `${JSON.stringify(data)}\n` : text);
  return exitCode;
}

function read(path: string): string {
  try {
    return readFileSync(path === '-' ? 0 : path, 'utf8');
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

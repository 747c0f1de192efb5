// `sallyport check FILE`: what is wrong with a configuration, and what in it is kept but not acted on.

import { readConfigurationFile } from './configuration-file.ts';
import { parseArguments, UsageError } from './usage-error.ts';

/** 0 if the configuration has no error. */
export async function checkCommand(words: readonly string[]): Promise<number> {
  const { values, positionals } = parseArguments({
    args: [...words],
    options: { json: { type: 'boolean', default: false }, config: { type: 'string', short: 'c' } },
    allowPositionals: true,
  });
  const path = positionals[0] ?? values.config;
  if (path === undefined) throw new UsageError('FILE is required: the configuration (- for standard input)');
  const { loaded, report } = readConfigurationFile(path);
  const isUsable = loaded.config !== undefined;
  if (values.json) {
    const { diagnostics, ignored } = loaded;
    process.stdout.write(`${JSON.stringify({ ok: isUsable, diagnostics, ignored })}\n`);
    return isUsable ? 0 : 1;
  }
  for (const line of report) process.stdout.write(`${line}\n`);
  for (const { path: statement, line } of loaded.ignored)
    process.stdout.write(`kept, not acted on: line ${line}: [${statement}]\n`);
  process.stdout.write(isUsable ? `${path}: usable\n` : `${path}: not usable\n`);
  return isUsable ? 0 : 1;
}

// `sallyport convert FILE --to FORM`: the same configuration in another form.

import { readFileSync } from 'node:fs';
import { CONFIGURATION_FORMS, convertConfiguration } from '../src/operations/convert.ts';
import { parseArguments, UsageError } from './usage-error.ts';

/** 0 if every statement was understood. */
export async function convertCommand(words: readonly string[]): Promise<number> {
  const { values, positionals } = parseArguments({
    args: [...words],
    options: { to: { type: 'string', default: 'set' } },
    allowPositionals: true,
  });
  const [path] = positionals;
  if (path === undefined) throw new UsageError('FILE is required: the configuration (- for standard input)');
  const form = CONFIGURATION_FORMS.find((known) => known === values.to);
  if (form === undefined) throw new UsageError(`--to ${values.to}: ${CONFIGURATION_FORMS.join(', ')}`);
  const { exitCode, text, complaints } = convertConfiguration(readFileSync(path === '-' ? 0 : path, 'utf8'), form);
  process.stderr.write(complaints);
  process.stdout.write(text);
  return exitCode;
}

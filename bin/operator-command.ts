// `sallyport show …` and `sallyport clear …`: an operator's command, carried out by the gateway that runs on this machine.

import { ControlClient } from '../src/management/control-client.ts';
import { parseCommand } from '../src/operations/command-grammar.ts';
import { CONTROL_PATH_DEFAULT } from './run-command.ts';
import { parseArguments, UsageError } from './usage-error.ts';

/** Prints what the gateway answers. */
export async function operatorCommand(words: readonly string[]): Promise<number> {
  const { values, positionals } = parseArguments({
    args: [...words],
    options: { control: { type: 'string', default: CONTROL_PATH_DEFAULT }, json: { type: 'boolean', default: false } },
    allowPositionals: true,
  });
  const parsed = parseCommand(positionals);
  if (!parsed.ok) throw new UsageError(parsed.error);
  const client = await connect(values.control);
  try {
    const { text, value } = await client.command(positionals.join(' '));
    process.stdout.write(values.json ? `${JSON.stringify(value)}\n` : text);
    return 0;
  } finally {
    client.close();
  }
}

async function connect(path: string): Promise<ControlClient> {
  try {
    return await ControlClient.connect(path);
  } catch (error) {
    throw new Error(`no gateway answers at ${path}: is sallyport run there, and are you its user?`, { cause: error });
  }
}

import { type ParseArgsConfig, parseArgs } from 'node:util';

/** The arguments make no sense: the message says which, and the process ends with status 2. */
export class UsageError extends Error {}

/** `util.parseArgs`, with its complaints as usage errors. */
export function parseArguments<T extends ParseArgsConfig>(config: T): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs(config);
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

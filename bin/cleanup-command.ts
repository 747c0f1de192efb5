// `sallyport cleanup`: an operator's decision to let the traffic of a stopped gateway go where the host's own routes send it.

import { removeHostDropRoutes } from '../src/host/run.ts';

/** Removes the routes that drop. */
export async function cleanupCommand(): Promise<number> {
  const count = removeHostDropRoutes();
  process.stdout.write(`removed ${count} routes\n`);
  return 0;
}

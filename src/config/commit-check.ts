import { checkSchema } from './check-schema.ts';
import type { Compilation } from './compilation.ts';

/** Everything that a commit looks at before it is allowed: errors stop it, warnings and advice are said. */
export function checkCommit(compilation: Compilation): void {
  checkSchema(compilation);
}

import { checkIke } from './check-ike.ts';
import { checkSchema } from './check-schema.ts';
import { checkSurroundings } from './check-surroundings.ts';
import { checkVpns } from './check-vpn.ts';
import type { Compilation } from './compilation.ts';

/** Everything that a commit looks at before it is allowed: errors stop it, warnings and advice are said. */
export function checkCommit(compilation: Compilation): void {
  checkSchema(compilation);
  checkIke(compilation);
  checkVpns(compilation);
  checkSurroundings(compilation);
}

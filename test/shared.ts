import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's root, found from wherever the compiled test lies. */
export const REPOSITORY_ROOT = findRoot(dirname(fileURLToPath(import.meta.url)));

/** Where reference material of others is kept, beside the repository; it is not part of it. */
const SHARED = join(REPOSITORY_ROOT, '..', 'shared');

/** The absolute path of a file or folder of the reference material, or `undefined` where it is absent: the test then skips and says so. */
export function sharedFile(path: string): string | undefined {
  const absolute = join(SHARED, path);
  return existsSync(absolute) ? absolute : undefined;
}

function findRoot(folder: string): string {
  if (existsSync(join(folder, 'package-lock.json'))) return folder;
  const parent = dirname(folder);
  if (parent === folder) throw new Error('no package-lock.json above the test: where is the repository?');
  return findRoot(parent);
}

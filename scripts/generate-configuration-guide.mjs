// Writes docs/guide/configuration.md from the schema. Run after `npm run build`: node scripts/generate-configuration-guide.mjs [build folder]
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const build = resolve(process.argv[2] ?? join(root, 'dist'));
const { configurationGuide } = await import(pathToFileURL(join(build, 'src', 'config', 'configuration-guide.js')).href);
mkdirSync(join(root, 'docs', 'guide'), { recursive: true });
writeFileSync(join(root, 'docs', 'guide', 'configuration.md'), configurationGuide());

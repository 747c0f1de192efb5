// The house rules of docs/STYLE.md that a machine can check. A failure lists every place, as path:line.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { REPOSITORY_ROOT } from './shared.ts';
import {
  ENTRY_POINTS,
  EXPORTED_FOR,
  LONG_FILES,
  LONG_FUNCTIONS,
  MAY_CONVERT_TYPES,
  WITHOUT_RFC,
} from './tidy/exceptions.ts';
import { findFunctions } from './tidy/functions.ts';
import { filesUnder, lineAt, readSources, type SourceFile } from './tidy/source-file.ts';

/** Each layer may import from itself and from the layers named after it. */
const LAYERS: Readonly<Record<string, readonly string[]>> = {
  lib: [],
  model: ['lib'],
  crypto: ['model', 'lib'],
  wire: ['model', 'lib'],
  ike: ['wire', 'crypto', 'model', 'lib'],
  ipsec: ['wire', 'crypto', 'model', 'lib'],
  config: ['model', 'lib'],
  diagnosis: ['ike', 'ipsec', 'config', 'wire', 'model', 'lib'],
  gateway: ['ike', 'ipsec', 'config', 'diagnosis', 'wire', 'crypto', 'model', 'lib'],
  operations: ['gateway', 'ike', 'ipsec', 'config', 'diagnosis', 'model', 'lib'],
  management: ['operations', 'gateway', 'config', 'diagnosis', 'model', 'lib'],
  host: ['operations', 'gateway', 'ike', 'ipsec', 'wire', 'crypto', 'model', 'lib'],
  simulation: ['gateway', 'ike', 'ipsec', 'config', 'diagnosis', 'wire', 'crypto', 'model', 'lib'],
};

/** Where protocols are: each file says which section it follows, or that there is none to follow. */
const PROTOCOL_FILE = /^src\/(?:wire|ike\/v1|ipsec)\//;
const CITATION = /RFC \d+ (?:§|Appendix)|\bno RFC\b|\bdraft-[a-z]|\bdrafts?\b/i;

/** Layers that reach the operating system. */
const OUTER_LAYERS = ['host', 'management', 'simulation'];

/** Names that would let time, chance or the network into the protocol code. */
const AMBIENT =
  /\bDate\.now|new Date\(\)|\bperformance\.now|\bMath\.random|\bset(?:Timeout|Interval|Immediate)\b|\brandomBytes\b|\bprocess\b\.|\bBuffer\b/g;

/** The providers in crypto/ are where node:crypto comes in; the outer layers are there to reach the system. */
const MAY_IMPORT_NODE = /^src\/(?:host|management|crypto)\//;

const FILE_LINES_MAX = 400;
const FUNCTION_LINES_MAX = 70;

const sources = readSources();
const product = sources.filter((file) => /^(?:src|bin|lab)\//.test(file.path) && !isTest(file));
const core = product.filter((file) => file.path.startsWith('src/') && !OUTER_LAYERS.includes(layerOf(file.path)));

test('a layer imports only itself and the layers below it', () => {
  const wrong = product
    .filter((file) => file.path.startsWith('src/'))
    .flatMap((file) => {
      const allowed = [layerOf(file.path), ...(LAYERS[layerOf(file.path)] ?? [])];
      return file.imports
        .filter((used) => used.isOurs && !(used.target.startsWith('src/') && allowed.includes(layerOf(used.target))))
        .map((used) => `${file.path} imports ${used.target}`);
    });
  assertNone(wrong);
});

test('every folder of src is a layer that this table and the architecture page know', () => {
  const page = join(REPOSITORY_ROOT, 'docs/ARCHITECTURE.md');
  const architecture = existsSync(page) ? readFileSync(page, 'utf8') : undefined;
  const layers = new Set(sources.filter((file) => file.path.startsWith('src/')).map((file) => layerOf(file.path)));
  const missing = [...layers].filter((layer) => !(layer in LAYERS));
  const undocumented = [...layers].filter(
    (layer) => architecture !== undefined && !new RegExp(`\\b${layer}\\b`).test(architecture),
  );
  assertNone([...missing.map((layer) => `${layer} in LAYERS`), ...undocumented.map((layer) => `${layer} in the page`)]);
});

test('imports form no cycle', () => {
  assertNone(findCycles(product));
});

test('the core takes time, chance and the network as parameters', () => {
  const ambient = core
    .filter((file) => !/^src\/crypto\/node-[\w-]+\.ts$/.test(file.path))
    .flatMap((file) => findAll(file, AMBIENT));
  const nodeModules = product
    .filter((file) => file.path.startsWith('src/') && !MAY_IMPORT_NODE.test(file.path))
    .flatMap((file) =>
      file.imports.filter((used) => !used.isOurs).map((used) => `${file.path} imports ${used.target}`),
    );
  assertNone([...ambient, ...nodeModules]);
});

test(`a file stays under ${FILE_LINES_MAX} lines`, () => {
  assertNone(
    sources
      .map((file) => ({ path: file.path, lines: file.text.split('\n').length - 1 }))
      .filter(({ path, lines }) => lines > (LONG_FILES[path]?.lines ?? FILE_LINES_MAX))
      .map(({ path, lines }) => `${path} has ${lines}`),
  );
});

test(`a function stays under ${FUNCTION_LINES_MAX} lines`, () => {
  assertNone(
    sources
      .flatMap((file) => findFunctions(file).map((found) => ({ ...found, path: file.path })))
      .filter(({ path, name, lines }) => lines > FUNCTION_LINES_MAX && !(`${path} ${name}` in LONG_FUNCTIONS))
      .map(({ path, line, name, lines }) => `${path}:${line} ${name} has ${lines}`),
  );
});

test('every file is imported by another, is a test, or is an entry point with a reason', () => {
  const used = new Set(sources.flatMap(referencedFiles));
  assertNone(
    sources.map((file) => file.path).filter((path) => !used.has(path) && !/\.test\.ts$/.test(path) && !isEntry(path)),
  );
});

// A test may reach for a part of a file that the file itself uses; what only tests use is dead.
test('every exported name is imported, and used by more than tests', () => {
  assertNone(findUnusedExports());
});

// That there is no `any` is the linter's to see (noExplicitAny): it knows a type from a name.
test('as stands only where a value is branded', () => {
  const conversions = product
    .filter((file) => layerOf(file.path) !== 'lib' && !(file.path in MAY_CONVERT_TYPES))
    .flatMap((file) =>
      findAll(file, /(?<=[\w)\]}'"`]\s+)as\s+(?!const\b)[\w.]+/g, (found, offset) => {
        const name = found.replace(/^as\s+/, '');
        return isRenaming(file, offset) || isBrandedHere(file, name);
      }),
    );
  assertNone(conversions);
});

test('no default export, no barrel file, no sort without a comparator, nothing left to do', () => {
  assertNone([
    ...sources.flatMap((file) => findAll(file, /^export default\b/gm)),
    ...sources.filter((file) => /(?:^|\/)index\.ts$/.test(file.path)).map((file) => file.path),
    ...sources.flatMap((file) => findAll(file, /\.(?:sort|toSorted)\(\s*\)/g)),
    ...sources.flatMap((file) => findAll({ ...file, code: file.text }, /\b(?:FIX|TO|HA)(?:ME|DO|CK)\b:?/g)),
  ]);
});

test('a file with a protocol in it names its RFC and section', () => {
  assertNone(
    product
      .filter((file) => PROTOCOL_FILE.test(file.path))
      .filter((file) => !CITATION.test(file.text) && !(file.path in WITHOUT_RFC))
      .map((file) => file.path),
  );
});

test('links in the documentation lead to files that exist', () => {
  const pages = [...filesUnder('.', /^[^/]*\.md$/), ...filesUnder('docs', /\.md$/)];
  const broken = pages.flatMap((page) => {
    const text = readFileSync(join(REPOSITORY_ROOT, page), 'utf8');
    return [...text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)]
      .map((match) => match[1] ?? '')
      .filter((link) => !/^[a-z]+:/.test(link) && !existsSync(join(REPOSITORY_ROOT, dirname(page), link)))
      .map((link) => `${page} links to ${link}`);
  });
  assertNone(broken);
});

test('no file names a path of somebody’s machine', () => {
  const files = ['src', 'bin', 'lab', 'test', 'bench', 'scripts', 'docs', '.ci'].flatMap((folder) =>
    filesUnder(folder, /\.(?:ts|mjs|md|conf|json|sh)$|\/run$/),
  );
  const pages = filesUnder('.', /^[^/]*\.(?:md|json)$/);
  const machine = new RegExp(`(?<![\\w.])/(?:${['wor' + 'k', 'far' + 'm', 'hom' + 'e/\\w+'].join('|')})/`);
  assertNone([...files, ...pages].filter((path) => machine.test(readFileSync(join(REPOSITORY_ROOT, path), 'utf8'))));
});

test('every dependency says in docs/DEPENDENCIES.md why it is there', () => {
  const manifest = JSON.parse(readFileSync(join(REPOSITORY_ROOT, 'package.json'), 'utf8'));
  const page = readFileSync(join(REPOSITORY_ROOT, 'docs/DEPENDENCIES.md'), 'utf8');
  const names = Object.keys({ ...manifest.dependencies, ...manifest.devDependencies });
  assertNone(names.filter((name) => !page.includes(`\`${name}\``)));
});

test('every exception to these rules is still needed', () => {
  const paths = new Map(sources.map((file) => [file.path, file]));
  const named = [
    ...Object.keys({ ...LONG_FILES, ...ENTRY_POINTS, ...WITHOUT_RFC, ...MAY_CONVERT_TYPES }),
    ...Object.keys({ ...LONG_FUNCTIONS, ...EXPORTED_FOR }).map((key) => key.split(' ')[0] ?? ''),
  ];
  assertNone(named.filter((path) => !paths.has(path)).map((path) => `${path} is excepted but does not exist`));
});

function assertNone(places: readonly string[]): void {
  assert.equal(places.length, 0, `\n  ${places.join('\n  ')}`);
}

function isTest(file: SourceFile): boolean {
  return /\.test\.ts$|\.fixture\.ts$/.test(file.path);
}

function isEntry(path: string): boolean {
  return path in ENTRY_POINTS || /^bench\/[\w-]+\.ts$/.test(path);
}

function layerOf(path: string): string {
  return path.match(/^src\/([^/]+)\//)?.[1] ?? '';
}

function findAll(file: SourceFile, pattern: RegExp, isFine?: (found: string, offset: number) => boolean): string[] {
  return [...file.code.matchAll(pattern)]
    .filter((match) => !isFine?.(match[0], match.index))
    .map((match) => `${file.path}:${lineAt(file.text, match.index)} ${match[0]}`);
}

/** Whether the `as` at this place renames an import or an export. */
function isRenaming(file: SourceFile, offset: number): boolean {
  const opening = Math.max(file.code.lastIndexOf('\nimport ', offset), file.code.lastIndexOf('\nexport ', offset));
  const statement = file.code.slice(opening < 0 && file.code.startsWith('import') ? 0 : opening + 1, offset);
  return /^(?:import|export)\s+(?:type\s+)?[{*][^}]*$/.test(statement);
}

function isBrandedHere(file: SourceFile, name: string): boolean {
  return new RegExp(`\\btype ${name}(?:<[^=]*>)? =(?:(?!\\n\\n)[^])*?\\breadonly \\[`).test(file.code);
}

/** Files that a source names in an import or, as a worker or program to start, in a string. */
function referencedFiles(file: SourceFile): string[] {
  const started = [...file.text.matchAll(/['"`](?:[^'"`\n]*\/)?([\w.-]+)\.[jt]s['"`]/g)].map((match) => match[1] ?? '');
  const byName = sources.filter((other) => started.some((name) => other.path.endsWith(`/${name}.ts`)));
  const imported = file.imports.filter((used) => used.isOurs).map((used) => used.target);
  return [...imported, ...byName.map((other) => other.path)].filter((path) => path !== file.path);
}

function findUnusedExports(): string[] {
  const byProduct = importedNames(sources.filter((file) => !isTest(file) && !file.path.startsWith('test/')));
  const byAnyone = importedNames(sources);
  return product.flatMap((file) => {
    const isUsed = (name: string): boolean => {
      const inItsFile = file.code.match(new RegExp(`(?<![\\w$])${name}\\b`, 'g'))?.length ?? 0;
      return byProduct(file.path, name) || (byAnyone(file.path, name) && inItsFile > 1);
    };
    return [...file.code.matchAll(/^export (?:async )?(function\*?|const|let|class|interface|type) (\w+)/gm)]
      .filter(([, kind, name = '']) => !isUsed(name) && !(isType(kind) && isUsedAbove(file, name)))
      .filter(([, , name]) => !(`${file.path} ${name}` in EXPORTED_FOR))
      .map((match) => `${file.path}:${lineAt(file.text, match.index)} ${match[2]}`);
  });
}

function importedNames(importers: readonly SourceFile[]): (path: string, name: string) => boolean {
  const imported = new Set(
    importers.flatMap((file) => file.imports.flatMap((used) => used.names.map((name) => `${used.target} ${name}`))),
  );
  return (path, name) => imported.has(`${path} ${name}`) || imported.has(`${path} *`);
}

function isType(kind: string | undefined): boolean {
  return kind === 'interface' || kind === 'type';
}

/** A type may be exported so that what its own file exports can be named. */
function isUsedAbove(file: SourceFile, name: string): boolean {
  return (file.code.match(new RegExp(`\\b${name}\\b`, 'g'))?.length ?? 0) > 1;
}

function findCycles(files: readonly SourceFile[]): string[] {
  const importsOf = new Map(
    files.map((file) => [
      file.path,
      file.imports.filter((used) => used.isOurs && !used.isTypeOnly).map((u) => u.target),
    ]),
  );
  const cycles: string[] = [];
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path);
    if (start >= 0) {
      cycles.push([...trail.slice(start), path].join(' -> '));
      return;
    }
    if (done.has(path)) return;
    for (const next of importsOf.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of importsOf.keys()) visit(path, []);
  return cycles;
}

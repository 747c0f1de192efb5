import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findFunctions } from './functions.ts';
import { maskSource, parseSource } from './source-file.ts';

test('what stands in comments, strings, templates and regular expressions is not code', () => {
  const placeholder = '$' + '{c /* any */}';
  const text = `const a = 'any'; // any\nconst b = \`any ${placeholder} any\`;\nconst d = e / f / g; const h = /any['"]/;`;
  const masked = maskSource(text);
  assert.equal(masked.length, text.length);
  assert.ok(!masked.includes('any'));
  assert.match(masked, /\$\{c {10}\}/);
  assert.match(masked, /e \/ f \/ g; const h/);
});

test('imports are read with their names, over several lines too', () => {
  const text =
    "import {\n  type A,\n  b as c,\n} from './x.ts';\nimport fs from 'node:fs';\nexport { d } from '../y/z.ts';\n";
  const { imports } = parseSource('src/lib/w.ts', text);
  assert.deepEqual(
    imports.map(({ target, names }) => [target, ...names]),
    [['src/lib/x.ts', 'A', 'b'], ['node:fs'], ['src/y/z.ts', 'd']],
  );
});

test('functions, methods and arrows are measured; blocks and objects are not', () => {
  const text = [
    'export function one(a: number): { x: number } {',
    '  if (a > 0) {',
    '    return { x: a };',
    '  }',
    '  return { x: 1 };',
    '}',
    'class C {',
    '  #two(): void {',
    '  }',
    '}',
    'const three = (a: string) => {',
    '  for (const b of a) {',
    '  }',
    '};',
  ].join('\n');
  const found = findFunctions(parseSource('x.ts', text)).map(({ name, lines }) => `${name} ${lines}`);
  assert.deepEqual(found, ['one 6', '#two 2', 'three 4']);
});

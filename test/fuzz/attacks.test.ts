import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { REPOSITORY_ROOT, sharedFile } from '../shared.ts';

test('every row of docs/ATTACKS.md names a test whose title has its identifier', () => {
  const page = readFileSync(join(REPOSITORY_ROOT, 'docs/ATTACKS.md'), 'utf8');
  const rows = [...page.matchAll(/^\| ([^|]+) \|[^|]+\|[^|]+\| ([^|]+) \|$/gm)].slice(1);
  assert.ok(rows.length > 20);
  const missing = rows.filter(([, identifier = '', file = '']) => {
    const source = readFileSync(join(REPOSITORY_ROOT, file.trim()), 'utf8');
    const titles = [...source.matchAll(/\btest\(\s*['`](.*)/g)].map(([, title = '']) => title);
    return !titles.some((title) => title.includes(identifier.trim()));
  });
  assert.deepEqual(
    missing.map(([row]) => row),
    [],
  );
});

const CASES = sharedFile('vectors/robustness/cases.json');

test('docs/ATTACKS.md has every case of the collection, with a test or with the reason why there is none', {
  skip: CASES === undefined ? 'the collection is not here' : false,
}, () => {
  const page = readFileSync(join(REPOSITORY_ROOT, 'docs/ATTACKS.md'), 'utf8');
  const told = new Set([...page.matchAll(/^\| ([^|]+) \|/gm)].map(([, identifier = '']) => identifier.trim()));
  const { cases }: { readonly cases: readonly { readonly id: string }[] } = JSON.parse(
    readFileSync(CASES ?? '', 'utf8'),
  );
  assert.equal(cases.length, 76);
  const missing = cases.map(({ id }) => id.replace(/\.pcap(ng)?$/, '')).filter((id) => !told.has(id));
  assert.deepEqual(missing, []);
});

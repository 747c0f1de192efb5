import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { REPOSITORY_ROOT, sharedFile } from '../../test/shared.ts';
import { configurationGuide } from './configuration-guide.ts';
import { JUNOS_SCHEMA } from './junos-schema.ts';
import type { SchemaNode } from './schema-node.ts';

const GUIDE = join(REPOSITORY_ROOT, 'docs', 'guide', 'configuration.md');

test('docs/guide/configuration.md is what the schema says; scripts/generate-configuration-guide.mjs writes it', () => {
  assert.ok(existsSync(GUIDE));
  assert.equal(readFileSync(GUIDE, 'utf8'), configurationGuide());
});

test('every statement has help of its own, and a reason where it has no effect', () => {
  const visit = (schema: SchemaNode, path: string): void => {
    for (const child of schema.children.values()) {
      const at = `${path} ${child.name}`;
      assert.ok(child.help.length > 2 && !child.help.endsWith('.'), at);
      if (child.support !== 'supported') assert.ok((child.reason?.length ?? 0) > 10, at);
      if (child.kind === 'leaf' || child.kind === 'leaf-list') assert.ok(child.value, at);
      if (child.kind === 'list') assert.ok(child.key, at);
      if (child.name !== 'groups') visit(child, at);
    }
  };
  visit(JUNOS_SCHEMA, '');
});

/** Where the trees say a value has a keyword of its own, or none, text has it otherwise. */
const NAMELESS =
  /^(name|filename|identity-ipv4|identity-ipv6|identity-hostname|identity-user|string-key-id|profile-name)$/;

for (const release of ['18.2R3', '24.4R1']) {
  test(`the schema has every statement of security ike and ipsec in Junos ${release}, with the same ranges and defaults`, (t) => {
    const file = sharedFile(`reference/junos/yang-ike-ipsec-${release}.txt`);
    if (file === undefined) return t.skip('../shared is absent: the YANG trees are there');
    const count = compareWithTree(readFileSync(file, 'utf8'), release);
    assert.ok(count > 150, `${count} statements`);
  });
}

function compareWithTree(tree: string, release: string): number {
  let count = 0;
  let base: string[] = [];
  const path: string[] = [];
  for (const line of tree.split('\n')) {
    if (line.startsWith('== ')) base = line.includes('ike') ? ['security', 'ike'] : ['security', 'ipsec'];
    const found = /^( *)(\[list\] |\[leaf-list\] )?(<choice )?([\w.-]+)/.exec(line);
    if (line.startsWith('== ') || !found || line.trim() === '') continue;
    const [, margin = '', , isChoice, name = ''] = found;
    path.length = margin.length / 2;
    path.push(isChoice ? '' : name);
    if (isChoice || NAMELESS.test(name)) continue;
    const words = [...base, ...path.filter((word) => word !== '')];
    const schema = statement(words);
    assert.ok(schema, `${release}: ${words.join(' ')}`);
    compareFacts(schema, line, words.join(' '));
    count++;
  }
  return count;
}

/** Follows statements only: names of entries are not in the trees. */
function statement(words: readonly string[]): SchemaNode | undefined {
  let schema: SchemaNode | undefined = JUNOS_SCHEMA;
  for (const word of words) schema = schema?.children.get(word);
  return schema;
}

function compareFacts(schema: SchemaNode, line: string, path: string): void {
  const facts = line.split('  #')[0] ?? '';
  const range = /uint\d+ (\d+) \.\. (\d+)/.exec(facts);
  const type = schema.value;
  if (range && type?.kind === 'number') {
    // The two releases differ in one range: the union is ours.
    const isWider = type.min <= Number(range[1]) && type.max >= Number(range[2]);
    assert.ok(isWider, `${path}: ${range[0]}`);
    if (!path.endsWith('lifetime-kilobytes'))
      assert.deepEqual([type.min, type.max], [Number(range[1]), Number(range[2])], path);
  }
  const standard = /DEFAULT=(\S+)/.exec(facts)?.[1];
  if (standard !== undefined) assert.equal(schema.default, standard, path);
  if (type?.kind === 'choice') {
    const options = [...(/enum\{(.*)\}/.exec(line)?.[1] ?? '').matchAll(/(?:^| \| )([\w-]+)/g)].map(
      ([, word = '']) => word,
    );
    for (const option of options) assert.ok(option in type.options, `${path} ${option}`);
  }
}

// Random statements that the schema allows, for tests.

import { randomBelow, type SeededRandom } from '../lib/random.ts';
import { JUNOS_SCHEMA } from './junos-schema.ts';
import type { SchemaNode, ValueType } from './schema-node.ts';

/** A path from the top, with names and values, that the schema allows. */
export function randomStatement(random: SeededRandom): string[] {
  const words: string[] = [];
  let schema: SchemaNode = JUNOS_SCHEMA;
  for (;;) {
    const children: SchemaNode[] = [...schema.children.values()].filter((child) => isOurs(child));
    const child = children[randomBelow(random, children.length)];
    if (child === undefined) return words;
    words.push(child.name);
    if (child.kind === 'flag') return words;
    if (child.kind === 'leaf' || child.kind === 'leaf-list')
      return [...words, ...(child.value ? [randomValue(random, child.value)] : [])];
    if (child.key) words.push(randomValue(random, child.key));
    if (child.positional && randomBelow(random, 3) === 0)
      return [...words, randomValue(random, child.positional.value)];
    // `from-zone` alone is half a statement.
    const mayStop = child.kind === 'list' && child.name !== 'from-zone' && randomBelow(random, 8) === 0;
    if (child.children.size === 0 || mayStop) return words;
    schema = child;
  }
}

/** Hierarchies that only have a name, and groups, would make the tests about themselves. */
function isOurs(schema: SchemaNode): boolean {
  const isEmptyShell = schema.kind === 'container' && schema.children.size === 0 && schema.positional === undefined;
  return schema.name !== 'groups' && !isEmptyShell;
}

const NAMES = [
  'a',
  'b',
  'hq',
  'branch-7',
  'with space',
  'quote"d',
  'semi;colon',
  '$var',
  'back\\slash',
  '#hash',
  'x y [z]',
];

function randomValue(random: SeededRandom, type: ValueType): string {
  const pick = <T>(values: readonly T[], fallback: T): T => values[randomBelow(random, values.length)] ?? fallback;
  switch (type.kind) {
    case 'text':
    case 'reference':
      return pick(NAMES, 'a');
    case 'number':
      return String(type.min + randomBelow(random, Math.min(3, type.max - type.min + 1)));
    case 'choice':
      return pick(Object.keys(type.options), '');
    case 'address':
      return pick(type.family === 6 ? ['2001:db8::1', '::1'] : ['192.0.2.1', '198.51.100.7'], '192.0.2.1');
    case 'prefix':
      return pick(['10.0.0.0/8', '192.0.2.0/24', '2001:db8::/32', '0.0.0.0/0'], '10.0.0.0/8');
    case 'host':
      return pick(['192.0.2.1', 'vpn.example.net', '2001:db8::1'], '192.0.2.1');
    case 'interface':
      return pick(['ge-0/0/0.0', 'st0.1', 'reth1.0', 'ae1.100'], 'st0.0');
  }
}

// What may come next: for the `?` of a prompt and for its Tab key. Drawn from the schema and from what is configured.

import { findChild } from './abbreviation.ts';
import type { ConfigNode, ConfigTree } from './config-node.ts';
import { JUNOS_SCHEMA } from './junos-schema.ts';
import { EVERYWHERE, type SchemaNode, type ValueType } from './schema-node.ts';
import { describeType } from './value-check.ts';

export interface Completion {
  /** A word to type, or `<...>` where one must be made up. */
  readonly word: string;
  readonly help: string;
}

/** What may follow `path` (words of a statement, complete ones) if the next word starts with `start`. */
export function completions(tree: ConfigTree, path: readonly string[], start = ''): Completion[] {
  const found = follow(tree, path);
  if (found === undefined) return [];
  const offers = found.expects === 'statement' ? statementOffers(found.schema) : valueOffers(tree, found);
  return offers.filter(({ word }) => word.startsWith(start) || word.startsWith('<'));
}

interface Place {
  readonly schema: SchemaNode;
  readonly expects: 'statement' | 'key' | 'value';
  readonly node: ConfigNode | undefined;
}

function follow(tree: ConfigTree, path: readonly string[]): Place | undefined {
  let place: Place = { schema: JUNOS_SCHEMA, expects: 'statement', node: tree.root };
  let container = place;
  for (const word of path) {
    if (place.expects === 'value') {
      place = container;
      continue;
    }
    if (place.expects === 'key') {
      place = { schema: place.schema, expects: 'statement', node: place.node?.child(word) };
      continue;
    }
    const child = findChild(place.schema, word, true);
    if (child === undefined) return undefined;
    container = place;
    if (child.kind === 'flag') continue;
    const expects = child.kind === 'list' ? 'key' : child.kind === 'container' ? 'statement' : 'value';
    place = { schema: child, expects, node: place.node?.child(child.name) };
  }
  return place;
}

function statementOffers(schema: SchemaNode): Completion[] {
  const { positional } = schema;
  const value = positional ? [{ word: `<${positional.name}>`, help: describeType(positional.value) }] : [];
  const everywhere = [...EVERYWHERE.values()].filter(({ name }) => !schema.children.has(name));
  return [...value, ...[...schema.children.values(), ...everywhere].map(statementOffer)];
}

function statementOffer(schema: SchemaNode): Completion {
  const standard = schema.default === undefined ? '' : ` (default ${schema.default})`;
  const effect =
    schema.support === 'supported' ? '' : ` [${schema.support === 'no-effect' ? 'no effect' : 'not supported'}]`;
  return { word: schema.name, help: `${schema.help}${standard}${effect}` };
}

function valueOffers(tree: ConfigTree, { schema, node, expects }: Place): Completion[] {
  const type = schema.key ?? schema.value;
  if (type === undefined) return [];
  const known =
    expects === 'key' ? (node?.children ?? []).map((child) => ({ word: child.word, help: schema.help })) : [];
  return [...known, ...typeOffers(tree, type, schema.name)];
}

function typeOffers(tree: ConfigTree, type: ValueType, name: string): Completion[] {
  switch (type.kind) {
    case 'choice':
      return Object.entries(type.options).map(([word, help]) => ({ word, help }));
    case 'reference': {
      const defined = tree.root.find(...type.to)?.children ?? [];
      return defined.map((child) => ({ word: child.word, help: `a ${type.to.at(-1)} that is defined` }));
    }
    default:
      return [{ word: `<${name}>`, help: describeType(type) }];
  }
}

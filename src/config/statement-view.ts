// The statements below a node, as braces show them: several words of the tree may be one statement.

import type { ConfigNode } from './config-node.ts';
import { JUNOS_SCHEMA } from './junos-schema.ts';
import { EVERYWHERE, type SchemaNode } from './schema-node.ts';

export interface StatementView {
  /** What stands before the value or the brace: `['gateway', 'hq']`. */
  readonly words: readonly string[];
  /** What `deactivate` and comments of this statement are kept on. */
  readonly node: ConfigNode;
  /**
   * `value`: a leaf; `values`: a leaf-list; `word`: nothing follows; `block`: statements in braces; `entries`: list entries in braces;
   * `unknown`: the schema does not know it.
   */
  readonly kind: 'value' | 'values' | 'word' | 'block' | 'entries' | 'unknown';
  readonly schema: SchemaNode | undefined;
}

/** Where in the schema a node stands: inside a container or an entry, or among the entries of a list. */
export interface Place {
  readonly schema: SchemaNode | undefined;
  readonly among: 'statements' | 'entries';
}

export const TOP: Place = { schema: JUNOS_SCHEMA, among: 'statements' };

/** The place that a path leads to from the top. */
export function placeAt(path: readonly string[]): Place {
  let place: Place = TOP;
  for (const word of path) place = placeBelow(place, word);
  return place;
}

export function placeBelow(place: Place, word: string): Place {
  if (place.among === 'entries') return { schema: place.schema, among: 'statements' };
  const child = place.schema?.children.get(word) ?? (place.schema && EVERYWHERE.get(word));
  return { schema: child, among: child?.kind === 'list' ? 'entries' : 'statements' };
}

/** The statements below `node`, in order. */
export function statementsOf(node: ConfigNode, place: Place): StatementView[] {
  const { schema } = place;
  if (schema === undefined) return node.children.map((child) => unknown(child));
  if (place.among === 'entries') return node.children.map((entry) => entryView([], entry, schema));
  return node.children.flatMap((child) => viewsOf(child, schema));
}

/** The place of the statements inside a block or among the entries of a view. */
export function placeInside(view: StatementView): Place {
  return { schema: view.schema, among: view.kind === 'entries' ? 'entries' : 'statements' };
}

function viewsOf(child: ConfigNode, parent: SchemaNode): StatementView[] {
  const schema = parent.children.get(child.word) ?? EVERYWHERE.get(child.word);
  if (schema === undefined) {
    return [parent.positional ? { words: [child.word], node: child, kind: 'word', schema: undefined } : unknown(child)];
  }
  const words = [child.word];
  switch (schema.kind) {
    case 'flag':
      return [{ words, node: child, kind: 'word', schema }];
    case 'leaf':
      return [{ words, node: child, kind: child.isLeaf ? 'word' : 'value', schema }];
    case 'leaf-list':
      return [{ words, node: child, kind: child.isLeaf ? 'word' : 'values', schema }];
    case 'container':
      return joined(words, child, schema);
    case 'list':
      if (schema.layout === 'wrapped' || child.isLeaf || isMarked(child)) {
        return [{ words, node: child, kind: child.isLeaf ? 'word' : 'entries', schema }];
      }
      return child.children.flatMap((entry) => joined([child.word, entry.word], entry, schema));
  }
}

/** Statements behind the same words, where the layout says that each stands on its own (`family inet {...} family inet6 {...}`). */
function joined(words: readonly string[], node: ConfigNode, schema: SchemaNode): StatementView[] {
  if (schema.layout !== 'joined' || node.isLeaf || isMarked(node)) return [entryView(words.slice(0, -1), node, schema)];
  return statementsOf(node, { schema, among: 'statements' }).map((view) => ({
    ...view,
    words: [...words, ...view.words],
  }));
}

function entryView(before: readonly string[], node: ConfigNode, schema: SchemaNode): StatementView {
  return { words: [...before, node.word], node, kind: node.isLeaf ? 'word' : 'block', schema };
}

function unknown(node: ConfigNode): StatementView {
  return { words: [node.word], node, kind: 'unknown', schema: undefined };
}

/** Whether something is said about the statement itself, which then needs a line of its own. */
export function isMarked(node: ConfigNode): boolean {
  return node.isInactive || node.isProtected || node.annotation !== undefined;
}

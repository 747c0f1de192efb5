// Keywords cut short, as a prompt accepts them: as long as it is clear which one is meant.

import { EVERYWHERE, type SchemaNode } from './schema-node.ts';
import { placeAt } from './statement-view.ts';

/** Fewest letters of a keyword where the schema does not know all of them. */
const ABBREVIATION_MIN = 4;

/** The statement that a word names, in full or cut short. */
export function findChild(schema: SchemaNode, word: string, mayAbbreviate: boolean): SchemaNode | undefined {
  const exact = schema.children.get(word) ?? EVERYWHERE.get(word);
  // Where a value may stand without a keyword, a short word is the value.
  if (exact || !mayAbbreviate || schema.positional) return exact;
  if (!schema.isWhole && word.length < ABBREVIATION_MIN) return undefined;
  const name = unabbreviated(word, schema.children.keys());
  const child = name === undefined ? undefined : schema.children.get(name);
  // What is known by name only may have neighbours that are not.
  return schema.isWhole || (child?.children.size ?? 0) > 0 ? child : undefined;
}

/** The only name that starts with the word. */
export function unabbreviated(word: string, names: Iterable<string>): string | undefined {
  let found: string | undefined;
  for (const name of names) {
    if (!name.startsWith(word)) continue;
    if (found !== undefined) return undefined;
    found = name;
  }
  return found;
}

/** Keywords of a path in full, as far as the schema knows them. */
export function expandPath(level: readonly string[], words: readonly string[]): string[] {
  const path = [...level];
  return words.map((word) => {
    const { schema, among } = placeAt(path);
    const name = among === 'statements' && schema ? findChild(schema, word, true)?.name : undefined;
    path.push(name ?? word);
    return name ?? word;
  });
}

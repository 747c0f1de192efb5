// Puts one statement, a list of words, into the tree, guided by the schema. Braces and `set` commands both end here.

import { findChild, unabbreviated } from './abbreviation.ts';
import type { ConfigNode } from './config-node.ts';
import { EVERYWHERE, type SchemaNode } from './schema-node.ts';
import { isMistyped, nearestWord } from './suggestion.ts';
import { checkValue, describeType, type ValueFault } from './value-check.ts';
import { quoteWords } from './words.ts';

/** A word of a statement, with where it stands in the text. */
export interface Word {
  readonly text: string;
  readonly line: number;
  readonly column: number;
}

/** One word, or several in brackets. */
export type StatementItem = Word | readonly Word[];

/** How far into the tree and the schema the words have led. Immutable: each word makes the next one. */
export interface Cursor {
  readonly node: ConfigNode;
  /** Absent: the schema does not know this hierarchy; words are kept as they are. */
  readonly schema: SchemaNode | undefined;
  readonly expects: 'statement' | 'key' | 'value';
  readonly parent: Cursor | undefined;
  /** Within `groups`, where `<*>` may stand for names. */
  readonly isPattern: boolean;
  /** As typed at a prompt, where a keyword may be cut short as long as it is clear which one is meant. */
  readonly mayAbbreviate: boolean;
}

/** Takes notice of what was wrong and of what is not ours. */
export interface StatementObserver {
  fault(cursor: Cursor, word: Word, fault: ValueFault, fix?: string): void;
  ignored(path: string, line: number): void;
}

export function rootCursor(node: ConfigNode, schema: SchemaNode, mayAbbreviate = false): Cursor {
  return { node, schema, expects: 'statement', parent: undefined, isPattern: false, mayAbbreviate };
}

/** Junos path of the cursor, such as `security ike gateway hq`. */
export function cursorPath(cursor: Cursor): string {
  const words: string[] = [];
  for (let at: Cursor | undefined = cursor; at?.parent !== undefined; at = at.parent) words.unshift(at.node.word);
  return words.join(' ');
}

/** Where a statement led: `target` is what `deactivate` and comments apply to. */
export interface Placement {
  readonly cursor: Cursor;
  readonly target: ConfigNode;
}

/** More words than any statement of Junos has: whoever walks the tree goes as deep as statements are long. */
const STATEMENT_WORDS_MAX = 64;

/** Adds a statement below `start`. Faults are told to the observer; the words are kept all the same, so that they can be shown. */
export function placeStatement(start: Cursor, items: readonly StatementItem[], observer: StatementObserver): Placement {
  let placement: Placement = { cursor: start, target: start.node };
  const beyond = items[STATEMENT_WORDS_MAX];
  if (beyond !== undefined) {
    const [word] = isGroup(beyond) ? beyond : [beyond];
    const message = `syntax error: the statement has more than ${STATEMENT_WORDS_MAX} words`;
    if (word) observer.fault(start, word, { message });
    return placeStatement(start, items.slice(0, STATEMENT_WORDS_MAX), observer);
  }
  for (const [index, item] of items.entries()) {
    placement = isGroup(item)
      ? placeGroup(placement, item, observer)
      : advance(placement, item, { items, index: index + 1 }, observer);
  }
  return placement;
}

/** Says what a statement still lacks when it ends at `cursor`; `opensBlock` if a brace follows. */
export function checkEnd(cursor: Cursor, last: Word, opensBlock: boolean, observer: StatementObserver): void {
  const { schema, expects } = cursor;
  if (schema === undefined) return;
  if (opensBlock) {
    if (expects !== 'value' || schema.kind !== 'leaf') return;
    return observer.fault(cursor, last, { message: `syntax error: '${last.text}' takes no block` });
  }
  if (expects === 'value' && schema.value && cursor.node.isLeaf) {
    observer.fault(cursor, last, { message: `missing argument: ${describeType(schema.value)}` });
  }
  if (expects === 'key' && schema.key && cursor.node.isLeaf) {
    observer.fault(cursor, last, { message: `missing argument: a name for the ${schema.name}` });
  }
}

/** The words behind one. */
interface Following {
  readonly items: readonly StatementItem[];
  readonly index: number;
}

const NOTHING: Following = { items: [], index: 0 };

function isGroup(item: StatementItem): item is readonly Word[] {
  return Array.isArray(item);
}

function placeGroup(placement: Placement, words: readonly Word[], observer: StatementObserver): Placement {
  const { cursor } = placement;
  if (cursor.schema === undefined) cursor.node.grouping = 'brackets';
  for (const word of words) advance(placement, word, NOTHING, observer);
  return { cursor: cursor.expects === 'value' ? (cursor.parent ?? cursor) : cursor, target: cursor.node };
}

function advance(placement: Placement, word: Word, following: Following, observer: StatementObserver): Placement {
  const { cursor } = placement;
  if (cursor.schema === undefined) return keep(cursor, word);
  switch (cursor.expects) {
    case 'key':
      return enterEntry(cursor, cursor.schema, word, observer);
    case 'value':
      return takeValue(cursor, cursor.schema, word, observer);
    case 'statement':
      return enterStatement(cursor, cursor.schema, word, following, observer);
  }
}

function enterStatement(
  cursor: Cursor,
  schema: SchemaNode,
  word: Word,
  following: Following,
  observer: StatementObserver,
): Placement {
  const child = findChild(schema, word.text, cursor.mayAbbreviate);
  if (child) return enterChild(cursor, schema, child, word);
  if (schema.positional) {
    const fault = checkValue(schema.positional.value, word.text, cursor.isPattern);
    const meant = fault && nearestWord(word.text, schema.children.keys());
    if (!fault || meant === undefined) return takePositional(cursor, schema, word, fault, observer);
  }
  const isMeantOtherwise = schema.isWhole || [...schema.children.keys()].some((name) => isMistyped(word.text, name));
  const homes = cursor.parent === undefined ? homesOf(schema, word.text) : [];
  if (homes.length > 0) observer.fault(cursor, word, { message: strayStatement(word.text, homes) });
  else if (isMeantOtherwise) reportUnknown(cursor, schema, word, following, observer);
  else observer.ignored(`${cursorPath(cursor)} ${word.text}`.trim(), word.line);
  return keep(cursor, word);
}

/** Hierarchies that have such a statement, where it was found at the top: a piece was pasted without the level it came from. */
function homesOf(top: SchemaNode, word: string): string[] {
  const homes: string[] = [];
  for (const outer of top.children.values()) {
    if (outer.kind !== 'container') continue;
    if (outer.children.has(word)) homes.push(outer.name);
    for (const inner of outer.children.values()) {
      if (inner.kind === 'container' && inner.children.has(word)) homes.push(`${outer.name} ${inner.name}`);
    }
  }
  return homes;
}

function strayStatement(word: string, homes: readonly string[]): string {
  const levels = homes.map((home) => `[edit ${home}]`).join(' or ');
  return `syntax error: '${word}' does not stand at the top; paste it with its hierarchy, or with the line ${levels} before it`;
}

function reportUnknown(
  cursor: Cursor,
  schema: SchemaNode,
  word: Word,
  { items, index }: Following,
  observer: StatementObserver,
): void {
  const rest = items
    .slice(index)
    .flatMap((item) => (isGroup(item) ? item : [item]))
    .map(({ text }) => text);
  const names = [...schema.children.keys()];
  const joined = `${word.text}-${rest[0]}`;
  // `authentication algorithm sha1`: the hyphen was left out.
  const isJoined = rest.length > 0 && names.includes(joined);
  const meant = isJoined ? joined : nearestWord(word.text, names);
  const message = `syntax error: unknown statement '${word.text}'`;
  if (meant === undefined) return observer.fault(cursor, word, { message });
  const path = cursorPath(cursor);
  const fix = `set ${path === '' ? '' : `${path} `}${meant} ${quoteWords(isJoined ? rest.slice(1) : rest)}`.trimEnd();
  observer.fault(cursor, word, { message, meant }, fix);
}

function enterChild(cursor: Cursor, schema: SchemaNode, child: SchemaNode, word: Word): Placement {
  if (child.choice !== undefined) removeAlternatives(cursor.node, schema, child);
  const node = cursor.node.ensure(child.name, word.line);
  if (child.kind === 'flag') return { cursor, target: node };
  const expects = child.kind === 'list' ? 'key' : child.kind === 'container' ? 'statement' : 'value';
  const isPattern = cursor.isPattern || child.name === 'groups';
  return { cursor: { ...cursor, node, schema: child, expects, parent: cursor, isPattern }, target: node };
}

/** Statements of one choice exclude each other: the last one said holds. */
function removeAlternatives(node: ConfigNode, schema: SchemaNode, chosen: SchemaNode): void {
  for (const other of node.children) {
    if (other.word !== chosen.name && schema.children.get(other.word)?.choice === chosen.choice) node.remove(other);
  }
}

function enterEntry(cursor: Cursor, schema: SchemaNode, word: Word, observer: StatementObserver): Placement {
  const fault = schema.key && checkValue(schema.key, word.text, cursor.isPattern);
  if (fault) observer.fault(cursor, word, fault);
  const node = cursor.node.ensure(word.text, word.line);
  return { cursor: { ...cursor, node, expects: 'statement', parent: cursor }, target: node };
}

function takeValue(cursor: Cursor, schema: SchemaNode, typed: Word, observer: StatementObserver): Placement {
  const options = schema.value?.kind === 'choice' ? Object.keys(schema.value.options) : [];
  const word = { ...typed, text: (cursor.mayAbbreviate && unabbreviated(typed.text, options)) || typed.text };
  const fault = schema.value && checkValue(schema.value, word.text, cursor.isPattern);
  if (fault) observer.fault(cursor, word, fault);
  if (schema.kind === 'leaf' && cursor.node.child(word.text) === undefined) cursor.node.clear();
  cursor.node.ensure(word.text, word.line);
  cursor.node.line = word.line;
  return { cursor: cursor.parent ?? cursor, target: cursor.node };
}

function takePositional(
  cursor: Cursor,
  schema: SchemaNode,
  word: Word,
  fault: ValueFault | undefined,
  observer: StatementObserver,
): Placement {
  if (fault) observer.fault(cursor, word, fault);
  for (const other of cursor.node.children) {
    const isPositional = !schema.children.has(other.word) && !EVERYWHERE.has(other.word);
    if (isPositional && other.word !== word.text) cursor.node.remove(other);
  }
  cursor.node.ensure(word.text, word.line);
  return { cursor, target: cursor.node };
}

/** A word that the schema knows nothing about. */
function keep(cursor: Cursor, word: Word): Placement {
  const node = cursor.node.ensure(word.text, word.line);
  return {
    cursor: { ...cursor, node, schema: undefined, expects: 'statement', parent: cursor },
    target: node,
  };
}

// `set` and the other commands of configuration mode, as `display set` prints them and people type them.

import { expandPath } from './abbreviation.ts';
import type { ConfigTree } from './config-node.ts';
import type { Diagnostic } from './diagnostic.ts';
import type { Token } from './lexer.ts';
import {
  type Cursor,
  checkEnd,
  placeStatement,
  type StatementItem,
  type StatementObserver,
  type Word,
} from './statement.ts';
import { applyChange } from './tree-edit.ts';

const VERBS: ReadonlySet<string> = new Set([
  'set',
  'delete',
  'deactivate',
  'activate',
  'protect',
  'unprotect',
  'annotate',
  'rename',
  'copy',
  'insert',
  'replace',
  'wildcard',
  'edit',
  'top',
  'up',
]);

/** Typed around the commands, without effect on the tree. */
const IDLE = new Set(['exit', 'quit', 'commit', 'configure', 'run', 'load', 'rollback']);

/** Whether a line is a command and not a statement in braces, which ends in `;` or `{`. */
export function isSetCommand(tokens: readonly Token[]): boolean {
  const first = tokens[0];
  if (first?.kind !== 'word' || first.isQuoted) return false;
  if (!VERBS.has(first.text) && !IDLE.has(first.text)) return false;
  const last = tokens.at(-1);
  return last === first || !(last?.kind === '{' || (last?.kind === ';' && !VERBS.has(first.text)));
}

/** Runs commands on a tree, keeping the level that `edit` has moved to. */
export class SetCommands {
  readonly #tree: ConfigTree;
  readonly #root: Cursor;
  readonly #observer: StatementObserver;
  readonly #report: (diagnostic: Diagnostic) => void;
  #level: readonly string[] = [];
  #last: Cursor | undefined;

  constructor(tree: ConfigTree, root: Cursor, observer: StatementObserver, report: (diagnostic: Diagnostic) => void) {
    this.#tree = tree;
    this.#root = { ...root, mayAbbreviate: true };
    this.#observer = observer;
    this.#report = report;
  }

  /** Where the last `set` led: somebody may have gone on there on the next line, as in braces. */
  get last(): Cursor | undefined {
    return this.#last;
  }

  edit(path: readonly string[]): void {
    this.#level = path;
  }

  run(tokens: readonly Token[]): void {
    const [verb, ...rest] = tokens.at(-1)?.kind === ';' ? tokens.slice(0, -1) : tokens;
    if (verb === undefined || IDLE.has(verb.text)) return;
    const items = this.#items(rest);
    switch (verb.text) {
      case 'set':
        return this.#set(verb, items);
      case 'edit':
        return this.edit([...this.#level, ...plain(items).map((word) => word.text)]);
      case 'top':
        this.edit([]);
        return rest.length > 0 ? this.run(rest) : undefined;
      case 'up':
        return this.edit(this.#level.slice(0, -Math.max(1, Number(rest[0]?.text ?? '1'))));
      default:
        return this.#change(verb, plain(items));
    }
  }

  #items(tokens: readonly Token[]): StatementItem[] {
    const items: StatementItem[] = [];
    let brackets: Word[] | undefined;
    for (const token of tokens) {
      if (token.kind === '[') brackets = [];
      else if (token.kind === ']' && brackets) {
        items.push(brackets);
        brackets = undefined;
      } else if (token.kind === 'word') (brackets ?? items).push(token);
      else if (token.kind !== 'annotation')
        this.#complain(token, `syntax error: '${token.text}' has no place in a set command`);
    }
    if (brackets) items.push(brackets);
    return items;
  }

  #set(verb: Word, items: readonly StatementItem[]): void {
    const last = lastWord(items);
    if (last === undefined) return this.#complain(verb, 'syntax error: nothing to set');
    const level = this.#level.map((text) => ({ text, line: last.line, column: 1 }));
    const statement = level.length === 0 ? items : [...level, ...items];
    const { cursor } = placeStatement(this.#root, statement, this.#observer);
    checkEnd(cursor, last, false, this.#observer);
    this.#last = { ...cursor, mayAbbreviate: false };
  }

  #change(verb: Word, words: readonly Word[]): void {
    const plainTexts = words.map((word) => word.text);
    const isPath = verb.text !== 'replace' && verb.text !== 'wildcard';
    const texts = isPath ? expandPath(this.#level, plainTexts) : plainTexts;
    const fault = applyChange(this.#tree.root, verb.text, texts, this.#level);
    if (fault !== undefined) this.#complain(words.at(-1) ?? verb, fault);
  }

  #complain(word: Word, message: string): void {
    const { line, column } = word;
    this.#report({ severity: 'error', path: this.#level.join(' '), line, column, message });
  }
}

function lastWord(items: readonly StatementItem[]): Word | undefined {
  const last = items.at(-1);
  return last === undefined || 'text' in last ? last : last.at(-1);
}

function plain(items: readonly StatementItem[]): Word[] {
  return items.flatMap((item) => ('text' in item ? [item] : [...item]));
}

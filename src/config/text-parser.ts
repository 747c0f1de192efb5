// Reads a configuration in braces, in `set` commands, or in both, as a pasted text may hold them.

import { expandPath } from './abbreviation.ts';
import { type ConfigNode, type ConfigTree, emptyTree } from './config-node.ts';
import type { Diagnostic } from './diagnostic.ts';
import { JUNOS_SCHEMA } from './junos-schema.ts';
import { type LexedLine, lexLines, type Token } from './lexer.ts';
import { readPastedText } from './pasted-text.ts';
import { isSetCommand, SetCommands } from './set-commands.ts';
import {
  type Cursor,
  checkEnd,
  cursorPath,
  placeStatement,
  rootCursor,
  type StatementItem,
  type StatementObserver,
  type Word,
} from './statement.ts';
import type { ValueFault } from './value-check.ts';
import { quoteWords } from './words.ts';
import { findConfiguration, placeXml } from './xml-configuration.ts';
import { readXml } from './xml-reader.ts';

export interface ParsedText {
  readonly tree: ConfigTree;
  readonly diagnostics: readonly Diagnostic[];
  /** Statements that Junos has and that do not concern us, each named once. */
  readonly ignored: readonly { readonly path: string; readonly line: number }[];
  /** Statements in braces marked `replace:`, for `load replace`. */
  readonly replaced: readonly (readonly string[])[];
  readonly usedSetCommands: boolean;
}

/** Deeper nesting than any Junos hierarchy: stops a file of braces from exhausting the stack of those who walk the tree. */
const DEPTH_MAX = 64;
/** More diagnostics than anyone reads; the rest are counted. */
const DIAGNOSTICS_MAX = 1000;

/**
 * Parses the text into `tree` (a new one if none is given), as if typed at `level` of the hierarchy. Never throws: what cannot be read
 * becomes a diagnostic.
 */
export function parseText(text: string, tree: ConfigTree = emptyTree(), level: readonly string[] = []): ParsedText {
  return new TextParser(tree).parse(text, level);
}

interface Block {
  readonly cursor: Cursor;
  readonly openedAt: Token | undefined;
}

const TAGS: ReadonlySet<string> = new Set(['inactive:', 'protect:', 'replace:']);

class TextParser {
  readonly #tree: ConfigTree;
  readonly #root: Cursor;
  readonly #diagnostics: Diagnostic[] = [];
  readonly #ignored = new Map<string, number>();
  readonly #replaced: string[][] = [];
  readonly #setCommands: SetCommands;
  #blocks: Block[];
  #pending: StatementItem[] = [];
  #brackets: Word[] | undefined;
  #tags: string[] = [];
  #annotation: string | undefined;
  #usedSetCommands = false;
  /** The block that a continued set command stands in, while there is one. */
  #outer: Block | undefined;
  #openedForContext: { readonly parent: ConfigNode; readonly path: readonly string[] } | undefined;

  constructor(tree: ConfigTree) {
    this.#tree = tree;
    this.#root = rootCursor(tree.root, JUNOS_SCHEMA);
    this.#blocks = [{ cursor: this.#root, openedAt: undefined }];
    this.#setCommands = new SetCommands(tree, this.#root, this.#observer, (diagnostic) => this.#report(diagnostic));
  }

  parse(text: string, level: readonly string[]): ParsedText {
    const refusal = refuseOtherFormats(text);
    if (refusal) return this.#result([refusal]);
    if (isXml(text)) {
      this.#parseXml(text);
      return this.#result(this.#diagnostics);
    }
    const lines = lexLines(readPastedText(text), ({ line, column, message }) =>
      this.#report({ severity: 'error', path: '', line, column, message: `syntax error: ${message}` }),
    );
    if (level.length > 0) this.#enterLevel(level, 0);
    for (const line of lines) this.#parseLine(line);
    this.#finish();
    return this.#result(this.#diagnostics);
  }

  #parseXml(text: string): void {
    const fault = (line: number, message: string): void => this.#report({ severity: 'error', path: '', line, message });
    const xml = readXml(text);
    if (!xml.ok) return fault(xml.error.line, xml.error.message);
    const configuration = findConfiguration(xml.value);
    if (configuration) placeXml(this.#root, configuration, this.#observer);
    else fault(1, 'this XML holds no <configuration>');
  }

  #result(diagnostics: readonly Diagnostic[]): ParsedText {
    return {
      tree: this.#tree,
      diagnostics,
      ignored: [...this.#ignored].map(([path, line]) => ({ path, line })),
      replaced: this.#replaced,
      usedSetCommands: this.#usedSetCommands,
    };
  }

  #parseLine({ tokens }: LexedLine): void {
    const [first] = tokens;
    if (first === undefined) return;
    if (this.#blocks.length === 1 && isSetCommand(tokens)) {
      const last = this.#lastWord();
      if (last) this.#endStatement(last, true);
      this.#leaveContinuation();
      this.#usedSetCommands = true;
      this.#setCommands.run(tokens);
      return;
    }
    this.#endUnterminated(first);
    if (this.#blocks.length === 1 && this.#pending.length === 0) this.#enterContinuation(tokens);
    for (const token of tokens) this.#accept(token);
    if (this.#outer && this.#blocks.length === 1 && this.#lastWord()) this.#endStatement(first, false);
  }

  /** `set security ike gateway g`, and on the next lines what belongs to it, as if in braces: wrong, but clear. */
  #enterContinuation(tokens: readonly Token[]): void {
    const cursor = this.#setCommands.last;
    const [first] = tokens;
    if (first?.kind !== 'word' || cursor?.schema?.children.has(first.text) !== true) return;
    if (this.#block.cursor.schema?.children.has(first.text) && !this.#outer) return;
    const rest = tokens.filter((token) => token.kind === 'word').map((token) => token.text);
    this.#report({
      severity: 'error',
      path: cursorPath(cursor),
      ...place(first),
      message: 'syntax error: every set command must say the whole path; this line goes on with the one before',
      fix: `set ${cursorPath(cursor)} ${quoteWords(rest)}`,
    });
    this.#outer ??= this.#block;
    this.#blocks = [{ cursor, openedAt: undefined }];
  }

  #leaveContinuation(): void {
    if (this.#outer) this.#blocks = [this.#outer];
    this.#outer = undefined;
  }

  /** A statement that is complete at the end of its line, and goes on with another word on the next one, lacks its semicolon. */
  #endUnterminated(next: Token): void {
    const last = this.#lastWord();
    if (next.kind !== 'word' || last === undefined || this.#brackets) return;
    const { cursor, target } = placeStatement(this.#block.cursor, this.#pending, SILENT);
    const isComplete = cursor.schema !== undefined && cursor === this.#block.cursor && target !== cursor.node;
    if (isComplete) this.#endStatement(last, true);
  }

  #accept(token: Token): void {
    switch (token.kind) {
      case 'word':
        return this.#acceptWord(token);
      case 'annotation':
        this.#annotation = token.text === '' ? undefined : token.text;
        return;
      case '[':
        this.#brackets ??= [];
        return;
      case ']':
        if (this.#brackets) this.#pending.push(this.#brackets);
        else this.#unexpected(token, 'a `]` without `[`');
        this.#brackets = undefined;
        return;
      case ';':
        return this.#endStatement(token, false);
      case '{':
        return this.#openBlock(token);
      case '}':
        return this.#closeBlock(token);
      case 'context':
        return this.#enterLevel(token.path ?? [], token.line);
    }
  }

  #acceptWord(token: Token): void {
    if (this.#brackets) this.#brackets.push(token);
    else if (this.#pending.length === 0 && !token.isQuoted && TAGS.has(token.text)) this.#tags.push(token.text);
    else this.#pending.push(token);
  }

  get #block(): Block {
    return this.#blocks.at(-1) ?? { cursor: this.#root, openedAt: undefined };
  }

  #lastWord(): Word | undefined {
    const last = this.#pending.at(-1);
    return last === undefined || 'text' in last ? last : last.at(-1);
  }

  #endStatement(token: Word, isMissing: boolean): void {
    this.#closeBrackets(token);
    const last = this.#lastWord();
    if (last === undefined) return;
    if (isMissing) {
      this.#report({
        severity: 'error',
        path: cursorPath(this.#block.cursor),
        line: last.line,
        column: last.column + last.text.length,
        message: 'syntax error: `;` expected at the end of the statement',
      });
    }
    const { cursor, target } = placeStatement(this.#block.cursor, this.#pending, this.#observer);
    checkEnd(cursor, last, false, this.#observer);
    this.#decorate(target);
    this.#pending = [];
  }

  #openBlock(token: Token): void {
    this.#closeBrackets(token);
    const last = this.#lastWord();
    if (last === undefined) this.#unexpected(token, 'a block without a name');
    if (this.#blocks.length >= DEPTH_MAX) {
      // What is inside counts as if it stood outside: the braces must be followed, the tree must not.
      this.#unexpected(token, `blocks nested deeper than ${DEPTH_MAX}`);
      this.#pending = [];
      this.#blocks.push({ cursor: this.#block.cursor, openedAt: undefined });
      return;
    }
    const { cursor, target } = placeStatement(this.#block.cursor, this.#pending, this.#observer);
    if (last) {
      checkEnd(cursor, last, true, this.#observer);
      if (cursor === this.#block.cursor)
        this.#observer.fault(cursor, last, { message: `syntax error: '${last.text}' takes no block` });
      this.#decorate(target);
      if (cursor.schema === undefined) target.grouping = 'braces';
    }
    this.#pending = [];
    this.#blocks.push({ cursor, openedAt: token });
  }

  #closeBlock(token: Token): void {
    if (this.#pending.length > 0) this.#endStatement(token, true);
    if (this.#blocks.length > 1) this.#blocks.pop();
    else this.#unexpected(token, 'a `}` without `{`');
  }

  #enterLevel(words: readonly string[], line: number): void {
    this.#finish();
    this.#leaveContinuation();
    // Banners and prompts say the level as it was typed.
    const path = expandPath([], words);
    const start = this.#tree.root;
    const depth = path.findIndex((_, index) => start.find(...path.slice(0, index + 1)) === undefined);
    if (depth >= 0) {
      this.#openedForContext = { parent: start.find(...path.slice(0, depth)) ?? start, path: path.slice(depth) };
    }
    const items = path.map((text) => ({ text, line, column: 1 }));
    const cursor = items.length === 0 ? this.#root : placeStatement(this.#root, items, this.#observer).cursor;
    this.#blocks = [{ cursor, openedAt: undefined }];
    this.#setCommands.edit(path);
  }

  /** At the end of the text, or of one pasted piece. */
  #finish(): void {
    const last = this.#lastWord();
    if (last && this.#blocks.length >= 1) this.#endStatement(last, true);
    for (const { openedAt } of this.#blocks.slice(1)) {
      if (openedAt) this.#unexpected(openedAt, 'the block that starts here has no `}`');
    }
    this.#blocks.length = 1;
    this.#brackets = undefined;
    this.#forgetEmptyContext();
  }

  /** A banner only says where we are: it makes no statements of its own. */
  #forgetEmptyContext(): void {
    const opened = this.#openedForContext;
    this.#openedForContext = undefined;
    const first = opened?.parent.child(opened.path[0] ?? '');
    if (opened && first && opened.parent.find(...opened.path)?.isLeaf) opened.parent.remove(first);
  }

  #closeBrackets(token: Word): void {
    if (!this.#brackets) return;
    this.#report({
      severity: 'error',
      path: cursorPath(this.#block.cursor),
      ...place(token),
      message: 'syntax error: `]` expected',
    });
    this.#pending.push(this.#brackets);
    this.#brackets = undefined;
  }

  #decorate(target: ConfigNode): void {
    if (this.#annotation !== undefined) target.annotation = this.#annotation;
    for (const tag of this.#tags) {
      if (tag === 'inactive:') target.isInactive = true;
      else if (tag === 'protect:') target.isProtected = true;
      else this.#replaced.push(pathOfPending(this.#block.cursor, this.#pending));
    }
    this.#tags = [];
    this.#annotation = undefined;
  }

  #unexpected(token: Word, what: string): void {
    this.#report({
      severity: 'error',
      path: cursorPath(this.#block.cursor),
      ...place(token),
      message: `syntax error: ${what}`,
    });
  }

  #report(diagnostic: Diagnostic): void {
    if (this.#diagnostics.length < DIAGNOSTICS_MAX) this.#diagnostics.push(diagnostic);
  }

  get #observer(): StatementObserver {
    return {
      fault: (cursor, word, fault, fix) => this.#report(faultDiagnostic(cursor, word, fault, fix)),
      ignored: (path, line) => {
        if (!this.#ignored.has(path)) this.#ignored.set(path, line);
      },
    };
  }
}

const SILENT: StatementObserver = { fault: () => undefined, ignored: () => undefined };

function place(word: Word): { line: number; column: number } {
  return { line: word.line, column: word.column };
}

function faultDiagnostic(cursor: Cursor, word: Word, fault: ValueFault, fix: string | undefined): Diagnostic {
  const path = cursorPath(cursor);
  const meant = fault.meant === undefined ? '' : `; did you mean '${fault.meant}'?`;
  const correction =
    fix ?? (fault.meant === undefined ? undefined : `set ${path === '' ? '' : `${path} `}${fault.meant}`);
  return {
    severity: 'error',
    path,
    ...place(word),
    message: `${fault.message}${meant}`,
    ...(correction !== undefined && { fix: correction }),
  };
}

function pathOfPending(cursor: Cursor, items: readonly StatementItem[]): string[] {
  const base = cursorPath(cursor);
  const words = items.flatMap((item) => ('text' in item ? [item.text] : item.map((word) => word.text)));
  return [...(base === '' ? [] : base.split(' ')), ...words];
}

/** What is plainly no text of Junos is refused with one sentence instead of a thousand syntax errors. */
function refuseOtherFormats(text: string): Diagnostic | undefined {
  const refuse = (message: string): Diagnostic => ({ severity: 'error', path: '', line: 1, message });
  if (text.includes('\0')) return refuse('not a text in UTF-8 (it may be UTF-16): save it as UTF-8');
  const template = /\{\{.*?\}\}|\{%.*?%\}/.exec(text);
  if (template) {
    const line = text.slice(0, template.index).split('\n').length;
    return { ...refuse(`a template, not a configuration: '${template[0]}' must be filled in first`), line };
  }
  return undefined;
}

function isXml(text: string): boolean {
  return text.replace(/^(?:\s|#.*(?:\n|$))+/, '').startsWith('<');
}

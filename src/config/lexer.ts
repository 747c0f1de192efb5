import type { SourceLine } from './pasted-text.ts';

export interface Token {
  readonly kind: 'word' | '{' | '}' | ';' | '[' | ']' | 'annotation' | 'context';
  readonly text: string;
  readonly isQuoted: boolean;
  readonly line: number;
  /** From 1. */
  readonly column: number;
  /** For `context`: the hierarchy that starts here. */
  readonly path?: readonly string[];
}

export interface LexicalFault {
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

export interface LexedLine {
  readonly number: number;
  readonly tokens: readonly Token[];
}

const PUNCTUATION: ReadonlyMap<string, Token['kind']> = new Map(
  (['{', '}', ';', '[', ']'] as const).map((mark) => [mark, mark]),
);
const BLANK = /\s/;

/**
 * Splits text into words and punctuation, line by line. Comments with `#` go; block comments become annotations, which belong to the
 * statement after them. Strings and block comments may span lines: they belong to the line where they start.
 */
export function* lexLines(
  lines: readonly SourceLine[],
  onFault: (fault: LexicalFault) => void,
): Generator<LexedLine, void> {
  const lexer = new Lexer(lines, onFault);
  // One line at a time: the tokens of 200,000 lines together would be most of the memory.
  for (let line = lexer.nextLine(); line !== undefined; line = lexer.nextLine()) yield line;
}

class Lexer {
  readonly #lines: readonly SourceLine[];
  readonly #onFault: (fault: LexicalFault) => void;
  #row = 0;
  #text = '';
  #offset = 0;

  constructor(lines: readonly SourceLine[], onFault: (fault: LexicalFault) => void) {
    this.#lines = lines;
    this.#onFault = onFault;
  }

  nextLine(): LexedLine | undefined {
    const line = this.#lines[this.#row];
    if (line === undefined) return undefined;
    this.#text = line.text;
    this.#offset = 0;
    const tokens: Token[] = [];
    if (line.context) {
      tokens.push({ kind: 'context', text: '', isQuoted: false, line: line.number, column: 1, path: line.context });
    }
    for (let token = this.#next(line.number); token !== undefined; token = this.#next(line.number)) tokens.push(token);
    this.#row++;
    return { number: line.number, tokens };
  }

  #next(line: number): Token | undefined {
    while (BLANK.test(this.#text[this.#offset] ?? '')) this.#offset++;
    const column = this.#offset + 1;
    const character = this.#text[this.#offset];
    // A `#` starts a comment only between words: `ge-0/0/0#1` would be a word.
    if (character === undefined || character === '#') return undefined;
    const token = (kind: Token['kind'], text: string, isQuoted = false): Token => ({
      kind,
      text,
      isQuoted,
      line,
      column,
    });
    if (this.#text.startsWith('/*', this.#offset)) return token('annotation', this.#blockComment(line, column));
    const mark = PUNCTUATION.get(character);
    if (mark) {
      this.#offset++;
      return token(mark, character);
    }
    return character === '"' ? token('word', this.#string(line, column), true) : token('word', this.#word());
  }

  #word(): string {
    const start = this.#offset;
    for (; this.#offset < this.#text.length; this.#offset++) {
      const character = this.#text[this.#offset] ?? '';
      // `${node}` has braces of its own.
      if (character === '$' && this.#text[this.#offset + 1] === '{') {
        const end = this.#text.indexOf('}', this.#offset);
        if (end > 0) this.#offset = end;
        continue;
      }
      if (BLANK.test(character) || character === '"' || PUNCTUATION.has(character)) break;
    }
    return this.#text.slice(start, this.#offset);
  }

  #string(line: number, column: number): string {
    let value = '';
    for (this.#offset++; ; this.#offset++) {
      const character = this.#text[this.#offset];
      if (character === undefined) {
        if (!this.#continueOnNextLine()) {
          this.#onFault({ line, column, message: 'the string that starts here has no closing quote' });
          return value;
        }
        value += '\n';
        this.#offset--;
      } else if (character === '\\' && this.#offset + 1 < this.#text.length) {
        this.#offset++;
        value += unescaped(this.#text[this.#offset] ?? '');
      } else if (character === '"') {
        this.#offset++;
        return value;
      } else {
        value += character;
      }
    }
  }

  #blockComment(line: number, column: number): string {
    let value = '';
    this.#offset += 2;
    for (;;) {
      const end = this.#text.indexOf('*/', this.#offset);
      value += this.#text.slice(this.#offset, end < 0 ? undefined : end);
      if (end >= 0) {
        this.#offset = end + 2;
        break;
      }
      if (!this.#continueOnNextLine()) {
        this.#onFault({ line, column, message: 'the comment that starts here has no end' });
        break;
      }
      value += '\n';
    }
    return value.trim();
  }

  #continueOnNextLine(): boolean {
    const next = this.#lines[this.#row + 1];
    if (next === undefined) {
      this.#offset = this.#text.length;
      return false;
    }
    this.#row++;
    this.#text = next.text;
    this.#offset = 0;
    return true;
  }
}

function unescaped(character: string): string {
  return character === 'n' ? '\n' : character === 't' ? '\t' : character;
}

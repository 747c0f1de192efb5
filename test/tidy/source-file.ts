import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { REPOSITORY_ROOT } from '../shared.ts';

/** One TypeScript source file, as the tidy tests look at it. */
export interface SourceFile {
  /** Relative to the repository's root, with forward slashes. */
  readonly path: string;
  readonly text: string;
  /** The same text, same length, with the insides of comments, strings and regular expressions blanked. */
  readonly code: string;
  readonly imports: readonly Import[];
}

/** What one `import` or `export … from` takes from another file of the project. */
export interface Import {
  /** Relative to the repository's root for a file of ours, else the package's name. */
  readonly target: string;
  readonly isOurs: boolean;
  /** Names as the target exports them; `*` for all of them. */
  readonly names: readonly string[];
  readonly isTypeOnly: boolean;
}

const SOURCE_FOLDERS = ['src', 'bin', 'lab', 'test', 'bench'];

/** Every TypeScript file of the project. */
export function readSources(): readonly SourceFile[] {
  return SOURCE_FOLDERS.flatMap((folder) => filesUnder(folder, /\.ts$/)).map(readSource);
}

/** Paths of the files under a folder whose names match, in order; empty if the folder is absent. */
export function filesUnder(folder: string, name: RegExp): readonly string[] {
  const absolute = join(REPOSITORY_ROOT, folder);
  let entries: readonly string[] = [];
  try {
    entries = readdirSync(absolute, { recursive: true, encoding: 'utf8' });
  } catch {
    return [];
  }
  return entries
    .filter((entry) => name.test(entry) && !/(^|\/)(node_modules|dist|\.build)\//.test(entry))
    .map((entry) => join(folder, entry))
    .toSorted((a, b) => (a < b ? -1 : 1));
}

function readSource(path: string): SourceFile {
  return parseSource(path, readFileSync(join(REPOSITORY_ROOT, path), 'utf8'));
}

/** The parts of a source text that the checks need. */
export function parseSource(path: string, text: string): SourceFile {
  const code = maskSource(text);
  return { path, text, code, imports: findImports(path, text, code) };
}

function findImports(path: string, text: string, code: string): Import[] {
  const found: Import[] = [];
  // The masked text finds the statement; the specifier itself is read from the original at the same place.
  const statement =
    /^(?:import\s*|import\b([^;'"=]*?)\bfrom\s*|export\s*((?:type\s*)?(?:\*[^;'"=]*?|\{[^}]*\}\s*))from\s*)(['"])/gm;
  for (const match of code.matchAll(statement)) {
    const clause = match[1] ?? match[2] ?? '';
    const start = match.index + match[0].length;
    const specifier = text.slice(start, text.indexOf(match[3] ?? '', start));
    const isOurs = specifier.startsWith('.');
    found.push({
      target: isOurs ? normalize(join(dirname(path), specifier)) : specifier,
      isOurs,
      names: importedNames(clause),
      isTypeOnly: /^\s*type\b/.test(clause),
    });
  }
  return found;
}

function importedNames(clause: string): string[] {
  if (clause.includes('*')) return ['*'];
  const braces = clause.match(/\{([^}]*)\}/)?.[1] ?? '';
  return braces
    .split(',')
    .map(
      (name) =>
        name
          .trim()
          .replace(/^type\s+/, '')
          .split(/\s+as\s+/)[0] ?? '',
    )
    .filter((name) => name !== '');
}

/** Line number, from 1, of an offset. */
export function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let index = 0; index < offset; index++) if (text.charCodeAt(index) === 10) line++;
  return line;
}

/** The same length and lines, with the insides of comments, string and template text, and regular expressions as spaces. */
export function maskSource(text: string): string {
  return new Masker(text).run();
}

/** Enough of TypeScript's lexical grammar to tell code from what only looks like it. */
class Masker {
  readonly #text: string;
  readonly #out: string[];
  #at = 0;
  /** For each open brace: whether it opened a template's `${`. */
  readonly #braces: boolean[] = [];
  /** The last character of code that is not a space, and the last word, to tell a division from a regular expression. */
  #previous = '';
  #word = '';

  constructor(text: string) {
    this.#text = text;
    this.#out = [...text.replace(/[\uD800-\uDFFF]/g, ' ')];
  }

  run(): string {
    while (this.#at < this.#text.length) this.#step();
    return this.#out.join('');
  }

  #step(): void {
    const character = this.#text.charAt(this.#at);
    const pair = this.#text.slice(this.#at, this.#at + 2);
    if (pair === '//') this.#blankUntil(this.#indexOf('\n', 2));
    else if (pair === '/*') this.#blankUntil(this.#indexOf('*/', 2) + 2);
    else if (character === "'" || character === '"') this.#string(character);
    else if (character === '`') this.#template();
    else if (character === '/' && this.#startsRegex()) this.#regex();
    else if (character === '}' && this.#braces.pop() === true) this.#template();
    else this.#code(character);
  }

  #code(character: string): void {
    if (character === '{') this.#braces.push(false);
    if (/[\w$]/.test(character)) {
      const continues = /[\w$]/.test(this.#text.charAt(this.#at - 1));
      this.#word = (continues ? this.#word : '') + character;
    } else if (/\S/.test(character)) this.#word = '';
    if (/\S/.test(character)) this.#previous = character;
    this.#at++;
  }

  #indexOf(wanted: string, skip: number): number {
    const found = this.#text.indexOf(wanted, this.#at + skip);
    return found < 0 ? this.#text.length : found;
  }

  #blankUntil(end: number): void {
    for (; this.#at < Math.min(end, this.#text.length); this.#at++) this.#blank();
  }

  #blank(): void {
    if (this.#out[this.#at] !== '\n') this.#out[this.#at] = ' ';
  }

  #string(quote: string): void {
    this.#at++;
    while (this.#at < this.#text.length && this.#text.charAt(this.#at) !== quote) this.#blankCharacter();
    this.#end(quote);
  }

  #template(): void {
    this.#at++;
    while (this.#at < this.#text.length && this.#text.charAt(this.#at) !== '`') {
      if (this.#text.startsWith('${', this.#at)) {
        this.#at += 2;
        this.#braces.push(true);
        this.#previous = '{';
        this.#word = '';
        return;
      }
      this.#blankCharacter();
    }
    this.#end('`');
  }

  #regex(): void {
    this.#at++;
    for (let inClass = false; this.#at < this.#text.length; ) {
      const character = this.#text.charAt(this.#at);
      if (character === '[') inClass = true;
      if (character === ']') inClass = false;
      if (character === '\n' || (character === '/' && !inClass)) break;
      this.#blankCharacter();
    }
    this.#end('/');
  }

  #blankCharacter(): void {
    const isEscape = this.#text.charAt(this.#at) === '\\';
    this.#blank();
    this.#at++;
    if (!isEscape) return;
    this.#blank();
    this.#at++;
  }

  #end(previous: string): void {
    this.#at++;
    this.#previous = previous === '/' ? ')' : previous;
    this.#word = '';
  }

  #startsRegex(): boolean {
    if (/^(return|typeof|case|of|in|instanceof)$/.test(this.#word)) return true;
    return this.#previous === '' || /[(,=:[!&|?{};+\-*%<>~^]/.test(this.#previous);
  }
}

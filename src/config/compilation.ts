import type { Origin } from '../model/gateway-config.ts';
import type { ConfigNode } from './config-node.ts';
import type { Diagnostic } from './diagnostic.ts';

/** A statement together with its path: what the compiler and the commit checks walk over. */
export class Statement {
  readonly node: ConfigNode;
  readonly #parent: Statement | undefined;

  constructor(node: ConfigNode, parent?: Statement) {
    this.node = node;
    this.#parent = parent;
  }

  get name(): string {
    return this.node.word;
  }

  get line(): number {
    return this.node.line;
  }

  get path(): string {
    const words: string[] = [];
    for (let at: Statement | undefined = this; at !== undefined; at = at.#parent) {
      if (at.node.word !== '') words.unshift(at.node.word);
    }
    return words.join(' ');
  }

  get origin(): Origin {
    return { path: this.path, line: this.line };
  }

  /** The statement that these words lead to from here. */
  at(...words: readonly string[]): Statement | undefined {
    let statement: Statement | undefined = this;
    for (const word of words) {
      const node: ConfigNode | undefined = statement.node.child(word);
      if (node === undefined) return undefined;
      statement = new Statement(node, statement);
    }
    return statement;
  }

  has(...words: readonly string[]): boolean {
    return this.node.find(...words) !== undefined;
  }

  /** The value of a leaf. */
  value(...words: readonly string[]): string | undefined {
    return this.node.find(...words)?.firstWord;
  }

  /** The value of a leaf that holds a number. */
  count(...words: readonly string[]): number | undefined {
    const word = this.value(...words);
    return word === undefined || !/^\d+$/.test(word) ? undefined : Number(word);
  }

  /** Entries of a list, or values of a leaf-list. */
  entries(...words: readonly string[]): Statement[] {
    const statement = this.at(...words);
    return statement?.node.children.map((child) => new Statement(child, statement)) ?? [];
  }

  words(...words: readonly string[]): string[] {
    return this.node.find(...words)?.children.map((child) => child.word) ?? [];
  }
}

/** What compiling and checking share: the tree, and where to say what is wrong. */
export class Compilation {
  readonly root: Statement;
  readonly diagnostics: Diagnostic[] = [];

  constructor(root: ConfigNode) {
    this.root = new Statement(root);
  }

  error(where: Statement, message: string, fix?: string): void {
    this.#report('error', where, message, fix);
  }

  warn(where: Statement, message: string, fix?: string): void {
    this.#report('warning', where, message, fix);
  }

  advise(where: Statement, message: string, fix?: string): void {
    this.#report('advice', where, message, fix);
  }

  #report(severity: Diagnostic['severity'], where: Statement, message: string, fix: string | undefined): void {
    const { path, line } = where;
    this.diagnostics.push({ severity, path, line, message, ...(fix !== undefined && { fix }) });
  }
}

// A tree in braces, as `show configuration` prints it.

import type { ConfigNode } from './config-node.ts';
import { isMarked, type Place, placeInside, type StatementView, statementsOf, TOP } from './statement-view.ts';
import { quoteWord, quoteWords } from './words.ts';

/** Keywords after which, in hierarchies that the schema does not know, a name follows: each name is a statement of its own. */
const KEYED: ReadonlySet<string> = new Set(
  (
    'unit family policy term filter route interface group neighbor user file host class rule rule-set zone security-zone ' +
    'from-zone to-zone area application application-set profile client pool range policy-statement prefix-list community ' +
    'ids-option redundancy-group node instance server destination-address source-address vlan address address-set ' +
    'address-book source destination static proxy-arp peer scheduler schedulers session-limit interfaces-range'
  ).split(' '),
);

export interface BracesOptions {
  /** Say of each inherited statement which group it comes from (`| display inheritance`). */
  readonly showsInheritance?: boolean;
  /** Lines of this text become the lines of the nodes; this is the number of the first one. */
  readonly firstLine?: number;
}

/** Everything below `node`, which stands at `place`; lines end in a line feed. */
export function printBraces(node: ConfigNode, place: Place = TOP, options: BracesOptions = {}): string {
  const printer = new BracesPrinter(options);
  printer.printInside(node, place, 0);
  return printer.text;
}

/** One statement with everything in it. */
export function printStatement(view: StatementView, options: BracesOptions = {}): string {
  const printer = new BracesPrinter(options);
  printer.print(view, 0);
  return printer.text;
}

class BracesPrinter {
  readonly #options: BracesOptions;
  readonly #lines: string[] = [];

  constructor(options: BracesOptions) {
    this.#options = options;
  }

  get text(): string {
    return this.#lines.map((line) => `${line}\n`).join('');
  }

  printInside(node: ConfigNode, place: Place, depth: number): void {
    for (const view of statementsOf(node, place)) this.print(view, depth);
  }

  print(view: StatementView, depth: number): void {
    if (view.kind === 'unknown') {
      const before = view.words.slice(0, -1);
      return this.#printUnknown(view.node, before.length === 0 ? '' : `${quoteWords(before)} `, depth);
    }
    const { node, schema } = view;
    const head = quoteWords(view.words);
    switch (view.kind) {
      case 'word':
        return this.#line(node, depth, `${head};`);
      case 'value': {
        const secret = schema?.isSecret ? ' ## SECRET-DATA' : '';
        return this.#line(node, depth, `${head} ${quoteWord(node.firstWord ?? '')};${secret}`);
      }
      case 'values':
        return this.#line(node, depth, `${head} ${bracketed(node)};`);
      case 'entries':
        return this.#block(view, head, depth);
      case 'block':
        return schema?.layout === 'one-line' && !isMarked(node)
          ? this.#printOneLine(view, head, depth)
          : this.#block(view, head, depth);
    }
  }

  #printOneLine(view: StatementView, head: string, depth: number): void {
    const [only, ...more] = statementsOf(view.node, placeInside(view));
    if (only === undefined || more.length > 0 || only.kind === 'unknown') return this.#block(view, head, depth);
    this.print({ ...only, words: [...view.words, ...only.words] }, depth);
    view.node.line = only.node.line;
  }

  #block(view: StatementView, head: string, depth: number): void {
    this.#line(view.node, depth, `${head} {`);
    this.printInside(view.node, placeInside(view), depth + 1);
    this.#lines.push(`${indent(depth)}}`);
  }

  /** Words that follow each other alone share a line, unless the text that said them had a brace there. */
  #printUnknown(node: ConfigNode, before: string, depth: number): void {
    const head = before + quoteWord(node.word);
    const { children } = node;
    if (node.isLeaf) return this.#line(node, depth, `${head};`);
    const isPlain = children.every((child) => child.isLeaf && !isMarked(child));
    if (node.grouping === 'brackets' && isPlain) return this.#line(node, depth, `${head} ${bracketed(node)};`);
    const mayShareLine = !isMarked(node) && node.grouping === undefined;
    if (mayShareLine && (children.length === 1 || (KEYED.has(node.word) && !isPlain))) {
      for (const child of children) this.#printUnknown(child, `${head} `, depth);
      return;
    }
    this.#line(node, depth, `${head} {`);
    for (const child of children) this.#printUnknown(child, '', depth + 1);
    this.#lines.push(`${indent(depth)}}`);
  }

  #line(node: ConfigNode, depth: number, text: string): void {
    const margin = indent(depth);
    if (node.annotation !== undefined) this.#lines.push(`${margin}/* ${node.annotation.replaceAll('*/', '* /')} */`);
    if (this.#options.showsInheritance && node.inheritedFrom !== undefined) {
      this.#lines.push(`${margin}##`, `${margin}## inherited from group '${node.inheritedFrom}'`, `${margin}##`);
    }
    if (this.#options.firstLine !== undefined) node.line = this.#options.firstLine + this.#lines.length;
    const tags = `${node.isProtected ? 'protect: ' : ''}${node.isInactive ? 'inactive: ' : ''}`;
    this.#lines.push(`${margin}${tags}${text}`);
  }
}

function bracketed(node: ConfigNode): string {
  const words = node.children.map((child) => quoteWord(child.word));
  return words.length === 1 ? (words[0] ?? '') : `[ ${words.join(' ')} ]`;
}

function indent(depth: number): string {
  return '    '.repeat(depth);
}

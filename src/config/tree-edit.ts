// Changes to a tree by path: what `delete`, `rename`, `insert` and their kin do.

import type { ConfigNode } from './config-node.ts';
import { placeAt } from './statement-view.ts';
import { checkValue } from './value-check.ts';

/**
 * Carries out one command of configuration mode at a level of the hierarchy. Returns what is wrong, in Junos' words where it has
 * some; the tree is then as before.
 */
export function applyChange(
  root: ConfigNode,
  verb: string,
  words: readonly string[],
  level: readonly string[] = [],
): string | undefined {
  const editor = new TreeEditor(root, level);
  switch (verb) {
    case 'delete':
      return editor.delete(words);
    case 'deactivate':
    case 'activate':
      return editor.mark(words, (node) => {
        node.isInactive = verb === 'deactivate';
      });
    case 'protect':
    case 'unprotect':
      return editor.mark(words, (node) => {
        node.isProtected = verb === 'protect';
      });
    case 'annotate':
      return editor.annotate(words);
    case 'rename':
    case 'copy':
      return editor.renameOrCopy(verb, words);
    case 'insert':
      return editor.insert(words);
    case 'replace':
      return editor.replacePattern(words);
    case 'wildcard':
      return editor.deleteMatching(words);
    default:
      return 'unknown command.';
  }
}

/** A statement with the statements above it, from the top: the path of `ancestors[n]` has n words. */
interface Found {
  readonly node: ConfigNode;
  readonly parent: ConfigNode;
  readonly ancestors: readonly ConfigNode[];
  readonly path: readonly string[];
}

class TreeEditor {
  readonly #root: ConfigNode;
  readonly #level: readonly string[];

  constructor(root: ConfigNode, level: readonly string[]) {
    this.#root = root;
    this.#level = level;
  }

  delete(words: readonly string[]): string | undefined {
    const found = this.#find(words);
    if (typeof found === 'string') return found;
    if (isProtected(found.node)) return `warning: '${found.node.word}' is protected, it cannot be deleted`;
    found.parent.remove(found.node);
    pruneEmptied(found);
    return undefined;
  }

  mark(words: readonly string[], change: (node: ConfigNode) => void): string | undefined {
    const found = this.#find(words);
    if (typeof found === 'string') return found;
    const { schema, among } = placeAt(found.path);
    // A list in the middle of a hierarchy has no line of its own: its entries have.
    const hasNoLine = among === 'entries' && schema?.layout !== 'wrapped';
    for (const node of hasNoLine ? found.node.children : [markedNode(found)]) change(node);
    return undefined;
  }

  annotate(words: readonly string[]): string | undefined {
    const text = words.at(-1);
    if (text === undefined || words.length < 2) return 'syntax error: annotate takes a statement and a comment';
    const found = this.#find(words.slice(0, -1));
    if (typeof found === 'string') return found;
    markedNode(found).annotation = text === '' ? undefined : text;
    return undefined;
  }

  renameOrCopy(verb: 'rename' | 'copy', words: readonly string[]): string | undefined {
    const to = words.lastIndexOf('to');
    const target = words.slice(to + 1);
    const name = target.at(-1);
    if (to < 2 || name === undefined) return `syntax error: ${verb} takes a statement, \`to\`, and its new name`;
    const found = this.#find(words.slice(0, to));
    if (typeof found === 'string') return found;
    const { node, parent, path } = found;
    // Junos repeats the keyword behind `to` (`rename proposal a to proposal b`); people leave it out.
    if (target.length > 1 && target[0] !== path.at(-2)) return `syntax error: '${target[0]}' is not '${path.at(-2)}'`;
    const { schema, among } = placeAt(path.slice(0, -1));
    if (among === 'statements' && schema) return `syntax error: '${node.word}' has no name that could change`;
    if (parent.child(name)) return `error: target '${name}' already exists`;
    const fault = schema?.key && checkValue(schema.key, name, false);
    if (fault) return `error: ${fault.message}`;
    if (verb === 'rename' && isProtected(node)) return `warning: '${node.word}' is protected, it cannot be renamed`;
    if (verb === 'rename') parent.replace(node, node.clone(name));
    else parent.append(node.clone(name));
    return undefined;
  }

  insert(words: readonly string[]): string | undefined {
    const at = Math.max(words.lastIndexOf('before'), words.lastIndexOf('after'));
    const position = words[at] === 'before' ? 'before' : 'after';
    const name = words.at(-1);
    if (at < 1 || name === undefined || at === words.length - 1) {
      return 'syntax error: insert takes a statement, `before` or `after`, and another statement';
    }
    const found = this.#find(words.slice(0, at));
    if (typeof found === 'string') return found;
    const reference = found.parent.child(name);
    if (reference === undefined || reference === found.node)
      return `error: '${name}' is not beside '${found.node.word}'`;
    found.parent.place(found.node, position, reference);
    return undefined;
  }

  /** `replace pattern A with B`: in every name and value from this level down. */
  replacePattern(words: readonly string[]): string | undefined {
    const [keyword, pattern, joint, replacement] = words;
    if (keyword !== 'pattern' || joint !== 'with' || pattern === undefined || replacement === undefined) {
      return 'syntax error: replace takes `pattern`, an expression, `with`, and a text';
    }
    const expression = expressionOf(pattern, 'g');
    const start = this.#root.find(...this.#level);
    if (expression === undefined) return `error: '${pattern}' is not a regular expression`;
    if (start) replaceBelow(start, expression, replacement);
    return undefined;
  }

  /** `wildcard delete PATH EXPRESSION`: every statement at that path whose name fits. */
  deleteMatching(words: readonly string[]): string | undefined {
    const [verb, ...rest] = words;
    const expression = expressionOf(rest.at(-1) ?? '(', '');
    if (verb !== 'delete' || rest.length < 2 || expression === undefined) {
      return 'syntax error: wildcard delete takes a statement and an expression for the names below it';
    }
    const path = rest.slice(0, -1);
    const names = this.#root.find(...this.#level, ...path)?.children.map((child) => child.word) ?? [];
    const fitting = names.filter((name) => expression.test(name));
    if (fitting.length === 0) return 'warning: statement not found';
    const faults = fitting.flatMap((name) => this.delete([...path, name]) ?? []);
    return faults[0];
  }

  #find(words: readonly string[]): Found | string {
    const path = [...this.#level, ...words];
    const ancestors: ConfigNode[] = [this.#root];
    for (const word of path) {
      const next = ancestors.at(-1)?.child(word);
      if (next === undefined) return 'warning: statement not found';
      ancestors.push(next);
    }
    const node = ancestors.at(-1);
    const parent = ancestors.at(-2);
    if (words.length === 0 || !node || !parent) return 'syntax error: a statement is missing';
    return { node, parent, ancestors, path };
  }
}

/** What is said of a value is kept on the keyword before it, which is what has a line. */
function markedNode({ node, parent, path }: Found): ConfigNode {
  const { schema, among } = placeAt(path.slice(0, -1));
  if (among === 'entries' || schema === undefined) return node;
  const isValue = schema.kind === 'leaf' || schema.kind === 'leaf-list';
  const isPositional = schema.positional !== undefined && !schema.children.has(node.word);
  return isValue || isPositional ? parent : node;
}

function isProtected(node: ConfigNode): boolean {
  return node.isProtected || node.children.some(isProtected);
}

/** A leaf without its value, or a container without statements, is gone too; an entry keeps its name. */
function pruneEmptied({ ancestors, path }: Found): void {
  for (let depth = ancestors.length - 2; depth >= 1; depth--) {
    const node = ancestors[depth];
    const parent = ancestors[depth - 1];
    if (node === undefined || parent === undefined || !node.isLeaf) return;
    if (placeAt(path.slice(0, depth - 1)).among === 'entries') return;
    parent.remove(node);
  }
}

function expressionOf(pattern: string, flags: string): RegExp | undefined {
  try {
    return new RegExp(pattern, flags);
  } catch {
    return undefined;
  }
}

/** A statement that would get the name of one that is there already keeps its own. */
function replaceBelow(node: ConfigNode, expression: RegExp, replacement: string): void {
  for (const child of node.children) {
    replaceBelow(child, expression, replacement);
    const word = child.word.replaceAll(expression, replacement);
    if (word !== child.word && node.child(word) === undefined) node.replace(child, child.clone(word));
  }
}

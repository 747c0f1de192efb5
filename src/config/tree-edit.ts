// Changes to a tree by path: what `delete`, `rename`, `insert` and their kin do.

import type { ConfigNode } from './config-node.ts';
import { schemaAt } from './junos-schema.ts';
import { checkValue } from './value-check.ts';

/** The node that a path of words leads to. */
export function findStatement(root: ConfigNode, path: readonly string[]): ConfigNode | undefined {
  return root.find(...path);
}

/** Carries out one command of configuration mode. Returns what is wrong, in Junos' words where it has some; the tree is then as before. */
export function applyChange(start: ConfigNode, verb: string, words: readonly string[]): string | undefined {
  switch (verb) {
    case 'delete':
      return withStatement(start, words, (node, parent) => deleteStatement(parent, node));
    case 'deactivate':
    case 'activate':
      return withStatement(start, words, (node) => mark(node, () => (node.isInactive = verb === 'deactivate')));
    case 'protect':
    case 'unprotect':
      return withStatement(start, words, (node) => setProtection(node, verb === 'protect'));
    case 'annotate':
      return annotate(start, words);
    case 'rename':
    case 'copy':
      return renameOrCopy(start, verb, words);
    case 'insert':
      return insert(start, words);
    default:
      return 'unknown command.';
  }
}

/** Removes the statement at `path`, with containers that are left empty by it; `false` if there is none. */
export function deletePath(root: ConfigNode, path: readonly string[]): boolean {
  return applyChange(root, 'delete', path) === undefined;
}

type Change = (node: ConfigNode, parent: ConfigNode, ancestors: readonly ConfigNode[]) => string | undefined;

function withStatement(start: ConfigNode, words: readonly string[], change: Change): string | undefined {
  const ancestors: ConfigNode[] = [start];
  for (const word of words) {
    const next = ancestors.at(-1)?.child(word);
    if (next === undefined) return 'warning: statement not found';
    ancestors.push(next);
  }
  const node = ancestors.at(-1);
  const parent = ancestors.at(-2);
  if (node === undefined || parent === undefined) return 'syntax error: a statement is missing';
  const fault = change(node, parent, ancestors);
  if (fault === undefined) pruneEmptied(ancestors);
  return fault;
}

function mark(_node: ConfigNode, change: () => void): undefined {
  change();
  return undefined;
}

function deleteStatement(parent: ConfigNode, node: ConfigNode): string | undefined {
  if (isProtected(node)) return `warning: '${node.word}' is protected, it cannot be deleted`;
  parent.remove(node);
  return undefined;
}

function isProtected(node: ConfigNode): boolean {
  return node.isProtected || node.children.some(isProtected);
}

function setProtection(node: ConfigNode, isProtected: boolean): undefined {
  node.isProtected = isProtected;
  return undefined;
}

/** A leaf without its value, or a list without entries, is no statement; a container that was named on purpose stays. */
function pruneEmptied(ancestors: readonly ConfigNode[]): void {
  const path = ancestors.slice(1).map((node) => node.word);
  for (let depth = ancestors.length - 2; depth >= 1; depth--) {
    const node = ancestors[depth];
    const parent = ancestors[depth - 1];
    if (node === undefined || parent === undefined || !node.isLeaf || parent.child(node.word) !== node) return;
    const kind = schemaAt(path.slice(0, depth))?.kind;
    const isEntry = schemaAt(path.slice(0, depth - 1))?.kind === 'list';
    if (isEntry || kind === 'flag') return;
    parent.remove(node);
  }
}

function annotate(start: ConfigNode, words: readonly string[]): string | undefined {
  const text = words.at(-1);
  if (text === undefined || words.length < 2) return 'syntax error: annotate takes a statement and a comment';
  return withStatement(start, words.slice(0, -1), (node) => {
    node.annotation = text === '' ? undefined : text;
    return undefined;
  });
}

function renameOrCopy(start: ConfigNode, verb: 'rename' | 'copy', words: readonly string[]): string | undefined {
  const to = words.lastIndexOf('to');
  const target = words.slice(to + 1);
  const source = words.slice(0, to);
  const name = target.at(-1);
  if (to < 2 || name === undefined) return `syntax error: ${verb} takes a statement, \`to\`, and its new name`;
  // Junos repeats the keyword behind `to` (`rename proposal a to proposal b`); people leave it out.
  if (target.length > 1 && target[0] !== source.at(-2)) return `syntax error: '${target[0]}' is not '${source.at(-2)}'`;
  return withStatement(start, source, (node, parent) => {
    if (parent.child(name)) return `error: target '${name}' already exists`;
    const key = schemaAt(source.slice(0, -1))?.key;
    const fault = key && checkValue(key, name, false);
    if (fault) return `error: ${fault.message}`;
    if (verb === 'rename' && isProtected(node)) return `warning: '${node.word}' is protected, it cannot be renamed`;
    if (verb === 'rename') parent.replace(node, node.clone(name));
    else parent.append(node.clone(name));
    return undefined;
  });
}

function insert(start: ConfigNode, words: readonly string[]): string | undefined {
  const at = Math.max(words.lastIndexOf('before'), words.lastIndexOf('after'));
  const position = words[at] === 'before' ? 'before' : 'after';
  const referenceName = words.at(-1);
  if (at < 1 || referenceName === undefined || at === words.length - 1) {
    return 'syntax error: insert takes a statement, `before` or `after`, and another statement';
  }
  return withStatement(start, words.slice(0, at), (node, parent) => {
    const reference = parent.child(referenceName);
    if (reference === undefined || reference === node) return `error: '${referenceName}' is not beside '${node.word}'`;
    parent.place(node, position, reference);
    return undefined;
  });
}

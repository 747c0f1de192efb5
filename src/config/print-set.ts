import type { ConfigNode } from './config-node.ts';
import { quoteWord, quoteWords } from './words.ts';

/** The tree as commands that make it (`| display set`). `path` is put in front of each; without it they are relative. */
export function printSet(node: ConfigNode, path: readonly string[] = []): string {
  const lines: string[] = [];
  for (const child of node.children) printNode(child, path.length === 0 ? '' : `${quoteWords(path)} `, lines);
  return lines.map((line) => `${line}\n`).join('');
}

function printNode(node: ConfigNode, before: string, lines: string[]): void {
  const path = before + quoteWord(node.word);
  if (node.isLeaf) lines.push(`set ${path}`);
  for (const child of node.children) printNode(child, `${path} `, lines);
  if (node.annotation !== undefined) {
    // Junos annotates statements of the level it is at.
    if (before === '') lines.push(`annotate ${path} ${quoteText(node.annotation)}`);
    else
      lines.push(`edit ${before.trimEnd()}`, `annotate ${quoteWord(node.word)} ${quoteText(node.annotation)}`, 'top');
  }
  if (node.isInactive) lines.push(`deactivate ${path}`);
  if (node.isProtected) lines.push(`protect ${path}`);
}

function quoteText(text: string): string {
  const quoted = quoteWord(text);
  return quoted.startsWith('"') ? quoted : `"${quoted}"`;
}

// `load patch`: carries out what `show | compare` printed.

import type { ConfigTree } from './config-node.ts';
import { emptyTree } from './config-node.ts';
import type { Diagnostic } from './diagnostic.ts';
import { parseText } from './text-parser.ts';
import { mergeTree, removeTree } from './tree-merge.ts';
import { quoteWords, splitWords } from './words.ts';

interface Hunk {
  readonly line: number;
  readonly path: readonly string[];
  readonly removed: string[];
  readonly added: string[];
}

/** Applies a patch to the tree, hunk by hunk, removals first. What does not fit is reported and left out. */
export function applyPatch(tree: ConfigTree, text: string): readonly Diagnostic[] {
  const diagnostics: Diagnostic[] = [];
  for (const hunk of readHunks(text, diagnostics)) {
    const parse = (lines: readonly string[]): ConfigTree => {
      const context = hunk.path.length === 0 ? '[edit]' : `[edit ${quoteWords(hunk.path)}]`;
      const parsed = parseText(`${context}\n${lines.join('\n')}\n`, emptyTree());
      diagnostics.push(
        ...parsed.diagnostics.map((diagnostic) => ({ ...diagnostic, line: hunk.line + diagnostic.line - 1 })),
      );
      return parsed.tree;
    };
    const missing = removeTree(tree.root, parse(hunk.removed).root, hunk.path);
    for (const path of missing) {
      diagnostics.push({ severity: 'warning', path, line: hunk.line, message: 'statement not found' });
    }
    mergeTree(tree.root, parse(hunk.added).root);
  }
  return diagnostics;
}

function readHunks(text: string, diagnostics: Diagnostic[]): Hunk[] {
  const hunks: Hunk[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    const banner = /^\[edit(?:\s+(.*))?\]\s*$/.exec(line.trim());
    const hunk = hunks.at(-1);
    if (banner) {
      hunks.push({ line: index + 1, path: splitWords(banner[1] ?? ''), removed: [], added: [] });
    } else if (line.startsWith('-') && hunk) hunk.removed.push(line.slice(1));
    else if (line.startsWith('+') && hunk) hunk.added.push(line.slice(1));
    else if (line.trim() !== '') {
      diagnostics.push({
        severity: 'error',
        path: '',
        line: index + 1,
        message: 'syntax error: not a line of a patch',
      });
    }
  }
  return hunks;
}

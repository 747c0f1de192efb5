// `show | compare`: what a tree has that another lacks, as the patch that Junos prints and `load patch` reads.

import { type ConfigNode, treesEqual } from './config-node.ts';
import { printStatement } from './print-braces.ts';
import { type Place, placeInside, type StatementView, statementsOf, TOP } from './statement-view.ts';
import { quoteWords } from './words.ts';

/** The patch that makes `after` out of `before`; empty if they say the same. Order counts only inside `[ ]`. */
export function compareTrees(before: ConfigNode, after: ConfigNode): string {
  const hunks: string[] = [];
  compareBlocks(before, after, TOP, [], hunks);
  return hunks.join('');
}

function compareBlocks(
  before: ConfigNode,
  after: ConfigNode,
  place: Place,
  path: readonly string[],
  hunks: string[],
): void {
  const old = new Map(statementsOf(before, place).map((view) => [keyOf(view), view]));
  const lines: string[] = [];
  const deeper: (() => void)[] = [];
  const current = statementsOf(after, place);
  const kept = new Set(current.map(keyOf));
  for (const [key, view] of old) if (!kept.has(key)) lines.push(...patchLines('-', view));
  for (const view of current) {
    const previous = old.get(keyOf(view));
    if (previous === undefined) lines.push(...patchLines('+', view));
    else if (canDescend(previous, view)) {
      const inside = [...path, ...view.words];
      deeper.push(() => compareBlocks(previous.node, view.node, placeInside(view), inside, hunks));
    } else if (!isSame(previous, view)) lines.push(...changeLines(previous, view));
  }
  if (lines.length > 0) hunks.push(`[edit${path.length === 0 ? '' : ` ${quoteWords(path)}`}]\n`, ...lines);
  for (const descend of deeper) descend();
}

/** Statements with the same key are the same statement, perhaps with another value. */
function keyOf(view: StatementView): string {
  return quoteWords(view.words);
}

function isSame(a: StatementView, b: StatementView): boolean {
  return treesEqual(a.node, b.node);
}

/** Both have braces, and nothing about the statement itself has changed. */
function canDescend(a: StatementView, b: StatementView): boolean {
  const isBlock = (view: StatementView): boolean =>
    view.kind === 'block' || view.kind === 'entries' || view.kind === 'unknown';
  const { node: x } = a;
  const { node: y } = b;
  const sameMarks = x.isInactive === y.isInactive && x.isProtected === y.isProtected && x.annotation === y.annotation;
  return isBlock(a) && isBlock(b) && !x.isLeaf && !y.isLeaf && sameMarks;
}

/** A leaf-list of which only members came or went shows those; one whose order changed shows as a whole. */
function changeLines(before: StatementView, after: StatementView): string[] {
  if (before.kind !== 'values' || after.kind !== 'values')
    return [...patchLines('-', before), ...patchLines('+', after)];
  const old = before.node.children.map((child) => child.word);
  const current = after.node.children.map((child) => child.word);
  const gone = old.filter((word) => !current.includes(word));
  const come = current.filter((word) => !old.includes(word));
  const result = [...old.filter((word) => current.includes(word)), ...come];
  const marksChanged =
    before.node.isInactive !== after.node.isInactive || before.node.annotation !== after.node.annotation;
  const isOrderKept = result.every((word, index) => word === current[index]);
  if (!isOrderKept || marksChanged) return [...patchLines('-', before), ...patchLines('+', after)];
  const only = (view: StatementView, words: readonly string[]): StatementView => {
    const node = view.node.clone();
    for (const child of node.children) if (!words.includes(child.word)) node.remove(child);
    return { ...view, node };
  };
  return [
    ...(gone.length > 0 ? patchLines('-', only(before, gone)) : []),
    ...(come.length > 0 ? patchLines('+', only(after, come)) : []),
  ];
}

function patchLines(sign: '+' | '-', view: StatementView): string[] {
  const lines = printStatement(view).split('\n').slice(0, -1);
  // Junos sets a single statement one column further in than a block.
  const margin = lines.length === 1 ? '    ' : '   ';
  return lines.map((line) => `${sign}${margin}${line}\n`);
}

import type { ConfigNode } from './config-node.ts';
import { type Place, placeBelow, TOP } from './statement-view.ts';

/** `load merge`: adds everything that `added` says; single values, and alternatives, give way. */
export function mergeTree(target: ConfigNode, added: ConfigNode, place: Place = TOP): void {
  for (const child of added.children) {
    const below = placeBelow(place, child.word);
    if (place.among === 'statements') removeAlternatives(target, child, place);
    const isValue = place.among === 'statements' && place.schema?.kind === 'leaf';
    if (isValue && target.child(child.word) === undefined) target.clear();
    const existing = target.child(child.word);
    if (existing === undefined) {
      target.append(child.clone());
      continue;
    }
    takeMarks(existing, child);
    mergeTree(existing, child, below);
  }
}

/**
 * Removes from the statement at `path` everything that `removed` says there, down to its values; the statement itself stays.
 * Gives the paths of those that are not there.
 */
export function removeTree(root: ConfigNode, removed: ConfigNode, path: readonly string[]): string[] {
  const missing: string[] = [];
  const visit = (target: ConfigNode | undefined, source: ConfigNode, at: readonly string[]): void => {
    for (const child of source.children) {
      const below = [...at, child.word];
      const existing = target?.child(child.word);
      if (existing === undefined || target === undefined) missing.push(below.join(' '));
      else {
        if (!child.isLeaf) visit(existing, child, below);
        if (existing.isLeaf || child.isLeaf) target.remove(existing);
      }
    }
  };
  const source = removed.find(...path);
  if (source) visit(root.find(...path), source, path);
  return missing;
}

/** `load replace`: what is at `path` is taken from `source` as it is there. */
export function replaceAt(target: ConfigNode, source: ConfigNode, path: readonly string[]): void {
  const replacement = source.find(...path);
  let parent = target;
  for (const word of path.slice(0, -1)) parent = parent.ensure(word, 0);
  const existing = parent.child(path.at(-1) ?? '');
  if (existing && replacement) parent.replace(existing, replacement.clone());
  else if (replacement) parent.append(replacement.clone());
}

function removeAlternatives(target: ConfigNode, chosen: ConfigNode, place: Place): void {
  const choice = place.schema?.children.get(chosen.word)?.choice;
  if (choice === undefined) return;
  for (const other of target.children) {
    const isAlternative = other.word !== chosen.word && place.schema?.children.get(other.word)?.choice === choice;
    if (isAlternative) target.remove(other);
  }
}

function takeMarks(target: ConfigNode, source: ConfigNode): void {
  target.line = source.line;
  target.isInactive ||= source.isInactive;
  target.isProtected ||= source.isProtected;
  target.annotation = source.annotation ?? target.annotation;
}

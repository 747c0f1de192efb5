// What holds in the end: inactive statements left out, groups taken over (`apply-groups`, wildcards, `apply-groups-except`).

import { ConfigNode } from './config-node.ts';
import { JUNOS_SCHEMA } from './junos-schema.ts';
import type { SchemaNode } from './schema-node.ts';

/** The tree that is compiled. Nodes taken from a group know its name; the original is left alone and may share nodes with the result. */
export function effectiveTree(root: ConfigNode): ConfigNode {
  const active = hasInactive(root) ? withoutInactive(root) : root;
  const groups = active.child('groups');
  if (groups === undefined || !hasApplyGroups(active)) return active;
  const result = active.clone();
  new Inheritance(groups).apply(result);
  return result;
}

/** One group's statements that match the place reached. */
interface Source {
  readonly group: string;
  readonly nodes: readonly ConfigNode[];
}

class Inheritance {
  readonly #groups: ConfigNode;

  constructor(groups: ConfigNode) {
    this.#groups = groups;
  }

  apply(root: ConfigNode): void {
    const sources = this.#groups.children.map((group) => ({ group: group.word, nodes: [group] }));
    this.#inherit(root, { schema: JUNOS_SCHEMA, atKey: false }, sources, []);
  }

  /** `active` are the names of the groups that apply here, the nearest first: what an earlier one says holds. */
  #inherit(node: ConfigNode, place: Place, sources: readonly Source[], active: readonly string[]): void {
    const here = [...new Set([...this.#applied(node, 'apply-groups'), ...active])];
    const except = this.#applied(node, 'apply-groups-except');
    const names = here.filter((name) => !except.includes(name));
    for (const name of names) {
      for (const { group, nodes } of sources) {
        if (group === name) for (const source of nodes) takeOver(node, source, place, name);
      }
    }
    for (const child of node.children) {
      if (child.word === 'groups' || sources.length === 0) continue;
      const below = sources
        .map(({ group, nodes }) => ({ group, nodes: nodes.flatMap((source) => matching(source, child.word)) }))
        .filter(({ nodes }) => nodes.length > 0);
      if (below.length > 0 || child.child('apply-groups'))
        this.#inherit(child, placeBelow(place, child.word), below, names);
    }
  }

  #applied(node: ConfigNode, statement: string): string[] {
    const words = node.child(statement)?.children.map((child) => child.word) ?? [];
    // `${node}` is the name of the member of a cluster; alone, we are the first.
    return words.map((word) => word.replace(/\$\{node\}/, 'node0'));
  }
}

interface Place {
  readonly schema: SchemaNode | undefined;
  readonly atKey: boolean;
}

function placeBelow(place: Place, word: string): Place {
  if (place.schema === undefined) return place;
  if (place.atKey) return { schema: place.schema, atKey: false };
  const schema = place.schema.children.get(word);
  return { schema, atKey: schema?.kind === 'list' };
}

function takeOver(node: ConfigNode, source: ConfigNode, place: Place, group: string): void {
  const { schema } = place;
  // A leaf that says something itself, and a choice already made, are not overruled by a group.
  if (schema?.kind === 'leaf' && !node.isLeaf) return;
  for (const child of source.children) {
    if (child.word.startsWith('<') || child.word.startsWith('apply-groups') || node.child(child.word)) continue;
    const choice = place.atKey ? undefined : schema?.children.get(child.word)?.choice;
    const isDecided =
      choice !== undefined && node.children.some((other) => schema?.children.get(other.word)?.choice === choice);
    if (isDecided) continue;
    const inherited = new ConfigNode(child.word, child.line);
    inherited.inheritedFrom = group;
    inherited.grouping = child.grouping;
    node.append(inherited);
  }
}

/** The statements of a group that stand for `word`: the same word, and patterns that it fits. */
function matching(source: ConfigNode, word: string): ConfigNode[] {
  return source.children.filter(
    (child) => child.word === word || (child.word.startsWith('<') && fits(child.word, word)),
  );
}

/** `<*>`, `<ge-*>`, `<*.0>`, `<st[0-9]>`: shell patterns in angle brackets. */
function fits(pattern: string, word: string): boolean {
  if (pattern === '<*>') return true;
  const expression = pattern
    .slice(1, -1)
    .replaceAll(/[.+^${}()|\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  try {
    return new RegExp(`^${expression}$`).test(word);
  } catch {
    // A pattern that is none, such as `<[>`, fits nothing.
    return false;
  }
}

function hasInactive(node: ConfigNode): boolean {
  return node.isInactive || node.children.some(hasInactive);
}

function hasApplyGroups(node: ConfigNode): boolean {
  return node.word === 'apply-groups' || node.children.some(hasApplyGroups);
}

function withoutInactive(node: ConfigNode): ConfigNode {
  const copy = node.clone();
  removeInactive(copy);
  return copy;
}

function removeInactive(node: ConfigNode): void {
  for (const child of node.children) {
    if (child.isInactive) node.remove(child);
    else removeInactive(child);
  }
}

/** How the operator's text grouped words that the schema does not know, so that they are shown back the same way. */
export type Grouping = 'braces' | 'brackets';

/** Above this many children, a node looks them up through an index instead of one by one. */
const INDEX_THRESHOLD = 8;

/**
 * One word of the configuration, with the words that follow it. `security ike proposal p dh-group group14` is a chain of six
 * nodes. Braces and `set` commands are two ways of writing the same tree; the schema says which words are keys and values.
 */
export class ConfigNode {
  readonly word: string;
  /** Line of the text that said it last, from 1; 0 where no text did. */
  line: number;
  isInactive = false;
  isProtected = false;
  /** Came from this configuration group, not from the text at this place. */
  inheritedFrom: string | undefined;
  annotation: string | undefined;
  grouping: Grouping | undefined;
  #children: ConfigNode[] = [];
  #index: Map<string, ConfigNode> | undefined;

  constructor(word: string, line = 0) {
    this.word = word;
    this.line = line;
  }

  get children(): readonly ConfigNode[] {
    return this.#children;
  }

  get isLeaf(): boolean {
    return this.#children.length === 0;
  }

  /** The first word below, which is the value where the schema says that this node is a leaf. */
  get firstWord(): string | undefined {
    return this.#children[0]?.word;
  }

  child(word: string): ConfigNode | undefined {
    if (this.#children.length <= INDEX_THRESHOLD) {
      for (const node of this.#children) if (node.word === word) return node;
      return undefined;
    }
    this.#index ??= new Map(this.#children.map((node) => [node.word, node]));
    return this.#index.get(word);
  }

  /** Follows several words down. */
  find(...words: readonly string[]): ConfigNode | undefined {
    let node: ConfigNode | undefined = this;
    for (const word of words) node = node?.child(word);
    return node;
  }

  /** The child with this word, made at the end if it is not there yet. */
  ensure(word: string, line: number): ConfigNode {
    const existing = this.child(word);
    if (existing) {
      if (line > 0) existing.line = line;
      return existing;
    }
    return this.append(new ConfigNode(word, line));
  }

  /** Adds a child whose word must not be there yet. */
  append(node: ConfigNode): ConfigNode {
    this.#children.push(node);
    this.#index?.set(node.word, node);
    return node;
  }

  /** Puts a child (new or already here) right before or after another one. */
  place(node: ConfigNode, position: 'before' | 'after', reference: ConfigNode): void {
    const rest = this.#children.filter((other) => other !== node);
    const index = rest.indexOf(reference) + (position === 'after' ? 1 : 0);
    rest.splice(index, 0, node);
    this.#children = rest;
    this.#index = undefined;
  }

  /** Puts `node` where `old` was. */
  replace(old: ConfigNode, node: ConfigNode): void {
    this.#children = this.#children.map((child) => (child === old ? node : child));
    this.#index = undefined;
  }

  remove(node: ConfigNode): void {
    this.#children = this.#children.filter((child) => child !== node);
    this.#index = undefined;
  }

  clear(): void {
    this.#children = [];
    this.#index = undefined;
  }

  /** A copy that shares nothing, under another word if one is given. */
  clone(word: string = this.word): ConfigNode {
    const copy = new ConfigNode(word, this.line);
    copy.isInactive = this.isInactive;
    copy.isProtected = this.isProtected;
    copy.annotation = this.annotation;
    copy.grouping = this.grouping;
    copy.inheritedFrom = this.inheritedFrom;
    copy.#children = this.#children.map((child) => child.clone());
    return copy;
  }
}

/** A whole configuration, as it was said: groups not yet applied, inactive statements still in it. */
export interface ConfigTree {
  readonly root: ConfigNode;
}

export function emptyTree(): ConfigTree {
  return { root: new ConfigNode('') };
}

/** Whether both say the same in the same order; lines and grouping of words do not count. */
export function treesEqual(a: ConfigNode, b: ConfigNode): boolean {
  return (
    a.word === b.word &&
    a.isInactive === b.isInactive &&
    a.isProtected === b.isProtected &&
    a.annotation === b.annotation &&
    a.children.length === b.children.length &&
    a.children.every((child, index) => treesEqual(child, b.children[index] ?? child))
  );
}

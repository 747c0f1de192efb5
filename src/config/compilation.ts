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

/** A security policy that sends traffic through a VPN. */
export interface TunnelPolicy {
  readonly statement: Statement;
  readonly fromZone: string;
  readonly toZone: string;
  /** Among all such policies, in the order in which they are looked at. */
  readonly position: number;
}

/** What compiling and checking share: the tree, and where to say what is wrong. */
export class Compilation {
  readonly root: Statement;
  readonly diagnostics: Diagnostic[] = [];
  #tunnelPolicies: ReadonlyMap<string, readonly TunnelPolicy[]> | undefined;
  #zones: ReadonlyMap<string, Statement> | undefined;

  constructor(root: ConfigNode) {
    this.root = new Statement(root);
  }

  /** The policies that send traffic through a VPN, by the VPN's name. */
  get tunnelPolicies(): ReadonlyMap<string, readonly TunnelPolicy[]> {
    this.#tunnelPolicies ??= indexTunnelPolicies(this.root);
    return this.#tunnelPolicies;
  }

  /** The security zone that an interface is in; unit 0 if the name says none. */
  zoneOf(name: string): Statement | undefined {
    this.#zones ??= indexZones(this.root);
    return this.#zones.get(name.includes('.') ? name : `${name}.0`) ?? this.#zones.get('all');
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

function indexTunnelPolicies(root: Statement): ReadonlyMap<string, readonly TunnelPolicy[]> {
  const index = new Map<string, TunnelPolicy[]>();
  let position = 0;
  for (const from of root.entries('security', 'policies', 'from-zone')) {
    for (const to of from.entries('to-zone')) {
      for (const statement of to.entries('policy')) {
        const vpn = statement.value('then', 'permit', 'tunnel', 'ipsec-vpn');
        if (vpn === undefined) continue;
        const policy = { statement, fromZone: from.name, toZone: to.name, position: position++ };
        const others = index.get(vpn);
        if (others) others.push(policy);
        else index.set(vpn, [policy]);
      }
    }
  }
  return index;
}

function indexZones(root: Statement): ReadonlyMap<string, Statement> {
  const zones = new Map<string, Statement>();
  for (const zone of root.entries('security', 'zones', 'security-zone')) {
    for (const name of zone.words('interfaces'))
      zones.set(name.includes('.') || name === 'all' ? name : `${name}.0`, zone);
  }
  return zones;
}

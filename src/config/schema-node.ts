// The configuration language as data: which statements there are, what they take, what they mean here.
// One table drives parsing, checking, completion, help and the printed guide.

/** What a statement or a list entry may say. */
export type ValueType =
  | { readonly kind: 'text'; readonly min: number; readonly max: number }
  | { readonly kind: 'number'; readonly min: number; readonly max: number; readonly unit?: string }
  | { readonly kind: 'choice'; readonly options: Readonly<Record<string, string>> }
  | { readonly kind: 'address'; readonly family?: 4 | 6 }
  /** `isBare`: an address without a length is a host prefix. */
  | { readonly kind: 'prefix'; readonly isBare: boolean }
  | { readonly kind: 'host' }
  /** `ge-0/0/0.0`, or without a unit where `needsUnit` is not set. */
  | { readonly kind: 'interface'; readonly needsUnit: boolean }
  /** The name of an entry defined under this path. */
  | { readonly kind: 'reference'; readonly to: readonly string[]; readonly max: number };

export type Support = 'supported' | 'no-effect' | 'not-supported';

export interface SchemaNode {
  readonly name: string;
  readonly kind: 'container' | 'list' | 'leaf' | 'leaf-list' | 'flag';
  readonly help: string;
  readonly children: ReadonlyMap<string, SchemaNode>;
  /** What names an entry of a list. */
  readonly key?: ValueType;
  /** What a leaf, or each entry of a leaf-list, holds. */
  readonly value?: ValueType;
  /** A value that a container or an entry takes without a keyword, such as the prefix of an `address`. */
  readonly positional?: { readonly name: string; readonly value: ValueType };
  /** Every statement of this hierarchy is in the schema: another word is a typo. Otherwise unknown words are kept and ignored. */
  readonly isWhole: boolean;
  /**
   * How braces show it. `wrapped`: entries stand inside one pair of braces (`interfaces { ge-0/0/0 {...} }`); `one-line`: a single
   * statement below shares the line; `joined`: each statement below stands on its own behind these words (`from-zone a to-zone b`).
   */
  readonly layout: 'braces' | 'wrapped' | 'one-line' | 'joined';
  /** Statements with the same choice replace each other. */
  readonly choice?: string;
  readonly default?: string;
  readonly isMandatory: boolean;
  readonly isSecret: boolean;
  /** Most entries that a list or leaf-list may have. */
  readonly maxEntries?: number;
  /** Name of an entry in XML and JSON where it is not that of the list (`interfaces { ... }` holds each `interface`). */
  readonly itemElement?: string;
  /** In XML and JSON the value of this leaf stands in an element of its own, such as `identity-ipv4`. */
  readonly valueElement?: string;
  readonly support: Support;
  /** Why it is without effect, or what is missing. */
  readonly reason?: string;
}

/** What may be said about a statement besides its name and help. */
export interface SchemaOptions {
  readonly choice?: string;
  readonly default?: string;
  readonly layout?: SchemaNode['layout'];
  readonly isOpen?: boolean;
  readonly isMandatory?: boolean;
  readonly isSecret?: boolean;
  readonly maxEntries?: number;
  readonly positional?: SchemaNode['positional'];
  readonly itemElement?: string;
  readonly valueElement?: string;
  readonly noEffect?: string;
  readonly notSupported?: string;
}

export function container(
  name: string,
  help: string,
  children: readonly SchemaNode[],
  options: SchemaOptions = {},
): SchemaNode {
  return make('container', name, help, children, options);
}

export function list(
  name: string,
  help: string,
  key: ValueType,
  children: readonly SchemaNode[],
  options: SchemaOptions = {},
): SchemaNode {
  return { ...make('list', name, help, children, options), key };
}

export function leaf(name: string, help: string, value: ValueType, options: SchemaOptions = {}): SchemaNode {
  return { ...make('leaf', name, help, [], options), value };
}

export function leafList(name: string, help: string, value: ValueType, options: SchemaOptions = {}): SchemaNode {
  return { ...make('leaf-list', name, help, [], options), value };
}

export function flag(name: string, help: string, options: SchemaOptions = {}): SchemaNode {
  return make('flag', name, help, [], options);
}

/** A statement of Junos that has nothing to do with VPNs: kept, shown back and listed as ignored. */
export function open(name: string, help: string): SchemaNode {
  return make('container', name, help, [], { isOpen: true });
}

export function text(max: number, min = 1): ValueType {
  return { kind: 'text', min, max };
}

/** Text of any length. */
export const TEXT: ValueType = text(4096);

export function number(min: number, max: number, unit?: string): ValueType {
  return unit === undefined ? { kind: 'number', min, max } : { kind: 'number', min, max, unit };
}

export function options(values: Readonly<Record<string, string>>): ValueType {
  return { kind: 'choice', options: values };
}

export function reference(max: number, ...to: readonly string[]): ValueType {
  return { kind: 'reference', to, max };
}

export const ADDRESS: ValueType = { kind: 'address' };
export const IPV4: ValueType = { kind: 'address', family: 4 };
export const IPV6: ValueType = { kind: 'address', family: 6 };
export const PREFIX: ValueType = { kind: 'prefix', isBare: true };
export const PREFIX_WITH_LENGTH: ValueType = { kind: 'prefix', isBare: false };
export const HOST: ValueType = { kind: 'host' };
export const INTERFACE: ValueType = { kind: 'interface', needsUnit: false };
export const INTERFACE_UNIT: ValueType = { kind: 'interface', needsUnit: true };

/** Junos' names of proposals, policies, gateways and VPNs. */
export const NAME: ValueType = text(32);

/** Statements that may stand in every hierarchy. */
export const EVERYWHERE: ReadonlyMap<string, SchemaNode> = new Map(
  [
    leafList('apply-groups', 'Take over the statements of these groups', reference(254, 'groups')),
    leafList('apply-groups-except', 'Do not take over these groups here', reference(254, 'groups')),
    { ...open('apply-macro', 'Data for commit scripts'), support: 'no-effect' as const },
  ].map((node) => [node.name, node]),
);

function make(
  kind: SchemaNode['kind'],
  name: string,
  help: string,
  children: readonly SchemaNode[],
  given: SchemaOptions,
): SchemaNode {
  const reason = given.noEffect ?? given.notSupported;
  return {
    name,
    kind,
    help,
    children: new Map(children.map((child) => [child.name, child])),
    isWhole: given.isOpen !== true,
    layout: given.layout ?? 'braces',
    isMandatory: given.isMandatory ?? false,
    isSecret: given.isSecret ?? false,
    support:
      given.noEffect !== undefined ? 'no-effect' : given.notSupported !== undefined ? 'not-supported' : 'supported',
    ...(given.choice !== undefined && { choice: given.choice }),
    ...(given.default !== undefined && { default: given.default }),
    ...(given.maxEntries !== undefined && { maxEntries: given.maxEntries }),
    ...(given.positional !== undefined && { positional: given.positional }),
    ...(given.itemElement !== undefined && { itemElement: given.itemElement }),
    ...(given.valueElement !== undefined && { valueElement: given.valueElement }),
    ...(reason !== undefined && { reason }),
  };
}

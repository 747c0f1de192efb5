// The configuration as elements: the form that XML and JSON share.

import type { ConfigNode } from './config-node.ts';
import { EVERYWHERE, type SchemaNode } from './schema-node.ts';
import { type Place, TOP } from './statement-view.ts';

export interface Element {
  readonly name: string;
  /** One of possibly several of this name: an array in JSON. */
  readonly isItem: boolean;
  readonly text?: string;
  readonly isNumber: boolean;
  readonly children: readonly Element[];
  readonly isInactive: boolean;
  readonly isProtected: boolean;
  readonly annotation?: string;
}

/** Words that can name an element; others are values. */
const ELEMENT_NAME = /^[A-Za-z_][A-Za-z0-9._-]*$/;

/** Everything below `node`. */
export function elementsOf(node: ConfigNode, place: Place = TOP): Element[] {
  const { schema } = place;
  if (schema === undefined) return node.children.flatMap(unknownElements);
  if (place.among === 'entries') return node.children.map((entry) => entryElement(entry, schema));
  return node.children.flatMap((child) => {
    const known = schema.children.get(child.word) ?? EVERYWHERE.get(child.word);
    if (known) return knownElements(child, known);
    return schema.positional ? [textElement(child, schema.positional.name, child.word, false)] : unknownElements(child);
  });
}

function knownElements(node: ConfigNode, schema: SchemaNode): Element[] {
  switch (schema.kind) {
    case 'flag':
      return [element(node, schema.name, [])];
    case 'leaf':
      return [leafElement(node, schema)];
    case 'leaf-list':
      return node.children.map((value) => ({ ...textElement(node, schema.name, value.word, false), isItem: true }));
    case 'container':
      return [element(node, schema.name, elementsOf(node, { schema, among: 'statements' }))];
    case 'list':
      if (schema.name === 'from-zone') return zonePairs(node, schema);
      if (schema.itemElement === undefined) return node.children.map((entry) => entryElement(entry, schema));
      return [
        element(
          node,
          schema.name,
          node.children.map((entry) => entryElement(entry, schema)),
        ),
      ];
  }
}

function leafElement(node: ConfigNode, schema: SchemaNode): Element {
  const value = node.firstWord;
  if (value === undefined) return element(node, schema.name, []);
  const isNumber = schema.value?.kind === 'number';
  if (schema.valueElement === undefined) return textElement(node, schema.name, value, isNumber);
  return element(node, schema.name, [{ ...EMPTY, name: schema.valueElement, text: value, isNumber }]);
}

function entryElement(entry: ConfigNode, schema: SchemaNode): Element {
  const name: Element = { ...EMPTY, name: 'name', text: entry.word };
  const inside = elementsOf(entry, { schema, among: 'statements' });
  const children = [name, ...(schema.name === 'apply-macro' ? inside.map(macroData) : inside)];
  return { ...element(entry, schema.itemElement ?? schema.name, children), isItem: true };
}

/** Junos knows no statements inside `apply-macro`: each is `data` with a name and, mostly, a value. */
function macroData({ text, ...setting }: Element): Element {
  const name: Element = { ...EMPTY, name: 'name', text: setting.name };
  const value = text === undefined ? [] : [{ ...EMPTY, name: 'value', text }];
  return { ...setting, name: 'data', isItem: true, isNumber: false, children: [name, ...value] };
}

/** `from-zone a to-zone b` is one element with two names. */
function zonePairs(node: ConfigNode, schema: SchemaNode): Element[] {
  const to = schema.children.get('to-zone');
  return node.children.flatMap((from) =>
    (from.child('to-zone')?.children ?? []).map((entry) => {
      const names = [
        { ...EMPTY, name: 'from-zone-name', text: from.word },
        { ...EMPTY, name: 'to-zone-name', text: entry.word },
      ];
      const children = [...names, ...elementsOf(entry, { schema: to, among: 'statements' })];
      return { ...element(entry, 'policy', children), isItem: true };
    }),
  );
}

/** Without a schema, words that cannot name an element are taken for names of entries, and a last word for a value. */
function unknownElements(node: ConfigNode): Element[] {
  const { children } = node;
  if (node.isLeaf) {
    return ELEMENT_NAME.test(node.word)
      ? [element(node, node.word, [])]
      : [textElement(node, 'name', node.word, false)];
  }
  const name = ELEMENT_NAME.test(node.word) ? node.word : 'item';
  const prefix = name === node.word ? [] : [{ ...EMPTY, name: 'name', text: node.word }];
  const values = children.filter((child) => child.isLeaf);
  if (
    values.length === children.length &&
    (children.length === 1 || !children.every((child) => ELEMENT_NAME.test(child.word)))
  ) {
    return children.map((child) => ({ ...textElement(node, name, child.word, false), isItem: children.length > 1 }));
  }
  if (children.every((child) => ELEMENT_NAME.test(child.word))) {
    return [element(node, name, [...prefix, ...children.flatMap(unknownElements)])];
  }
  return children.map((child) => ({
    ...element(child, name, [{ ...EMPTY, name: 'name', text: child.word }, ...child.children.flatMap(unknownElements)]),
    isItem: true,
  }));
}

const EMPTY: Element = {
  name: '',
  isItem: false,
  isNumber: false,
  children: [],
  isInactive: false,
  isProtected: false,
};

function element(node: ConfigNode, name: string, children: readonly Element[]): Element {
  const { annotation } = node;
  return {
    ...EMPTY,
    name,
    children,
    isInactive: node.isInactive,
    isProtected: node.isProtected,
    ...(annotation !== undefined && { annotation }),
  };
}

function textElement(node: ConfigNode, name: string, text: string, isNumber: boolean): Element {
  return { ...element(node, name, []), text, isNumber };
}

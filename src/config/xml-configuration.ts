// A configuration in XML, as NETCONF and `| display xml` give it, placed into the tree statement by statement.

import type { ConfigNode } from './config-node.ts';
import type { SchemaNode } from './schema-node.ts';
import { type Cursor, placeStatement, type StatementObserver } from './statement.ts';
import type { XmlElement } from './xml-reader.ts';

/** Elements that are not statements themselves, only wrap some. */
const TRANSPARENT = new Set(['undocumented', 'configuration', 'data', 'rpc-reply', 'reply']);

/** Elements that name the entry that they are in. */
const NAMES = new Set(['name', 'from-zone-name', 'to-zone-name']);

/** The `configuration` element somewhere in a reply. */
export function findConfiguration(root: XmlElement): XmlElement | undefined {
  if (root.name === 'configuration') return root;
  for (const child of root.children) {
    const found = findConfiguration(child);
    if (found) return found;
  }
  return undefined;
}

/** Places everything inside `element` below `cursor`. */
export function placeXml(cursor: Cursor, element: XmlElement, observer: StatementObserver): void {
  let annotation: string | undefined;
  for (const child of element.children) {
    if (NAMES.has(child.name)) continue;
    if (child.name === 'comment') {
      annotation = child.text.replace(/^\s*\/\*\s*/, '').replace(/\s*\*\/\s*$/, '');
      continue;
    }
    const target = placeElement(cursor, child, observer);
    if (target) decorate(target, child, annotation);
    annotation = undefined;
  }
}

function placeElement(cursor: Cursor, element: XmlElement, observer: StatementObserver): ConfigNode | undefined {
  const texts = macroData(element);
  if (TRANSPARENT.has(element.name) && texts === undefined) {
    placeXml(cursor, element, observer);
    return undefined;
  }
  const put = (...texts: readonly string[]) =>
    placeStatement(
      cursor,
      texts.map((text) => ({ text, line: element.line, column: 1 })),
      observer,
    );
  if (texts) return put(...texts).target;
  const { schema } = cursor;
  if (schema?.positional?.name === element.name) return put(element.text.trim()).target;
  const zones = zonePair(element, schema);
  const known = schema?.children.get(element.name);
  const name = element.children.find((child) => child.name === 'name')?.text.trim();
  const value = element.children.length === 0 ? element.text.trim() : undefined;
  if (zones) return placeInside(put(...zones), element, observer);
  if (known?.itemElement !== undefined) return placeItems(put(known.name), known, element, observer);
  if (known?.kind === 'leaf' || known?.kind === 'leaf-list') {
    return put(known.name, value ?? element.children[0]?.text.trim() ?? '').target;
  }
  if (known?.kind === 'list') return placeInside(put(known.name, name ?? value ?? ''), element, observer);
  // Facilities of `syslog` have no keyword of their own in text.
  const keyword = element.name === 'contents' && name !== undefined ? '' : element.name;
  const words = [keyword, name ?? value ?? ''].filter((word) => word !== '');
  return placeInside(put(...words), element, observer);
}

/** A setting inside `apply-macro` is an element `data` with its name and, mostly, a value. */
function macroData(element: XmlElement): readonly string[] | undefined {
  const text = (name: string) => element.children.find((child) => child.name === name)?.text.trim();
  const name = element.name === 'data' ? text('name') : undefined;
  if (name === undefined) return undefined;
  const value = text('value');
  return value === undefined ? [name] : [name, value];
}

interface Placed {
  readonly cursor: Cursor;
  readonly target: ConfigNode;
}

function placeInside(placed: Placed, element: XmlElement, observer: StatementObserver): ConfigNode {
  placeXml(placed.cursor, element, observer);
  return placed.target;
}

function placeItems(placed: Placed, list: SchemaNode, element: XmlElement, observer: StatementObserver): ConfigNode {
  for (const item of element.children) {
    if (item.name !== list.itemElement) continue;
    const text = item.children.find((child) => child.name === 'name')?.text.trim() ?? '';
    const entry = placeStatement(placed.cursor, [{ text, line: item.line, column: 1 }], observer);
    placeXml(entry.cursor, item, observer);
    decorate(entry.target, item, undefined);
  }
  return placed.target;
}

function zonePair(element: XmlElement, schema: SchemaNode | undefined): readonly string[] | undefined {
  if (element.name !== 'policy' || schema?.children.has('from-zone') !== true) return undefined;
  const text = (name: string) => element.children.find((child) => child.name === name)?.text.trim();
  const from = text('from-zone-name');
  const to = text('to-zone-name');
  return from === undefined || to === undefined ? undefined : ['from-zone', from, 'to-zone', to];
}

function decorate(target: ConfigNode, element: XmlElement, annotation: string | undefined): void {
  if (element.attributes.get('inactive') === 'inactive') target.isInactive = true;
  if (element.attributes.get('protect') === 'protect') target.isProtected = true;
  if (annotation !== undefined) target.annotation = annotation;
}

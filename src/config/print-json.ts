import type { ConfigNode } from './config-node.ts';
import { type Element, elementsOf } from './element.ts';
import { type Place, TOP } from './statement-view.ts';

type Json = string | number | null | readonly Json[] | { readonly [key: string]: Json };

/** The configuration as `| display json` prints it: lists are arrays of objects with a `name`, a statement without value is `[null]`. */
export function printJson(node: ConfigNode, place: Place = TOP): string {
  return `${JSON.stringify({ configuration: objectOf(elementsOf(node, place)) }, undefined, 4)}\n`;
}

function objectOf(elements: readonly Element[]): { readonly [key: string]: Json } {
  // A map first: a word such as `__proto__` must become a member like any other.
  const members = new Map<string, Json>();
  for (const element of elements) {
    const { name } = element;
    const value = jsonOf(element);
    const before = members.get(name);
    if (Array.isArray(before)) members.set(name, [...before, value]);
    else if (before !== undefined) members.set(name, [before, value]);
    else members.set(name, element.isItem ? [value] : value);
    // Marks of a leaf cannot stand in it: they are beside it.
    const marks = marksOf(element);
    if (marks && (element.text !== undefined || element.children.length === 0)) members.set(`@${name}`, marks);
  }
  return Object.fromEntries(members);
}

function jsonOf(element: Element): Json {
  if (element.text !== undefined) return element.isNumber ? Number(element.text) : element.text;
  // JSON has no other way to say "there, without a value".
  if (element.children.length === 0) return [null];
  const marks = marksOf(element);
  return { ...(marks && { '@': marks }), ...objectOf(element.children) };
}

function marksOf(element: Element): { readonly [key: string]: Json } | undefined {
  const marks = {
    ...(element.isInactive && { inactive: 'inactive' }),
    ...(element.isProtected && { protect: 'protect' }),
    ...(element.annotation !== undefined && { comment: `/* ${element.annotation} */` }),
  };
  return Object.keys(marks).length === 0 ? undefined : marks;
}

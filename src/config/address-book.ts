import { type AddressRange, parseAddress, parsePrefix, prefixRange } from '../model/address.ts';
import type { Compilation, Statement } from './compilation.ts';

/** Sets may hold sets: deeper than this, they hold themselves. */
const DEPTH_MAX = 16;
const KEYWORDS = new Set(['description', 'dns-name', 'wildcard-address', 'range-address', 'address-range']);

/** The addresses that a name of a security policy stands for, in the books of its zone and in the global one. Unknown names are reported. */
export function resolveAddress(
  compilation: Compilation,
  user: Statement,
  zone: string,
  name: string,
): readonly AddressRange[] {
  if (name === 'any' || name === 'any-ipv4') return [range('0.0.0.0/0')];
  if (name === 'any-ipv6') return [range('::/0')];
  for (const book of booksOf(compilation.root, zone)) {
    const found = lookUp(book, name, 0);
    if (found) return found;
  }
  compilation.error(
    user,
    `address '${name}' is not in an address book of zone ${zone}, or has no fixed addresses`,
    `set security address-book global address ${name} <prefix>`,
  );
  return [];
}

function booksOf(root: Statement, zone: string): Statement[] {
  const books = root.entries('security', 'address-book');
  const attached = books.filter((book) => book.has('attach', 'zone', zone));
  const legacy = root.at('security', 'zones', 'security-zone', zone, 'address-book');
  const global = books.filter((book) => book.name === 'global');
  return [...attached, ...(legacy ? [legacy] : []), ...global];
}

function lookUp(book: Statement, name: string, depth: number): readonly AddressRange[] | undefined {
  const entry = book.at('address', name);
  if (entry) return addressesOf(entry);
  const set = book.at('address-set', name);
  if (set === undefined || depth >= DEPTH_MAX) return undefined;
  const members = [...set.words('address'), ...set.words('address-set')];
  return members.flatMap((member) => lookUp(book, member, depth + 1) ?? []);
}

function addressesOf(entry: Statement): readonly AddressRange[] | undefined {
  const prefix = entry.node.children.find((child) => !KEYWORDS.has(child.word));
  if (prefix) return [range(prefix.word)];
  for (const kind of ['range-address', 'address-range']) {
    const low = entry.at(kind)?.node.firstWord;
    const high = low === undefined ? undefined : entry.value(kind, low, 'to');
    const first = parseAddress(low?.replace(/\/.*/, '') ?? '');
    const last = parseAddress(high?.replace(/\/.*/, '') ?? '');
    if (first !== undefined && last !== undefined) return [{ first, last }];
  }
  return undefined;
}

function range(text: string): AddressRange {
  const prefix = parsePrefix(text) ?? parsePrefix('0.0.0.0/32');
  if (prefix === undefined) throw new RangeError('0.0.0.0/32 is a prefix');
  return prefixRange(prefix);
}

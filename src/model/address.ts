import { invariant } from '../lib/invariant.ts';

declare const brand: unique symbol;

/** An IPv4 or IPv6 address as its canonical text (RFC 5952 §4 for IPv6), so that equal addresses are equal strings. */
export type IpAddress = string & { readonly [brand]: 'IpAddress' };
export type AddressFamily = 4 | 6;

/** An address with the length of its network part in bits. The host bits are kept: `network` clears them. */
export interface Prefix {
  readonly address: IpAddress;
  readonly length: number;
}

/** Every address from `first` to `last`, both included, of one family. */
export interface AddressRange {
  readonly first: IpAddress;
  readonly last: IpAddress;
}

/** One end of a UDP conversation. */
export interface UdpEndpoint {
  readonly address: IpAddress;
  readonly port: number;
}

/** Both ends of a UDP conversation, seen from here. */
export interface UdpPath {
  readonly local: UdpEndpoint;
  readonly remote: UdpEndpoint;
}

export function pathsEqual(a: UdpPath, b: UdpPath): boolean {
  return endpointsEqual(a.local, b.local) && endpointsEqual(a.remote, b.remote);
}

function endpointsEqual(a: UdpEndpoint, b: UdpEndpoint): boolean {
  return a.address === b.address && a.port === b.port;
}

/** Parses either family; `undefined` if `text` is not exactly one address. */
export function parseAddress(text: string): IpAddress | undefined {
  const octets = text.includes(':') ? parseIpv6(text) : parseIpv4(text);
  return octets && addressFromOctets(octets);
}

/** For addresses that this program writes itself, such as constants and tests; throws on anything else. */
export function address(text: string): IpAddress {
  const parsed = parseAddress(text);
  invariant(parsed !== undefined, `${text} is an address`);
  return parsed;
}

export function addressFamily(value: IpAddress): AddressFamily {
  return value.includes(':') ? 6 : 4;
}

/** 4 or 16 octets in network order, in a new array. */
export function addressOctets(value: IpAddress): Uint8Array {
  const octets = value.includes(':') ? parseIpv6(value) : parseIpv4(value);
  invariant(octets !== undefined, 'an IpAddress is canonical');
  return octets;
}

export function addressFromOctets(octets: Uint8Array): IpAddress {
  invariant(octets.length === 4 || octets.length === 16, 'an address has 4 or 16 octets');
  const [a, b, c, d] = octets;
  return (octets.length === 4 ? `${a}.${b}.${c}.${d}` : formatIpv6(octets)) as IpAddress;
}

/** Parses `address/length`, or an address alone as a host prefix. */
export function parsePrefix(text: string): Prefix | undefined {
  const slash = text.indexOf('/');
  const parsed = parseAddress(slash < 0 ? text : text.slice(0, slash));
  if (parsed === undefined) return undefined;
  const bits = addressBits(parsed);
  if (slash < 0) return { address: parsed, length: bits };
  const digits = text.slice(slash + 1);
  if (!/^\d{1,3}$/.test(digits) || Number(digits) > bits) return undefined;
  return { address: parsed, length: Number(digits) };
}

export function formatPrefix(prefix: Prefix): string {
  return `${prefix.address}/${prefix.length}`;
}

/** The prefix with its host bits cleared. */
export function network(prefix: Prefix): Prefix {
  return { address: prefixRange(prefix).first, length: prefix.length };
}

export function prefixRange(prefix: Prefix): AddressRange {
  const first = addressOctets(prefix.address);
  const last = first.slice();
  for (let index = prefix.length >> 3; index < first.length; index++) {
    const hostMask = 0xff >> Math.max(0, prefix.length - index * 8);
    first[index] = (first[index] ?? 0) & ~hostMask;
    last[index] = (last[index] ?? 0) | hostMask;
  }
  return { first: addressFromOctets(first), last: addressFromOctets(last) };
}

/** The one prefix that covers exactly this range, if there is one. */
export function rangePrefix(range: AddressRange): Prefix | undefined {
  const first = addressOctets(range.first);
  const last = addressOctets(range.last);
  // It can only be as long as what the two ends have in common.
  const differing = first.findIndex((octet, index) => octet !== last[index]);
  const inCommon =
    differing < 0
      ? first.length * 8
      : differing * 8 + Math.clz32((first[differing] ?? 0) ^ (last[differing] ?? 0)) - 24;
  const prefix = { address: range.first, length: inCommon };
  const whole = prefixRange(prefix);
  return whole.first === range.first && whole.last === range.last ? prefix : undefined;
}

/** Orders addresses of one family as numbers; IPv4 sorts before IPv6. */
export function compareAddresses(a: IpAddress, b: IpAddress): number {
  const left = addressOctets(a);
  const right = addressOctets(b);
  if (left.length !== right.length) return left.length - right.length;
  for (let index = 0; index < left.length; index++) {
    const difference = (left[index] ?? 0) - (right[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

export function rangeContains(range: AddressRange, value: IpAddress): boolean {
  if (addressFamily(range.first) !== addressFamily(value)) return false;
  return compareAddresses(range.first, value) <= 0 && compareAddresses(value, range.last) <= 0;
}

/** Address length in bits: 32 or 128. */
export function addressBits(value: IpAddress): number {
  return addressFamily(value) === 4 ? 32 : 128;
}

export function formatEndpoint(endpoint: UdpEndpoint): string {
  return addressFamily(endpoint.address) === 6
    ? `[${endpoint.address}]:${endpoint.port}`
    : `${endpoint.address}:${endpoint.port}`;
}

const DOT = 0x2e;
const DIGIT_0 = 0x30;
const DIGIT_9 = 0x39;

function parseIpv4(text: string): Uint8Array | undefined {
  // Digit by digit: addresses are parsed for every message of IKE.
  const octets = new Uint8Array(4);
  let count = 0;
  let value = 0;
  let digitCount = 0;
  for (let at = 0; at <= text.length; at++) {
    const code = at < text.length ? text.charCodeAt(at) : DOT;
    if (code === DOT) {
      if (digitCount === 0 || count === octets.length) return undefined;
      octets[count++] = value;
      value = 0;
      digitCount = 0;
      continue;
    }
    if (code < DIGIT_0 || code > DIGIT_9 || ++digitCount > 3) return undefined;
    value = value * 10 + code - DIGIT_0;
    if (value > 255) return undefined;
  }
  return count === octets.length ? octets : undefined;
}

function parseIpv6(text: string): Uint8Array | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const groups = halves.map(parseIpv6Groups);
  const [head, tail] = groups;
  if (head === undefined || (halves.length === 2 && tail === undefined)) return undefined;
  const given = head.length + (tail?.length ?? 0);
  if (halves.length === 1 ? given !== 16 : given > 14) return undefined;
  const octets = new Uint8Array(16);
  octets.set(head, 0);
  if (tail) octets.set(tail, 16 - tail.length);
  return octets;
}

function parseIpv6Groups(text: string): number[] | undefined {
  if (text === '') return [];
  const octets: number[] = [];
  const parts = text.split(':');
  for (const [index, part] of parts.entries()) {
    if (index === parts.length - 1 && part.includes('.')) {
      const embedded = parseIpv4(part);
      if (!embedded) return undefined;
      octets.push(...embedded);
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return undefined;
      const group = Number.parseInt(part, 16);
      octets.push(group >> 8, group & 0xff);
    }
  }
  return octets;
}

/** RFC 5952 §4: lower case, no leading zeros, the first longest run of two or more zero groups as `::`. */
function formatIpv6(octets: Uint8Array): string {
  const groups = Array.from(
    { length: 8 },
    (_, index) => ((octets[index * 2] ?? 0) << 8) | (octets[index * 2 + 1] ?? 0),
  );
  let longest = { start: 0, length: 0 };
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === 0) length++;
    if (length > longest.length) longest = { start, length };
  }
  const text = groups.map((group) => group.toString(16));
  if (longest.length < 2) return text.join(':');
  return `${text.slice(0, longest.start).join(':')}::${text.slice(longest.start + longest.length).join(':')}`;
}

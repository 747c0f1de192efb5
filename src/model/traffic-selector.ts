import {
  type AddressRange,
  addressFamily,
  compareAddresses,
  formatPrefix,
  type IpAddress,
  type Prefix,
  prefixRange,
  rangePrefix,
} from './address.ts';

/** Ports from `first` to `last`, both included. For ICMP: type x 256 + code (RFC 4301 §4.4.1.1). */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** One side of what an SA carries (RFC 4301 §4.4.1.1). */
export interface TrafficSelector {
  readonly addresses: AddressRange;
  /** IP protocol number; 0 for any. */
  readonly protocol: number;
  readonly ports: PortRange;
}

/** What an SA carries, seen from this gateway. */
export interface SelectorPair {
  readonly local: TrafficSelector;
  readonly remote: TrafficSelector;
}

export const ANY_PORT: PortRange = { first: 0, last: 65_535 };
export const ANY_PROTOCOL = 0;

export function selectorFromPrefix(prefix: Prefix): TrafficSelector {
  return { addresses: prefixRange(prefix), protocol: ANY_PROTOCOL, ports: ANY_PORT };
}

export function selectorFromAddress(host: IpAddress): TrafficSelector {
  return { addresses: { first: host, last: host }, protocol: ANY_PROTOCOL, ports: ANY_PORT };
}

export function selectorsEqual(a: TrafficSelector, b: TrafficSelector): boolean {
  return (
    a.addresses.first === b.addresses.first &&
    a.addresses.last === b.addresses.last &&
    a.protocol === b.protocol &&
    a.ports.first === b.ports.first &&
    a.ports.last === b.ports.last
  );
}

/** Whether everything that `inner` matches is matched by `outer` too. */
export function selectorContains(outer: TrafficSelector, inner: TrafficSelector): boolean {
  return (
    addressFamily(outer.addresses.first) === addressFamily(inner.addresses.first) &&
    compareAddresses(outer.addresses.first, inner.addresses.first) <= 0 &&
    compareAddresses(inner.addresses.last, outer.addresses.last) <= 0 &&
    (outer.protocol === ANY_PROTOCOL || outer.protocol === inner.protocol) &&
    outer.ports.first <= inner.ports.first &&
    inner.ports.last <= outer.ports.last
  );
}

/** `10.1.0.0/16`, `10.1.0.7`, or `10.1.0.1-10.1.0.9`. */
export function formatRange(range: AddressRange): string {
  if (range.first === range.last) return range.first;
  const prefix = rangePrefix(range);
  return prefix ? formatPrefix(prefix) : `${range.first}-${range.last}`;
}

/** The range, followed by protocol and ports where they are limited: `10.1.0.0/16 proto 6 port 443`. */
export function formatSelector(selector: TrafficSelector): string {
  const protocol = selector.protocol === ANY_PROTOCOL ? '' : ` proto ${selector.protocol}`;
  const { first, last } = selector.ports;
  const anyPort = first === ANY_PORT.first && last === ANY_PORT.last;
  const ports = anyPort ? '' : first === last ? ` port ${first}` : ` ports ${first}-${last}`;
  return `${formatRange(selector.addresses)}${protocol}${ports}`;
}

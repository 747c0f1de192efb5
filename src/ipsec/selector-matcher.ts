import { type AddressFamily, addressFamily, addressOctets, type IpAddress } from '../model/address.ts';
import { ANY_PORT, ANY_PROTOCOL, type SelectorPair, type TrafficSelector } from '../model/traffic-selector.ts';
import { type Flow, PORT_UNKNOWN } from './flow.ts';
import { uint32At } from './octets.ts';

/** Which way a packet goes: outbound ones come from the local side of a selector pair. */
export type Direction = 'outbound' | 'inbound';

/** A selector pair ready to be compared with packets, without an allocation for each (RFC 4301 §4.4.1.1). */
export class SelectorMatcher {
  readonly family: AddressFamily;
  readonly local: SideMatcher;
  readonly remote: SideMatcher;
  readonly protocol: number;
  /** Whether ports, or ICMP's type and code, matter: only a whole packet has them (RFC 4301 §7). */
  readonly namesPorts: boolean;

  constructor(selectors: SelectorPair) {
    this.family = addressFamily(selectors.local.addresses.first);
    this.local = new SideMatcher(selectors.local);
    this.remote = new SideMatcher(selectors.remote);
    this.namesPorts = !this.local.isAnyPort || !this.remote.isAnyPort;
    // IKEv1 names the protocol on both sides; if only one side does, that one counts.
    this.protocol = selectors.local.protocol === ANY_PROTOCOL ? selectors.remote.protocol : selectors.local.protocol;
  }

  /** Whether the packet in `flow` is one that this pair covers. */
  matches(flow: Flow, direction: Direction): boolean {
    if (flow.family !== this.family) return false;
    if (this.protocol !== ANY_PROTOCOL && this.protocol !== flow.protocol) return false;
    return direction === 'outbound'
      ? this.local.contains(flow, 0, flow.sourcePort) && this.remote.contains(flow, 4, flow.destinationPort)
      : this.local.contains(flow, 4, flow.destinationPort) && this.remote.contains(flow, 0, flow.sourcePort);
  }

  /** Whether protocol and ports fit: for an inbound packet whose addresses are not its own, as in transport mode through UDP. */
  matchesUpperLayer(flow: Flow): boolean {
    if (this.protocol !== ANY_PROTOCOL && this.protocol !== flow.protocol) return false;
    return this.local.containsPort(flow.destinationPort) && this.remote.containsPort(flow.sourcePort);
  }
}

const matchers = new WeakMap<SelectorPair, SelectorMatcher>();

/** The matcher of these selectors: the two SAs of a pair, which come with the same ones, share it. */
export function selectorMatcher(selectors: SelectorPair): SelectorMatcher {
  const known = matchers.get(selectors);
  if (known !== undefined) return known;
  const made = new SelectorMatcher(selectors);
  matchers.set(selectors, made);
  return made;
}

/** One side of a pair. */
export class SideMatcher {
  readonly first: Uint32Array;
  readonly last: Uint32Array;
  readonly firstPort: number;
  readonly lastPort: number;
  readonly isAnyPort: boolean;
  readonly #isAnything: boolean;

  constructor(selector: TrafficSelector) {
    this.first = addressWords(selector.addresses.first);
    this.last = addressWords(selector.addresses.last);
    this.firstPort = selector.ports.first;
    this.lastPort = selector.ports.last;
    this.isAnyPort = this.firstPort === ANY_PORT.first && this.lastPort === ANY_PORT.last;
    const isAnyAddress = this.first.every((word) => word === 0) && this.last.every((word) => word === 0xffff_ffff);
    this.#isAnything = this.isAnyPort && isAnyAddress;
  }

  /** `word` says which address of the flow is meant: 0 the source, 4 the destination. */
  contains(flow: Flow, word: number, port: number): boolean {
    // As route-based VPNs have it.
    if (this.#isAnything) return true;
    return (
      this.containsPort(port) &&
      compareWords(flow.addresses, word, this.first) >= 0 &&
      compareWords(flow.addresses, word, this.last) <= 0
    );
  }

  containsPort(port: number): boolean {
    return this.isAnyPort || (port !== PORT_UNKNOWN && port >= this.firstPort && port <= this.lastPort);
  }
}

/** An address as one or four words, most significant first. */
function addressWords(value: IpAddress): Uint32Array {
  const octets = addressOctets(value);
  return Uint32Array.from({ length: octets.length / 4 }, (_, index) => uint32At(octets, index * 4));
}

/** Orders the address at `addresses[offset]` and the one that `bound` holds; as many words as `bound` has. */
export function compareWords(addresses: Uint32Array, offset: number, bound: Uint32Array): number {
  for (let index = 0; index < bound.length; index++) {
    const difference = (addresses[offset + index] ?? 0) - (bound[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

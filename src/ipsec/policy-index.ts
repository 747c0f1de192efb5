// Finding the first of many policies that covers a packet (RFC 4301 §4.4.1) in time that grows with the logarithm of their number.
//
// Each policy is a box in five dimensions: remote and local address, remote and local port, protocol. Addresses are replaced by
// ranks among all bounds, found by binary search, so that every dimension is a range of small integers. A node that holds many
// boxes splits them by one dimension: a range is laid over at most 2 log n cells of a binary tree, and a packet's coordinate lies
// in log n cells; each cell is a node of the next dimension. Nodes are split when a packet first reaches them.

import type { AddressFamily } from '../model/address.ts';
import { ANY_PROTOCOL } from '../model/traffic-selector.ts';
import { type Flow, PORT_UNKNOWN } from './flow.ts';
import { compareWords, type SelectorMatcher, type SideMatcher } from './selector-matcher.ts';

const DIMENSIONS = 5;
/** So many boxes are compared one after another. */
const LEAF_MAX = 8;
const PORT_ANY_LAST = 65_536;
const PROTOCOL_LAST = 255;

/** What a table needs to know of an entry. */
export interface TableEntry {
  readonly policy: { readonly order: number };
  readonly matcher: SelectorMatcher;
}

interface Box<E> {
  readonly entry: E;
  /** Position in the SPD: the lowest that matches decides. */
  readonly position: number;
  /** First and last coordinate for each dimension. */
  readonly bounds: Int32Array;
}

/** An immutable index of the policies of one address family. */
export class PolicyIndex<E extends TableEntry> {
  readonly #remote: Ranks;
  readonly #local: Ranks;
  readonly #root: Node<E>;
  readonly #coordinates = new Int32Array(DIMENSIONS);

  /** `ordered` is in the order of the SPD; those of the other family are left out. */
  constructor(ordered: readonly E[], family: AddressFamily) {
    const entries = ordered.filter((entry) => entry.matcher.family === family);
    this.#remote = new Ranks(entries.map((entry) => entry.matcher.remote));
    this.#local = new Ranks(entries.map((entry) => entry.matcher.local));
    const boxes = entries.map((entry, position) => ({ entry, position, bounds: this.#bounds(entry) }));
    const rankCount = 2 * entries.length + 1;
    const sizes = [rankCount, rankCount, PORT_ANY_LAST + 1, PORT_ANY_LAST + 1, PROTOCOL_LAST + 1];
    this.#root = new Node(boxes, 0, sizes);
  }

  /** The first policy that covers the outbound packet in `flow`. */
  lookup(flow: Flow): E | undefined {
    const coordinates = this.#coordinates;
    coordinates[0] = this.#remote.of(flow.addresses, 4);
    coordinates[1] = this.#local.of(flow.addresses, 0);
    coordinates[2] = portCoordinate(flow.destinationPort);
    coordinates[3] = portCoordinate(flow.sourcePort);
    coordinates[4] = flow.protocol;
    return this.#root.search(coordinates, undefined)?.entry;
  }

  #bounds(entry: E): Int32Array {
    const { remote, local, protocol } = entry.matcher;
    const isAnyProtocol = protocol === ANY_PROTOCOL;
    return Int32Array.of(
      this.#remote.of(remote.first, 0),
      this.#remote.of(remote.last, 0),
      this.#local.of(local.first, 0),
      this.#local.of(local.last, 0),
      ...portBounds(remote),
      ...portBounds(local),
      isAnyProtocol ? 0 : protocol,
      isAnyProtocol ? PROTOCOL_LAST : protocol,
    );
  }
}

/** An unknown port is a coordinate of its own, which only ranges of any port reach. */
function portCoordinate(port: number): number {
  return port === PORT_UNKNOWN ? PORT_ANY_LAST : port;
}

function portBounds(side: SideMatcher): readonly [number, number] {
  return side.isAnyPort ? [0, PORT_ANY_LAST] : [side.firstPort, side.lastPort];
}

/**
 * Numbers addresses so that an address lies in a range exactly if its rank lies between the ranks of the range's ends:
 * the rank counts the ranges that start at or before an address, and those that end before it.
 */
class Ranks {
  readonly #words: number;
  readonly #firsts: Uint32Array;
  readonly #lasts: Uint32Array;

  constructor(sides: readonly SideMatcher[]) {
    this.#words = sides[0]?.first.length ?? 1;
    this.#firsts = sortAddresses(sides.map((side) => side.first));
    this.#lasts = sortAddresses(sides.map((side) => side.last));
  }

  of(addresses: Uint32Array, offset: number): number {
    return this.#countUpTo(this.#firsts, addresses, offset, 1) + this.#countUpTo(this.#lasts, addresses, offset, 0);
  }

  /** How many of the sorted addresses are below the one given, or, with `inclusive` 1, not above it. */
  #countUpTo(sorted: Uint32Array, addresses: Uint32Array, offset: number, inclusive: 0 | 1): number {
    let low = 0;
    let high = sorted.length / this.#words;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#compare(sorted, middle * this.#words, addresses, offset) < inclusive) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #compare(sorted: Uint32Array, at: number, addresses: Uint32Array, offset: number): number {
    for (let word = 0; word < this.#words; word++) {
      const difference = (sorted[at + word] ?? 0) - (addresses[offset + word] ?? 0);
      if (difference !== 0) return difference;
    }
    return 0;
  }
}

function sortAddresses(addresses: readonly Uint32Array[]): Uint32Array {
  const sorted = [...addresses].sort((a, b) => compareWords(a, 0, b));
  return Uint32Array.from(sorted.flatMap((words) => [...words]));
}

/** Boxes that agree so far with whatever packet comes here, split by `dimension` when there are many. */
class Node<E> {
  readonly #boxes: readonly Box<E>[];
  readonly #dimension: number;
  /** Coordinates in each dimension. */
  readonly #sizes: readonly number[];
  readonly #firstPosition: number;
  /** Cells of a binary tree over the dimension, numbered as in a heap; the cells of single coordinates start at `#leaves`. */
  #cells: Map<number, Node<E>> | undefined;
  #leaves = 1;

  constructor(boxes: readonly Box<E>[], dimension: number, sizes: readonly number[]) {
    this.#boxes = boxes;
    this.#dimension = dimension;
    this.#sizes = sizes;
    this.#firstPosition = boxes[0]?.position ?? 0;
  }

  /** The box of the lowest position that holds the coordinates, if it is lower than `best`'s; else `best`. */
  search(coordinates: Int32Array, best: Box<E> | undefined): Box<E> | undefined {
    if (best && best.position <= this.#firstPosition) return best;
    if (this.#boxes.length <= LEAF_MAX || this.#dimension === DIMENSIONS) return this.#scan(coordinates, best);
    const cells = this.#cells ?? this.#split();
    for (let cell = this.#leaves + (coordinates[this.#dimension] ?? 0); cell >= 1; cell >>>= 1)
      best = cells.get(cell)?.search(coordinates, best) ?? best;
    return best;
  }

  #scan(coordinates: Int32Array, best: Box<E> | undefined): Box<E> | undefined {
    for (const box of this.#boxes) {
      if (best && best.position <= box.position) return best;
      if (holds(box.bounds, coordinates)) return box;
    }
    return best;
  }

  #split(): Map<number, Node<E>> {
    const size = this.#sizes[this.#dimension] ?? 1;
    while (this.#leaves < size) this.#leaves *= 2;
    const contents = new Map<number, Box<E>[]>();
    for (const box of this.#boxes) {
      let low = this.#leaves + (box.bounds[this.#dimension * 2] ?? 0);
      let high = this.#leaves + (box.bounds[this.#dimension * 2 + 1] ?? 0) + 1;
      for (; low < high; low >>>= 1, high >>>= 1) {
        if ((low & 1) === 1) append(contents, low++, box);
        if ((high & 1) === 1) append(contents, --high, box);
      }
    }
    const cells = new Map<number, Node<E>>();
    for (const [cell, boxes] of contents) cells.set(cell, new Node(boxes, this.#dimension + 1, this.#sizes));
    this.#cells = cells;
    return cells;
  }
}

function holds(bounds: Int32Array, coordinates: Int32Array): boolean {
  for (let dimension = 0; dimension < DIMENSIONS; dimension++) {
    const coordinate = coordinates[dimension] ?? 0;
    if (coordinate < (bounds[dimension * 2] ?? 0) || coordinate > (bounds[dimension * 2 + 1] ?? 0)) return false;
  }
  return true;
}

function append<E>(contents: Map<number, Box<E>[]>, cell: number, box: Box<E>): void {
  const boxes = contents.get(cell);
  if (boxes) boxes.push(box);
  else contents.set(cell, [box]);
}

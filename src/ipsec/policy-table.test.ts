import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomBelow, SeededRandom } from '../lib/random.ts';
import { type AddressRange, addressFromOctets, compareAddresses, type IpAddress } from '../model/address.ts';
import { ANY_PORT, type TrafficSelector } from '../model/traffic-selector.ts';
import { Flow } from './flow.ts';
import type { TableEntry } from './policy-index.ts';
import { PolicyTable } from './policy-table.ts';
import { SelectorMatcher } from './selector-matcher.ts';
import { innerPacket, selectors } from './two-planes.fixture.ts';

const POLICY_COUNT = 10_000;

test('RFC 4301 §4.4.1: lookup among 10,000 policies of every shape agrees with comparing them one after another', () => {
  const seed = 4301;
  const random = new SeededRandom(seed);
  const table = new PolicyTable<TableEntry>();
  const entries = Array.from({ length: POLICY_COUNT }, (_, order) =>
    entry(order, randomSelectors(random, order % 3 === 0 ? 6 : 4)),
  );
  for (const each of entries) table.add(each);
  const flow = new Flow();
  let matched = 0;
  for (let round = 0; round < 1_000; round++) {
    readRandomPacket(random, flow);
    const expected = entries.find((each) => each.matcher.matches(flow, 'outbound'));
    assert.equal(table.lookup(flow), expected, `seed ${seed}, round ${round}`);
    if (expected) matched++;
  }
  assert.ok(matched > 100 && matched < 950, `${matched} packets matched: too few or too many to prove anything`);
});

test('RFC 4301 §4.4.1: policies of one order keep theirs, and a deleted policy matches nothing more', () => {
  const table = new PolicyTable<TableEntry>();
  const entries = Array.from({ length: 40 }, (_, index) => entry(index >> 1, selectors('10.0.0.0/8', '10.0.0.0/8')));
  for (const each of entries.toReversed()) table.add(each);
  const flow = new Flow();
  const packet = innerPacket();
  flow.read(packet, 0, packet.length);
  // 1 was added before 0, and both have order 0.
  assert.equal(table.lookup(flow), entries[1]);
  for (const [index, each] of entries.entries()) if (index % 2 === 1) table.delete(each);
  assert.equal(table.lookup(flow), entries[0]);
});

test('a lookup among 10,000 policies of a hub takes microseconds', () => {
  const table = new PolicyTable<TableEntry>();
  for (let order = 0; order < POLICY_COUNT; order++)
    table.add(entry(order, selectors('10.0.0.0/8', `10.${order >> 8}.${order & 255}.0/24`)));
  const flow = new Flow();
  const packet = innerPacket({ destination: '10.39.15.1' });
  flow.read(packet, 0, packet.length);
  table.lookup(flow);
  const start = process.hrtime.bigint();
  for (let round = 0; round < 10_000; round++) table.lookup(flow);
  const microseconds = Number(process.hrtime.bigint() - start) / 1e3 / 10_000;
  assert.ok(microseconds < 50, `${microseconds} µs for one lookup`);
});

function entry(order: number, pair: { local: TrafficSelector; remote: TrafficSelector }): TableEntry {
  return { policy: { order }, matcher: new SelectorMatcher(pair) };
}

function randomSelectors(random: SeededRandom, family: 4 | 6): { local: TrafficSelector; remote: TrafficSelector } {
  const protocol = randomBelow(random, 4) === 0 ? 17 : 0;
  return { local: randomSelector(random, family, protocol), remote: randomSelector(random, family, protocol) };
}

function randomSelector(random: SeededRandom, family: 4 | 6, protocol: number): TrafficSelector {
  const ports = [randomBelow(random, 100), randomBelow(random, 100)].sort((a, b) => a - b);
  const isAnyPort = randomBelow(random, 3) > 0;
  return {
    addresses: randomRange(random, family),
    protocol,
    ports: isAnyPort ? ANY_PORT : { first: ports[0] ?? 0, last: ports[1] ?? 0 },
  };
}

/** Mostly small ranges, some single addresses, few large ones, so that they overlap in every way. */
function randomRange(random: SeededRandom, family: 4 | 6): AddressRange {
  const shape = randomBelow(random, 20);
  const first = randomAddress(random, family);
  if (shape < 4) return { first, last: first };
  const second = shape < 6 ? randomAddress(random, family) : neighbour(first, family, randomBelow(random, 16));
  return compareAddresses(first, second) <= 0 ? { first, last: second } : { first: second, last: first };
}

function randomAddress(random: SeededRandom, family: 4 | 6): IpAddress {
  const octets = new Uint8Array(family === 4 ? 4 : 16);
  octets[0] = family === 4 ? 10 : 0x20;
  octets.set([randomBelow(random, 8), randomBelow(random, 256)], octets.length - 2);
  return addressFromOctets(octets);
}

function neighbour(first: IpAddress, family: 4 | 6, distance: number): IpAddress {
  const packet = innerPacket({ source: first, destination: first });
  const at = family === 4 ? 15 : 23;
  packet[at] = Math.min(255, (packet[at] ?? 0) + distance);
  return addressFromOctets(family === 4 ? packet.slice(12, 16) : packet.slice(8, 24));
}

function readRandomPacket(random: SeededRandom, flow: Flow): void {
  const family = randomBelow(random, 2) === 0 ? 4 : 6;
  const packet = innerPacket({
    source: randomAddress(random, family),
    destination: randomAddress(random, family),
    protocol: randomBelow(random, 3) === 0 ? 6 : 17,
    sourcePort: randomBelow(random, 100),
    destinationPort: randomBelow(random, 100),
  });
  if (family === 4 && randomBelow(random, 5) === 0) packet[7] = 1; // a later fragment, whose ports nobody knows
  assert.ok(flow.read(packet, 0, packet.length));
}

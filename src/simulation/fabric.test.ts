import assert from 'node:assert/strict';
import { test } from 'node:test';
import { instant, milliseconds } from '../lib/time.ts';
import { address, type UdpPath } from '../model/address.ts';
import { Chance } from './chance.ts';
import { Fabric, type WirePacket } from './fabric.ts';
import { CALM, type LinkQuality, partitionRule, qualityRule } from './faults.ts';
import { Nat } from './nat.ts';
import { Scheduler } from './scheduler.ts';

const A = address('198.51.100.1');
const B = address('203.0.113.1');

test('a datagram arrives at its destination with both ends seen from there', () => {
  const { scheduler, fabric, received } = makeNetwork();
  fabric.send(datagram(1));
  scheduler.runUntil(instant(1000));
  assert.deepEqual(received[0]?.path, { local: { address: B, port: 500 }, remote: { address: A, port: 500 } });
});

test('loss, duplication and corruption happen about as often as they should', () => {
  const { scheduler, fabric, received } = makeNetwork({ ...CALM, loss: 0.3, duplication: 0.2, corruption: 0.1 });
  for (let serial = 0; serial < 10_000; serial++) fabric.send(datagram(serial));
  scheduler.runUntil(instant(10_000));
  const { lost: lostBy, duplicated, corrupted, delivered } = fabric.counters();
  const { lost = 0 } = lostBy;
  const isNear = (value: number, expected: number): boolean => Math.abs(value - expected) < 300;
  assert.ok(
    isNear(lost, 3000) && isNear(duplicated, 1400) && isNear(corrupted, 840),
    JSON.stringify(fabric.counters()),
  );
  assert.equal(delivered, received.length);
  assert.equal(delivered, 10_000 - lost + duplicated);
});

test('a calm network keeps the order; late packets break it', () => {
  const orderOf = (quality: LinkQuality): number[] => {
    const { scheduler, fabric, received } = makeNetwork(quality);
    for (let serial = 0; serial < 50; serial++) fabric.send(datagram(serial));
    scheduler.runUntil(instant(10_000));
    return received.map(({ payload }) => payload[0] ?? 0);
  };
  const ascending = Array.from({ length: 50 }, (_, serial) => serial);
  assert.deepEqual(orderOf(CALM), ascending);
  const reordered = orderOf({ ...CALM, reordering: 0.3, lateDelay: milliseconds(100) });
  assert.notDeepEqual(reordered, ascending);
  assert.deepEqual(
    [...reordered].sort((a, b) => a - b),
    ascending,
  );
});

test('a partition cuts one direction for its time', () => {
  const { scheduler, fabric, received } = makeNetwork();
  fabric.setRules([partitionRule([{ from: instant(10), until: instant(20), source: A, destination: B }])]);
  for (const at of [5, 15, 25]) scheduler.at(instant(at), () => fabric.send(datagram(at)));
  scheduler.at(instant(15), () => fabric.send({ kind: 'ip', source: B, destination: A, octets: new Uint8Array(1) }));
  scheduler.runUntil(instant(1000));
  assert.deepEqual(
    received.map(({ payload }) => payload[0]),
    [5, 25],
  );
  assert.deepEqual(fabric.counters().lost, { partitioned: 1, 'no-such-host': 1 });
});

test('RFC 3715 §2.1: what has no ports does not pass a NAT', () => {
  const { scheduler, fabric, received } = makeNetwork();
  const options = { outside: address('192.0.2.7'), filtering: 'endpoint-independent' } as const;
  fabric.addNat(new Nat({ ...options, mappingTimeout: milliseconds(60_000), preservesPorts: true }, new Chance(1)), A);
  fabric.send({ kind: 'ip', source: A, destination: B, octets: new Uint8Array(20) });
  fabric.send(datagram(1));
  scheduler.runUntil(instant(1000));
  assert.deepEqual(
    received.map(({ path }) => path.remote.address),
    ['192.0.2.7'],
  );
});

test('each copy has octets of its own', () => {
  const { scheduler, fabric, received } = makeNetwork({ ...CALM, duplication: 1 });
  fabric.send(datagram(7));
  scheduler.runUntil(instant(1000));
  received[0]?.payload.fill(0);
  assert.equal(received[1]?.payload[0], 7);
});

function makeNetwork(quality: LinkQuality = CALM) {
  const scheduler = new Scheduler();
  const fabric = new Fabric(scheduler);
  const received: { path: UdpPath; payload: Uint8Array }[] = [];
  fabric.attach(B, {
    receiveUdp: (path, payload) => received.push({ path, payload }),
    receiveIp: () => assert.fail('no IP packet was for B'),
  });
  fabric.setRules([qualityRule(() => quality, new Chance(42))]);
  return { scheduler, fabric, received };
}

function datagram(serial: number): WirePacket {
  const octets = Uint8Array.of(serial & 0xff, serial >> 8);
  return { kind: 'udp', source: { address: A, port: 500 }, destination: { address: B, port: 500 }, octets };
}

// Selectors that name ports, and fragments, of which only the first has any (RFC 4301 §7).

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type IpsecSa, policyId, spi } from '../model/ipsec-sa.ts';
import type { SelectorPair } from '../model/traffic-selector.ts';
import { fragmentIpv4, fragmentIpv6 } from './fragmentation.ts';
import { innerPacket, policy, saPair, selector, selectors, TwoPlanes } from './two-planes.fixture.ts';

const ANY = selectors('10.1.0.0/16', '10.2.0.0/16');
const ANY6 = selectors('2001:db8:a1::/48', '2001:db8:a2::/48');
const DNS = { local: selector('10.1.0.0/16', 17), remote: selector('10.2.0.0/16', 17, { first: 53, last: 53 }) };
const DNS6 = {
  local: selector('2001:db8:a1::/48', 17),
  remote: selector('2001:db8:a2::/48', 17, { first: 53, last: 53 }),
};
const HOSTS6 = { source: '2001:db8:a1::7', destination: '2001:db8:a2::9' };

for (const [family, pair, hosts] of [
  ['IPv4', DNS, {}],
  ['IPv6', DNS6, HOSTS6],
] as const)
  test(`RFC 4301 §7.3: ${family} fragments wait until their ports are known, and the whole packet is protected, or dropped`, () => {
    const planes = new TwoPlanes(saPair('aes-128-gcm', 'none', { selectors: pair }));
    const admitted = innerPacket({ ...hosts, length: 3000, destinationPort: 53 });
    const [first, ...later] = cut(admitted, 1400, 1);
    assert.ok(first && later.length === 2);
    for (const piece of later) assert.equal(planes.send(piece), 0);
    assert.equal(planes.send(first), 3, 'three fragments of what was protected whole');
    planes.receiveAll();
    assert.deepEqual(planes.takeDelivered().map(contentOf), [contentOf(admitted)]);
    for (const piece of cut(innerPacket({ ...hosts, length: 3000, destinationPort: 54 }), 1400, 2))
      assert.equal(planes.send(piece), 0);
    assert.equal(planes.west.counters().drops['outside-selectors'], 1);
    assert.equal(planes.west.counters().discarded, 1);
  });

test('RFC 4301 §7.3: a packet too big for the path is cut after protection, where its fragments would have no ports', () => {
  const planes = new TwoPlanes(saPair('aes-128-gcm', 'none', { selectors: DNS }), { mtu: 1400, dfBit: 'set' });
  const packet = innerPacket({ length: 2000 });
  assert.equal(planes.send(packet), 2);
  planes.receiveAll();
  assert.deepEqual(planes.takeDelivered(), [packet]);
  assert.equal(planes.send(innerPacket({ length: 2000, dontFragment: true })), 0, 'but not one that must not be cut');
});

test('RFC 4301 §7.1: where no port is named, fragments pass one by one', () => {
  const planes = new TwoPlanes(saPair('aes-128-gcm', 'none'));
  const pieces = cut(innerPacket({ length: 3000 }), 1400, 1);
  for (const piece of pieces) assert.equal(planes.send(piece), 1);
  planes.receiveAll();
  assert.deepEqual(planes.takeDelivered(), pieces);
});

test('RFC 4301 §7.4: policies that discard or let pass by port see the whole packet, too', () => {
  const planes = new TwoPlanes(saPair('aes-128-gcm', 'none'), { order: 3 });
  for (const [action, port] of [
    ['bypass', 119],
    ['discard', 120],
  ] as const) {
    const named = { ...ANY, remote: selector('10.2.0.0/16', 17, { first: port, last: port }) };
    const put = policy({ id: policyId(action), order: 1, action, selectors: named });
    planes.west.handleCommand(planes.now, { kind: 'put-policy', policy: put }, planes.fromWest);
  }
  const sendAll = (destinationPort: number, id: number) => {
    const packet = innerPacket({ length: 3000, destinationPort });
    for (const piece of cut(packet, 1400, id)) planes.send(piece);
    return packet;
  };
  const passed = sendAll(119, 1);
  assert.deepEqual(planes.fromWest.ip.splice(0).map(contentOf), [contentOf(passed)]);
  sendAll(120, 2);
  assert.equal(planes.west.counters().drops['discard-policy'], 1);
  assert.deepEqual(planes.fromWest.ip, []);
  sendAll(23, 3);
  planes.receiveAll();
  assert.ok(planes.takeDelivered().length > 0, 'and what neither names is protected');
  const rest = planes.west.counters();
  assert.deepEqual([rest.bypassedPackets, rest.discarded], [1, 1]);
  for (const id of ['bypass', 'discard'])
    planes.west.handleCommand(planes.now, { kind: 'delete-policy', id: policyId(id) }, planes.fromWest);
  const [piece] = cut(innerPacket({ length: 3000 }), 1400, 4);
  assert.ok(piece);
  assert.equal(planes.send(piece), 1, 'without such policies nothing waits');
});

/** East expects packets to port 53 alone; west does not know that, and sends all in fragments, as no peer should. */
function carelessPlanes(pair: SelectorPair, any: SelectorPair, number = 0xc0ffee01): TwoPlanes {
  const given: Partial<IpsecSa> = { spi: spi(number), replayWindow: 1024 };
  const { outbound } = saPair('aes-128-gcm', 'none', { ...given, selectors: any });
  const { inbound } = saPair('aes-128-gcm', 'none', { ...given, selectors: pair });
  return new TwoPlanes({ outbound, inbound });
}

test('RFC 4301 §7.3: fragments that come in where ports are named are put together before they are judged', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          port: fc.constantFrom(53, 54),
          length: fc.integer({ min: 100, max: 4000 }),
          limit: fc.integer({ min: 128, max: 1300 }),
          isIpv6: fc.boolean(),
        }),
        { minLength: 1, maxLength: 12 },
      ),
      fc.infiniteStream(fc.nat()),
      (packets, order) => {
        const planes = [carelessPlanes(DNS, ANY), carelessPlanes(DNS6, ANY6)] as const;
        const expected = [new Set<string>(), new Set<string>()] as const;
        const pieces: { readonly family: 0 | 1; readonly piece: Uint8Array }[] = [];
        for (const [id, { port, length, limit, isIpv6 }] of packets.entries()) {
          const family = isIpv6 ? 1 : 0;
          const packet = innerPacket({ ...(isIpv6 ? HOSTS6 : {}), length, destinationPort: port });
          if (!isIpv6) packet[5] = id;
          if (port === 53) expected[family].add(contentOf(packet));
          for (const piece of cut(packet, limit, id)) pieces.push({ family, piece });
        }
        while (pieces.length > 0) {
          const [next] = pieces.splice((order.next().value ?? 0) % pieces.length, 1);
          if (next) planes[next.family].send(next.piece);
        }
        for (const [family, one] of planes.entries()) {
          one.receiveAll();
          assert.deepEqual(new Set(one.takeDelivered().map(contentOf)), expected[family === 0 ? 0 : 1]);
        }
      },
    ),
    { numRuns: 100 },
  );
});

test('fragments of different SAs never make one packet, and those without the rest wait in bounded space', () => {
  const one = carelessPlanes(DNS, ANY);
  const other = carelessPlanes(DNS, ANY, 0xc0ffee02);
  const { inbound } = saPair('aes-128-gcm', 'none', { spi: spi(0xc0ffee02), selectors: DNS });
  one.east.handleCommand(one.now, { kind: 'add-inbound', sa: inbound }, one.fromEast);
  const [first, last] = cut(innerPacket({ length: 1000 }), 600, 1);
  assert.ok(first && last);
  one.send(first);
  other.send(last);
  one.receiveAll();
  for (const packet of other.fromWest.ip) one.east.handleIpPacket(one.now, packet, one.fromEast);
  assert.deepEqual(one.takeDelivered(), []);
  assert.equal(one.east.counters().discarded, 0, 'both wait');
  for (let id = 2; id < 300; id++) {
    const [, lone] = cut(innerPacket({ length: 1000 }), 600, id);
    if (lone) one.send(lone);
  }
  one.receiveAll();
  assert.deepEqual(one.takeDelivered(), []);
  assert.equal(one.east.counters().drops['reassembly-failed'], 2 + 298 - 64);
});

/** Source, destination and everything behind the IP header. */
function contentOf(packet: Uint8Array): string {
  return packet.subarray((packet[0] ?? 0) >>> 4 === 4 ? 12 : 8).toString();
}

/** The packet in fragments of at most `limit` octets, under an identification. */
function cut(packet: Uint8Array, limit: number, identification: number): readonly Uint8Array[] {
  if (packet.length <= limit) return [packet];
  const pieces: Uint8Array[] = [];
  const target = new Uint8Array(9000);
  const keep = (end: number) => pieces.push(target.slice(0, end));
  if ((packet[0] ?? 0) >>> 4 === 4) {
    const named = packet.slice();
    named.set([identification >>> 8, identification & 0xff], 4);
    assert.ok(fragmentIpv4(named, 0, named.length, limit, target, 0, keep));
  } else {
    const span = { start: 0, end: packet.length, protectOffset: 40, nextHeaderOffset: 6 };
    assert.ok(fragmentIpv6(packet, span, limit, identification, target, keep));
  }
  return pieces;
}

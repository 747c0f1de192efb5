import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { after, milliseconds } from '../lib/time.ts';
import { addToSum, finishChecksum } from './checksum.ts';
import { Flow } from './flow.ts';
import { fragmentIpv4 } from './fragmentation.ts';
import { Reassembly } from './reassembly.ts';
import { EAST, EAST6, innerPacket, START, saPair, selectors, TwoPlanes, WEST6 } from './two-planes.fixture.ts';

const GCM_OVERHEAD = 20 + 8 + 8 + 2 + 16;

test('RFC 4301 §8.2.1 case 2: a packet too big without DF is fragmented before protection, each piece fitting the path', () => {
  const planes = new TwoPlanes(saPair('aes-128-gcm', 'none'));
  const inner = innerPacket({ length: 4000 });
  assert.equal(planes.send(inner), 3);
  for (const packet of planes.fromWest.ip) assert.ok(packet.length <= 1500);
  planes.receiveAll();
  assert.deepEqual(reassembled(planes.takeDelivered()), inner);
  assert.equal(planes.west.counters().exceedsTunnelMtu, 0);
});

test('RFC 4301 §8.2.1 case 1: a packet too big with DF is dropped, and its sender told what would fit', () => {
  const planes = new TwoPlanes(saPair('aes-128-gcm', 'none'), { dfBit: 'copy' });
  const inner = innerPacket({ length: 1500, dontFragment: true });
  assert.equal(planes.send(inner), 0);
  const [told] = planes.fromWest.delivered;
  assert.ok(told);
  assert.equal(told.tunnelInterface, 'st0.0');
  const { packet } = told;
  assert.deepEqual([...packet.slice(20, 22)], [3, 4]);
  const mtu = ((packet[26] ?? 0) << 8) | (packet[27] ?? 0);
  assert.equal(mtu, 1500 - GCM_OVERHEAD + 2 - ((1500 - GCM_OVERHEAD + 2) % 4) - 2);
  assert.deepEqual(packet.slice(16, 20), inner.slice(12, 16));
  assert.deepEqual(packet.slice(28), inner.slice(0, packet.length - 28));
  assert.equal(packet.length, 576);
  assert.equal(finishChecksum(addToSum(0, packet, 0, 20)), 0);
  assert.equal(finishChecksum(addToSum(0, packet, 20, packet.length)), 0);
  assert.equal(planes.west.counters().exceedsTunnelMtu, 1);
  // What was promised fits in one piece.
  assert.equal(planes.send(innerPacket({ length: mtu, dontFragment: true })), 1);
  assert.equal(planes.fromWest.ip[0]?.length, 1500);
});

test('RFC 4301 §8.2.1 case 3: an IPv6 packet too big is dropped with Packet Too Big, but 1280 octets always pass', () => {
  const sas = saPair('aes-128-gcm', 'none', { selectors: selectors('::/0', '::/0') });
  const planes = new TwoPlanes(sas, { dfBit: 'copy', mtu: 1200 });
  const ends = { source: '2001:db8:a::7', destination: '2001:db8:b::9' };
  assert.equal(planes.send(innerPacket({ ...ends, length: 1400 })), 0);
  const [told] = planes.fromWest.delivered;
  assert.ok(told);
  assert.deepEqual(
    [...told.packet.slice(40, 48)].filter((_, index) => index < 2 || index > 3),
    [2, 0, 0, 0, 5, 0],
  );
  assert.equal(told.packet.length, 1280);
  const pseudo = addToSum(58 + 1240, told.packet, 8, 40);
  assert.equal(finishChecksum(addToSum(pseudo, told.packet, 40, 1280)), 0);
  const promised = innerPacket({ ...ends, length: 1280 });
  assert.equal(planes.send(promised), 1);
  planes.receiveAll();
  assert.deepEqual(planes.takeDelivered(), [promised]);
});

test('RFC 1812 §4.3.2.8: told at most a hundred times a second', () => {
  const planes = new TwoPlanes(saPair('aes-128-gcm', 'none'), { dfBit: 'copy' });
  for (let count = 0; count < 300; count++) planes.send(innerPacket({ length: 1500, dontFragment: true }));
  assert.equal(planes.fromWest.delivered.length, 100);
});

for (const [family, pair] of [
  ['IPv4', {}],
  ['IPv6', { localAddress: WEST6, remoteAddress: EAST6 }],
] as const)
  test(`RFC 4303 §3.3.4: where DF may be ignored, what is protected is cut after it in ${family}, and put together before it is opened`, () => {
    for (const protocol of ['esp', 'ah'] as const) {
      const planes = new TwoPlanes(saPair('null', 'hmac-sha-256-128', { ...pair, protocol }), {
        dfBit: 'clear',
        mtu: 9192,
      });
      const inner = innerPacket({ length: 4000, dontFragment: true });
      assert.equal(planes.send(inner), 3);
      for (const packet of planes.fromWest.ip) assert.ok(packet.length <= 1500);
      planes.fromWest.ip.reverse();
      planes.receiveAll();
      assert.deepEqual(planes.takeDelivered(), [inner]);
    }
  });

test('RFC 791 §3.2: any packet cut anywhere, options and all, and put together in any order, is the same', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 60, max: 5000 }),
      fc.integer({ min: 128, max: 1500 }),
      fc.boolean(),
      fc.infiniteStream(fc.nat()),
      (length, limit, hasOptions, order) => {
        const packet = hasOptions ? withOptions(innerPacket({ length })) : innerPacket({ length });
        const pieces: Uint8Array[] = [];
        const target = new Uint8Array(9000);
        const isCut = fragmentIpv4(packet, 0, packet.length, limit, target, 100, (end) =>
          pieces.push(target.slice(100, end)),
        );
        assert.ok(isCut);
        for (const piece of pieces) {
          assert.ok(piece.length <= limit);
          assert.equal(finishChecksum(addToSum(0, piece, 0, ((piece[0] ?? 0) & 15) * 4)), 0);
        }
        const shuffled: Uint8Array[] = [];
        while (pieces.length > 0) shuffled.push(...pieces.splice((order.next().value ?? 0) % pieces.length, 1));
        assert.deepEqual(reassembled(shuffled), packet);
      },
    ),
    { numRuns: 200 },
  );
});

test('RFC 8200 §4.5: fragments that overlap, contradict each other or never end are dropped, in bounded space', () => {
  let drops = 0;
  const reassembly = new Reassembly(() => drops++);
  const flow = new Flow();
  const add = (packet: Uint8Array, now = START) => {
    assert.ok(flow.read(packet, 0, packet.length));
    return reassembly.add(now, packet, flow);
  };
  const [first, second, last] = cut(innerPacket({ length: 300 }), 120);
  assert.ok(first && second && last);
  assert.equal(add(first), undefined);
  assert.equal(add(first), undefined);
  assert.equal(drops, 1, 'the same piece twice overlaps');
  add(last);
  const beyond = second.slice();
  beyond[7] = (beyond[7] ?? 0) + 20; // moved to behind the end that the last piece gave
  add(beyond);
  assert.equal(drops, 2);
  for (let id = 0; id < 200; id++) {
    const lone = first.slice();
    lone[4] = id;
    add(lone);
  }
  assert.equal(drops, 2 + 200 - 64);
  add(second, after(START, milliseconds(16_000)));
  assert.equal(drops, 2 + 200, 'what waited too long is gone');
});

test('RFC 4301 §8.2: a "too big" that quotes a packet just sent narrows the path for ten minutes; a forged one does not', () => {
  const planes = new TwoPlanes(saPair('aes-128-gcm', 'none'), { dfBit: 'copy' });
  const full = innerPacket({ length: 1440, dontFragment: true });
  planes.send(full);
  const [sent] = planes.fromWest.ip.splice(0);
  assert.ok(sent);
  for (const forge of [
    (icmp: Uint8Array) => icmp.fill(0x55, 28 + 20, 28 + 24), // an SPI of nobody
    (icmp: Uint8Array) => icmp.fill(0x55, 28 + 24, 28 + 28), // a sequence number never sent
    (icmp: Uint8Array) => icmp.fill(0x09, 28 + 16, 28 + 20), // a peer that the SA is not with
    (icmp: Uint8Array) => icmp.set([0, 68], 26), // smaller than any path
  ]) {
    const icmp = tooBig(sent, 1400);
    forge(icmp);
    planes.west.handleIcmpError(planes.now, icmp);
    assert.equal(planes.send(full), 1);
  }
  planes.west.handleIcmpError(planes.now, tooBig(sent, 1400));
  assert.equal(planes.send(full), 0);
  assert.equal(planes.west.nextTimeout(), after(planes.now, milliseconds(600_000)));
  planes.west.handleTimeout(planes.west.nextTimeout(), planes.fromWest);
  assert.equal(planes.send(full), 1);
});

test('RFC 4301 §8.2.2: a path starts with what the link carries, and comes back to that when the path may try again', () => {
  const planes = new TwoPlanes(saPair('aes-128-gcm', 'none'), { dfBit: 'copy' });
  const fits = (length: number) => planes.send(innerPacket({ length, dontFragment: true })) === 1;
  planes.west.handleLinkMtu(EAST, 9000);
  assert.deepEqual(
    [fits(1500 - GCM_OVERHEAD), fits(1500)],
    [true, false],
    'what lies behind the link is not known to carry more',
  );
  planes.west.handleLinkMtu(EAST, 1400);
  assert.deepEqual([fits(1400 - GCM_OVERHEAD), fits(1404 - GCM_OVERHEAD)], [true, false]);
  planes.west.handleLinkMtu(WEST6, 1300);
  assert.ok(fits(1400 - GCM_OVERHEAD), 'another peer has another way');
  const [sent] = planes.fromWest.ip.slice(-1);
  assert.ok(sent);
  planes.west.handleIcmpError(planes.now, tooBig(sent, 1300));
  assert.deepEqual([fits(1300 - GCM_OVERHEAD), fits(1304 - GCM_OVERHEAD)], [true, false]);
  planes.west.handleLinkMtu(EAST, 1450);
  assert.ok(!fits(1304 - GCM_OVERHEAD), 'a wider link widens no path behind it');
  planes.west.handleTimeout(planes.west.nextTimeout(), planes.fromWest);
  assert.deepEqual([fits(1448 - GCM_OVERHEAD), fits(1452 - GCM_OVERHEAD)], [true, false]);
  planes.west.handleLinkMtu(EAST, 100);
  assert.ok(fits(576 - GCM_OVERHEAD), 'as every host must take');
});

/** ICMP's fragmentation needed, from a router, quoting IP header and eight octets (RFC 792). */
function tooBig(about: Uint8Array, mtu: number): Uint8Array {
  const packet = innerPacket({ source: '203.0.113.1', destination: '192.0.2.1', protocol: 1, length: 56 });
  packet.set([3, 4, 0, 0, 0, 0, mtu >> 8, mtu & 0xff], 20);
  packet.set(about.subarray(0, 28), 28);
  return packet;
}

function cut(packet: Uint8Array, limit: number): readonly Uint8Array[] {
  const pieces: Uint8Array[] = [];
  const target = new Uint8Array(packet.length + 100);
  fragmentIpv4(packet, 0, packet.length, limit, target, 0, (end) => pieces.push(target.slice(0, end)));
  return pieces;
}

function reassembled(fragments: readonly Uint8Array[]): Uint8Array | undefined {
  if (fragments.length === 1) return fragments[0];
  const reassembly = new Reassembly(() => assert.fail('a fragment was dropped'));
  const flow = new Flow();
  let whole: Uint8Array | undefined;
  for (const fragment of fragments) {
    assert.ok(flow.read(fragment, 0, fragment.length));
    whole = reassembly.add(START, fragment, flow) ?? whole;
  }
  return whole;
}

/** The same packet with a security option, which every fragment repeats, and a record route, which only the first has. */
function withOptions(packet: Uint8Array): Uint8Array {
  const options = [130, 4, 1, 2, 7, 7, 4, 0, 0, 0, 0, 0];
  const longer = new Uint8Array(packet.length + options.length);
  longer.set(packet.subarray(0, 20));
  longer.set(options, 20);
  longer.set(packet.subarray(20), 32);
  longer[0] = 0x48;
  longer.set([longer.length >> 8, longer.length & 0xff], 2);
  longer.set([0, 0], 10);
  const checksum = finishChecksum(addToSum(0, longer, 0, 32));
  longer.set([checksum >> 8, checksum & 0xff], 10);
  return longer;
}

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addToSum, finishChecksum } from './checksum.ts';
import { Flow } from './flow.ts';
import { innerTrafficClass } from './outer-header.ts';
import {
  EAST,
  EAST6,
  type InnerOptions,
  innerPacket,
  reversed,
  saPair,
  selectors,
  TwoPlanes,
  WEST,
  WEST6,
} from './two-planes.fixture.ts';

const V4 = selectors('0.0.0.0/0', '0.0.0.0/0');
const V6 = selectors('::/0', '::/0');

test('RFC 6040 §4.2: the ECN field that comes out is the one of figure 4, for all sixteen pairs', () => {
  const dropped = undefined;
  const figure4 = [
    [0, 0, 0, dropped],
    [1, 1, 1, 3],
    [2, 1, 2, 3],
    [3, 3, 3, 3],
  ];
  for (const [inner, row] of figure4.entries())
    for (const [outer, expected] of row.entries()) {
      const got = innerTrafficClass(0xb8 | inner, 0x28 | outer, false);
      assert.equal(got, expected === undefined ? undefined : 0xb8 | expected, `inner ${inner}, outer ${outer}`);
      const copied = innerTrafficClass(0xb8 | inner, 0x28 | outer, true);
      assert.equal(
        copied,
        expected === undefined ? undefined : 0x28 | expected,
        `inner ${inner}, outer ${outer}, DSCP copied`,
      );
    }
});

for (const [family, pair] of [
  ['IPv4', {}],
  ['IPv6', { localAddress: WEST6, remoteAddress: EAST6 }],
] as const)
  test(`RFC 4301 §5.1.2: an outer ${family} header copies DSCP and ECN, and congestion on the way reaches the inner one`, () => {
    const planes = new TwoPlanes(saPair('aes-128-gcm', 'none', { ...pair, selectors: V4 }), { copyOuterDscp: true });
    const inner = innerPacket({ trafficClass: 0xb9 });
    planes.send(inner);
    const [outer] = planes.fromWest.ip;
    assert.ok(outer);
    const flow = new Flow();
    assert.ok(flow.read(outer, 0, outer.length));
    assert.equal(flow.trafficClass(outer), 0xb9);
    assert.equal(flow.end, outer.length);
    assert.equal(outer[family === 'IPv4' ? 8 : 7], 64);
    if (family === 'IPv4') {
      assert.equal(finishChecksum(addToSum(0, outer, 0, 20)), 0);
      outer[1] = 0x2b; // another DSCP, and congestion
    } else {
      outer[0] = 0x62;
      outer[1] = ((outer[1] ?? 0) & 0x0f) | 0xb0;
    }
    planes.receiveAll();
    const [delivered] = planes.takeDelivered();
    assert.ok(delivered);
    assert.equal(delivered[1], 0x2b);
    assert.equal(finishChecksum(addToSum(0, delivered, 0, 20)), 0);
    assert.deepEqual(delivered.slice(20), inner.slice(20));
  });

test('RFC 6040 §4.2: congestion on a packet that is not capable of saying so drops it', () => {
  const planes = new TwoPlanes(saPair('aes-128-gcm', 'none'));
  planes.send(innerPacket());
  for (const packet of planes.fromWest.ip) packet[1] = 3;
  planes.receiveAll();
  assert.equal(planes.east.counters().drops['ecn-not-capable'], 1);
});

test('RFC 4301 §5.1.2.1 note 4: DF of the outer header is copied, set or cleared as the policy says', () => {
  const flags = (dfBit: 'copy' | 'set' | 'clear', dontFragment: boolean) => {
    const planes = new TwoPlanes(saPair('aes-128-gcm', 'none'), { dfBit });
    planes.send(innerPacket({ dontFragment }));
    return planes.fromWest.ip[0]?.[6];
  };
  assert.deepEqual([flags('copy', false), flags('copy', true)], [0, 0x40]);
  assert.deepEqual([flags('set', false), flags('set', true)], [0x40, 0x40]);
  assert.deepEqual([flags('clear', false), flags('clear', true)], [0, 0]);
});

test('RFC 6040 §4.2: where UDP carries ESP, its IP header says and is told the same', () => {
  const planes = new TwoPlanes(saPair('aes-128-gcm', 'none', { isUdp: true }), { copyOuterDscp: true });
  planes.send(innerPacket({ trafficClass: 0xb9 }));
  const [sent] = planes.fromWest.udp;
  assert.deepEqual(sent?.outer, { trafficClass: 0xb9, dontFragment: false });
  sent.outer = { ...sent.outer, trafficClass: 0x2b };
  planes.send(innerPacket());
  for (const { outer } of planes.fromWest.udp) outer.trafficClass |= 3;
  planes.receiveAll();
  assert.deepEqual(
    planes.takeDelivered().map((packet) => packet[1]),
    [0x2b],
  );
  assert.equal(planes.east.counters().drops['ecn-not-capable'], 1);
  planes.send(innerPacket({ trafficClass: 0xb9 }));
  const [unseen] = planes.fromWest.udp;
  assert.ok(unseen);
  planes.east.handleUdpPacket(planes.now, reversed(unseen.path), unseen.payload, planes.fromEast);
  assert.equal(planes.takeDelivered()[0]?.[1], 0xb9, 'what is not known changes nothing');
});

test('RFC 4301 §5.1.2.1 note 4: DF where UDP carries ESP is the policy’s too, but never on what must be cut on the way', () => {
  const asksForDf = (dfBit: 'copy' | 'set' | 'clear', inner: InnerOptions) => {
    const planes = new TwoPlanes(saPair('aes-128-gcm', 'none', { isUdp: true, selectors: V4 }), { dfBit });
    planes.send(innerPacket(inner));
    return planes.fromWest.udp.map(({ outer }) => outer.dontFragment);
  };
  for (const dontFragment of [false, true]) {
    assert.deepEqual(asksForDf('copy', { dontFragment }), [dontFragment]);
    assert.deepEqual(asksForDf('set', { dontFragment }), [true]);
    assert.deepEqual(asksForDf('clear', { dontFragment }), [false]);
  }
  assert.deepEqual(asksForDf('clear', { dontFragment: true, length: 1480 }), [false], 'too big for Ethernet');
  assert.deepEqual(asksForDf('set', { length: 1480 }), [true, true], 'cut before protection');
});

test('in transport mode through UDP, the traffic class and DF of the packet are its own', () => {
  const planes = new TwoPlanes(saPair('aes-128-gcm', 'none', { isUdp: true, mode: 'transport', selectors: V4 }), {
    dfBit: 'clear',
  });
  const ends = { source: WEST, destination: EAST };
  planes.send(innerPacket({ ...ends, trafficClass: 0xba, dontFragment: true }));
  assert.deepEqual(planes.fromWest.udp[0]?.outer, { trafficClass: 0xba, dontFragment: true });
  planes.receiveAll();
  const [delivered] = planes.takeDelivered();
  assert.equal(delivered?.[1], 0xba);
  assert.equal(finishChecksum(addToSum(0, delivered ?? new Uint8Array(), 0, 20)), 0);
});

test('every raw IPv4 packet has an identification of its own', () => {
  const planes = new TwoPlanes(saPair('aes-128-gcm', 'none'));
  for (let count = 0; count < 1000; count++) planes.send(innerPacket({ length: 40 }));
  const identifications = new Set(planes.fromWest.ip.map((packet) => ((packet[4] ?? 0) << 8) | (packet[5] ?? 0)));
  assert.equal(identifications.size, 1000);
});

for (const isIpv6 of [false, true])
  test(`RFC 9293 §3.7.1: the maximum segment size of a SYN in ${isIpv6 ? 'IPv6' : 'IPv4'} is lowered both ways, and its checksum still fits`, () => {
    const planes = new TwoPlanes(saPair('aes-128-gcm', 'none', { selectors: isIpv6 ? V6 : V4 }), { tcpMss: 1350 });
    // The second time a no-operation in front makes the value straddle two words.
    for (const options of [
      [2, 4, 0x05, 0xb4, 1, 1, 4, 2],
      [1, 2, 4, 0x05, 0xb4, 1, 4, 2],
      [2, 4, 0x02, 0x18, 0, 0, 0, 0],
    ]) {
      const syn = tcpSyn(isIpv6, options);
      planes.send(syn);
      planes.receiveAll();
      const [delivered] = planes.takeDelivered();
      assert.ok(delivered);
      const at = (isIpv6 ? 40 : 20) + 20 + options.indexOf(2) + 2;
      const mss = ((delivered[at] ?? 0) << 8) | (delivered[at + 1] ?? 0);
      assert.equal(mss, options.includes(0xb4) ? 1350 : 0x218);
      assert.equal(tcpChecksum(delivered, isIpv6), 0);
    }
  });

function tcpSyn(isIpv6: boolean, options: readonly number[]): Uint8Array {
  const headerLength = isIpv6 ? 40 : 20;
  const ends = isIpv6 ? { source: '2001:db8:a::7', destination: '2001:db8:b::9' } : {};
  const packet = innerPacket({ ...ends, length: headerLength + 20 + options.length, protocol: 6 });
  packet.set([((20 + options.length) / 4) << 4, 0x02, 0xff, 0xff, 0, 0, 0, 0, ...options], headerLength + 12);
  const checksum = tcpChecksum(packet, isIpv6);
  packet.set([checksum >> 8, checksum & 0xff], headerLength + 16);
  return packet;
}

function tcpChecksum(packet: Uint8Array, isIpv6: boolean): number {
  const headerLength = isIpv6 ? 40 : 20;
  const pseudo = addToSum(6 + packet.length - headerLength, packet, isIpv6 ? 8 : 12, headerLength);
  return finishChecksum(addToSum(pseudo, packet, headerLength, packet.length));
}

test('no IPv4 packet of an SA has an identification of zero, which a raw socket would replace behind the back of AH', () => {
  const identification = (packet: Uint8Array | undefined) => ((packet?.[4] ?? 0) << 8) | (packet?.[5] ?? 0);
  const tunnel = new TwoPlanes(saPair('null', 'hmac-sha1-96', { protocol: 'ah', selectors: V4 }));
  const seen = new Set<number>();
  for (let count = 0; count < 0x10000; count++) {
    tunnel.send(innerPacket({ length: 40 }));
    seen.add(identification(tunnel.fromWest.ip.pop()));
  }
  assert.equal(seen.size, 0xffff);
  assert.equal(seen.has(0), false);
  for (const protocol of ['esp', 'ah'] as const) {
    const suite = saPair('null', 'hmac-sha1-96', { protocol, mode: 'transport', selectors: V4 });
    const planes = new TwoPlanes(suite);
    const inner = innerPacket({ source: WEST, destination: EAST, dontFragment: true });
    inner.set([0, 0], 4);
    planes.send(inner);
    assert.notEqual(identification(planes.fromWest.ip[0]), 0);
    planes.receiveAll();
    assert.equal(planes.takeDelivered().length, 1, protocol);
  }
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DataPlaneCommand } from '../model/data-plane.ts';
import { spi } from '../model/ipsec-sa.ts';
import { addToSum, finishChecksum } from './checksum.ts';
import {
  EAST,
  innerPacket,
  newPlane,
  POLICY,
  policy,
  RecordingOutbox,
  START,
  saPair,
  selector,
  selectors,
  TwoPlanes,
  WEST,
} from './two-planes.fixture.ts';

const ANY = selectors('0.0.0.0/0', '0.0.0.0/0');

test('RFC 3948 §3.1.2: through NAT in transport mode, checksums are made to fit the addresses that the packet has here', () => {
  const planes = new TwoPlanes(
    saPair('aes-128-gcm', 'none', {
      mode: 'transport',
      isUdp: true,
      selectors: { local: selector('10.0.0.5', 17), remote: selector('198.51.100.2', 17) },
    }),
  );
  const inside = withUdpChecksum(innerPacket({ source: '10.0.0.5', destination: EAST }));
  planes.send(inside);
  const [sent] = planes.fromWest.udp;
  assert.ok(sent);
  const path = { local: { address: EAST, port: 4500 }, remote: { address: WEST, port: 31_000 } };
  planes.east.handleUdpPacket(START, path, sent.payload, planes.fromEast);
  const [delivered] = planes.takeDelivered();
  const expected = withUdpChecksum(innerPacket({ source: WEST, destination: EAST }));
  assert.deepEqual(delivered?.slice(12), expected.slice(12));
});

test('RFC 3948 §3.1.2: a UDP packet sent without a checksum stays without one', () => {
  const planes = new TwoPlanes(saPair('aes-128-gcm', 'none', { mode: 'transport', isUdp: true, selectors: ANY }));
  const inside = innerPacket({ source: WEST, destination: EAST });
  inside.set([0, 0], 26);
  planes.send(inside);
  planes.receiveAll();
  assert.deepEqual(planes.takeDelivered()[0]?.slice(26, 28), Uint8Array.of(0, 0));
});

test('RFC 4303 §3.1.1: transport mode refuses fragments and packets of the other family', () => {
  const planes = new TwoPlanes(saPair('aes-128-gcm', 'none', { mode: 'transport', selectors: ANY }));
  const fragment = innerPacket({ source: WEST, destination: EAST });
  fragment[6] = 0x20;
  assert.equal(planes.send(fragment), 0);
  assert.equal(planes.west.counters().drops['unsuitable-for-transport'], 1);
});

test('RFC 4303 §3.3.4: a transport mode packet too big for the path is cut after protection, unless it has DF', () => {
  const planes = new TwoPlanes(saPair('aes-128-gcm', 'none', { mode: 'transport', selectors: ANY }), { dfBit: 'copy' });
  const inside = innerPacket({ source: WEST, destination: EAST, length: 1490 });
  assert.equal(planes.send(inside), 2);
  planes.receiveAll();
  assert.deepEqual(planes.takeDelivered(), [inside]);
  assert.equal(planes.send(innerPacket({ source: WEST, destination: EAST, length: 1490, dontFragment: true })), 0);
});

for (const mode of ['tunnel', 'transport'] as const)
  test(`RFC 2401 §4.3: a bundle in ${mode} mode puts AH around ESP, and neither is taken without the other`, () => {
    const ends = mode === 'tunnel' ? {} : { source: WEST, destination: EAST };
    const bundle = bundled(mode);
    const inner = innerPacket(ends);
    bundle.send(inner);
    const [packet] = bundle.fromWest.ip;
    assert.ok(packet);
    assert.deepEqual([packet[9], packet[20]], [51, 50], 'IP carries AH, which carries ESP');
    assert.equal(finishChecksum(addToSum(0, packet, 0, 20)), 0);
    bundle.east.handleIpPacket(START, packet.slice(), bundle.fromEast);
    assert.deepEqual(
      bundle.fromEast.delivered.map((each) => each.packet),
      [inner],
    );
    assert.equal(bundle.east.counters().ahInputPackets, 1);
    assert.equal(bundle.east.counters().espDecryptedPackets, 1);

    bundle.send(inner);
    const second = bundle.fromWest.ip[1];
    assert.ok(second);
    const bare = withoutAh(second);
    bundle.east.handleIpPacket(START, bare, bundle.fromEast);
    assert.equal(bundle.fromEast.delivered.length, 1);
    assert.equal(bundle.east.counters().drops['wrong-encapsulation'], 1);
  });

test('RFC 3948 §1: AH goes without UDP, whatever path its SA names', () => {
  const planes = new TwoPlanes(saPair('null', 'hmac-sha-256-128', { protocol: 'ah', isUdp: true }));
  planes.send(innerPacket());
  assert.deepEqual([planes.fromWest.udp.length, planes.fromWest.ip.length], [0, 1]);
  planes.receiveAll();
  assert.deepEqual(planes.takeDelivered(), [innerPacket()]);
});

test('a bundle whose AH is missing is refused, and nothing leaves', () => {
  const { outbound } = saPair('aes-128-gcm', 'none', { wrappedInAh: spi(0x5000) });
  const plane = newPlane();
  const out = new RecordingOutbox();
  run(plane, out, [
    { kind: 'put-policy', policy: policy() },
    { kind: 'add-outbound', sa: outbound },
    { kind: 'use-outbound', policy: POLICY, spi: outbound.spi },
  ]);
  assert.deepEqual(out.kinds(), ['refused']);
  plane.handleInnerPacket(START, 'st0.0', innerPacket(), 0, 100, out);
  assert.equal(out.ip.length, 0);
});

function bundled(mode: 'tunnel' | 'transport') {
  const ah = saPair('null', 'hmac-sha1-96', { protocol: 'ah', mode, spi: spi(0x5000), selectors: ANY });
  const esp = saPair('aes-256-cbc', 'hmac-sha-256-128', { mode, wrappedInAh: spi(0x5000), selectors: ANY });
  const west = newPlane(1);
  const east = newPlane(2);
  const fromWest = new RecordingOutbox();
  const fromEast = new RecordingOutbox();
  const put = { kind: 'put-policy', policy: policy({ selectors: ANY }) } as const;
  run(east, fromEast, [put, { kind: 'add-inbound', sa: ah.inbound }, { kind: 'add-inbound', sa: esp.inbound }]);
  run(west, fromWest, [
    put,
    { kind: 'add-outbound', sa: ah.outbound },
    { kind: 'add-outbound', sa: esp.outbound },
    { kind: 'use-outbound', policy: POLICY, spi: esp.outbound.spi },
  ]);
  const send = (inner: Uint8Array) => west.handleInnerPacket(START, 'st0.0', inner.slice(), 0, inner.length, fromWest);
  return { west, east, fromWest, fromEast, send };
}

function run(plane: ReturnType<typeof newPlane>, out: RecordingOutbox, commands: readonly DataPlaneCommand[]): void {
  for (const command of commands) plane.handleCommand(START, command, out);
}

/** The ESP packet that somebody who takes AH away leaves. */
function withoutAh(packet: Uint8Array): Uint8Array {
  const ahLength = ((packet[21] ?? 0) + 2) * 4;
  const bare = new Uint8Array(packet.length - ahLength);
  bare.set(packet.subarray(0, 20));
  bare.set(packet.subarray(20 + ahLength), 20);
  bare[9] = 50;
  bare.set([bare.length >> 8, bare.length & 0xff], 2);
  return bare;
}

function withUdpChecksum(packet: Uint8Array): Uint8Array {
  packet.set([0, 80, 0, 0], 24);
  const checksum = finishChecksum(addToSum(addToSum(80 + 17, packet, 12, 20), packet, 20, 100));
  packet.set([checksum >> 8, checksum & 0xff], 26);
  return packet;
}

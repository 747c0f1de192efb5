import assert from 'node:assert/strict';
import { test } from 'node:test';
import { after, instant, milliseconds, NEVER } from '../lib/time.ts';
import { type IpsecSa, policyId, spi } from '../model/ipsec-sa.ts';
import { Counters } from './counters.ts';
import { HEADROOM, TAILROOM } from './packet-room.ts';
import {
  EAST,
  innerPacket,
  newPlane,
  POLICY,
  policy,
  RecordingOutbox,
  reversed,
  START,
  saPair,
  selectors,
  TwoPlanes,
  WEST,
} from './two-planes.fixture.ts';

const SUITES = [
  ['aes-256-cbc', 'hmac-sha-256-128'],
  ['aes-128-gcm', 'none'],
] as const;

for (const [encryption, integrity] of SUITES)
  for (const isUdp of [false, true])
    test(`RFC 4303 §3.1.2: tunnel mode with ${encryption} and ${integrity}, ${isUdp ? 'in UDP' : 'raw'}, gives back what went in`, () => {
      const planes = new TwoPlanes(saPair(encryption, integrity, { isUdp }));
      for (const length of [28, 29, 30, 31, 512, 1400]) {
        const inner = innerPacket({ length });
        assert.equal(planes.send(inner), 1);
        planes.receiveAll();
        assert.deepEqual(planes.takeDelivered(), [inner]);
      }
      assert.deepEqual(planes.east.saCounters('inbound', spi(0xc0ffee01)), { packets: 6, octets: 2030 });
      assert.equal(planes.west.counters().espEncryptedPackets, 6);
      assert.equal(planes.east.counters().espDecryptedBytes, 2030);
      assert.equal(planes.east.counters().discarded, 0);
    });

test('a packet with room around it is protected where it lies, one without is copied', () => {
  const planes = new TwoPlanes(saPair('aes-128-gcm', 'none'));
  const inner = innerPacket();
  const roomy = new Uint8Array(HEADROOM + inner.length + TAILROOM);
  roomy.set(inner, HEADROOM);
  planes.west.handleInnerPacket(START, 'st0.0', roomy, HEADROOM, HEADROOM + inner.length, planes.fromWest);
  assert.notDeepEqual(roomy.slice(HEADROOM, HEADROOM + inner.length), inner);
  const tight = inner.slice();
  planes.west.handleInnerPacket(START, 'st0.0', tight, 0, tight.length, planes.fromWest);
  assert.deepEqual(tight, inner);
  planes.receiveAll();
  assert.deepEqual(planes.takeDelivered(), [inner, inner]);
});

test('RFC 4301 §9: an SA counts what it carried and what it could not, and the total is the sum of all and of strangers', () => {
  const planes = new TwoPlanes(saPair('aes-128-gcm', 'none'), { dfBit: 'copy' });
  planes.send(innerPacket());
  planes.send(innerPacket());
  const [first, second] = planes.fromWest.ip;
  assert.ok(first && second);
  const forged = second.slice();
  forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1;
  const stranger = second.slice();
  stranger[20] = 0x77;
  for (const packet of [first.slice(), first, forged, second, stranger])
    planes.east.handleIpPacket(START, packet, planes.fromEast);
  const { inbound, outbound } = saPair('aes-128-gcm', 'none');
  const counted = planes.east.saCounters('inbound', inbound.spi);
  assert.deepEqual(counted, { packets: 2, octets: 200, drops: { replayed: 1, 'bad-icv': 1 } });
  planes.send(innerPacket({ length: 4000, dontFragment: true }));
  const sent = planes.west.saCounters('outbound', outbound.spi);
  const alone = new Counters();
  if (counted) alone.addSa('esp', 'inbound', counted);
  if (sent) alone.addSa('esp', 'outbound', sent);
  const { invalidSpi, discarded, ...rest } = planes.east.counters();
  const { discarded: discardedAlone, espEncryptedPackets, replayErrors, espAuthenticationFailures } = alone.snapshot();
  assert.deepEqual([replayErrors, espAuthenticationFailures], [rest.replayErrors, rest.espAuthenticationFailures]);
  assert.equal(invalidSpi, 1);
  assert.equal(discarded, 3);
  assert.deepEqual(sent?.drops, { 'exceeds-mtu': 1 });
  assert.equal(discardedAlone, 2 + planes.west.counters().discarded);
  assert.equal(espEncryptedPackets, planes.west.counters().espEncryptedPackets);
});

test('RFC 4303 §3.4.3: a packet that comes twice is delivered once and counted as a replay', () => {
  const planes = new TwoPlanes(saPair('aes-128-gcm', 'none', { isUdp: true }));
  planes.send(innerPacket());
  const [sent] = planes.fromWest.udp;
  assert.ok(sent);
  for (let time = 0; time < 3; time++)
    planes.east.handleUdpPacket(START, reversed(sent.path), sent.payload.slice(), planes.fromEast);
  assert.equal(planes.takeDelivered().length, 1);
  assert.equal(planes.east.counters().replayErrors, 2);
});

test('a packet that no policy of its interface covers is dropped and counted, not sent in clear', () => {
  const planes = new TwoPlanes(saPair('aes-128-gcm', 'none'));
  assert.equal(planes.send(innerPacket({ destination: '10.3.0.1' })), 0);
  planes.west.handleInnerPacket(START, 'st0.1', innerPacket(), 0, 100, planes.fromWest);
  assert.equal(planes.west.counters().drops['outside-selectors'], 2);
  assert.deepEqual(planes.fromWest.delivered, []);
});

test('RFC 4301 §5.2: an inner packet outside its SA selectors is dropped and counted as ts-check-fail', () => {
  const { outbound, inbound } = saPair('aes-128-gcm', 'none');
  const planes = new TwoPlanes({
    outbound,
    inbound: { ...inbound, selectors: selectors('10.2.0.0/24', '10.1.0.0/16') },
  });
  planes.send(innerPacket({ destination: '10.2.1.1' }));
  planes.receiveAll();
  assert.deepEqual(planes.takeDelivered(), []);
  assert.equal(planes.east.counters().tsCheckFail, 1);
});

test('several policies with traffic selectors share one tunnel interface', () => {
  const plane = newPlane();
  const out = new RecordingOutbox();
  for (const [name, remote] of [
    ['a', '10.2.1.0/24'],
    ['b', '10.2.2.0/24'],
  ] as const)
    plane.handleCommand(
      START,
      {
        kind: 'put-policy',
        policy: policy({ id: policyId('office', name), selectors: selectors('10.1.0.0/16', remote) }),
      },
      out,
    );
  plane.handleInnerPacket(START, 'st0.0', innerPacket({ destination: '10.2.2.5' }), 0, 100, out);
  assert.deepEqual(out.events, [{ kind: 'acquire', policy: 'office/b' }]);
});

test('a packet without an SA asks for one at most once a second, waits, and leaves when the SA is used', () => {
  const { outbound } = saPair('aes-128-gcm', 'none');
  const plane = newPlane();
  const out = new RecordingOutbox();
  plane.handleCommand(START, { kind: 'put-policy', policy: policy() }, out);
  for (let count = 0; count < 10; count++) plane.handleInnerPacket(START, 'st0.0', innerPacket(), 0, 100, out);
  plane.handleInnerPacket(after(START, milliseconds(999)), 'st0.0', innerPacket(), 0, 100, out);
  assert.deepEqual(out.kinds(), ['acquire']);
  plane.handleInnerPacket(after(START, milliseconds(1000)), 'st0.0', innerPacket(), 0, 100, out);
  assert.deepEqual(out.kinds(), ['acquire', 'acquire']);
  plane.handleCommand(START, { kind: 'add-outbound', sa: outbound }, out);
  assert.equal(out.ip.length, 0);
  plane.handleCommand(START, { kind: 'use-outbound', policy: POLICY, spi: outbound.spi }, out);
  assert.equal(out.ip.length, 8);
  assert.equal(plane.counters().drops['no-sa'], 4);
});

test('a few packets that overtake their SA are held while its SPI is reserved', () => {
  const { outbound, inbound } = saPair('aes-128-gcm', 'none', { isUdp: true });
  const planes = new TwoPlanes({ outbound, inbound });
  const late = newPlane(3);
  const out = new RecordingOutbox();
  late.handleCommand(START, { kind: 'put-policy', policy: policy({ selectors: inbound.selectors }) }, out);
  late.handleCommand(START, { kind: 'reserve-spi', spi: inbound.spi, protocol: 'esp', localAddress: EAST }, out);
  for (let count = 0; count < 6; count++) planes.send(innerPacket());
  for (const { path, payload } of planes.fromWest.udp) late.handleUdpPacket(START, reversed(path), payload, out);
  assert.deepEqual(out.events, []);
  late.handleCommand(START, { kind: 'add-inbound', sa: inbound }, out);
  assert.equal(out.delivered.length, 4);
  assert.equal(late.counters().drops['early-packet'], 2);
});

test('an SPI that nobody has is counted each time and told of ten times a second at most', () => {
  const plane = newPlane();
  const out = new RecordingOutbox();
  const path = { local: { address: EAST, port: 4500 }, remote: { address: WEST, port: 4500 } };
  for (let count = 0; count < 100; count++)
    plane.handleUdpPacket(START, path, Uint8Array.from([0, 0, 9, 9, 0, 0, 0, 1, ...new Uint8Array(40)]), out);
  assert.equal(plane.counters().invalidSpi, 100);
  assert.equal(out.events.length, 10);
  assert.deepEqual(out.events[0], {
    kind: 'unknown-spi',
    spi: 0x909,
    protocol: 'esp',
    localAddress: EAST,
    remoteAddress: WEST,
    udp: path,
  });
});

test('RFC 3948 §3: verified traffic from another port reports that the path moved, and move-path makes both directions follow', () => {
  const planes = new TwoPlanes(saPair('aes-128-gcm', 'none', { isUdp: true }));
  planes.send(innerPacket());
  const [sent] = planes.fromWest.udp.splice(0);
  assert.ok(sent);
  const from = reversed(sent.path);
  const to = { local: from.local, remote: { address: WEST, port: 61_000 } };
  const forged = sent.payload.slice();
  forged[20] = (forged[20] ?? 0) ^ 1;
  planes.east.handleUdpPacket(START, to, forged, planes.fromEast);
  assert.deepEqual(planes.fromEast.kinds(), []);
  planes.east.handleUdpPacket(START, to, sent.payload, planes.fromEast);
  const moved = planes.fromEast.events.filter((event) => event.kind === 'path-moved');
  assert.deepEqual(moved, [{ kind: 'path-moved', spi: spi(0xc0ffee01), policy: POLICY, from, to }]);
  planes.east.handleCommand(START, { kind: 'move-path', from, to }, planes.fromEast);
  planes.send(innerPacket());
  const [next] = planes.fromWest.udp;
  assert.ok(next);
  planes.east.handleUdpPacket(after(START, milliseconds(5000)), to, next.payload, planes.fromEast);
  assert.equal(planes.fromEast.events.filter((event) => event.kind === 'path-moved').length, 1);
});

test('RFC 4301 §4.4.2.1: age, octets and packets each report soft and hard expiry once, and hard expiry stops the SA', () => {
  const lifetime = {
    softSeconds: 10,
    hardSeconds: 20,
    softPackets: 3,
    hardPackets: 1000,
    softKilobytes: 1,
    hardKilobytes: 2,
  };
  const planes = new TwoPlanes(saPair('aes-128-gcm', 'none', { lifetime }));
  const expiries = () => planes.fromWest.kinds().filter((kind) => kind.endsWith('expired'));
  for (let count = 0; count < 3; count++) planes.send(innerPacket({ length: 100 }));
  assert.deepEqual(expiries(), ['soft-expired']);
  for (let count = 0; count < 20; count++) planes.send(innerPacket({ length: 100 }));
  assert.deepEqual(expiries(), ['soft-expired', 'hard-expired']);
  assert.equal(planes.fromWest.ip.length, 21);
  assert.equal(planes.fromWest.kinds().at(-1), 'acquire');

  const aged = new TwoPlanes(saPair('aes-128-gcm', 'none', { lifetime }));
  assert.equal(aged.west.nextTimeout(), instant(START + 10_000));
  aged.west.handleTimeout(instant(START + 10_000), aged.fromWest);
  assert.equal(aged.west.nextTimeout(), instant(START + 20_000));
  aged.west.handleTimeout(instant(START + 20_000), aged.fromWest);
  assert.deepEqual(aged.fromWest.kinds(), ['soft-expired', 'hard-expired']);
  assert.equal(aged.west.nextTimeout(), NEVER);
});

test('a rekey moves sending over at once, and the old inbound SA still opens what is under way', () => {
  const first = saPair('aes-128-gcm', 'none');
  const second = saPair('aes-256-cbc', 'hmac-sha-256-128', { spi: spi(0x1002) });
  const planes = new TwoPlanes(first);
  planes.send(innerPacket({ length: 100 }));
  planes.east.handleCommand(START, { kind: 'add-inbound', sa: second.inbound }, planes.fromEast);
  planes.west.handleCommand(START, { kind: 'add-outbound', sa: second.outbound }, planes.fromWest);
  planes.send(innerPacket({ length: 101 }));
  planes.west.handleCommand(START, { kind: 'use-outbound', policy: POLICY, spi: spi(0x1002) }, planes.fromWest);
  planes.send(innerPacket({ length: 102 }));
  planes.receiveAll();
  assert.deepEqual(
    planes.takeDelivered().map((packet) => packet.length),
    [100, 101, 102],
  );
  assert.equal(planes.east.saCounters('inbound', spi(0x1002))?.packets, 1);
  planes.west.handleCommand(
    START,
    { kind: 'remove', direction: 'outbound', spi: first.outbound.spi, remoteAddress: EAST },
    planes.fromWest,
  );
  planes.east.handleCommand(START, { kind: 'remove', direction: 'inbound', spi: first.outbound.spi }, planes.fromEast);
  assert.equal(planes.send(innerPacket({ length: 103 })), 1);
  assert.equal(planes.east.saCounters('inbound', first.inbound.spi), undefined);
});

test('an SA whose key does not fit its algorithm is refused in words', () => {
  const { inbound } = saPair('aes-128-gcm', 'none');
  const out = new RecordingOutbox();
  newPlane().handleCommand(START, { kind: 'add-inbound', sa: { ...inbound, encryptionKey: new Uint8Array(16) } }, out);
  assert.deepEqual(out.events, [
    { kind: 'refused', command: 'add-inbound', spi: inbound.spi, reason: 'aes-128-gcm takes 20 octets of key, not 16' },
  ]);
});

test('RFC 4303 §3.2: an SA that would protect nothing, and one that is there already, are refused', () => {
  const reasons = (sas: readonly IpsecSa[]) => {
    const plane = newPlane();
    const out = new RecordingOutbox();
    for (const sa of sas)
      plane.handleCommand(START, { kind: sa.direction === 'inbound' ? 'add-inbound' : 'add-outbound', sa }, out);
    return out.events.map((event) => (event.kind === 'refused' ? event.reason : event.kind));
  };
  assert.deepEqual(reasons([saPair('null', 'none').inbound]), ['neither encryption nor integrity was chosen']);
  assert.deepEqual(reasons([saPair('aes-128-ctr', 'none').outbound]), ['aes-128-ctr needs an integrity algorithm']);
  const { outbound, inbound } = saPair('aes-128-gcm', 'none');
  assert.deepEqual(reasons([inbound, outbound]), []);
  assert.deepEqual(reasons([inbound, inbound]), ['there is an SA of this SPI already']);
  assert.deepEqual(reasons([outbound, outbound]), ['there is an SA of this SPI already']);
});

test('RFC 4303 §3.4.4.1: without integrity, traffic proves neither that the peer lives nor where it is', () => {
  const planes = new TwoPlanes(saPair('aes-128-cbc', 'none', { isUdp: true }));
  planes.send(innerPacket());
  const [sent] = planes.fromWest.udp;
  assert.ok(sent);
  const path = { local: sent.path.remote, remote: { address: WEST, port: 9 } };
  planes.east.handleUdpPacket(START, path, sent.payload, planes.fromEast);
  assert.equal(planes.takeDelivered().length, 1);
  assert.deepEqual(planes.fromEast.events, []);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { addressOctets } from '../model/address.ts';
import { EAST6, innerPacket, type SaOptions, saPair, selectors, TwoPlanes, WEST6 } from './two-planes.fixture.ts';

const ANY = selectors('::/0', '::/0');
const TRANSPORT: SaOptions = {
  protocol: 'ah',
  mode: 'transport',
  selectors: ANY,
  localAddress: WEST6,
  remoteAddress: EAST6,
};

for (const type of [0, 2])
  test(`RFC 4302 Appendix A2: AH covers what a routing header of type ${type} will be where its route ends`, () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 7 }), fc.nat(), (count, visited) => {
        const segmentsLeft = 1 + (visited % count);
        const planes = new TwoPlanes(saPair('null', 'hmac-sha-256-128', TRANSPORT));
        const packet = routedPacket(type, count, segmentsLeft);
        assert.equal(planes.send(packet), 1);
        const [sent] = planes.fromWest.ip;
        assert.ok(sent);
        assert.deepEqual(sent.slice(8, 40), packet.slice(8, 40), 'what is sent has its route before it');
        travel(sent);
        planes.receiveAll();
        const expected = packet.slice();
        travel(expected);
        assert.deepEqual(planes.takeDelivered(), [expected]);
      }),
    );
  });

test('RFC 4302 §3.3.3.1.2: of a route travelled, no address may be another', () => {
  const planes = new TwoPlanes(saPair('null', 'hmac-sha-256-128', TRANSPORT));
  planes.send(routedPacket(2, 1, 1));
  const [sent] = planes.fromWest.ip;
  assert.ok(sent);
  travel(sent);
  sent[63] = (sent[63] ?? 0) ^ 1;
  planes.receiveAll();
  assert.equal(planes.east.counters().drops['bad-icv'], 1);
});

test('a route whose end AH cannot know is refused, under every type but two, and where it makes no sense', () => {
  const planes = new TwoPlanes(saPair('null', 'hmac-sha-256-128', TRANSPORT));
  for (const type of [1, 3, 4, 253]) assert.equal(planes.send(routedPacket(type, 2, 1)), 0);
  assert.equal(planes.send(routedPacket(0, 2, 3)), 0, 'more segments left than addresses');
  assert.equal(planes.west.counters().drops['unpredictable-route'], 5);
  assert.equal(planes.send(routedPacket(4, 2, 0)), 1, 'once it is travelled, nothing changes any more');
  planes.receiveAll();
  assert.deepEqual(planes.takeDelivered(), [routedPacket(4, 2, 0)]);
  const inEsp = new TwoPlanes(saPair('aes-128-gcm', 'none', { ...TRANSPORT, protocol: 'esp' }));
  assert.equal(inEsp.send(routedPacket(4, 2, 1)), 1, 'ESP does not cover it');
});

test('AH on a packet that has not come to the end of its route is dropped before any cryptography', () => {
  const planes = new TwoPlanes(saPair('null', 'hmac-sha-256-128', TRANSPORT));
  planes.send(routedPacket(0, 3, 2));
  planes.receiveAll();
  assert.equal(planes.east.counters().drops['malformed-outer'], 1);
});

/** A packet to EAST6 with a routing header of this many addresses. */
function routedPacket(type: number, count: number, segmentsLeft: number): Uint8Array {
  const plain = innerPacket({ source: WEST6, destination: EAST6 });
  const header = new Uint8Array(8 + count * 16);
  header.set([17, count * 2, type, segmentsLeft]);
  for (let index = 0; index < count; index++) {
    header.set(addressOctets(WEST6), 8 + index * 16);
    header[8 + index * 16 + 15] = 0x80 + index;
  }
  const packet = new Uint8Array(plain.length + header.length);
  packet.set(plain.subarray(0, 40));
  packet.set(header, 40);
  packet.set(plain.subarray(40), 40 + header.length);
  packet[6] = 43;
  new DataView(packet.buffer).setUint16(4, packet.length - 40);
  return packet;
}

/** What the nodes on the way do, one after another: exchange the destination and the next address (the rule of RFC 8200's forerunner, §4.4). */
function travel(packet: Uint8Array): void {
  const count = (packet[41] ?? 0) / 2;
  while ((packet[43] ?? 0) > 0) {
    const at = 48 + 16 * (count - (packet[43] ?? 0));
    const next = packet.slice(at, at + 16);
    packet.set(packet.slice(24, 40), at);
    packet.set(next, 24);
    packet[43] = (packet[43] ?? 0) - 1;
  }
}

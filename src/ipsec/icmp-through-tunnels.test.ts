import assert from 'node:assert/strict';
import { test } from 'node:test';
import { innerPacket, saPair, selectors, TwoPlanes } from './two-planes.fixture.ts';

test('RFC 4301 §6.2: an ICMP error from a router outside the selectors passes if it quotes a packet that the SA answers', () => {
  const planes = new TwoPlanes(saPair('aes-128-gcm', 'none'));
  // A router of west's, which no selector covers, tells east's host that its packet to west's host was too big.
  const quoted = innerPacket({ source: '10.2.0.9', destination: '10.1.0.7' });
  const error = icmpError('172.16.0.1', '10.2.0.9', quoted);
  assert.equal(planes.send(error), 1);
  planes.receiveAll();
  assert.deepEqual(planes.takeDelivered(), [error]);
});

for (const [what, packet] of [
  [
    'quotes a packet of others',
    icmpError('172.16.0.1', '10.2.0.9', innerPacket({ source: '10.2.0.9', destination: '10.3.0.7' })),
  ],
  ['quotes a packet that went the other way', icmpError('172.16.0.1', '10.2.0.9', innerPacket())],
  ['is an echo', icmpError('172.16.0.1', '10.2.0.9', innerPacket({ source: '10.2.0.9', destination: '10.1.0.7' }), 8)],
  ['quotes nothing', icmpError('172.16.0.1', '10.2.0.9', new Uint8Array(0))],
] as const)
  test(`RFC 4301 §6.2: what ${what} does not pass, out or in`, () => {
    const planes = new TwoPlanes(saPair('aes-128-gcm', 'none'));
    assert.equal(planes.send(packet), 0);
    assert.equal(planes.west.counters().drops['outside-selectors'], 1);
    // A peer that sends it all the same is not believed.
    const { outbound, inbound } = saPair('aes-128-gcm', 'none');
    const lax = new TwoPlanes({ outbound: { ...outbound, selectors: selectors('0.0.0.0/0', '0.0.0.0/0') }, inbound });
    assert.equal(lax.send(packet), 1);
    lax.receiveAll();
    assert.deepEqual(lax.takeDelivered(), []);
    assert.equal(lax.east.counters().tsCheckFail, 1);
  });

/** An ICMP message of type 3 (or another), code 4, with IP header and eight octets of what it is about (RFC 792). */
function icmpError(source: string, destination: string, quoted: Uint8Array, type = 3): Uint8Array {
  const length = 28 + Math.min(quoted.length, 28);
  const packet = innerPacket({ source, destination, protocol: 1, length });
  packet.set([type, 4, 0, 0, 0, 0, 5, 0], 20);
  packet.set(quoted.subarray(0, 28), 28);
  return packet;
}

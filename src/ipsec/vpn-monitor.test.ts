import assert from 'node:assert/strict';
import { test } from 'node:test';
import { address, addressOctets, type IpAddress } from '../model/address.ts';
import { addToSum, finishChecksum } from './checksum.ts';
import { EAST, EAST6, POLICY, START, saPair, selectors, TwoPlanes, WEST, WEST6 } from './two-planes.fixture.ts';

const ECHO = [0x12, 0x34, 0, 7, ...new TextEncoder().encode('are you there')];

for (const [family, west, east, any] of [
  ['IPv4', WEST, EAST, '0.0.0.0/0'],
  ['IPv6', WEST6, EAST6, '::/0'],
] as const)
  test(`${family}: an echo request to the gateway itself is answered through the tunnel that it came in by`, () => {
    const { planes } = monitored(west, east, any);
    const probe = icmp(west, east, 'request', ECHO);
    assert.equal(planes.send(probe), 1);
    planes.receiveAll();
    assert.deepEqual(planes.takeDelivered(), [], 'the host of the peer does not see it');
    const [answer] = planes.fromEast.ip;
    assert.ok(answer);
    planes.west.handleIpPacket(START, answer.slice(), planes.fromWest);
    const [delivered] = planes.fromWest.delivered;
    assert.ok(delivered);
    assert.equal(delivered.tunnelInterface, 'st0.0');
    assert.deepEqual(delivered.packet, icmp(east, west, 'reply', ECHO));
    assert.equal(planes.east.counters().espEncryptedPackets, 1);
  });

test('an echo request to a host behind the gateway, and a reply to the gateway, are delivered as ever', () => {
  const { planes } = monitored(WEST, EAST, '0.0.0.0/0');
  const other = icmp(WEST, address('198.51.100.3'), 'request', ECHO);
  const reply = icmp(WEST, EAST, 'reply', ECHO);
  for (const packet of [other, reply]) planes.send(packet);
  planes.receiveAll();
  assert.deepEqual(planes.takeDelivered(), [other, reply]);
  assert.equal(planes.fromEast.ip.length, 0);
});

/** West and east with SAs both ways, for everything. */
function monitored(west: IpAddress, east: IpAddress, any: string) {
  const addresses = { localAddress: west, remoteAddress: east, selectors: selectors(any, any) };
  const there = saPair('aes-128-gcm', 'none', addresses);
  const back = saPair('aes-128-gcm', 'none', { ...addresses, localAddress: east, remoteAddress: west });
  const planes = new TwoPlanes(there, { selectors: selectors(any, any) });
  planes.east.handleCommand(START, { kind: 'add-outbound', sa: back.outbound }, planes.fromEast);
  planes.east.handleCommand(START, { kind: 'use-outbound', policy: POLICY, spi: back.outbound.spi }, planes.fromEast);
  planes.west.handleCommand(START, { kind: 'add-inbound', sa: back.inbound }, planes.fromWest);
  return { planes };
}

/** A whole packet, checksums included. */
function icmp(
  source: IpAddress,
  destination: IpAddress,
  kind: 'request' | 'reply',
  rest: readonly number[],
): Uint8Array {
  const from = addressOctets(source);
  const to = addressOctets(destination);
  const length = 4 + rest.length;
  if (from.length === 4) {
    const header = Uint8Array.of(0x45, 0, 0, 20 + length, 0, 9, 0, 0, 64, 1, 0, 0, ...from, ...to);
    put(header, 10, finishChecksum(addToSum(0, header, 0, 20)));
    const message = Uint8Array.of(kind === 'request' ? 8 : 0, 0, 0, 0, ...rest);
    put(message, 2, finishChecksum(addToSum(0, message, 0, length)));
    return Uint8Array.of(...header, ...message);
  }
  const message = Uint8Array.of(kind === 'request' ? 128 : 129, 0, 0, 0, ...rest);
  const pseudo = Uint8Array.of(...from, ...to, 0, 0, 0, length, 0, 0, 0, 58);
  put(message, 2, finishChecksum(addToSum(addToSum(0, pseudo, 0, pseudo.length), message, 0, length)));
  return Uint8Array.of(0x60, 0, 0, 0, 0, length, 58, 64, ...from, ...to, ...message);
}

function put(octets: Uint8Array, at: number, value: number): void {
  octets[at] = value >>> 8;
  octets[at + 1] = value & 0xff;
}

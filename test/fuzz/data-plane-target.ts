// The data plane under packets that nobody with the keys has made, and under inner packets of any kind.

import assert from 'node:assert/strict';
import { EAST, innerPacket, type SaOptions, saPair, TwoPlanes, WEST } from '../../src/ipsec/two-planes.fixture.ts';
import { concat, toHex } from '../../src/lib/bytes.ts';
import type { EncryptionAlgorithm, IntegrityAlgorithm } from '../../src/model/algorithms.ts';
import type { FuzzTarget } from './fuzzer.ts';

/** The first octet of an input says which SA, and the second by which way its packet arrives. */
const SAS: readonly (readonly [EncryptionAlgorithm, IntegrityAlgorithm, SaOptions])[] = [
  ['aes-128-gcm', 'none', {}],
  ['aes-256-cbc', 'hmac-sha-256-128', {}],
  ['aes-128-gcm', 'none', { extendedSequenceNumbers: true }],
  ['null', 'hmac-sha1-96', { protocol: 'ah' }],
  ['3des-cbc', 'hmac-sha1-96', { replayWindow: 0 }],
  ['null', 'hmac-sha-256-128', {}],
];
const WAYS = ['udp', 'ip', 'inner'] as const;

const INNER = [
  innerPacket(),
  innerPacket({ protocol: 6, length: 60 }),
  innerPacket({ protocol: 1, length: 84, dontFragment: true }),
  innerPacket({ length: 1400 }),
];
const GENUINE = new Set(INNER.map(withoutMutableFields));
const PATH = { local: { address: EAST, port: 4500 }, remote: { address: WEST, port: 4500 } };

export const DATA_PLANE_TARGET: FuzzTarget = {
  name: 'data-plane',
  shortRuns: 800,
  seeds: () =>
    SAS.flatMap((_, index) => [
      ...[...genuinePackets(index, true)].map((packet) => concat(Uint8Array.of(index, 0), packet)),
      ...[...genuinePackets(index, false)].map((packet) => concat(Uint8Array.of(index, 1), packet)),
      ...INNER.slice(0, 2).map((packet) => concat(Uint8Array.of(index, 2), packet)),
    ]),
  run: (input) => {
    const index = (input[0] ?? 0) % SAS.length;
    const way = WAYS[(input[1] ?? 0) % WAYS.length] ?? 'ip';
    const planes = newPlanes(index, way === 'udp');
    const packet = input.slice(2);
    if (way === 'inner') {
      planes.send(packet);
      planes.receiveAll();
      return;
    }
    // Twice, so that what passed once is a replay.
    for (const copy of [packet.slice(), packet.slice()]) {
      if (way === 'udp') planes.east.handleUdpPacket(planes.now, PATH, copy, planes.fromEast);
      else planes.east.handleIpPacket(planes.now, copy, planes.fromEast);
    }
    const delivered = planes.takeDelivered();
    for (const inner of delivered) {
      assert.ok(GENUINE.has(withoutMutableFields(inner)), `a packet that nobody sent was delivered: ${toHex(inner)}`);
    }
    if ((SAS[index]?.[2].replayWindow ?? 64) > 0) assert.ok(delivered.length <= 1, 'a replay was delivered');
  },
};

function newPlanes(index: number, isUdp: boolean): TwoPlanes {
  const [encryption, integrity, options] = SAS[index] ?? ['aes-128-gcm', 'none', {}];
  return new TwoPlanes(saPair(encryption, integrity, { ...options, isUdp: isUdp && options.protocol !== 'ah' }));
}

function genuinePackets(index: number, isUdp: boolean): readonly Uint8Array[] {
  const planes = newPlanes(index, isUdp);
  for (const inner of INNER) planes.send(inner);
  return [...planes.fromWest.udp.map(({ payload }) => payload), ...planes.fromWest.ip];
}

/** ECN may change on the way, and with it the header checksum (RFC 6040 §4.2). */
function withoutMutableFields(packet: Uint8Array): string {
  const copy = packet.slice();
  copy[1] = 0;
  copy[10] = 0;
  copy[11] = 0;
  return toHex(copy);
}

// The data plane under packets that nobody with the keys has made, and under inner packets of any kind.

import assert from 'node:assert/strict';
import {
  EAST,
  innerPacket,
  type SaOptions,
  START,
  saPair,
  TwoPlanes,
  WEST,
} from '../../src/ipsec/two-planes.fixture.ts';
import { concat, toHex } from '../../src/lib/bytes.ts';
import { after, milliseconds, seconds, toMilliseconds } from '../../src/lib/time.ts';
import type { EncryptionAlgorithm, IntegrityAlgorithm } from '../../src/model/algorithms.ts';
import type { SecurityPolicy } from '../../src/model/data-plane.ts';
import type { FuzzTarget } from './fuzzer.ts';

const DUMMY_INTERVAL = seconds(2);

/** The first octet of an input says which SA under which policy, and the second by which way its packet arrives. */
const SAS: readonly (readonly [EncryptionAlgorithm, IntegrityAlgorithm, SaOptions, Partial<SecurityPolicy>])[] = [
  ['aes-128-gcm', 'none', {}, {}],
  ['aes-256-cbc', 'hmac-sha-256-128', {}, {}],
  ['aes-128-gcm', 'none', { extendedSequenceNumbers: true }, {}],
  ['null', 'hmac-sha1-96', { protocol: 'ah' }, {}],
  ['3des-cbc', 'hmac-sha1-96', { replayWindow: 0 }, {}],
  ['null', 'hmac-sha-256-128', {}, {}],
  // Padded to one length, and never silent (RFC 4303 §2.6, §2.7).
  ['aes-128-gcm', 'none', {}, { tfcPadding: 900, dummyInterval: DUMMY_INTERVAL }],
  ['aes-256-cbc', 'hmac-sha-256-128', {}, { tfcPadding: 2000, dfBit: 'copy', mtu: 1400 }],
  ['null', 'hmac-sha1-96', {}, { dummyInterval: DUMMY_INTERVAL, dfBit: 'copy' }],
];
/** From the peer, in UDP or not; from an inner host; from a router on the path; from the host, about its link. */
const WAYS = ['udp', 'ip', 'inner', 'icmp', 'link'] as const;

const IPV4_HEADER_LENGTH = 20;
const LARGE = innerPacket({ length: 1400 });
const INNER = [
  innerPacket(),
  innerPacket({ protocol: 6, length: 60 }),
  innerPacket({ protocol: 1, length: 84, dontFragment: true }),
  LARGE,
];
const GENUINE = new Set(INNER.map(withoutMutableFields));
const PATH = { local: { address: EAST, port: 4500 }, remote: { address: WEST, port: 4500 } };

/** What 1400 octets become at most, where every path carries 576 (RFC 791 §3.1). */
const PIECES_MAX = 4;

export const DATA_PLANE_TARGET: FuzzTarget = {
  name: 'data-plane',
  shortRuns: 1500,
  keepsState: true,
  seeds: () =>
    SAS.flatMap((_, index) => [
      ...[...genuinePackets(index, true)].map((packet) => concat(Uint8Array.of(index, 0), packet)),
      ...[...genuinePackets(index, false)].map((packet) => concat(Uint8Array.of(index, 1), packet)),
      ...INNER.slice(0, 2).map((packet) => concat(Uint8Array.of(index, 2), packet)),
      ...genuinePackets(index, false).map((packet) => concat(Uint8Array.of(index, 3), tooBig(packet, 1000))),
      ...[0, 600, 1300, 9000].map((mtu) => Uint8Array.of(index, 4, mtu >> 8, mtu & 0xff)),
    ]),
  run: (input) => {
    const index = (input[0] ?? 0) % SAS.length;
    const way = WAYS[(input[1] ?? 0) % WAYS.length] ?? 'ip';
    const packet = input.slice(2);
    if (way === 'udp' || way === 'ip') receiveTwice(index, way, packet);
    else outboundWay(index, way, packet);
  },
};

/** Only what was sent comes out, and once. The planes are new: their replay window knows of nothing. */
function receiveTwice(index: number, way: 'udp' | 'ip', packet: Uint8Array): void {
  const planes = newPlanes(index, way === 'udp');
  for (const copy of [packet.slice(), packet.slice()]) {
    if (way === 'udp') planes.east.handleUdpPacket(planes.now, PATH, copy, planes.fromEast);
    else planes.east.handleIpPacket(planes.now, copy, planes.fromEast);
  }
  const delivered = planes.takeDelivered();
  for (const inner of delivered) {
    assert.ok(GENUINE.has(withoutMutableFields(inner)), `a packet that nobody sent was delivered: ${toHex(inner)}`);
  }
  if ((SAS[index]?.[2].replayWindow ?? 64) > 0) assert.ok(delivered.length <= 1, 'a replay was delivered');
}

/** Live through all inputs, so that what one tells of the path is there for the next. */
const LASTING = new Map<number, TwoPlanes>();

/** What routers and the host say of a path makes it narrower within bounds, and what leaves on it arrives. */
function outboundWay(index: number, way: 'inner' | 'icmp' | 'link', packet: Uint8Array): void {
  const planes = LASTING.get(index) ?? newPlanes(index, index % 2 === 0);
  LASTING.set(index, planes);
  planes.now = after(planes.now, milliseconds(1000));
  for (const [plane, out] of [[planes.west, planes.fromWest] as const, [planes.east, planes.fromEast] as const]) {
    plane.handleTimeout(planes.now, out);
  }
  planes.receiveAll();
  assert.deepEqual(planes.takeDelivered(), [], 'a dummy is for nobody');
  if (way === 'icmp') planes.west.handleIcmpError(planes.now, packet);
  else if (way === 'link') planes.west.handleLinkMtu(EAST, ((packet[0] ?? 0) << 8) | (packet[1] ?? 0));
  else planes.send(packet);
  planes.receiveAll();
  planes.takeDelivered();
  const pieces = planes.send(LARGE);
  assert.ok(pieces >= 1 && pieces <= PIECES_MAX, `${pieces} pieces of ${LARGE.length} octets`);
  planes.receiveAll();
  const octets = planes.takeDelivered().reduce((sum, { length }) => sum + length - IPV4_HEADER_LENGTH, 0);
  assert.equal(octets, LARGE.length - IPV4_HEADER_LENGTH, 'what was sent has arrived');
  for (const out of [planes.fromWest, planes.fromEast]) {
    out.delivered.length = 0;
    out.events.length = 0;
  }
}

function newPlanes(index: number, isUdp: boolean): TwoPlanes {
  const [encryption, integrity, options, given] = SAS[index] ?? ['aes-128-gcm', 'none', {}, {}];
  return new TwoPlanes(saPair(encryption, integrity, { ...options, isUdp: isUdp && options.protocol !== 'ah' }), given);
}

function genuinePackets(index: number, isUdp: boolean): readonly Uint8Array[] {
  const planes = newPlanes(index, isUdp);
  for (const inner of INNER) planes.send(inner);
  // Where a policy asks for one, a dummy follows an interval in silence.
  for (const intervals of [1, 2]) {
    planes.west.handleTimeout(after(START, milliseconds(intervals * toMilliseconds(DUMMY_INTERVAL))), planes.fromWest);
  }
  return [...planes.fromWest.udp.map(({ payload }) => payload), ...planes.fromWest.ip];
}

/** What a router says of a packet that is too big for it (RFC 1191 §4), with as much of it as RFC 792 promises. */
function tooBig(packet: Uint8Array, mtu: number): Uint8Array {
  const quoted = packet.subarray(0, 28);
  const error = new Uint8Array(28 + quoted.length);
  error.set([0x45, 0, 0, error.length, 0, 0, 0, 0, 64, 1, 0, 0, 192, 0, 2, 254, 192, 0, 2, 1]);
  error.set([3, 4, 0, 0, 0, 0, mtu >> 8, mtu & 0xff], 20);
  error.set(quoted, 28);
  return error;
}

/** ECN may change on the way, and with it the header checksum (RFC 6040 §4.2). */
function withoutMutableFields(packet: Uint8Array): string {
  const copy = packet.slice();
  copy[1] = 0;
  copy[10] = 0;
  copy[11] = 0;
  return toHex(copy);
}

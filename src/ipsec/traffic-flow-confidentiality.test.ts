// TFC padding and dummy packets (RFC 4303 §2.6, §2.7), on their way out.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { after, type Instant, milliseconds, NEVER, seconds } from '../lib/time.ts';
import type { EncryptionAlgorithm, IntegrityAlgorithm } from '../model/algorithms.ts';
import type { SecurityPolicy } from '../model/data-plane.ts';
import { type IpsecSa, spi } from '../model/ipsec-sa.ts';
import { HEADROOM, TAILROOM } from './packet-room.ts';
import {
  EAST6,
  innerPacket,
  newPlane,
  POLICY,
  policy,
  RecordingOutbox,
  type SaOptions,
  START,
  saPair,
  selectors,
  TwoPlanes,
  WEST6,
} from './two-planes.fixture.ts';

const SUITES: readonly (readonly [EncryptionAlgorithm, IntegrityAlgorithm])[] = [
  ['aes-256-gcm', 'none'],
  ['aes-256-cbc', 'hmac-sha-256-128'],
  ['3des-cbc', 'hmac-md5-96'],
  ['null', 'hmac-sha1-96'],
  ['aes-128-ctr', 'aes-xcbc-96'],
];
const PATH_MTU = 1500;
const IN_IPV6 = { localAddress: WEST6, remoteAddress: EAST6 };
const INTERVAL = seconds(10);
const DUMMIES = { dummyInterval: INTERVAL };

test('RFC 4303 §2.7: padded packets are as long as the longest that was asked for, fit the path, and come out as they went in', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...SUITES),
      fc.boolean(),
      fc.boolean(),
      fc.integer({ min: 1, max: 2000 }),
      fc.array(fc.integer({ min: 28, max: 1400 }), { minLength: 1, maxLength: 5 }),
      ([encryption, integrity], isUdp, isInIpv6, tfcPadding, lengths) => {
        const options = { isUdp: isUdp && !isInIpv6, ...(isInIpv6 ? IN_IPV6 : {}) };
        const planes = new TwoPlanes(saPair(encryption, integrity, options), { tfcPadding });
        const plain = new TwoPlanes(saPair(encryption, integrity, options));
        const lengthOf = (length: number): number => {
          plain.send(innerPacket({ length }));
          return takeSent(plain)[0]?.length ?? 0;
        };
        for (const length of lengths) {
          const inner = innerPacket({ length });
          assert.equal(planes.send(inner), 1);
          const [sent] = takeSent(planes, false);
          const total = (sent?.length ?? 0) + (options.isUdp ? 28 : 0);
          assert.ok(total <= PATH_MTU, `${total} octets`);
          // A packet of that length has the same length outside; only where the path ends before is there less.
          const wanted = Math.max(length, tfcPadding);
          if (wanted <= 1400) assert.equal(sent?.length, lengthOf(wanted));
          else assert.ok((sent?.length ?? 0) >= lengthOf(1400), `${total} octets`);
          planes.receiveAll();
          assert.deepEqual(planes.takeDelivered(), [inner]);
        }
        assert.equal(planes.east.counters().discarded, 0);
        assert.equal(planes.west.counters().espEncryptedBytes, planes.east.counters().espDecryptedBytes);
      },
    ),
    { numRuns: 300 },
  );
});

test('TFC padding leaves alone what lies behind the packet in its buffer', () => {
  const planes = new TwoPlanes(saPair('aes-128-gcm', 'none'), { tfcPadding: 1000 });
  const inner = innerPacket();
  const end = HEADROOM + inner.length;
  const buffer = new Uint8Array(end + 2000).fill(0xa5);
  buffer.set(inner, HEADROOM);
  planes.west.handleInnerPacket(START, 'st0.0', buffer, HEADROOM, end, planes.fromWest);
  assert.ok(buffer.subarray(end + TAILROOM).every((octet) => octet === 0xa5));
  planes.receiveAll();
  assert.deepEqual(planes.takeDelivered(), [inner]);
});

test('TFC padding is for ESP in tunnel mode: AH and transport mode send what they would have sent', () => {
  const transport: SaOptions = { mode: 'transport', selectors: selectors('192.0.2.1/32', '198.51.100.2/32') };
  for (const [options, inner] of [
    [{ protocol: 'ah' }, innerPacket()],
    [transport, innerPacket({ source: '192.0.2.1', destination: '198.51.100.2' })],
  ] as const) {
    const sent = [{}, { tfcPadding: 1000, ...DUMMIES }].map((given) => {
      const planes = new TwoPlanes(saPair('null', 'hmac-sha1-96', options), given);
      assert.equal(planes.send(inner), 1);
      assert.equal(planes.west.nextTimeout(), NEVER, 'and no dummies');
      return takeSent(planes);
    });
    assert.deepEqual(sent[1], sent[0]);
  }
});

test('fragments are padded like whole packets, and padding never makes a packet too big', () => {
  const planes = new TwoPlanes(saPair('aes-128-gcm', 'none'), { tfcPadding: 9000 });
  assert.equal(planes.send(innerPacket({ length: 2000 })), 2);
  const lengths = planes.fromWest.ip.map(({ length }) => length);
  assert.deepEqual(lengths, [1500, 1500]);
  planes.receiveAll();
  assert.equal(planes.takeDelivered().length, 2);
  assert.equal(planes.west.counters().discarded, 0);
});

test('RFC 4303 §2.6: each silent interval is filled with one dummy, which the peer drops; both count it, and neither as traffic', () => {
  const planes = new TwoPlanes(saPair('aes-128-gcm', 'none'), DUMMIES);
  planes.fromWest.events.length = 0;
  let now: Instant = START;
  for (let count = 1; count <= 5; count++) {
    now = after(now, milliseconds(10_000));
    assert.equal(planes.west.nextTimeout(), now);
    planes.west.handleTimeout(after(now, milliseconds(-1)), planes.fromWest);
    assert.equal(planes.fromWest.ip.length, 0, 'not before its time');
    planes.west.handleTimeout(now, planes.fromWest);
    assert.equal(planes.fromWest.ip.length, 1);
    planes.receiveAll();
    assert.equal(planes.west.counters().dummiesSent, count);
  }
  const { west, east } = planes;
  assert.deepEqual([east.counters().dummyPackets, east.counters().discarded], [5, 0]);
  assert.deepEqual(planes.takeDelivered(), []);
  assert.deepEqual(
    [planes.fromWest.kinds(), planes.fromEast.kinds()],
    [[], []],
    'no traffic, so that an idle tunnel ends',
  );
  assert.deepEqual([west.counters().espEncryptedPackets, east.counters().espDecryptedPackets], [0, 0]);
  assert.deepEqual(west.saCounters('outbound', spi(0xc0ffee01)), { packets: 0, octets: 0 });
  // They have numbers of their own: what comes afterwards is no replay.
  planes.send(innerPacket());
  planes.receiveAll();
  assert.equal(planes.takeDelivered().length, 1);
});

test('while there is traffic, no dummies are sent; they start an interval after it has stopped', () => {
  const planes = new TwoPlanes(saPair('aes-128-gcm', 'none'), DUMMIES);
  for (let at = 0; at < 50; at += 5) {
    planes.now = after(START, milliseconds(at * 1000 + 1));
    planes.west.handleTimeout(planes.now, planes.fromWest);
    planes.send(innerPacket());
  }
  assert.equal(planes.west.counters().dummiesSent, 0);
  planes.west.handleTimeout(after(START, milliseconds(50_001)), planes.fromWest);
  planes.west.handleTimeout(after(START, milliseconds(60_002)), planes.fromWest);
  assert.equal(planes.west.counters().dummiesSent, 1);
});

test('a dummy is as long as a padded packet, or else of any length, and never longer than the path carries', () => {
  const lengthsOf = (given: Partial<SecurityPolicy>): readonly number[] => {
    const planes = new TwoPlanes(saPair('aes-128-gcm', 'none'), { ...DUMMIES, ...given });
    for (let count = 1; count <= 200; count++)
      planes.west.handleTimeout(after(START, milliseconds(count * 10_001)), planes.fromWest);
    return takeSent(planes).map(({ length }) => length);
  };
  assert.deepEqual(new Set(lengthsOf({ tfcPadding: 1000 })), new Set([sentLength(1000)]));
  assert.deepEqual(new Set(lengthsOf({ tfcPadding: 9000 })), new Set([PATH_MTU]));
  const lengths = lengthsOf({});
  assert.equal(lengths.length, 200);
  assert.ok(new Set(lengths).size > 100, 'they vary');
  assert.ok(Math.min(...lengths) < 200 && Math.max(...lengths) > 1300 && Math.max(...lengths) <= PATH_MTU);
  assert.ok(Math.max(...lengthsOf({ mtu: 600 })) <= sentLength(600));
});

test('dummies end with their SA, their policy, or the wish for them, and begin again with the next', () => {
  const { outbound } = saPair('aes-128-gcm', 'none');
  const plane = newPlane();
  const out = new RecordingOutbox();
  const put = (given: Partial<SecurityPolicy>) =>
    plane.handleCommand(START, { kind: 'put-policy', policy: policy(given) }, out);
  const dueAt = after(START, milliseconds(10_000));
  put(DUMMIES);
  assert.equal(plane.nextTimeout(), NEVER, 'there is no SA yet');
  use(plane, outbound, out);
  assert.equal(plane.nextTimeout(), dueAt);
  put({});
  plane.handleTimeout(dueAt, out);
  assert.deepEqual([out.ip.length, plane.nextTimeout()], [0, NEVER]);
  put(DUMMIES);
  plane.handleTimeout(dueAt, out);
  assert.equal(out.ip.length, 1);
  plane.handleCommand(dueAt, { kind: 'remove', direction: 'outbound', spi: outbound.spi }, out);
  plane.handleTimeout(after(dueAt, milliseconds(10_000)), out);
  assert.deepEqual([out.ip.length, plane.nextTimeout()], [1, NEVER]);
  use(plane, { ...outbound, spi: spi(0xc0ffee02) }, out);
  plane.handleCommand(START, { kind: 'delete-policy', id: POLICY }, out);
  plane.handleTimeout(after(dueAt, milliseconds(20_000)), out);
  assert.deepEqual([out.ip.length, plane.nextTimeout()], [1, NEVER]);
  assert.deepEqual(out.kinds(), []);
});

test('RFC 4301 §4.4.2.1: dummies wear their key out like any packet, and stop with the last sequence number', () => {
  const pair = saPair('aes-128-gcm', 'none', { lifetime: { softPackets: 3, hardPackets: 5 } });
  const planes = new TwoPlanes(pair, DUMMIES);
  planes.send(innerPacket());
  planes.fromWest.events.length = 0;
  for (let count = 1; count <= 10; count++)
    planes.west.handleTimeout(after(START, milliseconds(count * 10_001)), planes.fromWest);
  assert.deepEqual(planes.fromWest.kinds(), ['soft-expired', 'hard-expired']);
  // The interval with the packet had none.
  assert.equal(planes.west.counters().dummiesSent, 4);
});

test('ESP inside AH carries padding and dummies too', () => {
  const ah = { protocol: 'ah' as const, spi: spi(0xc0ffee02), mode: 'transport' as const };
  const given = { tfcPadding: 800, ...DUMMIES };
  const inside = saPair('aes-128-cbc', 'none', { wrappedInAh: ah.spi });
  const around = saPair('null', 'hmac-sha1-96', ah);
  const planes = new TwoPlanes(saPair('aes-128-gcm', 'none', { spi: spi(0xc0ffee03) }), given);
  planes.west.handleCommand(START, { kind: 'add-outbound', sa: around.outbound }, planes.fromWest);
  use(planes.west, inside.outbound, planes.fromWest);
  for (const { inbound } of [inside, around])
    planes.east.handleCommand(START, { kind: 'add-inbound', sa: inbound }, planes.fromEast);
  const inner = innerPacket();
  planes.send(inner);
  planes.west.handleTimeout(after(START, milliseconds(10_000)), planes.fromWest);
  planes.west.handleTimeout(after(START, milliseconds(20_000)), planes.fromWest);
  assert.equal(new Set(planes.fromWest.ip.map(({ length }) => length)).size, 1);
  planes.receiveAll();
  assert.deepEqual(planes.takeDelivered(), [inner]);
  const { dummyPackets, discarded } = planes.east.counters();
  assert.deepEqual([dummyPackets, discarded], [1, 0]);
});

/** Length on the wire of an inner packet under AES-GCM in IPv4. */
function sentLength(length: number): number {
  const planes = new TwoPlanes(saPair('aes-128-gcm', 'none'));
  planes.send(innerPacket({ length }));
  return planes.fromWest.ip[0]?.length ?? 0;
}

function takeSent(planes: TwoPlanes, isTaken = true): readonly Uint8Array[] {
  const sent = [...planes.fromWest.udp.map(({ payload }) => payload), ...planes.fromWest.ip];
  if (isTaken) planes.fromWest.udp.length = planes.fromWest.ip.length = 0;
  return sent;
}

function use(plane: ReturnType<typeof newPlane>, sa: IpsecSa, out: RecordingOutbox): void {
  plane.handleCommand(START, { kind: 'add-outbound', sa }, out);
  plane.handleCommand(START, { kind: 'use-outbound', policy: POLICY, spi: sa.spi }, out);
}

// What must hold for every SA, packet and path (RFC 4303, RFC 4302), tried with random ones. fast-check prints the seed of a failure.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { nodePacketCrypto } from '../crypto/node-packet-provider.ts';
import type { PacketCryptoProvider } from '../crypto/provider.ts';
import {
  ENCRYPTION,
  type EncryptionAlgorithm,
  encryptionTraits,
  INTEGRITY,
  type IntegrityAlgorithm,
} from '../model/algorithms.ts';
import type { IpsecSa } from '../model/ipsec-sa.ts';
import {
  EAST,
  EAST6,
  innerPacket,
  type SaOptions,
  saPair,
  selectors,
  TwoPlanes,
  WEST,
  WEST6,
} from './two-planes.fixture.ts';

interface Suite {
  readonly protocol: 'esp' | 'ah';
  readonly encryption: EncryptionAlgorithm;
  readonly integrity: IntegrityAlgorithm;
}

const SUITES: readonly Suite[] = [
  ...keysOf(ENCRYPTION).flatMap((encryption) =>
    encryptionTraits(encryption).icvLength > 0
      ? [{ protocol: 'esp', encryption, integrity: 'none' } as const]
      : espIntegrities().map((integrity) => ({ protocol: 'esp', encryption, integrity }) as const),
  ),
  ...keysOf(INTEGRITY)
    .filter((integrity) => integrity !== 'none')
    .map((integrity) => ({ protocol: 'ah', encryption: 'null', integrity }) as const),
];

interface Situation {
  readonly suite: Suite;
  readonly mode: 'tunnel' | 'transport';
  readonly outerFamily: 4 | 6;
  readonly innerFamily: 4 | 6;
  readonly isUdp: boolean;
  readonly isExtended: boolean;
  readonly replayWindow: number;
}

const anySituation: fc.Arbitrary<Situation> = fc
  .record({
    suite: fc.constantFrom(...SUITES),
    mode: fc.constantFrom('tunnel' as const, 'transport' as const),
    outerFamily: fc.constantFrom(4 as const, 6 as const),
    innerFamily: fc.constantFrom(4 as const, 6 as const),
    isUdp: fc.boolean(),
    isExtended: fc.boolean(),
    replayWindow: fc.constantFrom(64, 128, 1024, 8192),
  })
  .map((situation) => ({
    ...situation,
    innerFamily: situation.mode === 'transport' ? situation.outerFamily : situation.innerFamily,
    isUdp:
      situation.isUdp &&
      situation.suite.protocol === 'esp' &&
      situation.outerFamily === 4 &&
      situation.mode === 'tunnel',
  }));

test('RFC 4303 §3.3, §3.4: unprotecting gives back what was protected, for any SA, packet and path', () => {
  fc.assert(
    fc.property(
      anySituation,
      fc.array(fc.integer({ min: 60, max: 1300 }), { minLength: 1, maxLength: 4 }),
      (situation, lengths) => {
        const planes = planesFor(situation);
        for (const length of lengths) {
          const inner = packetFor(situation, length);
          assert.equal(planes.send(inner), 1);
          planes.receiveAll();
          assert.deepEqual(planes.takeDelivered(), [inner]);
        }
        assert.equal(planes.east.counters().discarded, 0);
      },
    ),
    { numRuns: 600 },
  );
});

test('RFC 4303 §3.4.4.1: a packet in which any one bit was flipped is refused', () => {
  fc.assert(
    fc.property(anySituation, fc.nat(), fc.integer({ min: 60, max: 200 }), (situation, position, length) => {
      const planes = planesFor(situation);
      planes.send(packetFor(situation, length));
      const packet = planes.fromWest.udp[0]?.payload ?? planes.fromWest.ip[0];
      assert.ok(packet);
      const start = firstAuthenticatedOctet(situation);
      const bit = position % ((packet.length - start) * 8);
      const octet = start + (bit >> 3);
      packet[octet] = (packet[octet] ?? 0) ^ (1 << (bit & 7));
      planes.receiveAll();
      assert.deepEqual(planes.takeDelivered(), []);
      assert.equal(planes.east.counters().discarded, 1);
      assert.deepEqual(
        planes.fromEast.events.filter((event) => event.kind !== 'unknown-spi'),
        [],
      );
    }),
    { numRuns: 600 },
  );
});

test('RFC 4303 §3.4.3: packets in any order within the window are accepted, each once', () => {
  fc.assert(
    fc.property(
      anySituation,
      fc.integer({ min: 1, max: 64 }),
      fc.infiniteStream(fc.nat()),
      (situation, count, order) => {
        const planes = planesFor(situation);
        const sent = Array.from({ length: count }, (_, index) => packetFor(situation, 60 + index));
        for (const inner of sent) planes.send(inner);
        const udp = planes.fromWest.udp.splice(0);
        const ip = planes.fromWest.ip.splice(0);
        const doubled = Array.from({ length: count * 2 }, (_, index) => index % count);
        doubled.sort((a, b) => a - b);
        for (let rest = doubled.length; rest > 0; rest--) {
          const [chosen] = doubled.splice((order.next().value ?? 0) % rest, 1);
          planes.fromWest.udp.push(
            ...udp.filter((_, index) => index === chosen).map((each) => ({ ...each, payload: each.payload.slice() })),
          );
          planes.fromWest.ip.push(...ip.filter((_, index) => index === chosen).map((each) => each.slice()));
        }
        planes.receiveAll();
        const lengths = planes.takeDelivered().map((packet) => packet.length);
        lengths.sort((a, b) => a - b);
        assert.deepEqual(
          lengths,
          sent.map((packet) => packet.length),
        );
        assert.equal(planes.east.counters().replayErrors, count);
      },
    ),
    { numRuns: 100 },
  );
});

test('RFC 4303 §3.4.4.1: a forged packet never reaches a separate cipher', () => {
  const separate = SUITES.filter(
    ({ protocol, encryption }) =>
      protocol === 'esp' && encryptionTraits(encryption).icvLength === 0 && encryption !== 'null',
  );
  for (const suite of separate) {
    let decryptions = 0;
    const counting: PacketCryptoProvider = {
      ...nodePacketCrypto,
      cipher: (algorithm, key) => {
        const cipher = nodePacketCrypto.cipher(algorithm, key);
        return {
          encrypt: (iv, buffer, start, end) => cipher.encrypt(iv, buffer, start, end),
          decrypt: (iv, buffer, start, end) => {
            decryptions++;
            cipher.decrypt(iv, buffer, start, end);
          },
        };
      },
    };
    const planes = new TwoPlanes(saPair(suite.encryption, suite.integrity, { isUdp: true }), {}, counting);
    planes.send(innerPacket());
    const genuine = planes.fromWest.udp[0];
    assert.ok(genuine);
    for (let octet = 4; octet < genuine.payload.length; octet++) {
      const payload = genuine.payload.slice();
      payload[octet] = (payload[octet] ?? 0) ^ 0x10;
      planes.fromWest.udp.splice(0, planes.fromWest.udp.length, { ...genuine, payload });
      planes.receiveAll();
    }
    assert.equal(decryptions, 0, suite.encryption);
    planes.fromWest.udp.push(genuine);
    planes.receiveAll();
    assert.equal(decryptions, 1, suite.encryption);
  }
});

test('RFC 4303 §3.4.4.2: with a combined algorithm, nothing of a forged packet leaves its own place among others in one buffer', () => {
  for (const suite of SUITES.filter(({ encryption }) => encryptionTraits(encryption).icvLength > 0)) {
    const planes = new TwoPlanes(saPair(suite.encryption, suite.integrity, { isUdp: true }));
    for (let count = 0; count < 3; count++) planes.send(innerPacket({ length: 100 + count }));
    const payloads = planes.fromWest.udp.splice(0).map(({ payload }) => payload);
    const forged = payloads[1];
    assert.ok(forged);
    forged[30] = (forged[30] ?? 0) ^ 1;
    const batch = new Uint8Array(payloads.reduce((length, payload) => length + payload.length, 0));
    let offset = 0;
    const views = payloads.map((payload) => {
      batch.set(payload, offset);
      offset += payload.length;
      return batch.subarray(offset - payload.length, offset);
    });
    const [first, second, third] = views;
    assert.ok(first && second && third);
    const path = saPair(suite.encryption, suite.integrity, { isUdp: true }).inbound.udp;
    assert.ok(path);
    const before = batch.slice();
    planes.east.handleUdpPacket(planes.now, path, second, planes.fromEast);
    assert.deepEqual(batch.slice(0, first.length), before.slice(0, first.length));
    assert.deepEqual(batch.slice(first.length + second.length), before.slice(first.length + second.length));
    assert.deepEqual(planes.takeDelivered(), []);
    planes.east.handleUdpPacket(planes.now, path, first, planes.fromEast);
    planes.east.handleUdpPacket(planes.now, path, third, planes.fromEast);
    assert.deepEqual(
      planes.takeDelivered().map((packet) => packet.length),
      [100, 102],
    );
  }
});

function planesFor(situation: Situation): TwoPlanes {
  const { suite, mode, outerFamily, innerFamily, isUdp, isExtended, replayWindow } = situation;
  const [local, remote] = outerFamily === 4 ? [WEST, EAST] : [WEST6, EAST6];
  const options: SaOptions & Partial<IpsecSa> = {
    protocol: suite.protocol,
    mode,
    localAddress: local,
    remoteAddress: remote,
    isUdp,
    extendedSequenceNumbers: isExtended,
    replayWindow,
    selectors: innerFamily === 4 ? selectors('0.0.0.0/0', '0.0.0.0/0') : selectors('::/0', '::/0'),
  };
  return new TwoPlanes(saPair(suite.encryption, suite.integrity, options));
}

function packetFor(situation: Situation, length: number): Uint8Array {
  const { mode, innerFamily } = situation;
  const inside = innerFamily === 4 ? ['10.1.0.7', '10.2.0.9'] : ['2001:db8:a::7', '2001:db8:b::9'];
  const ends = innerFamily === 4 ? [WEST, EAST] : [WEST6, EAST6];
  const [source, destination] = mode === 'transport' ? ends : inside;
  return innerPacket({ length, ...(source && destination ? { source, destination } : {}) });
}

/** ESP authenticates from its own header on; so much of AH's packet as no router may change begins there too. */
function firstAuthenticatedOctet(situation: Situation): number {
  if (situation.isUdp) return 0;
  return situation.outerFamily === 4 ? 20 : 40;
}

function espIntegrities(): readonly IntegrityAlgorithm[] {
  return keysOf(INTEGRITY).filter((integrity) => integrity !== 'none' && !integrity.endsWith('gmac'));
}

function keysOf<T extends object>(table: T): readonly (keyof T)[];
function keysOf(table: object): readonly string[] {
  return Object.keys(table);
}

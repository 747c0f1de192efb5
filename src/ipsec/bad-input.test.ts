// Packets that somebody got wrong, or forged: each is counted under its own name, and none is answered (RFC 4303 §3.4, RFC 4302 §3.4).

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { nodePacketCrypto } from '../crypto/node-packet-provider.ts';
import { SeededRandom } from '../lib/random.ts';
import { ENCRYPTION, type EncryptionAlgorithm, encryptionTraits } from '../model/algorithms.ts';
import type { IpsecSa } from '../model/ipsec-sa.ts';
import type { DropCause } from './counters.ts';
import { putUint32 } from './octets.ts';
import { createTransform } from './transform.ts';
import { innerPacket, RecordingOutbox, START, saPair, selectors, TwoPlanes } from './two-planes.fixture.ts';

const ANY = selectors('0.0.0.0/0', '0.0.0.0/0');
const SUITES = [
  ['aes-128-gcm', 'none'],
  ['aes-256-cbc', 'hmac-sha-256-128'],
  ['null', 'hmac-sha1-96'],
] as const;

for (const [encryption, integrity] of SUITES) {
  const { outbound, inbound } = saPair(encryption, integrity, { isUdp: true });

  for (const [what, cause, plaintext] of [
    ['padding longer than the payload', 'bad-padding', [...new Uint8Array(14), 200, 4]],
    ['padding that does not count up', 'bad-padding', [...innerPacket({ length: 28 }), 1, 3, 2, 4]],
    ['a next header that tunnel mode has not', 'bad-next-header', [...innerPacket({ length: 30 }), 0, 6]],
    ['an inner packet shorter than it says', 'malformed-inner', [...innerPacket({ length: 60 }).slice(0, 30), 0, 4]],
    ['an inner packet of the other version', 'malformed-inner', [...innerPacket({ length: 30 }), 0, 41]],
    ['nothing inside', 'malformed-inner', [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 14, 4]],
    [
      'an inner packet for somebody else',
      'selector-mismatch',
      [...innerPacket({ length: 30, destination: '10.9.9.9' }), 0, 4],
    ],
    [
      'an inner packet from somebody else',
      'selector-mismatch',
      [...innerPacket({ length: 30, source: '10.9.9.9' }), 0, 4],
    ],
  ] as const satisfies readonly (readonly [string, DropCause, readonly number[]])[])
    test(`RFC 4303 §3.4.4.1: with ${encryption}, ${what} is dropped as ${cause}`, () => {
      const planes = new TwoPlanes({ outbound, inbound });
      receive(planes, seal(outbound, 1, Uint8Array.from(plaintext)));
      assertOnly(planes, cause);
      // It was authentic all the same, so its sequence number is used up.
      receive(planes, seal(outbound, 1, Uint8Array.from([...innerPacket({ length: 30 }), 0, 4])));
      assert.equal(planes.east.counters().replayErrors, 1);
    });

  test(`RFC 4303 §2.7: with ${encryption}, TFC padding behind the inner packet is cut off`, () => {
    const planes = new TwoPlanes({ outbound, inbound });
    const inner = innerPacket({ length: 60 });
    receive(planes, seal(outbound, 1, Uint8Array.from([...inner, ...new Uint8Array(50).fill(0xaa), 0, 4])));
    assert.deepEqual(planes.takeDelivered(), [inner]);
  });

  test(`RFC 4303 §2.6: with ${encryption}, a dummy packet disappears without an error, and is no traffic that would keep a tunnel up`, () => {
    const planes = new TwoPlanes({ outbound, inbound });
    receive(planes, seal(outbound, 1, Uint8Array.from([...new Uint8Array(14).fill(0x55), 0, 59])));
    const counters = planes.east.counters();
    assert.deepEqual([counters.dummyPackets, counters.discarded], [1, 0]);
    assert.deepEqual(planes.fromEast.kinds(), []);
  });

  test(`FreeS/WAN-2002-short-ESP: with ${encryption}, a packet cut anywhere is dropped`, () => {
    const planes = new TwoPlanes({ outbound, inbound });
    const whole = seal(outbound, 1, Uint8Array.from([...innerPacket({ length: 30 }), 0, 4]));
    for (let length = 0; length < whole.length; length++) receive(planes, whole.slice(0, length));
    const counters = planes.east.counters();
    assert.equal(counters.discarded, whole.length);
    assert.equal(
      counters.badHeaders + counters.espDecryptionFailures + counters.espAuthenticationFailures,
      whole.length,
    );
    assert.deepEqual(planes.fromEast.events, []);
    receive(planes, whole);
    assert.equal(planes.takeDelivered().length, 1);
  });
}

test('tcpdump:esp_truncated.pcap: an ESP header cut at four octets is dropped, raw and in UDP', () => {
  for (const isUdp of [false, true]) {
    const planes = new TwoPlanes(saPair('aes-128-gcm', 'none', { isUdp }));
    const cut = Uint8Array.of(0xc0, 0xff, 0xee, 0x01);
    if (isUdp) receive(planes, cut);
    else planes.east.handleIpPacket(START, rawPacket(50, cut), planes.fromEast);
    assertOnly(planes, 'truncated');
  }
});

test('tcpdump:isakmp-rfc3948-oobr.pcap: UDP payloads of zero to seven octets are dropped', () => {
  const planes = new TwoPlanes(saPair('aes-128-gcm', 'none', { isUdp: true }));
  for (let length = 0; length < 8; length++) receive(planes, new Uint8Array(length).fill(1));
  assert.equal(planes.east.counters().drops.truncated, 8);
});

test('CVE-2022-27666: packets of every size up to the greatest pass both ways, and greater ones are refused', () => {
  for (const isUdp of [false, true]) {
    const planes = new TwoPlanes(saPair('aes-256-cbc', 'hmac-sha-512', { isUdp, selectors: ANY }), { mtu: 65_535 });
    for (const length of [1400, 9000, 32_767, 65_000, 65_400, 65_440, 65_480, 65_535]) {
      const inner = innerPacket({ length, dontFragment: true });
      const isSent = planes.send(inner) > 0;
      planes.receiveAll();
      assert.deepEqual(planes.takeDelivered(), isSent ? [inner] : []);
      assert.equal(isSent, length <= (isUdp ? 65_400 : 65_440), `${length} octets`);
    }
    assert.equal(planes.east.counters().discarded, 0);
  }
});

test('RFC 4302 §3.4: an AH that is cut, or whose length says more or less than its ICV, is dropped', () => {
  const planes = new TwoPlanes(saPair('null', 'hmac-sha-256-128', { protocol: 'ah' }));
  planes.send(innerPacket());
  const [packet] = planes.fromWest.ip;
  assert.ok(packet);
  for (let octets = 0; octets < 28; octets++) {
    const cut = packet.slice(0, 20 + octets);
    cut.set([0, cut.length], 2);
    planes.east.handleIpPacket(START, cut, planes.fromEast);
  }
  assert.equal(planes.east.counters().drops.truncated, 28);
  for (const length of [0, 1, 4, 8, 200]) {
    const wrong = packet.slice();
    wrong[21] = length;
    planes.east.handleIpPacket(START, wrong, planes.fromEast);
  }
  assert.equal(planes.east.counters().discarded, 33);
  assert.deepEqual(planes.fromEast.delivered, []);
});

test('a packet in UDP for an SA without it, or raw for an SA with it, is dropped before any cryptography', () => {
  const raw = new TwoPlanes(saPair('aes-128-gcm', 'none'));
  receive(
    raw,
    seal(saPair('aes-128-gcm', 'none').outbound, 1, Uint8Array.from([...innerPacket({ length: 30 }), 0, 4])),
  );
  assertOnly(raw, 'wrong-encapsulation');
  const udp = new TwoPlanes(saPair('aes-128-gcm', 'none', { isUdp: true }));
  const esp = seal(saPair('aes-128-gcm', 'none').outbound, 1, Uint8Array.from([...innerPacket({ length: 30 }), 0, 4]));
  udp.east.handleIpPacket(START, rawPacket(50, esp), udp.fromEast);
  assertOnly(udp, 'wrong-encapsulation');
});

test('a packet that carries neither ESP nor AH, or is no IP packet, is dropped as malformed', () => {
  const planes = new TwoPlanes(saPair('aes-128-gcm', 'none'));
  for (const packet of [
    new Uint8Array(0),
    Uint8Array.of(0x45),
    rawPacket(17, new Uint8Array(20)),
    new Uint8Array(60).fill(0x60),
  ])
    planes.east.handleIpPacket(START, packet, planes.fromEast);
  assert.equal(planes.east.counters().drops['malformed-outer'], 4);
});

test('nothing that is not authenticated is delivered, and no input throws, for every transform', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...encryptions()),
      fc.boolean(),
      fc.uint8Array({ maxLength: 200 }),
      fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 6 }),
      fc.integer({ min: -40, max: 40 }),
      (encryption, isUdp, noise, edits, cut) => {
        const integrity = encryptionTraits(encryption).icvLength > 0 ? 'none' : 'hmac-sha-256-128';
        const planes = new TwoPlanes(saPair(encryption, integrity, { isUdp }));
        planes.send(innerPacket({ length: 80 }));
        const genuine = planes.fromWest.udp[0]?.payload ?? planes.fromWest.ip[0];
        assert.ok(genuine);
        // Octets that AH or ESP do not protect are let be: a changed TTL changes nothing.
        const mangled = mangle(genuine, edits, cut, isUdp ? 0 : 20);
        const isSame = mangled.length >= genuine.length && genuine.every((octet, index) => octet === mangled[index]);
        if (isUdp) receive(planes, mangled);
        else planes.east.handleIpPacket(START, mangled, planes.fromEast);
        if (!(isSame && (mangled.length === genuine.length || !isUdp))) assert.deepEqual(planes.takeDelivered(), []);
        planes.takeDelivered();
        if (isUdp) receive(planes, noise.slice());
        else planes.east.handleIpPacket(START, rawPacket(noise.length % 2 === 0 ? 50 : 51, noise), planes.fromEast);
        planes.east.handleIpPacket(START, noise.slice(), planes.fromEast);
        planes.west.handleInnerPacket(START, 'st0.0', noise.slice(), 0, noise.length, new RecordingOutbox());
        planes.west.handleIcmpError(START, noise.slice());
        assert.deepEqual(planes.takeDelivered(), []);
      },
    ),
    { numRuns: 1500 },
  );
});

function mangle(
  genuine: Uint8Array,
  edits: readonly (readonly [number, number])[],
  cut: number,
  start: number,
): Uint8Array {
  const mangled = new Uint8Array(Math.max(0, genuine.length + cut));
  mangled.set(genuine.subarray(0, mangled.length));
  if (mangled.length > start)
    for (const [position, value] of edits) mangled[start + (position % (mangled.length - start))] = value;
  return mangled;
}

function receive(planes: TwoPlanes, payload: Uint8Array): void {
  const path = saPair('null', 'none', { isUdp: true }).inbound.udp;
  assert.ok(path);
  planes.east.handleUdpPacket(START, path, payload, planes.fromEast);
}

function assertOnly(planes: TwoPlanes, cause: DropCause): void {
  const { drops, discarded } = planes.east.counters();
  assert.deepEqual(
    Object.entries(drops).filter(([, count]) => count > 0),
    [[cause, 1]],
  );
  assert.equal(discarded, 1);
  assert.deepEqual(planes.fromEast.delivered, []);
  assert.deepEqual(planes.fromEast.udp, []);
  assert.deepEqual(planes.fromEast.ip, []);
}

/** An authentic ESP packet with any plaintext, trailer included: what only a peer that errs would send. */
function seal(sa: IpsecSa, sequence: number, plaintext: Uint8Array): Uint8Array {
  const made = createTransform(nodePacketCrypto, sa);
  assert.ok(made.ok);
  const transform = made.value;
  const start = 8 + transform.ivLength;
  const whole = transform.blockLength * Math.ceil(plaintext.length / transform.blockLength);
  const packet = new Uint8Array(start + whole + transform.icvLength);
  putUint32(packet, 0, sa.spi);
  putUint32(packet, 4, sequence);
  const iv = new SeededRandom(sequence).bytes(transform.ivLength);
  packet.set(iv, 8);
  packet.set(padToBlock(plaintext, whole), start);
  const end = start + whole;
  if (transform.aead) transform.aead.seal(iv, packet.slice(0, 8), packet, start, end);
  else transform.cipher?.encrypt(iv, packet, start, end);
  transform.integrity?.compute(new Uint8Array(0), packet.subarray(0, end), new Uint8Array(0), packet, end);
  return packet;
}

/** Puts octets that a receiver takes for TFC padding in front of the trailer, so that a block cipher takes the whole. */
function padToBlock(plaintext: Uint8Array, length: number): Uint8Array {
  const padded = new Uint8Array(length);
  const trailerLength = Math.min(plaintext.length, 2 + 4);
  padded.set(plaintext.subarray(0, plaintext.length - trailerLength));
  padded.set(plaintext.subarray(plaintext.length - trailerLength), length - trailerLength);
  return padded;
}

/** An IPv4 packet around a payload. */
function rawPacket(protocol: number, payload: Uint8Array): Uint8Array {
  const packet = innerPacket({
    source: '192.0.2.1',
    destination: '198.51.100.2',
    protocol,
    length: 20 + payload.length,
  });
  packet.set(payload, 20);
  return packet;
}

function encryptions(): readonly EncryptionAlgorithm[];
function encryptions(): readonly string[] {
  return Object.keys(ENCRYPTION);
}

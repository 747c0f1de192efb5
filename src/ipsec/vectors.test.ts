import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodePacketCrypto } from '../crypto/node-packet-provider.ts';
import { fromHex, toHex } from '../lib/bytes.ts';
import { type RandomSource, SeededRandom } from '../lib/random.ts';
import type { IpsecSa } from '../model/ipsec-sa.ts';
import { AuthenticationHeader } from './ah.ts';
import { Counters } from './counters.ts';
import { Encapsulation } from './encapsulation.ts';
import { type OpenedPacket, openEsp, protectEsp } from './esp.ts';
import { Flow, PROTOCOL_IPV4, PROTOCOL_IPV6 } from './flow.ts';
import { Inbound } from './inbound.ts';
import { Outbound } from './outbound.ts';
import { HEADROOM, TAILROOM } from './packet-room.ts';
import { RandomBlocks } from './random-blocks.ts';
import { InboundSa, OutboundSa } from './security-association.ts';
import { SecurityAssociationDatabase } from './security-association-database.ts';
import { SecurityPolicyDatabase } from './security-policy-database.ts';
import { createTransform, type Transform } from './transform.ts';
import { POLICY, policy, RecordingOutbox, reversed, START } from './two-planes.fixture.ts';
import { ipsecOffset, type PacketVector, readVectors, VECTOR_PATH, vectorSa } from './vectors.fixture.ts';

const FILES = [
  ['rfc-esp-vectors.json', 5],
  ['dpdk-ipsec-vectors.json', 24],
  ['scapy-ipsec-vectors.json', 138],
] as const;

for (const [file, count] of FILES) {
  const vectors = readVectors(file);
  if (!vectors) {
    test(`packets of ${file}`, { skip: 'the shared vectors are not beside the repository' }, () => undefined);
    continue;
  }
  test(`${file} has the packets that it should have`, () => assert.equal(vectors.length, count));
  for (const vector of vectors) {
    test(`${vector.name}: we make the same packet`, () => assert.equal(protect(vector), expectedPart(vector)));
    test(`${vector.name}: we open it`, () => assert.equal(open(vector), vector.inner_packet));
  }
}

/** What we make of the inner packet, with the vector's IV and sequence number. */
function protect(vector: PacketVector): string {
  const sa = vectorSa(vector);
  const outbound = new OutboundSa(START, sa, withFixedIv(sa));
  const random = fixedRandom(fromHex(vector.iv ?? ''));
  const inner = fromHex(vector.inner_packet);
  const buffer = new Uint8Array(HEADROOM + inner.length + TAILROOM);
  buffer.set(inner, HEADROOM);
  const end = HEADROOM + inner.length;
  if (sa.mode === 'tunnel' && sa.protocol === 'ah') return protectInAhTunnel(vector, outbound, random, buffer, end);
  if (sa.mode === 'tunnel') {
    const nextHeader = vector.inner_packet.startsWith('4') ? PROTOCOL_IPV4 : PROTOCOL_IPV6;
    const ivs = new RandomBlocks(random);
    const espEnd = protectEsp(outbound, vector.esn_hi ?? 0, vector.seq, ivs, buffer, HEADROOM, end, nextHeader);
    return toHex(buffer.subarray(HEADROOM - outbound.headerLength, espEnd));
  }
  const flow = new Flow();
  flow.read(buffer, HEADROOM, end);
  const protectOffset = flow.protectOffset - HEADROOM;
  const span = { start: HEADROOM, end, protectOffset, nextHeaderOffset: flow.nextHeaderOffset - HEADROOM };
  const sequence = (vector.esn_hi ?? 0) * 2 ** 32 + vector.seq;
  new Encapsulation(random, false).wrap(outbound, sequence, buffer, span, { trafficClass: 0, dontFragment: false });
  return toHex(buffer.subarray(span.start, span.end));
}

/** AH covers the outer header too, whose identification we would choose otherwise: the vector's is taken. */
function protectInAhTunnel(
  vector: PacketVector,
  sa: OutboundSa,
  random: RandomSource,
  buffer: Uint8Array,
  end: number,
): string {
  const packet = fromHex(vector.ipsec_packet);
  const ahStart = HEADROOM - sa.headerLength;
  const start = ahStart - ipsecOffset(vector, packet);
  buffer.set(packet.subarray(0, ahStart - start), start);
  const nextHeader = vector.inner_packet.startsWith('4') ? PROTOCOL_IPV4 : PROTOCOL_IPV6;
  const ivs = new RandomBlocks(random);
  new AuthenticationHeader().protect(sa, vector.esn_hi ?? 0, vector.seq, ivs, buffer, start, ahStart, end, nextHeader);
  return toHex(buffer.subarray(start, end));
}

/** What of the vector's packet is not a matter of taste: all of it in transport mode and for AH, else from ESP on. */
function expectedPart(vector: PacketVector): string {
  const packet = fromHex(vector.ipsec_packet);
  const isWhole = (vector.mode === 'transport' && !vector.encap) || vector.protocol === 'ah';
  return toHex(isWhole ? packet : packet.subarray(ipsecOffset(vector, packet)));
}

/** The inner packet that we find in the vector's. */
function open(vector: PacketVector): string {
  const packet = fromHex(vector.ipsec_packet);
  const { local, remote } = VECTOR_PATH;
  const sa: IpsecSa = {
    ...vectorSa(vector),
    direction: 'inbound',
    ...(vector.encap ? { udp: reversed({ local, remote }) } : {}),
  };
  const transform = createTransform(nodePacketCrypto, sa);
  assert.ok(transform.ok);
  const inbound = new InboundSa(START, sa, transform.value);
  if (vector.esn && (vector.esn_hi ?? 0) > 2 ** 20) return openDirectly(vector, inbound, packet);
  if (vector.esn) inbound.window.accept((vector.esn_hi ?? 0) * 2 ** 32 + 1);
  const associations = new SecurityAssociationDatabase();
  const policies = new SecurityPolicyDatabase();
  policies.put(policy({ id: POLICY }));
  associations.addInbound(inbound);
  const out = new RecordingOutbox();
  const counters = new Counters();
  const plane = new Inbound(
    associations,
    policies,
    counters,
    new Outbound(policies, counters, nodePacketCrypto, new SeededRandom(1)),
  );
  const start = vector.encap ? ipsecOffset(vector, packet) : 0;
  if (vector.encap) plane.handleUdpPacket(START, reversed(VECTOR_PATH), packet, start, packet.length, out);
  else plane.handleIpPacket(START, packet, 0, packet.length, out);
  const [delivered] = out.delivered;
  if (!delivered) return `dropped: ${JSON.stringify(counters.snapshot().drops)}`;
  // The header of a packet that UDP carried in transport mode is made anew: only what it carried can be compared.
  if (vector.encap && vector.mode === 'transport')
    return vector.inner_packet.slice(0, 40) + withoutChecksum(delivered.packet.subarray(20), vector);
  return toHex(delivered.packet);
}

/** A sequence number beyond 2^53 is no number of the window's; ESP itself takes its two halves. */
function openDirectly(vector: PacketVector, sa: InboundSa, packet: Uint8Array): string {
  const opened: OpenedPacket = { start: 0, end: 0, nextHeader: 0 };
  const start = ipsecOffset(vector, packet);
  assert.equal(openEsp(sa, vector.esn_hi ?? 0, vector.seq, packet, start, packet.length, opened), undefined);
  return toHex(packet.subarray(opened.start, opened.end));
}

/** The path's addresses are not the vector's, so the UDP checksum inside differs by intent (RFC 3948 §3.1.2). */
function withoutChecksum(payload: Uint8Array, vector: PacketVector): string {
  const original = fromHex(vector.inner_packet).subarray(20);
  const copy = payload.slice();
  copy.set(original.subarray(6, 8), 6);
  return toHex(copy);
}

function withFixedIv(sa: IpsecSa): Transform {
  const transform = createTransform(nodePacketCrypto, sa);
  assert.ok(transform.ok);
  return { ...transform.value, isIvRandom: true };
}

/** Gives the vector's IV, and only that; Encapsulation's two octets of identification come first and are not asked of it. */
function fixedRandom(iv: Uint8Array): RandomSource {
  return {
    bytes: (length) => {
      const octets = new Uint8Array(length);
      octets.set(iv.subarray(0, length));
      return octets;
    },
  };
}

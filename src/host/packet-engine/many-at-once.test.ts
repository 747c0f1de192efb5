// The data plane over cryptography that works on many packets at once: what is sealed late and opened early comes out as one by one.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HEADROOM, TAILROOM } from '../../ipsec/packet-room.ts';
import {
  EAST,
  innerPacket,
  newPlane,
  policy,
  RecordingOutbox,
  reversed,
  type SaOptions,
  START,
  saPair,
  selectors,
} from '../../ipsec/two-planes.fixture.ts';
import type { IpAddress, UdpPath } from '../../model/address.ts';
import type { IpsecSa } from '../../model/ipsec-sa.ts';
import { spi } from '../../model/ipsec-sa.ts';
import { Arena } from './arena.ts';
import { createPacketCrypto } from './openssl-packet-crypto.ts';

const COUNT = 20;
const LENGTH = 1000;
const ANY = selectors('0.0.0.0/0', '0.0.0.0/0');

type Pair = ReturnType<typeof saPair>;

/** Keeps where packets lie, as the engine does until it sends. */
class Places extends RecordingOutbox {
  readonly places: {
    readonly buffer: Uint8Array;
    readonly start: number;
    readonly end: number;
    readonly path?: UdpPath;
  }[] = [];

  override transmitUdp(path: UdpPath, buffer: Uint8Array, start: number, end: number): void {
    this.places.push({ path, buffer, start, end });
  }

  /** What lies in the data plane's own memory is copied at once, as the engine does. */
  override transmitIp(_local: IpAddress, _remote: IpAddress, buffer: Uint8Array, start: number, end: number): void {
    const isOwn = buffer.length > 1024 * 1024;
    this.places.push(isOwn ? { buffer, start, end } : { buffer: buffer.slice(start, end), start: 0, end: end - start });
  }
}

/** An engine's data plane, with packets of its own in an arena. */
class Batching {
  readonly arena = new Arena(2 * 1024 * 1024);
  readonly crypto = createPacketCrypto(this.arena);
  readonly plane = newPlane(3, this.crypto);
  readonly out = new Places();
  readonly #room = this.arena.reserve(1024 * 1024);
  #next = this.#room + HEADROOM;

  /** Where the packet lies now. */
  put(packet: Uint8Array): { readonly start: number; readonly end: number } {
    const start = this.#next;
    this.arena.memory.bytes.set(packet, start);
    this.#next += packet.length + TAILROOM + HEADROOM;
    return { start, end: start + packet.length };
  }

  sendMany(): void {
    for (let index = 0; index < COUNT; index++) {
      const { start, end } = this.put(innerPacket({ length: LENGTH + index }));
      this.plane.handleInnerPacket(START, 'st0.0', this.arena.memory.bytes, start, end, this.out);
    }
    this.crypto.finish?.();
  }
}

/** What a plane that opens one by one makes of everything that `from` has sent. */
function opened(from: Places, ...pairs: readonly Pair[]): readonly number[] {
  const [plane, out] = [newPlane(2), new RecordingOutbox()];
  plane.handleCommand(START, { kind: 'put-policy', policy: policy({ selectors: ANY }) }, out);
  for (const { inbound } of pairs) plane.handleCommand(START, { kind: 'add-inbound', sa: inbound }, out);
  for (const { path, buffer, start, end } of from.places) {
    const packet = buffer.slice(start, end);
    if (path) plane.handleUdpPacket(START, reversed(path), packet, out);
    else plane.handleIpPacket(START, packet, out);
  }
  return out.delivered.map(({ packet }) => packet.length);
}

function sender(...sas: readonly IpsecSa[]): Batching {
  const west = new Batching();
  west.plane.handleCommand(START, { kind: 'put-policy', policy: policy({ selectors: ANY }) }, west.out);
  for (const sa of sas) west.plane.handleCommand(START, { kind: 'add-outbound', sa }, west.out);
  const [first] = sas;
  if (first) west.plane.handleCommand(START, { kind: 'use-outbound', policy: first.policy, spi: first.spi }, west.out);
  return west;
}

const EXPECTED = Array.from({ length: COUNT }, (_, index) => LENGTH + index);

test('the AH of a bundle covers the sealed octets of the ESP inside', () => {
  const ah = saPair('null', 'hmac-sha-256-128', {
    protocol: 'ah',
    mode: 'transport',
    spi: spi(0x5000),
    selectors: ANY,
  });
  const esp = saPair('aes-256-gcm', 'none', { wrappedInAh: spi(0x5000), selectors: ANY });
  const west = sender(esp.outbound, ah.outbound);
  west.sendMany();
  assert.deepEqual(opened(west.out, esp, ah), EXPECTED);
});

test('what is fragmented after it was wrapped is fragments of the sealed packet', () => {
  const esp = saPair('aes-256-gcm', 'none', { selectors: ANY });
  const west = sender(esp.outbound);
  west.plane.handleLinkMtu(EAST, 600);
  west.plane.handleCommand(START, { kind: 'put-policy', policy: policy({ selectors: ANY, dfBit: 'clear' }) }, west.out);
  west.plane.handleCommand(
    START,
    { kind: 'use-outbound', policy: esp.outbound.policy, spi: esp.outbound.spi },
    west.out,
  );
  const dontFragment = Array.from({ length: COUNT }, (_, index) =>
    innerPacket({ length: LENGTH + index, dontFragment: true }),
  );
  for (const packet of dontFragment) {
    const { start, end } = west.put(packet);
    west.plane.handleInnerPacket(START, 'st0.0', west.arena.memory.bytes, start, end, west.out);
  }
  west.crypto.finish?.();
  assert.ok(west.out.places.length >= 2 * COUNT, 'each is two packets or more');
  assert.deepEqual(opened(west.out, esp), EXPECTED);
});

for (const options of [{}, { extendedSequenceNumbers: true }] satisfies SaOptions[])
  test(`of packets expected together, copies are replays, altered ones are dropped, the rest is delivered${options.extendedSequenceNumbers ? ', with ESN' : ''}`, () => {
    const esp = saPair('aes-256-gcm', 'none', { ...options, isUdp: true, selectors: ANY });
    const west = sender(esp.outbound);
    west.sendMany();
    const east = new Batching();
    east.plane.handleCommand(START, { kind: 'put-policy', policy: policy({ selectors: ANY }) }, east.out);
    east.plane.handleCommand(START, { kind: 'add-inbound', sa: esp.inbound }, east.out);
    const sent = west.out.places.map(({ buffer, start, end }) => buffer.slice(start, end));
    const altered = sent[3]?.slice() ?? assert.fail();
    altered[40] = (altered[40] ?? 0) ^ 4;
    const truncated = sent[7]?.slice(0, 20) ?? assert.fail();
    const unknown = sent[6]?.slice() ?? assert.fail();
    unknown[0] = 7;
    const arriving = [...sent.slice(0, 3), altered, ...sent.slice(2, 6), truncated, unknown, ...sent.slice(6)];
    const { bytes } = east.arena.memory;
    const places = arriving.map((packet) => east.put(packet));
    for (let first = 0; first < places.length; first += 16) {
      const group = places.slice(first, first + 16);
      for (const { start, end } of group) east.plane.expectUdpPacket(bytes, start, end);
      for (const { start, end } of group)
        east.plane.handleUdpPacket(
          START,
          reversed(west.out.places[0]?.path ?? assert.fail()),
          bytes,
          east.out,
          0,
          start,
          end,
        );
      east.plane.forgetExpected();
    }
    assert.deepEqual(
      east.out.delivered.map(({ packet }) => packet),
      Array.from({ length: COUNT }, (_, index) => innerPacket({ length: LENGTH + index })),
    );
    const drops = Object.entries(east.plane.counters().drops).filter(([, count]) => count > 0);
    assert.deepEqual(Object.fromEntries(drops), { 'bad-icv': 1, replayed: 1, truncated: 1, 'unknown-spi': 1 });
  });

// The data plane under packets of a peer that holds the keys: ciphers do nothing and every ICV is right, so that what is changed in a
// packet is changed in what it carries. Whatever comes out must be what the SA may carry (RFC 4301 §5.2).

import assert from 'node:assert/strict';
import type { PacketCryptoProvider } from '../../src/crypto/provider.ts';
import { DataPlane } from '../../src/ipsec/data-plane.ts';
import {
  EAST,
  innerPacket,
  policy,
  RecordingOutbox,
  type SaOptions,
  START,
  saPair,
  selectors,
  WEST,
} from '../../src/ipsec/two-planes.fixture.ts';
import { concat, toHex } from '../../src/lib/bytes.ts';
import { SeededRandom } from '../../src/lib/random.ts';
import { after, milliseconds, seconds } from '../../src/lib/time.ts';
import { rangeContains } from '../../src/model/address.ts';
import type { EncryptionAlgorithm, IntegrityAlgorithm } from '../../src/model/algorithms.ts';
import { integrityTraits } from '../../src/model/algorithms.ts';
import type { IpsecSa } from '../../src/model/ipsec-sa.ts';
import type { SelectorPair } from '../../src/model/traffic-selector.ts';
import { decodeIpPacket } from '../../src/wire/ip-packet.ts';
import type { FuzzTarget } from './fuzzer.ts';

const IPV6 = selectors('2001:db8:a::/48', '2001:db8:b::/48');
const UDP_DNS: SelectorPair = {
  local: { ...selectors('10.1.0.0/16', '10.2.0.0/16').local, protocol: 17 },
  remote: { ...selectors('10.1.0.0/16', '10.2.0.0/16').remote, protocol: 17, ports: { first: 53, last: 53 } },
};
const HOSTS = selectors(`${WEST}/32`, `${EAST}/32`);

/** The first octet of an input says which SA. */
const SAS: readonly (readonly [EncryptionAlgorithm, IntegrityAlgorithm, SaOptions])[] = [
  ['aes-128-gcm', 'none', {}],
  ['aes-256-cbc', 'hmac-sha-256-128', { isUdp: true }],
  ['null', 'hmac-sha1-96', { protocol: 'ah' }],
  ['aes-128-gcm', 'none', { selectors: IPV6 }],
  ['aes-128-cbc', 'hmac-sha1-96', { selectors: UDP_DNS }],
  ['aes-128-gcm', 'none', { mode: 'transport', selectors: HOSTS }],
  ['null', 'hmac-sha1-96', { mode: 'transport', protocol: 'ah', selectors: HOSTS }],
];

const NO_NEXT_HEADER = 59;
const UDP_PATH = { local: { address: EAST, port: 4500 }, remote: { address: WEST, port: 4500 } };

const TRANSPARENT: PacketCryptoProvider = {
  aead: () => ({ seal: () => undefined, open: () => true }),
  cipher: () => ({ encrypt: () => undefined, decrypt: () => undefined }),
  integrity: (algorithm) => ({
    compute: (_iv, _data, _suffix, out, offset) => {
      out.fill(0, offset, offset + integrityTraits(algorithm).icvLength);
    },
    verify: () => true,
  }),
};

export const BELIEVED_PACKETS_TARGET: FuzzTarget = {
  name: 'believed-packets',
  shortRuns: 10_000,
  seeds: () =>
    SAS.flatMap((_, index) => {
      const { outbound } = sasOf(index);
      const plane = newPlane(outbound, 'outbound');
      const out = new RecordingOutbox();
      for (const packet of innerPackets(outbound)) {
        plane.handleInnerPacket(START, 'st0.0', packet, 0, packet.length, out);
      }
      const padded = policy({ selectors: outbound.selectors, tfcPadding: 500, dummyInterval: seconds(1) });
      plane.handleCommand(START, { kind: 'put-policy', policy: padded }, out);
      for (const packet of innerPackets(outbound)) {
        plane.handleInnerPacket(START, 'st0.0', packet, 0, packet.length, out);
      }
      for (const time of [1, 2, 3]) plane.handleTimeout(after(START, milliseconds(time * 1000)), out);
      return [...out.udp.map(({ payload }) => payload), ...out.ip].map((packet) =>
        concat(Uint8Array.of(index), packet),
      );
    }),
  run: (input) => {
    const { inbound } = sasOf(input[0] ?? 0);
    const plane = newPlane(inbound, 'inbound');
    const out = new RecordingOutbox();
    const packet = input.slice(1);
    const nextHeader = packet.at(-1 - integrityTraits(inbound.integrity).icvLength);
    if (inbound.udp) plane.handleUdpPacket(START, UDP_PATH, packet, out);
    else plane.handleIpPacket(START, packet, out);
    for (const { packet: inner } of out.delivered) checkDelivered(inner, inbound);
    // Its next header says that it is for nobody (RFC 4303 §2.6).
    if (inbound.udp && nextHeader === NO_NEXT_HEADER) assert.deepEqual(out.delivered, [], 'a dummy was delivered');
  },
};

function checkDelivered(inner: Uint8Array, sa: IpsecSa): void {
  const decoded = decodeIpPacket(inner);
  assert.ok(decoded.ok, `what was delivered is no IP packet: ${toHex(inner)}`);
  const { source, destination, protocol } = decoded.value;
  const { local, remote } = sa.selectors;
  assert.ok(rangeContains(remote.addresses, source), `a packet from ${source} came out of an SA that may not carry it`);
  assert.ok(rangeContains(local.addresses, destination), `a packet to ${destination} came out of an SA for others`);
  if (local.protocol !== 0) assert.equal(protocol, local.protocol);
}

function sasOf(index: number): { readonly outbound: IpsecSa; readonly inbound: IpsecSa } {
  const [encryption, integrity, options] = SAS[index % SAS.length] ?? ['aes-128-gcm', 'none', {}];
  return saPair(encryption, integrity, { replayWindow: 0, ...options });
}

function newPlane(sa: IpsecSa, direction: 'inbound' | 'outbound'): DataPlane {
  const plane = new DataPlane({ crypto: TRANSPARENT, random: new SeededRandom(1) });
  const out = new RecordingOutbox();
  plane.handleCommand(START, { kind: 'put-policy', policy: policy({ selectors: sa.selectors }) }, out);
  plane.handleCommand(START, { kind: direction === 'inbound' ? 'add-inbound' : 'add-outbound', sa }, out);
  if (direction === 'outbound')
    plane.handleCommand(START, { kind: 'use-outbound', policy: sa.policy, spi: sa.spi }, out);
  assert.deepEqual(out.events, []);
  return plane;
}

/** Packets that the SA may carry. */
function innerPackets(outbound: IpsecSa): readonly Uint8Array[] {
  const { local, remote } = outbound.selectors;
  const ends = { source: local.addresses.last, destination: remote.addresses.last };
  return [17, 6].flatMap((protocol) => [60, 200].map((length) => innerPacket({ ...ends, protocol, length })));
}

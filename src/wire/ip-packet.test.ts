import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concat, fromHex } from '../lib/bytes.ts';
import { decodeIpPacket, decodeUdpDatagram } from './ip-packet.ts';
import { findIpPacket, LINK_TYPE } from './link-layer.ts';

const UDP = '01f40050000a0000beef';
const IPV4 = fromHex(`4500001e000100004011 0000 c0000201 c0000202 ${UDP}`.replaceAll(' ', ''));
const IPV6_ADDRESSES = `20010db8${'0'.repeat(23)}1 20010db8${'0'.repeat(23)}2`;

test('RFC 791 §3.1: an IPv4 packet and the datagram in it are read, link padding is not', () => {
  const packet = decodeIpPacket(concat(IPV4, new Uint8Array(6)));
  assert.ok(packet.ok);
  assert.deepEqual(
    { ...packet.value, payload: packet.value.payload.length },
    { source: '192.0.2.1', destination: '192.0.2.2', protocol: 17, isFragment: false, payload: 10 },
  );
  assert.deepEqual(decodeUdpDatagram(packet.value), {
    ok: true,
    value: {
      source: { address: '192.0.2.1', port: 500 },
      destination: { address: '192.0.2.2', port: 80 },
      payload: fromHex('beef'),
    },
  });
});

test('RFC 791 §3.1: options are stepped over, and a header longer than its packet is malformed', () => {
  const options = IPV4.slice();
  options[0] = 0x46;
  const packet = decodeIpPacket(options);
  assert.ok(packet.ok && packet.value.payload.length === 6);
  options[0] = 0x4f;
  assert.equal(decodeIpPacket(options).ok, false);
  options[0] = 0x44;
  assert.equal(decodeIpPacket(options).ok, false);
});

test('RFC 791 §3.1: pieces of a packet are known as such', () => {
  for (const [offset, isFragment] of [
    ['4000', false],
    ['2000', true],
    ['0001', true],
  ] as const) {
    const changed = IPV4.slice();
    changed.set(fromHex(offset), 6);
    const packet = decodeIpPacket(changed);
    assert.ok(packet.ok && packet.value.isFragment === isFragment, offset);
  }
});

test('RFC 8200 §4: extension headers are stepped over up to the protocol', () => {
  const extensions = '3c00000000000000 2c01000000000000 0000000000000000 1100000100000007'.replaceAll(' ', '');
  // Hop-by-hop, destination options of 16 octets, fragment header of a first fragment, then UDP.
  const packet = decodeIpPacket(fromHex(`60000000002a0040${IPV6_ADDRESSES}${extensions}${UDP}`.replaceAll(' ', '')));
  assert.ok(packet.ok);
  assert.equal(packet.value.protocol, 17);
  assert.equal(packet.value.isFragment, true);
  assert.equal(packet.value.payload.length, 10);
});

test('RFC 8200 §4: a chain of extension headers that does not end is malformed', () => {
  const chain = '0000000000000000'.repeat(20);
  assert.equal(decodeIpPacket(fromHex(`6000000000a00040${IPV6_ADDRESSES}${chain}`.replaceAll(' ', ''))).ok, false);
});

test('an IP packet cut anywhere, or with any octet changed, does not make the decoders throw', () => {
  for (let length = 0; length < IPV4.length; length++) assert.equal(decodeIpPacket(IPV4.subarray(0, length)).ok, false);
  for (let offset = 0; offset < IPV4.length; offset++) {
    for (let value = 0; value < 256; value++) {
      const changed = IPV4.slice();
      changed[offset] = value;
      const packet = decodeIpPacket(changed);
      if (packet.ok) decodeUdpDatagram(packet.value);
    }
  }
});

test('the IP packet is found behind each kind of link header', () => {
  const ethernet = '000000000001000000000002';
  const cases: readonly [number, string][] = [
    [LINK_TYPE.ethernet, `${ethernet}0800`],
    [LINK_TYPE.ethernet, `${ethernet}810000050800`],
    [LINK_TYPE.ethernet, `${ethernet}88a80005810000060800`],
    [LINK_TYPE.raw, ''],
    [LINK_TYPE.null, '02000000'],
    [LINK_TYPE.loop, '00000002'],
    [LINK_TYPE.linuxCooked, '0000000100060000000000000000 0800'.replace(' ', '')],
    [LINK_TYPE.linuxCookedV2, `0800${'00'.repeat(18)}`],
  ];
  for (const [linkType, header] of cases) {
    assert.deepEqual(findIpPacket(linkType, concat(fromHex(header), IPV4)), IPV4, `link type ${linkType}`);
  }
  assert.equal(findIpPacket(LINK_TYPE.ethernet, concat(fromHex(`${ethernet}0806`), IPV4)), undefined);
  assert.equal(findIpPacket(147, IPV4), undefined);
  for (const linkType of Object.values(LINK_TYPE)) assert.equal(findIpPacket(linkType, new Uint8Array()), undefined);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromHex } from '../lib/bytes.ts';
import { addNonEspMarker, classifyUdp4500, natKeepalive, stripNonEspMarker } from './udp-encapsulation.ts';

test('RFC 3948 §2: port 4500 carries IKE behind four zero octets, ESP, and one-octet keepalives', () => {
  assert.equal(classifyUdp4500(fromHex('00000000ab')), 'ike');
  assert.equal(classifyUdp4500(fromHex('0000000100000001')), 'esp');
  assert.equal(classifyUdp4500(fromHex('ff')), 'keepalive');
  assert.equal(classifyUdp4500(natKeepalive()), 'keepalive');
});

test('tcpdump:isakmp-rfc3948-oobr: datagrams of none to a few octets are told apart without reading past them', () => {
  for (const datagram of [
    '',
    '00',
    '0000',
    '000000',
    'fe',
    'ffff',
    'ffffff',
    '00000001',
    'ffffffff',
    '11223344556677',
  ]) {
    assert.equal(classifyUdp4500(fromHex(datagram)), 'malformed', `[${datagram}]`);
  }
  assert.equal(classifyUdp4500(fromHex('00000000')), 'ike', 'an empty message is the header decoder’s to refuse');
});

test('tcpdump:esp_truncated: ESP cut within its header is malformed', () => {
  for (let length = 4; length < 8; length++) {
    assert.equal(classifyUdp4500(fromHex('1122334455667788').subarray(0, length)), 'malformed');
  }
});

test('RFC 3948 §2.2: the marker that is added is the marker that is taken off', () => {
  const message = fromHex('0102030405');
  assert.equal(classifyUdp4500(addNonEspMarker(message)), 'ike');
  assert.deepEqual(stripNonEspMarker(addNonEspMarker(message)), message);
});

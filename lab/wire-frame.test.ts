import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concat } from '../src/lib/bytes.ts';
import { address, addressOctets } from '../src/model/address.ts';
import { classifyFrame, PLAINTEXT_MARKER } from './wire-frame.ts';

const LANS = [{ address: address('10.1.0.0'), length: 24 }];

test('protocol 50, and port 4500 with an SPI, are ESP; the rest of 500 and 4500 is IKE', () => {
  assert.equal(classifyFrame(ip(50, new Uint8Array(40)), LANS), 'esp');
  assert.equal(classifyFrame(ip(17, udp(4500, Uint8Array.of(1, 2, 3, 4, 0, 0, 0, 1))), LANS), 'esp-in-udp');
  assert.equal(classifyFrame(ip(17, udp(4500, new Uint8Array(32))), LANS), 'ike');
  assert.equal(classifyFrame(ip(17, udp(4500, Uint8Array.of(0xff))), LANS), 'keepalive');
  assert.equal(classifyFrame(ip(17, udp(500, new Uint8Array(28))), LANS), 'ike');
  assert.equal(classifyFrame(Uint8Array.of(0, 1, 8, 0), LANS), 'other');
});

test('a LAN’s address outside, or the marker anywhere, is cleartext', () => {
  assert.equal(classifyFrame(ip(1, new Uint8Array(8), '10.1.0.10'), LANS), 'cleartext');
  assert.equal(classifyFrame(ip(50, concat(new Uint8Array(21), PLAINTEXT_MARKER)), LANS), 'cleartext');
});

function ip(protocol: number, payload: Uint8Array, source = '198.51.100.1'): Uint8Array {
  const header = new Uint8Array(20);
  header[0] = 0x45;
  header[9] = protocol;
  header.set(addressOctets(address(source)), 12);
  header.set(addressOctets(address('203.0.113.1')), 16);
  return concat(header, payload);
}

function udp(port: number, payload: Uint8Array): Uint8Array {
  return concat(Uint8Array.of(0x30, 0x39, port >> 8, port & 255, 0, 0, 0, 0), payload);
}

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { fromHex, toHex } from '../lib/bytes.ts';
import { recognizeVendorId, VENDOR_ID } from './vendor-ids.ts';

test('RFC 3947 §3.1: the NAT traversal vendor IDs are the MD5 of their names', () => {
  assert.equal(toHex(VENDOR_ID['rfc-3947']), md5('RFC 3947'));
  assert.equal(toHex(VENDOR_ID['nat-t-draft-03']), md5('draft-ietf-ipsec-nat-t-ike-03'));
  assert.equal(toHex(VENDOR_ID['nat-t-draft-02']), md5('draft-ietf-ipsec-nat-t-ike-02'));
  assert.equal(toHex(VENDOR_ID['nat-t-draft-02-newline']), md5('draft-ietf-ipsec-nat-t-ike-02\n'));
  assert.equal(toHex(VENDOR_ID.fragmentation), `${md5('FRAGMENTATION')}80000000`);
});

test('each vendor ID that we send is recognised', () => {
  for (const [name, data] of Object.entries(VENDOR_ID)) assert.equal(recognizeVendorId(data), name);
});

test('RFC 3706 §5.1: the DPD vendor ID is known by its first 14 octets, whatever the version', () => {
  assert.equal(recognizeVendorId(fromHex('afcad71368a1f1c96b8696fc77570200')), 'dead-peer-detection');
  assert.equal(recognizeVendorId(fromHex('afcad71368a1f1c96b8696fc77')), undefined);
});

test('an unknown, cut or prolonged vendor ID is nobody’s', () => {
  assert.equal(recognizeVendorId(new Uint8Array()), undefined);
  assert.equal(recognizeVendorId(VENDOR_ID['rfc-3947'].subarray(0, 15)), undefined);
  assert.equal(recognizeVendorId(fromHex(`${toHex(VENDOR_ID['rfc-3947'])}00`)), undefined);
});

function md5(text: string): string {
  return createHash('md5').update(text).digest('hex');
}

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fromHex, utf8 } from '../lib/bytes.ts';
import { address, addressFromOctets, parsePrefix, prefixRange } from '../model/address.ts';
import type { Identity } from '../model/identity.ts';
import { ANY_PORT, type TrafficSelector } from '../model/traffic-selector.ts';
import { decodeIdentity, decodeSelector, encodeIdentity, encodeSelector, ID_TYPE } from './isakmp-identity.ts';
import type { IdentificationPayload } from './isakmp-payloads.ts';

const NAME = fromHex('301e310b3009060355040613024348310f300d06035504030c0667772c6f6e65');

test('RFC 2407 §4.6.2: each kind of identity is read back as it was written', () => {
  const identities: Identity[] = [
    { kind: 'address', address: address('192.0.2.1') },
    { kind: 'address', address: address('2001:db8::1') },
    { kind: 'fqdn', name: 'gw.example.net' },
    { kind: 'user-fqdn', name: 'ops@example.net' },
    { kind: 'key-id', id: fromHex('00ff80') },
    { kind: 'distinguished-name', der: NAME, text: 'C=CH, CN=gw\\2cone' },
    { kind: 'selector', selector: selector('10.1.0.0/16') },
  ];
  for (const identity of identities) {
    assert.deepEqual(decodeIdentity(encodeIdentity(identity)), { ok: true, value: identity });
  }
});

test('RFC 2407 §4.6.2: every selector that IKEv1 can say is read back as it was written', () => {
  const anyAddress = fc
    .boolean()
    .chain((isIpv4) => {
      const octets = fc.uint8Array({ minLength: isIpv4 ? 4 : 16, maxLength: isIpv4 ? 4 : 16 });
      return fc.tuple(octets, octets);
    })
    .map(([a, b]) => [addressFromOctets(a), addressFromOctets(b)] as const);
  fc.assert(
    fc.property(anyAddress, fc.nat(128), fc.nat(255), fc.nat(65_535), (ends, length, protocol, port) => {
      const common = { protocol, ports: port === 0 ? ANY_PORT : { first: port, last: port } };
      const [first, last] = ends;
      const bits = first.includes(':') ? 128 : 32;
      const subnet = { ...common, addresses: prefixRange({ address: first, length: Math.min(length, bits) }) };
      const host = { ...common, addresses: { first, last: first } };
      for (const expected of [subnet, host]) {
        assert.deepEqual(decodeSelector(encodeSelector(expected)), { ok: true, value: expected });
      }
      const range = { ...common, addresses: { first, last } };
      const decoded = decodeSelector(encodeSelector(range));
      // Ends in the wrong order are nobody's range.
      if (decoded.ok) assert.deepEqual(decoded.value, range);
    }),
  );
});

test('RFC 2407 §4.6.2: each form of selector has its type and octets', () => {
  const cases: readonly [TrafficSelector, number, string][] = [
    [selector('10.1.0.0/16'), ID_TYPE.ID_IPV4_ADDR_SUBNET, '0a010000ffff0000'],
    [selector('0.0.0.0/0'), ID_TYPE.ID_IPV4_ADDR_SUBNET, '0000000000000000'],
    [selector('10.1.0.7/32'), ID_TYPE.ID_IPV4_ADDR, '0a010007'],
    [selector('2001:db8::/33'), ID_TYPE.ID_IPV6_ADDR_SUBNET, `20010db8${'0'.repeat(24)}ffffffff80${'0'.repeat(22)}`],
    [
      { ...selector('10.0.0.1'), addresses: { first: address('10.0.0.1'), last: address('10.0.0.9') } },
      ID_TYPE.ID_IPV4_ADDR_RANGE,
      '0a0000010a000009',
    ],
  ];
  for (const [wanted, idType, data] of cases) {
    assert.deepEqual(encodeSelector(wanted), identification(idType, fromHex(data)));
  }
});

test('RFC 2407 §4.6.2: one port is named, all are 0, and several but not all are said as all', () => {
  for (const [first, last, port] of [
    [443, 443, 443],
    [0, 65_535, 0],
    [1, 2, 0],
  ] as const) {
    assert.equal(encodeSelector({ ...selector('10.0.0.0/8'), ports: { first, last } }).port, port);
  }
});

test('tcpdump:isakmp-identification-segfault: identification data of another length than its type has is malformed', () => {
  for (const [idType, length] of [
    [ID_TYPE.ID_IPV4_ADDR, 4],
    [ID_TYPE.ID_IPV4_ADDR_SUBNET, 8],
    [ID_TYPE.ID_IPV4_ADDR_RANGE, 8],
    [ID_TYPE.ID_IPV6_ADDR, 16],
    [ID_TYPE.ID_IPV6_ADDR_SUBNET, 32],
    [ID_TYPE.ID_IPV6_ADDR_RANGE, 32],
  ] as const) {
    for (let actual = 0; actual < 40; actual++) {
      const payload = identification(idType, new Uint8Array(actual));
      assert.equal(decodeSelector(payload).ok, actual === length, `type ${idType}, ${actual} octets`);
      assert.equal(decodeIdentity(payload).ok, actual === length, `type ${idType}, ${actual} octets`);
    }
  }
});

test('a mask with holes, and a range that ends before it starts, are malformed', () => {
  assert.equal(decodeSelector(identification(ID_TYPE.ID_IPV4_ADDR_SUBNET, fromHex('0a010000ff00ff00'))).ok, false);
  assert.equal(decodeSelector(identification(ID_TYPE.ID_IPV4_ADDR_RANGE, fromHex('0a0000090a000001'))).ok, false);
});

test('host bits of a subnet are not part of it', () => {
  const decoded = decodeSelector(identification(ID_TYPE.ID_IPV4_ADDR_SUBNET, fromHex('0a010203ffff0000')));
  assert.ok(decoded.ok);
  assert.deepEqual(decoded.value, selector('10.1.0.0/16'));
});

test('libreswan:impair-30-ikev1-ip-as-fqdn: an address sent as a name is a name, not the address', () => {
  const decoded = decodeIdentity(identification(ID_TYPE.ID_FQDN, utf8('192.0.2.1')));
  assert.deepEqual(decoded, { ok: true, value: { kind: 'fqdn', name: '192.0.2.1' } });
});

test('libreswan:impair-31-ikev1-quick-id: a name, a key ID or an unknown type is no selector', () => {
  for (const idType of [0, ID_TYPE.ID_FQDN, ID_TYPE.ID_USER_FQDN, ID_TYPE.ID_DER_ASN1_DN, ID_TYPE.ID_KEY_ID, 12, 255]) {
    assert.equal(decodeSelector(identification(idType, fromHex('0a010203'))).ok, false, `type ${idType}`);
  }
});

test('a name that is not valid UTF-8 is malformed, so that two peers never share a name by accident', () => {
  for (const data of ['ff', 'c3', 'efbbbf61', '']) {
    assert.equal(decodeIdentity(identification(ID_TYPE.ID_FQDN, fromHex(data))).ok, false, data);
  }
});

test('CVE-2013-6075: a distinguished name whose lengths are not true, or that is cut anywhere, is malformed', () => {
  assert.ok(decodeIdentity(identification(ID_TYPE.ID_DER_ASN1_DN, NAME)).ok);
  for (let length = 0; length < NAME.length; length++) {
    assert.equal(decodeIdentity(identification(ID_TYPE.ID_DER_ASN1_DN, NAME.subarray(0, length))).ok, false);
  }
  for (const offset of [1, 3, 5, 7, 12]) {
    const changed = NAME.slice();
    changed[offset] = 0x84;
    assert.equal(decodeIdentity(identification(ID_TYPE.ID_DER_ASN1_DN, changed)).ok, false, `length at ${offset}`);
  }
});

test('CVE-2013-5018: a user name that looks like ASN.1 is text like any other', () => {
  const decoded = decodeIdentity(identification(ID_TYPE.ID_USER_FQDN, utf8('0a@example.net')));
  assert.deepEqual(decoded, { ok: true, value: { kind: 'user-fqdn', name: '0a@example.net' } });
});

function selector(prefix: string): TrafficSelector {
  const parsed = parsePrefix(prefix);
  assert.ok(parsed);
  return { addresses: prefixRange(parsed), protocol: 0, ports: ANY_PORT };
}

function identification(idType: number, data: Uint8Array): IdentificationPayload {
  return { kind: 'identification', idType, protocolId: 0, port: 0, data };
}

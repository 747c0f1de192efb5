import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  addressBits,
  addressFromOctets,
  addressOctets,
  type IpAddress,
  type Prefix,
  parseAddress,
  prefixRange,
  rangePrefix,
} from './address.ts';

const addresses = fc
  .oneof(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.uint8Array({ minLength: 16, maxLength: 16 }))
  .map(addressFromOctets);

test('an address is exactly four numbers up to 255, and comes back as it was written', () => {
  for (const text of [
    '',
    '.',
    '1.2.3',
    '1.2.3.4.',
    '.1.2.3.4',
    '1..3.4',
    '1.2.3.4.5',
    '256.1.1.1',
    '1.2.3.0004',
    '1.2.3.x',
  ])
    assert.equal(parseAddress(text), undefined, text);
  for (const text of ['0.0.0.0', '255.255.255.255', '10.0.200.9']) assert.equal(parseAddress(text), text);
  assert.equal(parseAddress('010.001.0.09'), '10.1.0.9');
  fc.assert(fc.property(addresses, (one) => assert.equal(parseAddress(one), one)));
});

test('the range of a prefix has its first bits, and after them all zeros at one end and all ones at the other', () => {
  fc.assert(
    fc.property(addresses, fc.nat({ max: 128 }), (one, bits) => {
      const length = bits % (addressBits(one) + 1);
      const { first, last } = prefixRange({ address: one, length });
      assert.equal(bitsOf(first), bitsOf(one).slice(0, length).padEnd(addressBits(one), '0'));
      assert.equal(bitsOf(last), bitsOf(one).slice(0, length).padEnd(addressBits(one), '1'));
    }),
  );
});

test('the prefix of a range is what an exhaustive search finds', () => {
  fc.assert(
    fc.property(addresses, addresses, fc.nat({ max: 128 }), (first, last, bits) => {
      const prefix = { address: first, length: bits % (addressBits(first) + 1) };
      const whole = prefixRange(prefix);
      for (const range of [whole, { first, last }, { first, last: whole.last }, { first: whole.first, last }]) {
        assert.deepEqual(rangePrefix(range), searchPrefix(range.first, range.last));
      }
    }),
  );
});

function searchPrefix(first: IpAddress, last: IpAddress): Prefix | undefined {
  for (let length = addressBits(first); length >= 0; length--) {
    const range = prefixRange({ address: first, length });
    if (range.first === first && range.last === last) return { address: first, length };
  }
  return undefined;
}

function bitsOf(value: IpAddress): string {
  return Array.from(addressOctets(value), (octet) => octet.toString(2).padStart(8, '0')).join('');
}

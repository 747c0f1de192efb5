import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { addressBits, addressFromOctets, type IpAddress, type Prefix, prefixRange, rangePrefix } from './address.ts';

const addresses = fc
  .oneof(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.uint8Array({ minLength: 16, maxLength: 16 }))
  .map(addressFromOctets);

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

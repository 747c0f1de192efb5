import assert from 'node:assert/strict';
import { test } from 'node:test';
import { address, formatPrefix } from '../model/address.ts';
import { prefixesOfRange } from './prefixes.ts';

function split(first: string, last: string): readonly string[] {
  return prefixesOfRange({ first: address(first), last: address(last) }).map(formatPrefix);
}

test('a range that is one prefix stays one, up to the whole address space', () => {
  assert.deepEqual(split('10.1.0.0', '10.1.255.255'), ['10.1.0.0/16']);
  assert.deepEqual(split('0.0.0.0', '255.255.255.255'), ['0.0.0.0/0']);
  assert.deepEqual(split('::', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'), ['::/0']);
});

test('any other range becomes the fewest prefixes that cover exactly it', () => {
  assert.deepEqual(split('10.0.0.1', '10.0.0.6'), ['10.0.0.1/32', '10.0.0.2/31', '10.0.0.4/31', '10.0.0.6/32']);
  assert.deepEqual(split('10.0.0.255', '10.0.1.0'), ['10.0.0.255/32', '10.0.1.0/32']);
  assert.deepEqual(split('2001:db8::1', '2001:db8::3'), ['2001:db8::1/128', '2001:db8::2/127']);
});

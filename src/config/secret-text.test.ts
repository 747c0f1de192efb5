import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { SeededRandom } from '../lib/random.ts';
import { decodeSecret, encodeSecret } from './secret-text.ts';

test('$9$ text of others is read: the example in the documentation of Crypt::Juniper', () => {
  assert.equal(decodeSecret('$9$LbHX-wg4Z'), 'lc');
});

test('a secret survives $9$ for any characters up to U+00FF, with any salt', () => {
  const secrets = fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 64 });
  fc.assert(
    fc.property(secrets, fc.integer(), (codes, seed) => {
      const secret = String.fromCharCode(...codes);
      assert.equal(decodeSecret(encodeSecret(secret, new SeededRandom(seed))), secret);
    }),
  );
});

test('damaged $9$ text is refused, not guessed', () => {
  const text = encodeSecret('correct horse', new SeededRandom(1));
  assert.equal(decodeSecret(text.slice(0, -1)), undefined);
  assert.equal(decodeSecret(`${text.slice(0, 8)}#${text.slice(9)}`), undefined);
  assert.equal(decodeSecret('$9$'), undefined);
  assert.equal(decodeSecret('plain'), undefined);
});

test('a secret beyond U+00FF cannot be written as $9$', () => {
  assert.throws(() => encodeSecret('ключ', new SeededRandom(1)), RangeError);
});

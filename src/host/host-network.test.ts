import assert from 'node:assert/strict';
import { test } from 'node:test';
import { namespaceTestSkip, runInNamespace } from './test-namespace.fixture.ts';

test('the longest prefix wins across tunnels and the host, our own packets stay out, and what was a tunnel drops', {
  skip: namespaceTestSkip(),
}, () => {
  const seen = JSON.parse(runInNamespace(new URL('./host-network.fixture.js', import.meta.url)));
  const up = {
    '8.8.8.8': 'st0.0',
    '10.2.1.1': 'st0.1',
    '10.2.7.1': 'lan',
    '192.168.1.9': 'lan',
    '10.9.0.2': 'st0.0',
    'fd02::1': 'st0.1',
    'fd09::2': 'st0.0',
  };
  assert.deepEqual(seen.up, up);
  assert.deepEqual(seen.again, up, 'a plan carried out twice changes nothing');
  assert.equal(seen.marked, 'lan', 'a packet with our mark takes the host’s own default route');
  const dropped = { ...up, '8.8.8.8': 'unreachable', '10.2.1.1': 'unreachable', '10.9.0.2': 'unreachable' };
  assert.deepEqual(seen.down, { ...dropped, 'fd02::1': 'unreachable', 'fd09::2': 'unreachable' });
  const smaller = { ...up, '8.8.8.8': 'lan', '10.9.0.2': 'lan', 'fd02::1': 'unreachable', 'fd09::2': 'unreachable' };
  assert.deepEqual(seen.smaller, smaller, 'a second start replaces what the first has left');
  assert.ok(seen.removed > 0);
  assert.equal(seen.clean['10.2.1.1'], 'lan', 'after an explicit cleanup the host’s own routes are all there is');
  assert.equal(seen.rules, 3);
});

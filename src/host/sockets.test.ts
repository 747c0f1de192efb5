import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Namespaces } from '../../lab/namespaces.ts';
import { address } from '../model/address.ts';
import { libc } from './libc.ts';
import { openNatTraversalSockets, openUdpSocket } from './sockets.ts';
import { namespaceTestSkip } from './test-namespace.fixture.ts';

const local = { address: address('127.0.0.1'), port: 47_311 };
const owner = readFileSync('/proc/self/comm', 'utf8').trim();

test('a port that is taken is refused with the name and number of the process that has it', {
  skip: namespaceTestSkip(),
}, () => {
  const first = openUdpSocket(local);
  assert.throws(() => openUdpSocket(local), {
    message: `UDP 127.0.0.1:47311 is in use by ${owner} (process ${process.pid}): only one IKE daemon can have it; stop the other first`,
  });
  libc.close(first);
  libc.close(openUdpSocket(local));
});

test('the two sockets of a shared port share it with nobody else', { skip: namespaceTestSkip() }, () => {
  const { esp, ike } = openNatTraversalSockets(local);
  assert.ok(ike !== undefined, 'this kernel tells IKE from ESP');
  assert.throws(() => openNatTraversalSockets(local), /in use by/);
  assert.throws(() => openUdpSocket(local), /in use by/);
  libc.close(esp);
  libc.close(ike);
});

for (const family of [4, 6] as const)
  test(`of ICMP over IPv${family}, errors come to us and pings do not`, { skip: namespaceTestSkip() }, () => {
    const namespaces = new Namespaces('icmp');
    namespaces.add('one');
    const loopback = family === 4 ? '127.0.0.1' : '::1';
    const program = new URL('./icmp-filter.fixture.js', import.meta.url).pathname;
    try {
      const found = namespaces.run('one', process.execPath, [program, `${family}`, loopback]);
      assert.deepEqual(JSON.parse(found.stdout || '{}'), { afterPing: 0, afterError: 1 }, found.stderr);
    } finally {
      namespaces.remove();
    }
  });

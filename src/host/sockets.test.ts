import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Namespaces } from '../../lab/namespaces.ts';
import { address } from '../model/address.ts';
import { libc, MSG_DONTWAIT, NativeMemory } from './libc.ts';
import { socketAddress } from './socket-address.ts';
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

test('the sockets of a shared port share it with nobody else, and the one that sends with DF receives nothing', {
  skip: namespaceTestSkip(),
}, () => {
  const { esp, ike, unfragmented } = openNatTraversalSockets(local, 3);
  assert.ok(ike !== undefined && unfragmented !== undefined, 'this kernel tells IKE from ESP');
  assert.throws(() => openNatTraversalSockets(local), /in use by/);
  assert.throws(() => openUdpSocket(local), /in use by/);
  const buffer = NativeMemory.allocate(128);
  const name = socketAddress(local);
  buffer.bytes.set(name, 64);
  const sender = openUdpSocket({ ...local, port: 47_312 });
  // IKE behind its marker, ESP under SPIs of all remainders, a keepalive, which is too short to be told.
  for (const [spi, length] of [
    [0, 8],
    [0xfffffffe, 8],
    [0x1003, 8],
    [0x80000001, 8],
    [0x10000004, 8],
    [0xff000000, 1],
  ] as const)
    for (let count = 0; count < 20; count++) {
      buffer.view.setUint32(0, spi);
      assert.equal(libc.sendto(sender, buffer.address, length, 0, buffer.address + 64, name.length), length);
    }
  assert.deepEqual([...esp, ike, unfragmented].map(countReceived), [40, 20, 40, 20, 0]);
  for (const descriptor of [...esp, ike, unfragmented, sender]) libc.close(descriptor);
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

for (const family of [4, 6] as const)
  test(`of ESP and AH over IPv${family}, each engine is given what is under its own SPIs, and the first what has none`, {
    skip: namespaceTestSkip(),
  }, () => {
    const namespaces = new Namespaces('spi');
    namespaces.add('one');
    const program = new URL('./spi-filter.fixture.js', import.meta.url).pathname;
    try {
      const found = namespaces.run('one', process.execPath, [program, `${family}`, family === 4 ? '127.0.0.1' : '::1']);
      // 0x1000, 0x1001, 0x1002, 0xfffffffe and 0xffffffff leave 1, 2, 0, 2 and 0.
      const wanted = [3, 1, 2];
      assert.deepEqual(JSON.parse(found.stdout || '{}'), { esp: wanted, ah: wanted }, found.stderr);
    } finally {
      namespaces.remove();
    }
  });

function countReceived(descriptor: number): number {
  const buffer = NativeMemory.allocate(128);
  let count = 0;
  while (libc.recvfrom(descriptor, buffer.address, 128, MSG_DONTWAIT, 0, 0) >= 0) count++;
  return count;
}

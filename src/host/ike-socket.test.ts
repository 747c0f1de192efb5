import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { address, type UdpPath } from '../model/address.ts';
import { IkeBuffers, IkeSocket } from './ike-socket.ts';
import { libc } from './libc.ts';
import { openUdpSocket } from './sockets.ts';
import { namespaceTestSkip } from './test-namespace.fixture.ts';

const BURST = 100;

for (const text of ['127.0.0.1', '::1'])
  test(`over ${text}, every datagram of a burst comes with its path, and a callback may have microtasks`, {
    skip: namespaceTestSkip(),
  }, async () => {
    const [near, far] = [47_331, 47_332].map((port) => ({ address: address(text), port }));
    assert.ok(near && far);
    const descriptors = [near, far].map(openUdpSocket);
    const buffers = new IkeBuffers();
    const received: { readonly path: UdpPath; readonly datagram: Uint8Array }[] = [];
    const done = new EventTarget();
    const sockets = [near, far].map(
      (local, index) =>
        new IkeSocket(local, descriptors[index] ?? -1, buffers, (path, datagram) => {
          received.push({ path, datagram });
          if (received.length === BURST) queueMicrotask(() => done.dispatchEvent(new Event('done')));
        }),
    );
    const [a] = sockets;
    for (let count = 0; count < BURST; count++) a?.send(far, Uint8Array.of(count, 1, 2, 3));
    await once(done, 'done');
    for (const [index, { path, datagram }] of received.entries()) {
      assert.deepEqual(path, { local: far, remote: near });
      assert.deepEqual([...datagram], [index, 1, 2, 3]);
    }
    for (const socket of sockets) socket.stop();
    for (const descriptor of descriptors) libc.close(descriptor);
  });

test('a socket that has stopped reads nothing more', { skip: namespaceTestSkip() }, async () => {
  const local = { address: address('127.0.0.1'), port: 47_333 };
  const descriptor = openUdpSocket(local);
  let count = 0;
  const socket = new IkeSocket(local, descriptor, new IkeBuffers(), () => count++);
  socket.send(local, Uint8Array.of(1));
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(count, 1);
  socket.send(local, Uint8Array.of(2));
  socket.stop();
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(count, 1);
  libc.close(descriptor);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { address } from '../../model/address.ts';
import { libc, MSG_DONTWAIT, NativeMemory, SOL_SOCKET } from '../libc.ts';
import { socketAddress } from '../socket-address.ts';
import { openUdpSocket, setOption } from '../sockets.ts';
import { namespaceTestSkip } from '../test-namespace.fixture.ts';
import { Arena } from './arena.ts';
import { EngineTally } from './engine-counters.ts';
import { SendBatch } from './send-batch.ts';

/** No kernel takes more than eight bits here: the refusal (EINVAL) is that of one that takes none. */
const REFUSED = 0x1ff;
const SO_NO_CHECK = 11;

test('where the kernel refuses DSCP and ECN, what it refused leaves without them, and that is said once', {
  skip: namespaceTestSkip(),
}, () => {
  const arena = new Arena(1024 * 1024);
  const tally = new EngineTally();
  const notices: string[] = [];
  const batch = new SendBatch(
    arena,
    tally,
    (text) => notices.push(text),
    () => assert.fail('nothing is too big'),
  );
  const local = { address: address('127.0.0.1'), port: 47_321 };
  const receiver = openUdpSocket(local);
  const sender = openUdpSocket({ ...local, port: 47_322 });
  const target = {
    descriptor: sender,
    address: socketAddress(local),
    segmentLengthMax: 65_536,
    takesTrafficClass: true,
  };
  const offset = arena.reserve(64);
  batch.add(target, offset, 40, REFUSED);
  batch.add(target, offset, 40, 0);
  for (let count = 0; count < 3; count++) batch.add(target, offset, 20, REFUSED);
  batch.flush();
  assert.deepEqual(takeLengths(receiver), [40, 40, 20, 20, 20]);
  assert.equal(target.takesTrafficClass, false);
  batch.add(target, offset, 30, REFUSED);
  batch.flush();
  assert.deepEqual(takeLengths(receiver), [30]);
  assert.equal(tally.get('socket-sent'), 6);
  assert.deepEqual(notices, ['this kernel does not take DSCP and ECN of datagrams: ESP in UDP leaves without them']);
  libc.close(receiver);
  libc.close(sender);
});

test('where the kernel refuses to split messages, datagrams of that length leave one by one, and none is lost', {
  skip: namespaceTestSkip(),
}, () => {
  const arena = new Arena(1024 * 1024);
  const tally = new EngineTally();
  const batch = new SendBatch(
    arena,
    tally,
    (text) => assert.fail(text),
    () => assert.fail('nothing is too big'),
  );
  const local = { address: address('127.0.0.1'), port: 47_323 };
  const receiver = openUdpSocket(local);
  const sender = openUdpSocket({ ...local, port: 47_324 });
  // What the kernel splits needs checksums: without them it answers EINVAL, as it does for datagrams longer than the interface carries.
  setOption(sender, SOL_SOCKET, SO_NO_CHECK, 1);
  const target = { descriptor: sender, address: socketAddress(local), segmentLengthMax: 65_536 };
  const offset = arena.reserve(64);
  const send = (count: number, length: number) => {
    for (let sent = 0; sent < count; sent++) batch.add(target, offset, length);
    batch.flush();
    assert.deepEqual(takeLengths(receiver), Array<number>(count).fill(length));
  };
  send(5, 40);
  assert.equal(target.segmentLengthMax, 39);
  send(3, 60);
  assert.equal(target.segmentLengthMax, 39);
  send(3, 30);
  assert.equal(target.segmentLengthMax, 29);
  assert.equal(tally.get('socket-sent'), 11);
  assert.equal(tally.get('socket-send-refused'), 0);
  libc.close(receiver);
  libc.close(sender);
});

function takeLengths(descriptor: number): readonly number[] {
  const buffer = NativeMemory.allocate(128);
  const lengths: number[] = [];
  for (;;) {
    const length = libc.recvfrom(descriptor, buffer.address, 128, MSG_DONTWAIT, 0, 0);
    if (length < 0) return lengths;
    lengths.push(length);
  }
}

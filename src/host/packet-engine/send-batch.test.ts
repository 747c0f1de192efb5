import assert from 'node:assert/strict';
import { test } from 'node:test';
import { address } from '../../model/address.ts';
import { libc, MSG_DONTWAIT, NativeMemory, SOL_SOCKET } from '../libc.ts';
import { socketAddress } from '../socket-address.ts';
import { openUdpSocket, setOption } from '../sockets.ts';
import { namespaceTestSkip } from '../test-namespace.fixture.ts';
import { Arena } from './arena.ts';
import { EngineTally } from './engine-counters.ts';
import { SendBatch, type SendHandlers } from './send-batch.ts';

/** No kernel takes more than eight bits here: the refusal (EINVAL) is that of one that takes none. */
const REFUSED = 0x1ff;
const SO_NO_CHECK = 11;
const HANDLERS: SendHandlers = {
  complete: () => undefined,
  handleNotice: (text) => assert.fail(text),
  handleTooBig: () => assert.fail('nothing is too big'),
};

test('where the kernel refuses DSCP and ECN, what it refused leaves without them, and that is said once', {
  skip: namespaceTestSkip(),
}, () => {
  const arena = new Arena(1024 * 1024);
  const tally = new EngineTally();
  const notices: string[] = [];
  const batch = new SendBatch(arena, tally, { ...HANDLERS, handleNotice: (text) => notices.push(text) });
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
  const batch = new SendBatch(arena, tally, HANDLERS);
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

test('what was added is completed before it is sent, also where the batch is full before it is flushed', {
  skip: namespaceTestSkip(),
}, () => {
  const arena = new Arena(1024 * 1024);
  const local = { address: address('127.0.0.1'), port: 47_325 };
  const receiver = openUdpSocket(local);
  const sender = openUdpSocket({ ...local, port: 47_326 });
  const incomplete: number[] = [];
  const batch = new SendBatch(arena, new EngineTally(), {
    ...HANDLERS,
    complete: () => {
      for (const offset of incomplete.splice(0)) arena.memory.bytes[offset] = 1;
    },
  });
  // Targets of their own: each datagram is a message, of which a batch holds 64.
  const count = 150;
  for (let index = 0; index < count; index++) {
    const offset = arena.reserve(1);
    incomplete.push(offset);
    batch.add({ descriptor: sender, address: socketAddress(local), segmentLengthMax: 0 }, offset, 1);
  }
  batch.flush();
  const buffer = NativeMemory.allocate(128);
  for (let index = 0; index < count; index++) {
    assert.equal(libc.recvfrom(receiver, buffer.address, 128, MSG_DONTWAIT, 0, 0), 1);
    assert.equal(buffer.bytes[0], 1, `datagram ${index} is complete`);
  }
  incomplete.push(arena.reserve(1));
  batch.flush();
  assert.deepEqual(incomplete, [], 'also what never came to be sent');
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

// What the engine does without what an older system lacks is in the differential test, in all combinations; here is what it says about it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { address } from '../../model/address.ts';
import { libc } from '../libc.ts';
import type { TunnelOffload } from '../tunnel-device.ts';
import { Arena } from './arena.ts';
import { EngineBench, socketPair } from './engine-bench.fixture.ts';
import { EngineTally } from './engine-counters.ts';
import { whyNoIoUring } from './io-uring.fixture.ts';
import type { EngineFeature } from './messages.ts';
import { ReceiveBatch } from './receive-batch.ts';
import { UdpPort } from './udp-port.ts';

const NO_RING = /no io_uring here/;
const CASES: readonly {
  readonly without: readonly EngineFeature[];
  readonly offload: TunnelOffload;
  readonly said: readonly RegExp[];
}[] = [
  { without: [], offload: 'tcp-and-udp', said: [] },
  { without: ['openssl'], offload: 'tcp-and-udp', said: [/OpenSSL cannot be reached/] },
  { without: ['vectors'], offload: 'tcp-and-udp', said: [/no WebAssembly vectors/] },
  { without: ['io-ring'], offload: 'tcp-and-udp', said: [NO_RING] },
  { without: ['machine-code'], offload: 'tcp-and-udp', said: [/no machine code/] },
  { without: [], offload: 'tcp', said: [/no large UDP packets \(USO/] },
  { without: ['openssl', 'vectors'], offload: 'none', said: [/OpenSSL/, /vectors/, /no large packets \(TSO\)/] },
];

/** The bench has none, for whatever the engine has. */
const SECOND_SOCKET = /no second socket for a port/;

for (const { without, offload, said } of CASES)
  test(`the engine says once what is missing: ${without.join(', ') || 'no feature'} missing, TUN offload ${offload}`, async () => {
    const bench = new EngineBench({ offload, without });
    await bench.settle();
    // Where this machine has none either, that is said in every case.
    const isRingMissing = whyNoIoUring() !== false;
    const notices = bench.notices.filter((text) => !isRingMissing || !NO_RING.test(text));
    const expected = [...said.filter((pattern) => !isRingMissing || pattern !== NO_RING), SECOND_SOCKET];
    assert.equal(notices.length, expected.length, notices.join('\n'));
    for (const [index, pattern] of expected.entries()) assert.match(notices[index] ?? '', pattern);
    assert.equal(bench.notices.length - notices.length, isRingMissing ? 1 : 0);
    await bench.stop();
  });

test('what the kernel refuses to do for a socket is said: joining datagrams, telling DSCP and ECN', () => {
  const arena = new Arena(8 * 1024 * 1024);
  const notices: string[] = [];
  // A socket of another kind, for which it has neither.
  const { near, far } = socketPair();
  const local = { address: address('127.0.0.1'), port: 4500 };
  new UdpPort(
    arena,
    new EngineTally(),
    new ReceiveBatch(arena),
    { ...local, descriptor: near, isForSendingOnly: true },
    [],
    {
      handleIke: () => assert.fail('nothing comes'),
      handleEsp: () => assert.fail('nothing comes'),
      expectEsp: () => assert.fail('nothing comes'),
      forgetExpected: () => undefined,
      flush: () => undefined,
      handleNotice: (text) => notices.push(text),
    },
  );
  const said = [SECOND_SOCKET, /does not tell DSCP and ECN/, /does not join datagrams \(UDP GRO\)/];
  assert.equal(notices.length, said.length, notices.join('\n'));
  for (const [index, pattern] of said.entries()) assert.match(notices[index] ?? '', pattern);
  for (const descriptor of [near, far]) libc.close(descriptor);
});

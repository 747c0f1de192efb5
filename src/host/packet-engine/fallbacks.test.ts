// What the engine does without what an older system lacks is in the differential test, in all combinations; here is what it says about it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TunnelOffload } from '../tunnel-device.ts';
import { EngineBench } from './engine-bench.fixture.ts';
import type { EngineFeature } from './messages.ts';

const CASES: readonly {
  readonly without: readonly EngineFeature[];
  readonly offload: TunnelOffload;
  readonly said: readonly RegExp[];
}[] = [
  { without: [], offload: 'tcp-and-udp', said: [] },
  { without: ['openssl'], offload: 'tcp-and-udp', said: [/OpenSSL cannot be reached/] },
  { without: ['vectors'], offload: 'tcp-and-udp', said: [/no WebAssembly vectors/] },
  { without: ['io-ring'], offload: 'tcp-and-udp', said: [/no io_uring here/] },
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
    const expected = [...said, SECOND_SOCKET];
    assert.equal(bench.notices.length, expected.length, bench.notices.join('\n'));
    for (const [index, pattern] of expected.entries()) assert.match(bench.notices[index] ?? '', pattern);
    await bench.stop();
  });

// What the engine does when the host or the network takes less than it has: nothing piles up in it, each packet that it has to drop is
// counted with its cause, and it goes on.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  innerPacket,
  newPlane,
  policy,
  RecordingOutbox,
  reversed,
  saPair,
  selectors,
} from '../../ipsec/two-planes.fixture.ts';
import { instant } from '../../lib/time.ts';
import { EngineBench } from './engine-bench.fixture.ts';
import type { EngineCounters } from './messages.ts';
import { plainFrame } from './naive-offload.fixture.ts';

const ANY = selectors('0.0.0.0/0', '0.0.0.0/0');
const BATCH = 40;
const BATCHES_MAX = 4000;
const NOW = instant(0);

test('a TUN device that nobody reads: what does not fit is dropped and counted, IKE still comes through, and all passes again once it is read', async () => {
  const bench = new EngineBench({ offload: 'tcp-and-udp', without: [] });
  const path = bench.path(0);
  const { outbound, inbound } = saPair('aes-256-gcm', 'none', {
    udp: reversed(path),
    selectors: ANY,
    replayWindow: 1024,
  });
  bench.command({ kind: 'put-policy', policy: policy({ selectors: ANY }) });
  bench.command({ kind: 'add-inbound', sa: inbound });
  const peer = newPlane(2);
  for (const command of [
    { kind: 'put-policy', policy: policy({ selectors: ANY }) },
    { kind: 'add-outbound', sa: outbound },
    { kind: 'use-outbound', policy: outbound.policy, spi: outbound.spi },
  ] as const)
    peer.handleCommand(NOW, command, new RecordingOutbox());
  let sent = 0;
  const sendBatch = async () => {
    const out = new RecordingOutbox();
    const packet = innerPacket({ length: 1300 });
    for (let index = 0; index < BATCH; index++) peer.handleInnerPacket(NOW, 'st0.0', packet.slice(), 0, 1300, out);
    const datagrams = out.udp.map(({ payload }) => payload);
    bench.sendUdp(0, datagrams);
    sent += datagrams.length;
    return await counted(bench, 'socket-received', sent);
  };
  const full = await until(sendBatch, (counters) => counters['tunnel-queue-full'] > 5 * BATCH);
  assert.equal(full['tunnel-written'] + full['tunnel-queue-full'], sent, 'every packet was written or counted');
  assert.equal(full['tunnel-write-refused'], 0);

  const ike = new Uint8Array(300).fill(0xa5, 4);
  bench.sendUdp(0, [ike]);
  sent += 1;
  await counted(bench, 'socket-received', sent);
  assert.deepEqual(bench.ike, [ike]);

  assert.ok(bench.drain() > 0);
  const after = await sendBatch();
  assert.equal(after['tunnel-queue-full'], full['tunnel-queue-full'], 'nothing was lost any more');
  await bench.stop();
});

test('a network that takes nothing: what does not fit is dropped and counted, and all passes again once it does', async () => {
  const bench = new EngineBench({ offload: 'tcp-and-udp', without: [] });
  const { outbound } = saPair('aes-256-gcm', 'none', { selectors: ANY });
  bench.command({ kind: 'put-policy', policy: policy({ selectors: ANY }) });
  bench.command({ kind: 'add-outbound', sa: outbound });
  bench.command({ kind: 'use-outbound', policy: outbound.policy, spi: outbound.spi });
  let read = 0;
  const frames = Array.from({ length: BATCH }, () => plainFrame(innerPacket({ length: 1300 })).octets);
  const sendBatch = async () => {
    await bench.writeTunnel(0, frames);
    read += frames.length;
    await counted(bench, 'tunnel-read', read);
    // Read is not yet sent.
    await bench.settle();
    return bench.counters().engine;
  };
  const full = await until(sendBatch, (counters) => counters['socket-buffer-full'] > 5 * BATCH);
  assert.equal(full['socket-sent'] + full['socket-buffer-full'], read, 'every packet was sent or counted');
  assert.equal(full['socket-send-refused'] + full['socket-too-big'], 0);

  assert.ok(bench.drain() > 0);
  const after = await sendBatch();
  assert.equal(after['socket-buffer-full'], full['socket-buffer-full'], 'nothing was lost any more');
  assert.equal(bench.counters().dataPlane.discarded, 0, 'the data plane knows nothing of it');
  await bench.stop();
});

async function until(
  action: () => Promise<EngineCounters['engine']>,
  isSo: (counters: EngineCounters['engine']) => boolean,
): Promise<EngineCounters['engine']> {
  for (let count = 0; count < BATCHES_MAX; count++) {
    const counters = await action();
    if (isSo(counters)) return counters;
  }
  throw new Error(`not even after ${BATCHES_MAX} batches`);
}

/** The engine's counters, once one of them has come so far: the engine goes on, then, whatever it drops. */
async function counted(
  bench: EngineBench,
  name: 'socket-received' | 'tunnel-read',
  wanted: number,
): Promise<EngineCounters['engine']> {
  for (let attempt = 0; attempt < 10_000; attempt++) {
    await bench.settle();
    const { engine } = bench.counters();
    if (engine[name] === wanted) return engine;
  }
  throw new Error(`${name} never came to ${wanted}`);
}

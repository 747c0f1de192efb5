// The kernel may join datagrams of one sender whatever their SPIs are (UDP GRO), and gives them all to the engine of the first.

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
import { policyId, spi } from '../../model/ipsec-sa.ts';
import { namespaceTestSkip } from '../test-namespace.fixture.ts';
import { EngineBench } from './engine-bench.fixture.ts';

const ANY = selectors('0.0.0.0/0', '0.0.0.0/0');
const NOW = instant(0);
const ENGINES = 3;
const LENGTH = 600;
const ROUNDS = 16;
const MESSAGES = 40;

for (const isSteered of [true, false])
  test(`datagrams of three engines' SAs in one message reach their engines, ${isSteered ? 'whoever has the first' : 'also where all come to one socket'}: none is lost, none out of its order`, {
    skip: isSteered && namespaceTestSkip(),
  }, async () => {
    const bench = new EngineBench({ offload: 'none', without: [], engines: ENGINES, isSteered });
    const peer = newPlane(2);
    const path = bench.path(0);
    const ids = Array.from({ length: ENGINES }, (_, index) => policyId(`vpn-${index}`));
    for (const [index, id] of ids.entries()) {
      const common = { udp: reversed(path), selectors: ANY, policy: id, replayWindow: 1024 };
      const { outbound, inbound } = saPair('aes-256-gcm', 'none', { ...common, spi: spi(0x1000 * ENGINES + index) });
      // All in one device, so that the order of each SA can be seen in what is written there.
      bench.command({ kind: 'put-policy', policy: policy({ id, order: index, selectors: ANY }) });
      bench.command({ kind: 'add-inbound', sa: inbound });
      for (const command of [
        { kind: 'put-policy', policy: policy({ id, selectors: ANY, tunnelInterface: id }) },
        { kind: 'add-outbound', sa: outbound },
        { kind: 'use-outbound', policy: id, spi: outbound.spi },
      ] as const)
        peer.handleCommand(NOW, command, new RecordingOutbox());
    }
    await bench.settle();
    const numbers: number[][] = ids.map(() => []);
    for (let message = 0; message < MESSAGES; message++) {
      const out = new RecordingOutbox();
      for (let round = 0; round < ROUNDS; round++)
        for (let turn = 0; turn < ENGINES; turn++) {
          const packet = innerPacket({ length: LENGTH });
          const index = (turn + message) % ENGINES;
          packet[LENGTH - 1] = index;
          new DataView(packet.buffer).setUint16(LENGTH - 3, message * ROUNDS + round);
          peer.handleInnerPacket(NOW, ids[index], packet, 0, LENGTH, out);
        }
      const datagrams = out.udp.map(({ payload }) => payload);
      assert.equal(datagrams.length, ENGINES * ROUNDS);
      bench.sendUdp(0, datagrams);
      const { tunnels } = await bench.take();
      for (const packet of tunnels[0] ?? [])
        numbers[packet[LENGTH - 1] ?? 0]?.push(new DataView(packet.buffer, packet.byteOffset).getUint16(LENGTH - 3));
    }
    const all = Array.from({ length: MESSAGES * ROUNDS }, (_, number) => number);
    for (const each of numbers) assert.deepEqual(each, all);
    const { engine, dataPlane } = bench.counters();
    assert.equal(engine['handed-over'], (MESSAGES * ROUNDS * ENGINES * (ENGINES - 1)) / ENGINES);
    assert.equal(dataPlane.discarded, 0);
    await bench.stop();
  });

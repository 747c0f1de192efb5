import assert from 'node:assert/strict';
import { test } from 'node:test';
import { saPair, selectors } from '../ipsec/two-planes.fixture.ts';
import { address } from '../model/address.ts';
import { SaDirectory } from './sa-directory.ts';

const ANY = selectors('0.0.0.0/0', '0.0.0.0/0');
const [FIRST, SECOND, THIRD] = [address('192.0.2.1'), address('192.0.2.2'), address('192.0.2.3')];
const { inbound, outbound } = saPair('aes-256-gcm', 'none', { selectors: ANY });

test('an SA counts in the cells that it was given, and is forgotten with its end', () => {
  const directory = new SaDirectory(1, () => 0);
  const cells = directory.handleCommand({ kind: 'add-inbound', sa: inbound }).cells;
  cells?.set([3, 300]);
  const name = { direction: 'inbound', spi: inbound.spi } as const;
  assert.deepEqual(directory.counters(name), { packets: 3, octets: 300 });
  assert.equal(directory.counters({ ...name, direction: 'outbound' }), undefined);
  directory.handleCommand({ kind: 'remove', ...name });
  assert.equal(directory.counters(name), undefined);
});

test('of outbound SAs with the same SPI, the address of the peer decides, also after it has moved', () => {
  const directory = new SaDirectory(1, () => 0);
  const path = { local: { address: FIRST, port: 4500 }, remote: { address: SECOND, port: 4500 } };
  const moved = { ...path, remote: { address: THIRD, port: 4501 } };
  const one = { ...outbound, remoteAddress: SECOND, udp: path };
  const other = { ...outbound, remoteAddress: FIRST };
  directory.handleCommand({ kind: 'add-outbound', sa: one }).cells?.set([1]);
  directory.handleCommand({ kind: 'add-outbound', sa: other }).cells?.set([2]);
  const packets = (remoteAddress = SECOND) =>
    directory.counters({ direction: 'outbound', spi: outbound.spi, remoteAddress })?.packets;
  assert.deepEqual([packets(SECOND), packets(FIRST), packets(THIRD)], [1, 2, undefined]);
  directory.handleCommand({ kind: 'move-path', from: path, to: moved });
  assert.equal(packets(THIRD), 1);
  directory.handleCommand({ kind: 'remove', direction: 'outbound', spi: outbound.spi, remoteAddress: FIRST });
  assert.deepEqual([packets(FIRST), packets(THIRD)], [1, 1], 'one is left, and found whatever its address');
});

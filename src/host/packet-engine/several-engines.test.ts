// Several engines between two namespaces: the kernel leads each packet to the engine that has its SA, by the SPI.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { namespaceTestSkip } from '../test-namespace.fixture.ts';
import type { KeyedGatewaySettings } from './keyed-gateway.fixture.ts';
import { joinedNamespaces, KeyedGateway, OUTER } from './keyed-pair.fixture.ts';

const ENGINES = 3;
const TUNNELS = 4;
const PINGS = 3;

for (const [name, encapsulation, outer] of [
  ['ESP in UDP', 'udp', 4],
  ['ESP in UDP over IPv6', 'udp', 6],
  ['ESP in protocol 50', 'raw', 4],
  ['ESP in protocol 50 over IPv6', 'raw', 6],
] as const)
  test(`${ENGINES} engines, ${TUNNELS} tunnels: each engine opens what is for its own SAs, and nothing else (${name})`, {
    skip: namespaceTestSkip(),
  }, async () => {
    const namespaces = joinedNamespaces('several');
    const [outerA, outerB] = outer === 6 ? [OUTER.a6, OUTER.b6] : [OUTER.a, OUTER.b];
    const side = (number: 0 | 1): KeyedGatewaySettings => ({
      ...{ side: number, local: number === 0 ? outerA : outerB, remote: number === 0 ? outerB : outerA },
      ...{ encapsulation, encryption: 'aes-256-gcm', integrity: 'none', extendedSequenceNumbers: false },
      tunnels: Array.from({ length: TUNNELS }, (_, index) => ({
        name: `st0.${index}`,
        addresses: [`10.9.${index}.${1 + number}/30`],
        routes: [],
      })),
      ...{ offload: 'tcp-and-udp', without: [], engines: ENGINES },
    });
    try {
      const gateways = [
        await KeyedGateway.start(namespaces, 'a', side(0)),
        await KeyedGateway.start(namespaces, 'b', side(1)),
      ];
      for (let index = 0; index < TUNNELS; index++) {
        const before = await opened(gateways);
        const args = ['-c', `${PINGS}`, '-i', '0.05', '-w', '30', `10.9.${index}.2`];
        const ping = await namespaces.runAsync('a', 'ping', args);
        assert.equal(ping.status, 0, `tunnel ${index}: ${ping.stdout}${ping.stderr}`);
        for (const [at, counts] of (await opened(gateways)).entries())
          for (const [engine, count] of counts.entries()) {
            const more = count - (before[at]?.[engine] ?? 0);
            // A slow machine may have asked once more than it was to.
            assert.ok(
              engine === index % ENGINES ? more >= PINGS : more === 0,
              `tunnel ${index}, engine ${engine}: ${more}`,
            );
          }
      }
      for (const gateway of gateways) {
        const { counters, engines } = await gateway.counters();
        const sum = engines.reduce((total, { dataPlane }) => total + dataPlane.espDecryptedPackets, 0);
        assert.equal(counters.dataPlane.espDecryptedPackets, sum);
        assert.equal(counters.dataPlane.discarded, 0);
        assert.equal(counters.engine['handed-over'], 0);
      }
      for (const gateway of gateways) await gateway.stop();
    } finally {
      namespaces.remove();
    }
  });

/** Packets that each engine of each gateway has opened. */
function opened(gateways: readonly KeyedGateway[]): Promise<readonly (readonly number[])[]> {
  const ofOne = async (gateway: KeyedGateway) => {
    const { engines } = await gateway.counters();
    return engines.map(({ dataPlane }) => dataPlane.espDecryptedPackets);
  };
  return Promise.all(gateways.map(ofOne));
}

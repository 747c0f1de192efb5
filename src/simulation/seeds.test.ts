import assert from 'node:assert/strict';
import { test } from 'node:test';
import { computeDiffieHellman } from '../crypto/diffie-hellman.ts';
import { nodePacketCrypto } from '../crypto/node-packet-provider.ts';
import { nodeCrypto } from '../crypto/node-provider.ts';
import { runSimulation } from './simulation.ts';
import { renderReport, type SimulationReport } from './simulation-report.ts';

const CRYPTO = { crypto: nodeCrypto, packetCrypto: nodePacketCrypto, compute: computeDiffieHellman };
const SEED_COUNT = 200;

test('200 networks, each bad in its own way: once the faults stop the tunnel is up and loses nothing', () => {
  const failed: SimulationReport[] = [];
  for (let seed = 1; seed <= SEED_COUNT; seed++) {
    const report = runSimulation({ seed }, CRYPTO);
    assert.ok(
      Object.values(report.traffic).every(({ sent }) => sent > 0),
      `seed ${seed} sent no traffic`,
    );
    if (report.violations.length > 0) failed.push(report);
  }
  assert.deepEqual(
    failed.map(({ seed }) => seed),
    [],
    failed.map(renderReport).join('\n'),
  );
});

test('the same seed gives the same run', () => {
  assert.deepEqual(runSimulation({ seed: 4711 }, CRYPTO), runSimulation({ seed: 4711 }, CRYPTO));
});

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadConfiguration } from '../../src/config/load.ts';
import { computeDiffieHellman } from '../../src/crypto/diffie-hellman.ts';
import { nodePacketCrypto } from '../../src/crypto/node-packet-provider.ts';
import { nodeCrypto } from '../../src/crypto/node-provider.ts';
import { address } from '../../src/model/address.ts';
import type { GatewayConfig } from '../../src/model/gateway-config.ts';
import { runInProcessLab } from '../../src/simulation/lab-network.ts';
import { REPOSITORY_ROOT } from '../shared.ts';

const CRYPTO = { crypto: nodeCrypto, packetCrypto: nodePacketCrypto, compute: computeDiffieHellman };

test('the lab without root: nine messages, a ping that passes, nothing in clear, and no ping once the SAs are gone', () => {
  const report = runInProcessLab(
    {
      offices: {
        main: { config: labConfig('main-office.conf'), lanHost: address('10.1.0.10') },
        branch: { config: labConfig('branch-office.conf'), lanHost: address('10.2.0.10') },
      },
      pingCount: 5,
      seed: 1,
    },
    CRYPTO,
  );
  assert.equal(report.problem, undefined);
  const ladder = report.events
    .filter(({ office }) => office === 'main')
    .flatMap(({ event }) => (event.kind === 'message' ? [event.exchange] : []));
  assert.deepEqual(ladder.slice(0, 9), [...Array(6).fill('main'), ...Array(3).fill('quick')]);
  assert.deepEqual([report.ping.sent, report.ping.received], [5, 5]);
  assert.deepEqual([report.pingAfterClear.sent, report.pingAfterClear.received], [5, 0]);
  assert.equal(report.wire.cleartext, 0);
  assert.ok(report.wire.esp >= 10);
  assert.equal(report.ipsecSas.main[0]?.outboundSpi, report.ipsecSas.branch[0]?.inboundSpi);
});

function labConfig(file: string): GatewayConfig {
  const loaded = loadConfiguration(readFileSync(join(REPOSITORY_ROOT, 'lab', file), 'utf8'));
  assert.ok(loaded.config, JSON.stringify(loaded.diagnostics));
  return loaded.config;
}

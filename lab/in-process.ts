// The lab where there is no root or no TUN: the same core and the same two configurations on a network inside this process.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadConfiguration } from '../src/config/load.ts';
import { systemRandom } from '../src/crypto/node-provider.ts';
import { renderLadder } from '../src/diagnosis/ladder.ts';
import { randomBelow } from '../src/lib/random.ts';
import { address } from '../src/model/address.ts';
import type { GatewayConfig } from '../src/model/gateway-config.ts';
import { renderIkeSas } from '../src/operations/show-ike.ts';
import { renderIpsecSas } from '../src/operations/show-ipsec.ts';
import { runInProcessLab } from '../src/simulation/lab-network.ts';
import { IN_PROCESS_CRYPTO } from './in-process-crypto.ts';
import { countDatagrams, type LabReport, ladderOf, negotiationOf, whyFailed } from './report.ts';
import { BRANCH_HOST, MAIN_HOST } from './topology.ts';

const PING_COUNT = 5;

/** Runs the lab once; throughput is not measured, since the time is virtual. */
export function runInProcess(configurations: string, say: (text: string) => void): LabReport {
  const seen = runInProcessLab(
    {
      offices: {
        main: { config: load(join(configurations, 'main-office.conf')), lanHost: address(MAIN_HOST) },
        branch: { config: load(join(configurations, 'branch-office.conf')), lanHost: address(BRANCH_HOST) },
      },
      pingCount: PING_COUNT,
      seed: randomBelow(systemRandom, 2 ** 32),
    },
    IN_PROCESS_CRYPTO,
  );
  const events = seen.events.filter(({ office }) => office === 'main').map(({ event }) => event);
  const messages = negotiationOf(events);
  const policies = [...new Set(seen.ipsecSas.main.map((sa) => sa.policy))];
  const { sent, received } = seen.ping;
  say(`${renderLadder(ladderOf(events))}\n`);
  say(`main office\n${renderIkeSas(seen.ikeSas.main)}\n${renderIpsecSas(seen.ipsecSas.main, policies)}\n`);
  say(`ping ${MAIN_HOST} -> ${BRANCH_HOST}: ${sent} sent, ${received} came back (in-process network, virtual time)\n`);
  const measured: LabReport = {
    tunnel: received > 0 ? 'up' : 'down',
    ...countDatagrams(messages),
    ping: { sent, received },
    throughputBitsPerSecond: 0,
    wire: { esp: seen.wire.esp, cleartext: seen.wire.cleartext },
    heldDown: { received: seen.pingAfterClear.received, cleartext: 0 },
    substrate: 'in-process',
  };
  const reason = seen.problem ?? whyFailed(measured);
  return reason === undefined ? measured : { ...measured, reason };
}

function load(path: string): GatewayConfig {
  const { config, diagnostics } = loadConfiguration(readFileSync(path, 'utf8'));
  if (config) return config;
  throw new Error(`${path}: ${diagnostics.map(({ line, message }) => `line ${line}: ${message}`).join('; ')}`);
}

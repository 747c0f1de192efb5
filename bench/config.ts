// How long a large configuration takes to load, check, compile, compare and commit, and how that grows.
// Run: node dist/bench/config.js [--json] [vpn counts ...]

import { compareTrees } from '../src/config/compare.ts';
import { loadConfiguration } from '../src/config/load.ts';
import { printBraces } from '../src/config/print-braces.ts';
import { printSet } from '../src/config/print-set.ts';
import { parseText } from '../src/config/text-parser.ts';
import { nodeCrypto, systemRandom } from '../src/crypto/node-provider.ts';
import { Gateway } from '../src/gateway/gateway.ts';
import type { GatewayOutbox } from '../src/gateway/outbox.ts';
import { SeededRandom } from '../src/lib/random.ts';
import { ok } from '../src/lib/result.ts';
import { instant } from '../src/lib/time.ts';
import type { GatewayConfig } from '../src/model/gateway-config.ts';
import { ConfigurationDatabase } from '../src/operations/configuration-database.ts';
import { Session } from '../src/operations/session.ts';

interface Measurement {
  readonly vpns: number;
  readonly lines: number;
  readonly loadMilliseconds: number;
  readonly printMilliseconds: number;
  readonly compareMilliseconds: number;
  readonly commitMilliseconds: number;
  readonly reconcileMilliseconds: number;
  /** Data-plane commands that the change of one VPN causes. */
  readonly reconcileCommands: number;
  readonly heapMegabytes: number;
}

const COUNTS_DEFAULT = [1000, 10_000];

main(process.argv.slice(2));

function main(words: readonly string[]): void {
  const counts = words.map(Number).filter((count) => count > 0);
  const measurements = (counts.length > 0 ? counts : COUNTS_DEFAULT).map(measure);
  if (words.includes('--json')) process.stdout.write(`${JSON.stringify(measurements)}\n`);
  else report(measurements);
}

function report(measurements: readonly Measurement[]): void {
  for (const found of measurements) {
    const perLine = ((found.loadMilliseconds * 1000) / found.lines).toFixed(1);
    process.stdout.write(
      `${found.vpns} VPNs, ${found.lines} lines: load and compile ${found.loadMilliseconds} ms (${perLine} us a line), ` +
        `print ${found.printMilliseconds} ms, compare after one change ${found.compareMilliseconds} ms, ` +
        `commit of one change ${found.commitMilliseconds} ms, reconcile ${found.reconcileMilliseconds} ms ` +
        `and ${found.reconcileCommands} data-plane commands, heap ${found.heapMegabytes} MB\n`,
    );
  }
  const [small, large] = measurements;
  if (small === undefined || large === undefined) return;
  const growth = large.loadMilliseconds / small.loadMilliseconds / (large.lines / small.lines);
  process.stdout.write(`time for a line, large to small: ${growth.toFixed(2)} (1 is linear)\n`);
}

function measure(vpns: number): Measurement {
  const text = configuration(vpns);
  const before = heap();
  const [loadMilliseconds, loaded] = timed(() => loadConfiguration(text));
  const errors = loaded.diagnostics.filter((diagnostic) => diagnostic.severity === 'error');
  if (loaded.config?.vpns.length !== vpns)
    throw new Error(`the configuration of ${vpns} VPNs has errors: ${errors[0]?.message}`);
  const heapMegabytes = Math.round((heap() - before) / 1e6);
  const [printMilliseconds] = timed(() => printBraces(loaded.tree.root).length + printSet(loaded.tree.root).length);
  const changed = loaded.tree.root.clone();
  parseText('set security ike gateway gw-7 nat-keepalive 33\n', { root: changed });
  const [compareMilliseconds, patch] = timed(() => compareTrees(loaded.tree.root, changed));
  if (patch.split('\n').length !== 4) throw new Error('one change is one statement');
  return {
    vpns,
    lines: text.split('\n').length,
    loadMilliseconds,
    printMilliseconds,
    compareMilliseconds,
    commitMilliseconds: commitOneChange(text),
    ...reconcileOneChange(loaded.config, text),
    heapMegabytes,
  };
}

function commitOneChange(text: string): number {
  const files = new Map<string, string>();
  const storage = {
    read: (name: string) => ok(files.get(name)),
    replace: (name: string, content: string) => {
      files.set(name, content);
      return ok(undefined);
    },
    remove: (name: string) => {
      files.delete(name);
      return ok(undefined);
    },
    names: () => ok([...files.keys()]),
  };
  const opened = ConfigurationDatabase.open(storage, () => undefined, 'start');
  if (!opened.ok) throw new Error(opened.error);
  const session = new Session(opened.value, 'bench', new SeededRandom(1));
  session.load('set', text);
  session.commit(instant(0), { stamp: 'first' });
  const [milliseconds] = timed(() => {
    session.run('set security ike gateway gw-7 nat-keepalive 33');
    const outcome = session.commit(instant(0), { stamp: 'second' });
    if (!outcome.ok) throw new Error(outcome.text);
  });
  return milliseconds;
}

/** What a running gateway does when one VPN of many changes. */
function reconcileOneChange(config: GatewayConfig, text: string) {
  let commandCount = 0;
  const out: GatewayOutbox = {
    transmit: () => undefined,
    compute: () => undefined,
    report: () => undefined,
    command: () => {
      commandCount++;
    },
  };
  const gateway = new Gateway({ crypto: nodeCrypto, random: systemRandom });
  gateway.applyConfig(instant(0), config, out);
  const changed = loadConfiguration(`${text}set security ipsec vpn vpn-7 df-bit copy\n`).config;
  if (changed === undefined) throw new Error('the changed configuration has errors');
  commandCount = 0;
  const [reconcileMilliseconds] = timed(() => gateway.applyConfig(instant(1), changed, out));
  if (commandCount === 0 || commandCount > 4) throw new Error(`one change made ${commandCount} data-plane commands`);
  return { reconcileMilliseconds, reconcileCommands: commandCount };
}

/** Processor time, garbage collection included: other work on the machine does not count. */
function timed<T>(work: () => T): [milliseconds: number, result: T] {
  const start = process.cpuUsage();
  const result = work();
  const { user, system } = process.cpuUsage(start);
  return [Math.round((user + system) / 1000), result];
}

/** Exact only with `node --expose-gc`. */
function heap(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}

/** A hub with as many branches: about 20 lines for each. */
function configuration(vpns: number): string {
  const lines = [
    'set security ike proposal p authentication-method pre-shared-keys',
    'set security ike proposal p dh-group group14',
    'set security ike proposal p authentication-algorithm sha-256',
    'set security ike proposal p encryption-algorithm aes-256-cbc',
    'set security ipsec proposal p protocol esp',
    'set security ipsec proposal p encryption-algorithm aes-256-gcm',
    'set security ipsec policy p perfect-forward-secrecy keys group14',
    'set security ipsec policy p proposals p',
    'set interfaces ge-0/0/0 unit 0 family inet address 192.0.2.1/24',
    'set security zones security-zone untrust host-inbound-traffic system-services ike',
    'set security zones security-zone untrust interfaces ge-0/0/0.0',
  ];
  for (let index = 0; index < vpns; index++) lines.push(...branch(index));
  return `${lines.join('\n')}\n`;
}

function branch(index: number): string[] {
  const octets = `${(index >> 8) & 0xff}.${index & 0xff}`;
  const gateway = `set security ike gateway gw-${index}`;
  const vpn = `set security ipsec vpn vpn-${index}`;
  return [
    `set security ike policy pol-${index} mode main`,
    `set security ike policy pol-${index} proposals p`,
    `set security ike policy pol-${index} pre-shared-key ascii-text "key of branch ${index}"`,
    `${gateway} ike-policy pol-${index}`,
    `${gateway} address 198.18.${octets}`,
    `${gateway} dead-peer-detection interval 10`,
    `${gateway} dead-peer-detection threshold 3`,
    `${gateway} local-identity inet 192.0.2.1`,
    `${gateway} remote-identity inet 198.18.${octets}`,
    `${gateway} external-interface ge-0/0/0.0`,
    `${vpn} bind-interface st0.${index}`,
    `${vpn} ike gateway gw-${index}`,
    `${vpn} ike ipsec-policy p`,
    `${vpn} establish-tunnels immediately`,
    `set interfaces st0 unit ${index} description "to branch ${index}"`,
    `set interfaces st0 unit ${index} family inet mtu 1400`,
    `set security zones security-zone vpn interfaces st0.${index}`,
    `set security address-book global address branch-${index} 10.${octets}.0/24`,
    `set security ike gateway gw-${index} nat-keepalive 20`,
    `set routing-options static route 10.${octets}.0/24 next-hop st0.${index}`,
  ];
}

// Two strongSwan gateways against one of ours with two packet engines: each peer is another engine's, both carry TCP at once, and are rekeyed meanwhile.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { GatewayProcess } from '../../lab/gateway-process.ts';
import { Namespaces, removeStaleNamespaces } from '../../lab/namespaces.ts';
import { Charon } from './charon.ts';
import { eventually, skipReason } from './scenario.ts';
import { srxConfiguration } from './srx-configuration.ts';
import { swanctlConfiguration } from './swanctl-configuration.ts';

const SALLYPORT = fileURLToPath(new URL('../../bin/sallyport.js', import.meta.url));
const SECONDS = 8;
/** Octets in thousands after which an SA is replaced: a second or two of what strongSwan can carry. */
const LIFETIME_KILOBYTES = 60_000;
const OUR_HOST = '10.9.1.1';
const SECRET = 'one gateway, two engines';
const PEERS = [
  { name: 'peer', own: '198.51.100.1', address: '198.51.100.2', host: '10.9.2.1' },
  { name: 'second', own: '203.0.113.1', address: '203.0.113.2', host: '10.9.3.1' },
] as const;

test('two engines, two strongSwan peers: TCP through both at once, each through its own engine, and rekeyed under load', {
  skip: skipReason(),
  timeout: 120_000,
}, async (context) => {
  removeStaleNamespaces();
  const namespaces = new Namespaces('engines');
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-engines-'));
  const running: (Charon | GatewayProcess)[] = [];
  context.after(async () => {
    for (const each of running) await each.stop();
    namespaces.remove();
    rmSync(folder, { recursive: true, force: true });
  });
  namespaces.add('ours');
  namespaces.ip('ours', 'address', 'add', `${OUR_HOST}/32`, 'dev', 'lo');
  for (const { name, own, address, host } of PEERS) {
    namespaces.add(name);
    namespaces.connect(
      { namespace: 'ours', interface: name, address: `${own}/24` },
      { namespace: name, interface: 'wan', address: `${address}/24` },
    );
    namespaces.ip(name, 'address', 'add', `${host}/32`, 'dev', 'lo');
    // The routes that strongSwan makes need one that leads somewhere.
    namespaces.ip(name, 'route', 'add', 'default', 'via', own);
    running.push(
      await Charon.start(namespaces, name, join(folder, name), { swanctl: connectionTo(own, address, host) }),
    );
  }
  const configuration = join(folder, 'ours.conf');
  writeFileSync(configuration, ourConfiguration());
  const ours = await GatewayProcess.start({
    ...{ namespaces, namespace: 'ours', program: SALLYPORT, configuration, folder },
    arguments: ['--engines', '2'],
  });
  running.push(ours);
  for (const { host } of PEERS) {
    const isUp = async () => namespaces.run('ours', 'ping', ['-c', '1', '-W', '1', '-I', OUR_HOST, host]).status === 0;
    assert.ok(await eventually(isUp, 30_000), `the tunnel to ${host} carries a ping\n${ours.log().slice(-4000)}`);
  }

  const received = await Promise.all(PEERS.map(({ name, host }) => sendTcp(namespaces, name, host)));
  context.diagnostic(`Gbit/s: ${received.map((rate) => (rate / 1e9).toFixed(2)).join(', ')}`);
  for (const rate of received) assert.ok(rate > 10e6, `${rate} bit/s`);

  const statistics = await ours.show('show security ipsec statistics detail');
  const shares = [...statistics.matchAll(/^ {2}\d: Packets sent: (\d+), Packets received: (\d+)$/gm)];
  assert.equal(shares.length, 2, statistics);
  assert.match(statistics, /Discarded: 0$/m, 'no packet was lost to a rekey, or to the wrong engine');
  for (const [line, sent, back] of shares) assert.ok(Number(sent) > 10_000 && Number(back) > 1000, line);
  for (const { name } of PEERS) {
    const rekeys = ours.events.filter(
      (event) => event.kind === 'ipsec-sa-established' && event.isRekey && event.gateway === name,
    ).length;
    context.diagnostic(`${name}: ${rekeys} rekeys`);
    assert.ok(rekeys > 0, `${name}: ${rekeys} rekeys`);
  }
  const failures = ours.events.filter(({ kind }) => kind === 'negotiation-failed' || kind === 'ike-sa-deleted');
  assert.deepEqual(failures, [], ours.log().slice(-4000));
  // Every inbound SA has an SPI of its engine: nothing went the long way round.
  const sas = await ours.ipsecSas();
  const engines = PEERS.map(({ name }) => [
    ...new Set(sas.filter((sa) => sa.vpn === name).map((sa) => sa.inboundSpi % 2)),
  ]);
  assert.deepEqual(
    engines.flat().sort((a, b) => a - b),
    [0, 1],
    JSON.stringify(engines),
  );
});

/** Bits a second that arrived. */
async function sendTcp(namespaces: Namespaces, name: string, host: string): Promise<number> {
  const server = namespaces.spawn(name, 'iperf3', ['--server', '--bind', host], { stdio: 'ignore' });
  await eventually(async () => namespaces.run(name, 'ss', ['-ltn']).stdout.includes(':5201'));
  const args = [
    '--client',
    host,
    '--bind',
    OUR_HOST,
    '--time',
    String(SECONDS),
    '--connect-timeout',
    '10000',
    '--json',
  ];
  const done = await namespaces.runAsync('ours', 'iperf3', args, 1000 * SECONDS + 30_000);
  server.kill();
  assert.equal(done.status, 0, `${done.stdout}${done.stderr}`);
  const report: { end: { sum_received: { bits_per_second: number } } } = JSON.parse(done.stdout);
  return report.end.sum_received.bits_per_second;
}

function connectionTo(own: string, address: string, host: string): string {
  return swanctlConfiguration({
    ...{ proposal: 'aes256-sha256-modp2048', espProposal: 'aes256gcm16-modp2048', secret: SECRET },
    ...{ localAddress: address, remoteAddress: own, localLan: `${host}/32`, remoteLan: `${OUR_HOST}/32` },
  });
}

/** The first peer as in every test, the second beside it. */
function ourConfiguration(): string {
  const [first, second] = PEERS;
  const text = srxConfiguration({
    ...{ encryption: 'aes-256-cbc', hash: 'sha-256', group: 'group14', espEncryption: 'aes-256-gcm', pfs: 'group14' },
    ...{ secret: SECRET, localAddress: first.own, remoteAddress: first.address },
    ...{ localLan: `${OUR_HOST}/32`, remoteLan: `${first.host}/32` },
    more: [`set security ipsec proposal p2 lifetime-kilobytes ${LIFETIME_KILOBYTES}`],
  });
  const [gateway, vpn] = ['set security ike gateway', 'set security ipsec vpn'];
  return [
    text,
    `set interfaces ge-0/0/1 unit 0 family inet address ${second.own}/24`,
    'set interfaces st0 unit 1 family inet',
    `set routing-options static route ${second.host}/32 next-hop st0.1`,
    `${gateway} second ike-policy peer`,
    `${gateway} second address ${second.address}`,
    `${gateway} second external-interface ge-0/0/1.0`,
    `${gateway} second version v1-only`,
    `${vpn} second bind-interface st0.1`,
    `${vpn} second ike gateway second`,
    `${vpn} second ike ipsec-policy traffic`,
    `${vpn} second ike proxy-identity local ${OUR_HOST}/32`,
    `${vpn} second ike proxy-identity remote ${second.host}/32`,
    `${vpn} second ike proxy-identity service any`,
    `${vpn} second establish-tunnels on-traffic`,
    '',
  ].join('\n');
}

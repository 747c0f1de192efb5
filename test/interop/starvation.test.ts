// IKE and DPD under a flood: whole gateways, whose engines are given more than they can carry, both ways, for as long as many rekeys and many
// questions of dead peer detection take.

import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { GatewayProcess } from '../../lab/gateway-process.ts';
import { Namespaces, removeStaleNamespaces } from '../../lab/namespaces.ts';
import type { IkeEvent } from '../../src/model/ike-event.ts';
import { Charon } from './charon.ts';
import { eventually, OUR_ADDRESS, skipReason, THEIR_ADDRESS } from './scenario.ts';
import { srxConfiguration } from './srx-configuration.ts';
import { swanctlConfiguration } from './swanctl-configuration.ts';

const SALLYPORT = fileURLToPath(new URL('../../bin/sallyport.js', import.meta.url));
const MONITOR = new URL('./delay-monitor.js', import.meta.url).href;
/** SALLYPORT_FLOOD_SECONDS=300 makes it long. */
const SECONDS = Number(process.env['SALLYPORT_FLOOD_SECONDS'] ?? 15);
/** Octets in thousands after which an SA is replaced: a few seconds of flood. */
const LIFETIME_KILOBYTES = 50_000;
const REKEYS_MIN = 2;
const DEAD_PEER_DETECTION = { interval: 2, threshold: 2 };
/** Milliseconds. On two processors, four busy programs share them: what we measure alone is in docs/PERFORMANCE.md. */
const CONTROL_DELAY_MAX = 1000;
const INNER = { ours: '10.9.1.1', theirs: '10.9.2.1' };
const SECRET = 'while the flood lasts';

const options = { skip: skipReason(), timeout: 60_000 + 2000 * SECONDS };

test(
  'two gateways under a flood both ways: no peer is taken for dead, every rekey is in time',
  options,
  async (context) => {
    const { namespaces, folder, delayFile } = build(context);
    const gateways = [];
    for (const side of ['ours', 'theirs'] as const) gateways.push(await startGateway(namespaces, folder, side));
    await wake(namespaces);
    await flood(namespaces, '0');
    for (const gateway of gateways) {
      expectCalm(gateway);
      context.diagnostic(`${expectRekeys(gateway)} rekeys in ${SECONDS} s`);
      const [ike] = await gateway.ikeSas();
      assert.equal(ike?.state, 'up');
    }
    for (const [index, delay] of delays(delayFile).entries()) {
      context.diagnostic(`event loop of control thread ${index}, in ms: ${JSON.stringify(delay)}`);
      assert.ok(delay.highest < CONTROL_DELAY_MAX, JSON.stringify(delay));
    }
    const ping = namespaces.run('ours', 'ping', ['-c', '3', '-w', '20', '-i', '0.2', INNER.theirs]);
    assert.equal(ping.status, 0, ping.stdout);
    for (const gateway of gateways) assert.equal(await gateway.stop(), 0);
  },
);

test(
  'strongSwan under what it can carry, both ways: no peer is taken for dead, every rekey is in time',
  options,
  async (context) => {
    const { namespaces, folder } = build(context);
    // The routes that it makes need one that leads somewhere.
    namespaces.ip('theirs', 'route', 'add', 'default', 'via', OUR_ADDRESS);
    const charon = await Charon.start(namespaces, 'theirs', join(folder, 'theirs'), {
      swanctl: swanctlConfiguration({
        proposal: 'aes256-sha256-modp2048',
        espProposal: 'aes256gcm16-modp2048',
        secret: SECRET,
        localAddress: THEIR_ADDRESS,
        remoteAddress: OUR_ADDRESS,
        localLan: `${INNER.theirs}/32`,
        remoteLan: `${INNER.ours}/32`,
        connection: 'dpd_delay = 2s',
      }),
    });
    const ours = await startGateway(namespaces, folder, 'ours');
    await wake(namespaces);
    await flood(namespaces, '100M');
    expectCalm(ours);
    expectRekeys(ours);
    const sas = await charon.sas();
    assert.match(sas, /ESTABLISHED/, `${sas}\n${charon.log()}`);
    assert.doesNotMatch(charon.log(), /giving up after|DPD check timed out/);
    assert.equal(await ours.stop(), 0);
    await charon.stop();
  },
);

function build(context: TestContext) {
  removeStaleNamespaces();
  const namespaces = new Namespaces('starve');
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-starve-'));
  const delayFile = join(folder, 'delay');
  context.after(() => {
    namespaces.remove();
    rmSync(folder, { recursive: true, force: true });
  });
  namespaces.add('ours', 'theirs');
  namespaces.connect(
    { namespace: 'ours', interface: 'wan', address: `${OUR_ADDRESS}/24` },
    { namespace: 'theirs', interface: 'wan', address: `${THEIR_ADDRESS}/24` },
  );
  // The host's address in the network behind its gateway; the SAs are about these two.
  for (const side of ['ours', 'theirs'] as const)
    namespaces.ip(side, 'address', 'add', `${INNER[side]}/32`, 'dev', 'lo');
  process.env['SALLYPORT_DELAY_FILE'] = delayFile;
  return { namespaces, folder, delayFile };
}

async function startGateway(namespaces: Namespaces, folder: string, side: 'ours' | 'theirs'): Promise<GatewayProcess> {
  const isOurs = side === 'ours';
  const configuration = join(folder, `${side}.conf`);
  const text = srxConfiguration({
    encryption: 'aes-256-cbc',
    hash: 'sha-256',
    group: 'group14',
    espEncryption: 'aes-256-gcm',
    pfs: 'group14',
    secret: SECRET,
    localAddress: isOurs ? OUR_ADDRESS : THEIR_ADDRESS,
    remoteAddress: isOurs ? THEIR_ADDRESS : OUR_ADDRESS,
    localLan: `${isOurs ? INNER.ours : INNER.theirs}/32`,
    remoteLan: `${isOurs ? INNER.theirs : INNER.ours}/32`,
    deadPeerDetection: DEAD_PEER_DETECTION,
    more: [`set security ipsec proposal p2 lifetime-kilobytes ${LIFETIME_KILOBYTES}`],
  });
  writeFileSync(configuration, text);
  const { NODE_OPTIONS = '' } = process.env;
  process.env['NODE_OPTIONS'] = `${NODE_OPTIONS} --import=${MONITOR}`;
  try {
    return await GatewayProcess.start({ namespaces, namespace: side, program: SALLYPORT, configuration, folder });
  } finally {
    process.env['NODE_OPTIONS'] = NODE_OPTIONS;
  }
}

async function wake(namespaces: Namespaces): Promise<void> {
  const isUp = await eventually(
    async () => namespaces.run('ours', 'ping', ['-c', '1', '-W', '1', '-I', INNER.ours, INNER.theirs]).status === 0,
    30_000,
  );
  assert.ok(isUp, 'the tunnel carries a ping');
}

/** UDP both ways for the whole time, each as fast as `rate` says (0: as it can), until iperf3 has ended by itself. */
async function flood(namespaces: Namespaces, rate: string): Promise<void> {
  const server = namespaces.spawn('theirs', 'iperf3', ['--server', '--bind', INNER.theirs], { stdio: 'ignore' });
  const args = ['--client', INNER.theirs, '--bind', INNER.ours, '--udp', '--bidir', '--bitrate', rate];
  const common = ['--length', '1300', '--time', String(SECONDS), '--connect-timeout', '10000'];
  await eventually(async () => namespaces.run('theirs', 'ss', ['-ltn']).stdout.includes(':5201'));
  // Its own TCP connection, over which it asks for results at the end, may drown in the flood: that is iperf3's affair.
  const done = await namespaces.runAsync('ours', 'iperf3', [...args, ...common], 1000 * SECONDS + 30_000);
  assert.match(done.stdout, /sec/, done.stderr);
  server.kill();
}

/** Nothing was taken for dead, nothing ran out before its successor was there, no negotiation failed. */
function expectCalm(gateway: GatewayProcess): void {
  const wrong = gateway.events.filter(
    (event) =>
      event.kind === 'negotiation-failed' ||
      event.kind === 'ike-sa-deleted' ||
      (event.kind === 'ipsec-sa-deleted' && !REPLACED.includes(event.reason)),
  );
  assert.deepEqual(wrong, [], gateway.log().slice(-4000));
}

function expectRekeys(gateway: GatewayProcess): number {
  const rekeys = gateway.events.filter((event) => event.kind === 'ipsec-sa-established' && event.isRekey).length;
  assert.ok(rekeys >= REKEYS_MIN, `${rekeys} rekeys in ${SECONDS} s of flood`);
  return rekeys;
}

const REPLACED: readonly Extract<IkeEvent, { kind: 'ipsec-sa-deleted' }>['reason'][] = [
  'rekeyed',
  'replaced',
  'peer-deleted',
];

function delays(file: string): readonly { readonly mean: number; readonly late: number; readonly highest: number }[] {
  const folder = join(file, '..');
  return readdirSync(folder)
    .filter((name) => name.startsWith('delay.'))
    .map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')));
}

// vpnc, a client that dials in: Aggressive Mode, XAUTH, Mode Config, and an ESP of its own.

import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { whyNoNamespaces } from '../../lab/namespaces.ts';
import { eventually, OUR_ADDRESS, Scenario, THEIR_ADDRESS } from './scenario.ts';
import { srxConfiguration } from './srx-configuration.ts';

const CLIENT_ADDRESS = '10.9.0.1';

const GROUP = {
  mode: 'aggressive',
  encryption: 'aes-128-cbc',
  hash: 'sha1',
  group: 'group2',
  secret: 'the group’s password',
  espEncryption: 'aes-128-cbc',
  espIntegrity: 'hmac-sha1-96',
} as const;

const DIAL_IN = [
  'set security ike gateway peer xauth access-profile dialin',
  'set access profile dialin client alice firewall-user password "opensesame"',
  'set access profile dialin address-assignment pool clients',
  'set access address-assignment pool clients family inet network 10.9.0.0/24',
];

const skip = whyNoNamespaces() ?? (existsSync('/usr/sbin/vpnc') ? false : 'vpnc is not installed');

test('vpnc dials in with a user and password, gets its address, and reaches the LAN', {
  skip,
  timeout: 90_000,
}, async (context) => {
  const scenario = new Scenario(context);
  await scenario.startOurs(
    srxConfiguration({
      ...GROUP,
      ...{ localAddress: OUR_ADDRESS, remoteAddress: THEIR_ADDRESS, remoteIdentity: 'key-id sales' },
      ...{ localLan: '0.0.0.0/0', remoteLan: `${CLIENT_ADDRESS}/32` },
      more: [
        ...DIAL_IN,
        `set access profile dialin client alice xauth ip-address ${CLIENT_ADDRESS}/32`,
        'set access address-assignment pool clients family inet xauth-attributes primary-dns 10.1.0.53/32',
      ],
    }),
  );
  const { client, told } = dial(scenario, 'theirs', 'alice');
  const isUp = await eventually(
    async () => (await scenario.ours.ipsecSas()).length > 0 && hasTunnel(scenario, 'theirs', CLIENT_ADDRESS),
    20_000,
  );
  assert.ok(isUp, `${told()}\n${scenario.logs()}`);
  const [sa] = await scenario.ours.ikeSas();
  assert.equal(sa?.xauthUser, 'alice');
  assert.equal(sa?.assignedAddress, CLIENT_ADDRESS);
  const report = await scenario.ping({ from: 'theirs', to: 'our-lan', address: '10.1.0.10' });
  assert.equal(report.received, 3, `${told()}\n${scenario.logs()}`);

  client.kill('SIGTERM');
  const isGone = await eventually(async () => (await scenario.ours.ikeSas()).length === 0);
  assert.ok(isGone, `${told()}\n${scenario.logs()}`);
});

test('two vpnc clients dial in under one gateway, and both reach the LAN at the same time', {
  skip,
  timeout: 120_000,
}, async (context) => {
  const scenario = new Scenario(context);
  await scenario.startOurs(
    srxConfiguration({
      ...GROUP,
      ...{ localAddress: OUR_ADDRESS, remoteAddress: THEIR_ADDRESS, remoteIdentity: 'key-id sales' },
      ...{ localLan: '0.0.0.0/0', remoteLan: '10.9.0.0/24' },
      more: [
        // The second client's own address.
        'set security ike gateway peer address 10.2.0.10',
        ...DIAL_IN,
        'set access profile dialin client bob firewall-user password "opensesame"',
      ],
    }),
  );
  scenario.namespaces.ip('ours', 'route', 'add', '10.2.0.0/24', 'via', THEIR_ADDRESS);
  const clients = [dial(scenario, 'theirs', 'alice'), dial(scenario, 'their-lan', 'bob')] as const;
  const told = () => clients.map((one) => one.told()).join('\n');
  const isUp = await eventually(async () => (await scenario.ours.ipsecSas()).length === 2, 30_000);
  assert.ok(isUp, `${told()}\n${scenario.logs()}`);
  for (const sa of await scenario.ours.ikeSas()) {
    const namespace = sa.xauthUser === 'alice' ? 'theirs' : 'their-lan';
    const isThere = await eventually(async () => hasTunnel(scenario, namespace, sa.assignedAddress ?? 'no address'));
    assert.ok(isThere, `${told()}\n${scenario.logs()}`);
  }
  for (const from of ['theirs', 'their-lan', 'theirs'] as const) {
    const report = await scenario.ping({ from, to: 'our-lan', address: '10.1.0.10' });
    assert.equal(report.received, 3, `${from}: ${told()}\n${scenario.logs()}`);
  }
  assert.equal((await scenario.ours.ikeSas()).length, 2);

  clients[0].client.kill('SIGTERM');
  const isGone = await eventually(async () => (await scenario.ours.ikeSas()).length === 1);
  assert.ok(isGone, `${told()}\n${scenario.logs()}`);
  assert.equal((await scenario.ping({ from: 'their-lan', to: 'our-lan', address: '10.1.0.10' })).received, 3, told());
});

type ClientNamespace = 'theirs' | 'their-lan';

/** Starts vpnc; `told` is what it has said so far. */
function dial(scenario: Scenario, namespace: ClientNamespace, user: string) {
  const { namespaces, folder } = scenario;
  const own = (name: string) => `${folder}/${user}.${name}`;
  writeFileSync(own('conf'), clientConfiguration(user));
  writeFileSync(own('script'), CLIENT_SCRIPT, { mode: 0o755 });
  const args = ['--no-detach', '--debug', '1', '--natt-mode', 'force-natt', '--script', own('script')];
  let text = '';
  const client = namespaces.spawn(namespace, 'vpnc', [...args, '--pid-file', own('pid'), own('conf')], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const stream of [client.stdout, client.stderr])
    stream?.setEncoding('utf8').on('data', (more: string) => {
      text += more;
    });
  return { client, told: () => text };
}

function hasTunnel(scenario: Scenario, namespace: ClientNamespace, address: string): boolean {
  return scenario.namespaces.ip(namespace, 'address', 'show').includes(address);
}

function clientConfiguration(user: string): string {
  return `IPSec gateway ${OUR_ADDRESS}
IPSec ID sales
IPSec secret the group’s password
Xauth username ${user}
Xauth password opensesame
IKE DH Group dh2
Perfect Forward Secrecy nopfs
`;
}

/** The package's own script would also change the machine's name servers. */
const CLIENT_SCRIPT = `#!/bin/sh
if [ "$reason" = connect ]; then
  ip address add "$INTERNAL_IP4_ADDRESS/32" dev "$TUNDEV"
  ip link set "$TUNDEV" up mtu 1300
  ip route add 10.1.0.0/24 dev "$TUNDEV" src "$INTERNAL_IP4_ADDRESS"
fi
`;

// vpnc, a client that dials in: Aggressive Mode, XAUTH, Mode Config, and an ESP of its own.

import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { whyNoNamespaces } from '../../lab/namespaces.ts';
import { eventually, OUR_ADDRESS, Scenario, THEIR_ADDRESS } from './scenario.ts';
import { srxConfiguration } from './srx-configuration.ts';

const CLIENT_ADDRESS = '10.9.0.1';

const skip = whyNoNamespaces() ?? (existsSync('/usr/sbin/vpnc') ? false : 'vpnc is not installed');

test('vpnc dials in with a user and password, gets its address, and reaches the LAN', {
  skip,
  timeout: 90_000,
}, async (context) => {
  const scenario = new Scenario(context);
  await scenario.startOurs(
    srxConfiguration({
      ...{
        mode: 'aggressive',
        encryption: 'aes-128-cbc',
        hash: 'sha1',
        group: 'group2',
        secret: 'the group’s password',
      },
      ...{ espEncryption: 'aes-128-cbc', espIntegrity: 'hmac-sha1-96' },
      ...{ localAddress: OUR_ADDRESS, remoteAddress: THEIR_ADDRESS, remoteIdentity: 'key-id sales' },
      ...{ localLan: '0.0.0.0/0', remoteLan: `${CLIENT_ADDRESS}/32` },
      more: [
        'set security ike gateway peer xauth access-profile dialin',
        'set access profile dialin client alice firewall-user password "opensesame"',
        `set access profile dialin client alice xauth ip-address ${CLIENT_ADDRESS}/32`,
        'set access profile dialin address-assignment pool clients',
        'set access address-assignment pool clients family inet network 10.9.0.0/24',
        'set access address-assignment pool clients family inet xauth-attributes primary-dns 10.1.0.53/32',
      ],
    }),
  );
  const { namespaces, folder } = scenario;
  writeFileSync(`${folder}/client.conf`, CLIENT_CONFIGURATION);
  writeFileSync(`${folder}/script`, CLIENT_SCRIPT, { mode: 0o755 });
  const args = ['--no-detach', '--debug', '1', '--natt-mode', 'force-natt', '--script', `${folder}/script`];
  let told = '';
  const client = namespaces.spawn('theirs', 'vpnc', [...args, `${folder}/client.conf`], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const stream of [client.stdout, client.stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => {
      told += text;
    });
  const isUp = await eventually(async () => (await scenario.ours.ipsecSas()).length > 0 && hasTunnel(scenario), 20_000);
  assert.ok(isUp, `${told}\n${scenario.logs()}`);
  const [sa] = await scenario.ours.ikeSas();
  assert.equal(sa?.xauthUser, 'alice');
  assert.equal(sa?.assignedAddress, CLIENT_ADDRESS);
  const report = await scenario.ping({ from: 'theirs', to: 'our-lan', address: '10.1.0.10' });
  assert.equal(report.received, 3, `${told}\n${scenario.logs()}`);

  client.kill('SIGTERM');
  const isGone = await eventually(async () => (await scenario.ours.ikeSas()).length === 0);
  assert.ok(isGone, `${told}\n${scenario.logs()}`);
});

function hasTunnel(scenario: Scenario): boolean {
  return scenario.namespaces.ip('theirs', 'address', 'show').includes(CLIENT_ADDRESS);
}

const CLIENT_CONFIGURATION = `IPSec gateway ${OUR_ADDRESS}
IPSec ID sales
IPSec secret the group’s password
Xauth username alice
Xauth password opensesame
IKE DH Group dh2
Perfect Forward Secrecy nopfs
`;

/** The package's own script would also change the machine's name servers. */
const CLIENT_SCRIPT = `#!/bin/sh
if [ "$reason" = connect ]; then
  ip address add "$INTERNAL_IP4_ADDRESS/32" dev "$TUNDEV"
  ip link set "$TUNDEV" up mtu 1300
  ip route add 10.1.0.0/24 dev "$TUNDEV" src "$INTERNAL_IP4_ADDRESS"
fi
`;

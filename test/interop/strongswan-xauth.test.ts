// XAUTH and Mode Config with strongSwan: it dials in to us, and we dial in to it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually, OUR_ADDRESS, OUR_LAN, Scenario, skipReason, THEIR_ADDRESS, THEIR_LAN } from './scenario.ts';
import { type SrxSettings, srxConfiguration } from './srx-configuration.ts';
import { type SwanctlSettings, swanctlConfiguration } from './swanctl-configuration.ts';

const options = { skip: skipReason(), timeout: 120_000 };

const PASSWORD = 'opensesame';
const OUR_POOL_FIRST = '10.9.0.10';
const THEIR_POOL_FIRST = '10.8.0.1';

const SRX: SrxSettings = {
  mode: 'aggressive',
  encryption: 'aes-128-cbc',
  hash: 'sha-256',
  group: 'group14',
  espEncryption: 'aes-128-cbc',
  espIntegrity: 'hmac-sha-256-128',
  secret: 'the group has this one',
  localAddress: OUR_ADDRESS,
  remoteAddress: THEIR_ADDRESS,
  localLan: OUR_LAN,
  remoteLan: THEIR_LAN,
  localIdentity: 'hostname ours.example',
  remoteIdentity: 'hostname theirs.example',
};

const SWANCTL: SwanctlSettings = {
  aggressive: true,
  proposal: 'aes128-sha256-modp2048',
  espProposal: 'aes128-sha256',
  secret: 'the group has this one',
  localAddress: THEIR_ADDRESS,
  remoteAddress: OUR_ADDRESS,
  localLan: THEIR_LAN,
  remoteLan: OUR_LAN,
  localIdentity: 'theirs.example',
  remoteIdentity: 'ours.example',
};

test('strongSwan dials in: it names its user, gets an address, and reaches the LAN', options, async (context) => {
  const scenario = new Scenario(context);
  await scenario.start(asServer(), { swanctl: itAsClient(PASSWORD) });
  const { ours, theirs } = scenario;

  const dialled = await theirs.initiate('net');
  assert.equal(dialled.status, 0, `${dialled.stdout}${dialled.stderr}\n${scenario.logs()}`);
  const [sa] = await ours.ikeSas();
  assert.equal(sa?.xauthUser, 'alice');
  assert.equal(sa?.assignedAddress, OUR_POOL_FIRST);
  assert.match(await theirs.sas(), new RegExp(`local +${OUR_POOL_FIRST}/32`));
  const report = await scenario.ping({ from: 'theirs', to: 'our-lan', address: '10.1.0.10' });
  assert.equal(report.received, 3, `${await theirs.sas()}\n${scenario.logs()}`);

  await theirs.terminate('peer');
  const isGone = await eventually(async () => (await ours.ikeSas()).length + (await ours.ipsecSas()).length === 0);
  assert.ok(isGone, scenario.logs());
});

test('we dial in to strongSwan: we name our user, get an address, and reach the LAN', options, async (context) => {
  const scenario = new Scenario(context);
  await scenario.start(asClient(PASSWORD), { swanctl: itAsServer() });
  const { ours, namespaces } = scenario;

  await scenario.wakeTunnel({ from: 'ours', to: 'their-lan', address: '10.2.0.10' });
  const [sa] = await ours.ikeSas();
  assert.equal(sa?.xauthUser, 'alice', scenario.logs());
  assert.equal(sa?.assignedAddress, THEIR_POOL_FIRST);
  const onInterface = () => namespaces.ip('ours', 'address', 'show', 'dev', 'st0.0');
  assert.ok(onInterface().includes(`${THEIR_POOL_FIRST}/32`), `${onInterface()}\n${scenario.logs()}`);
  const report = await scenario.ping({ from: 'ours', to: 'their-lan', address: '10.2.0.10' });
  assert.equal(report.received, 3, scenario.logs());

  await scenario.theirs.terminate('peer');
  const isGone = await eventually(async () => !onInterface().includes(THEIR_POOL_FIRST));
  assert.ok(isGone, `the address stays\n${scenario.logs()}`);
});

test('strongSwan dials in with a wrong password: we refuse it, and say so once', options, async (context) => {
  const scenario = new Scenario(context);
  await scenario.start(asServer(), { swanctl: itAsClient('wrong') });
  const dialled = await scenario.theirs.initiate('net');
  assert.notEqual(dialled.status, 0, scenario.logs());
  await assertRefusedOnce(scenario, /user alice is unknown here, or gave a wrong password/);
});

test('we dial in to strongSwan with a wrong password: it refuses us, and we say so once', options, async (context) => {
  const scenario = new Scenario(context);
  await scenario.start(asClient('wrong'), { swanctl: itAsServer() });
  await scenario.ping({ from: 'ours', to: 'their-lan', address: '10.2.0.10' }, 1, 2000);
  await assertRefusedOnce(scenario, /the server does not accept our user and password/);
});

async function assertRefusedOnce(scenario: Scenario, expected: RegExp): Promise<void> {
  const { ours } = scenario;
  const isOver = await eventually(
    async () =>
      ours.events.some(({ kind }) => kind === 'negotiation-failed') &&
      (await ours.ikeSas()).length + (await ours.ipsecSas()).length === 0,
  );
  assert.ok(isOver, scenario.logs());
  const failures = ours.events.filter((event) => event.kind === 'negotiation-failed');
  assert.equal(failures.length, 1, scenario.logs());
  assert.match(JSON.stringify(failures[0]), expected);
  assert.ok(!scenario.ours.log().includes(PASSWORD), 'no password in the log');
}

function asServer(): string {
  return srxConfiguration({
    ...SRX,
    remoteLan: '10.9.0.0/24',
    more: [
      'set security ike gateway peer xauth access-profile dialin',
      `set access profile dialin client alice firewall-user password "${PASSWORD}"`,
      'set access profile dialin address-assignment pool clients',
      'set access address-assignment pool clients family inet network 10.9.0.0/24',
      `set access address-assignment pool clients family inet range all low ${OUR_POOL_FIRST}`,
      'set access address-assignment pool clients family inet range all high 10.9.0.20',
    ],
  });
}

function asClient(password: string): string {
  return srxConfiguration({
    ...SRX,
    localLan: '0.0.0.0/0',
    more: [`set security ike gateway peer xauth client username alice password "${password}"`],
  });
}

function itAsClient(password: string): string {
  const user = 'local-user {\n      round = 1\n      auth = xauth\n      xauth_id = alice\n    }';
  return withUser({ ...SWANCTL, localLan: 'dynamic', connection: `vips = 0.0.0.0\n    ${user}` }, password);
}

function itAsServer(): string {
  const connection = 'pools = clients\n    remote-user {\n      round = 1\n      auth = xauth\n    }';
  const pools = 'pools {\n  clients {\n    addrs = 10.8.0.0/24\n  }\n}\n';
  return `${withUser({ ...SWANCTL, remoteLan: 'dynamic', connection }, PASSWORD)}${pools}`;
}

function withUser(settings: SwanctlSettings, password: string): string {
  return `${swanctlConfiguration(settings)}secrets {\n  xauth-alice {\n    id = alice\n    secret = ${password}\n  }\n}\n`;
}

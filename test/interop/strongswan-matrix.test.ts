// Against strongSwan's charon: combinations of mode, transforms, groups, identities and PFS, each with either side as the initiator.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  eventually,
  OUR_ADDRESS,
  OUR_LAN,
  Scenario,
  skipReason,
  THEIR_ADDRESS,
  THEIR_LAN,
  TO_THEM,
  TO_US,
} from './scenario.ts';
import { type SrxSettings, srxConfiguration } from './srx-configuration.ts';
import { type SwanctlSettings, swanctlConfiguration } from './swanctl-configuration.ts';

interface Combination {
  readonly name: string;
  readonly srx: Partial<SrxSettings> & Pick<SrxSettings, 'encryption' | 'hash' | 'group' | 'espEncryption'>;
  readonly swanctl: Partial<SwanctlSettings> & Pick<SwanctlSettings, 'proposal' | 'espProposal'>;
}

const SECRET = 'combinations of everything';

const COMBINATIONS: readonly Combination[] = [
  {
    name: 'Main, AES-128, SHA-1, group 2, no PFS',
    srx: {
      encryption: 'aes-128-cbc',
      hash: 'sha1',
      group: 'group2',
      espEncryption: 'aes-128-cbc',
      espIntegrity: 'hmac-sha1-96',
    },
    swanctl: { proposal: 'aes128-sha1-modp1024', espProposal: 'aes128-sha1' },
  },
  {
    name: 'Main, 3DES, SHA-1, group 2; ESP with 3DES and MD5',
    srx: {
      encryption: '3des-cbc',
      hash: 'sha1',
      group: 'group2',
      espEncryption: '3des-cbc',
      espIntegrity: 'hmac-md5-96',
    },
    swanctl: { proposal: '3des-sha1-modp1024', espProposal: '3des-md5' },
  },
  {
    name: 'Main, AES-256, MD5, group 5, PFS group 5',
    srx: {
      ...{ encryption: 'aes-256-cbc', hash: 'md5', group: 'group5', pfs: 'group5' },
      ...{ espEncryption: 'aes-256-cbc', espIntegrity: 'hmac-sha1-96' },
    },
    swanctl: { proposal: 'aes256-md5-modp1536', espProposal: 'aes256-sha1-modp1536' },
  },
  {
    name: 'Main, AES-192, SHA-512, group 16, PFS group 15; ESP with AES-192 and SHA-256',
    srx: {
      ...{ encryption: 'aes-192-cbc', hash: 'sha-512', group: 'group16', pfs: 'group15' },
      ...{ espEncryption: 'aes-192-cbc', espIntegrity: 'hmac-sha-256-128' },
    },
    swanctl: { proposal: 'aes192-sha512-modp4096', espProposal: 'aes192-sha256-modp3072' },
  },
  {
    name: 'Main, AES-256, SHA-384, group 19, PFS group 19; ESP with AES-256-GCM',
    srx: { encryption: 'aes-256-cbc', hash: 'sha-384', group: 'group19', pfs: 'group19', espEncryption: 'aes-256-gcm' },
    swanctl: { proposal: 'aes256-sha384-ecp256', espProposal: 'aes256gcm16-ecp256' },
  },
  {
    name: 'Main, AES-256, SHA-384, group 20, PFS group 20; ESP with AES-128-GCM',
    srx: { encryption: 'aes-256-cbc', hash: 'sha-384', group: 'group20', pfs: 'group20', espEncryption: 'aes-128-gcm' },
    swanctl: { proposal: 'aes256-sha384-ecp384', espProposal: 'aes128gcm16-ecp384' },
  },
  {
    name: 'Main, AES-128, SHA-256, group 21; ESP with AES-256 and SHA-512',
    srx: {
      encryption: 'aes-128-cbc',
      hash: 'sha-256',
      group: 'group21',
      espEncryption: 'aes-256-cbc',
      espIntegrity: 'hmac-sha-512',
    },
    swanctl: { proposal: 'aes128-sha256-ecp521', espProposal: 'aes256-sha512' },
  },
  {
    name: 'Main, group 24, PFS group 14',
    srx: {
      ...{ encryption: 'aes-256-cbc', hash: 'sha-256', group: 'group24', pfs: 'group14' },
      ...{ espEncryption: 'aes-256-cbc', espIntegrity: 'hmac-sha-256-128' },
    },
    swanctl: { proposal: 'aes256-sha256-modp2048s256', espProposal: 'aes256-sha256-modp2048' },
  },
  {
    name: 'Main with names as identities',
    srx: {
      ...{ encryption: 'aes-256-cbc', hash: 'sha-256', group: 'group14', espEncryption: 'aes-256-gcm' },
      ...{ localIdentity: 'hostname ours.example', remoteIdentity: 'hostname theirs.example' },
    },
    swanctl: {
      ...{ proposal: 'aes256-sha256-modp2048', espProposal: 'aes256gcm16' },
      ...{ localIdentity: 'theirs.example', remoteIdentity: 'ours.example' },
    },
  },
  {
    name: 'Aggressive with names as identities, group 2',
    srx: {
      ...{ mode: 'aggressive', encryption: 'aes-128-cbc', hash: 'sha1', group: 'group2' },
      ...{ espEncryption: 'aes-128-cbc', espIntegrity: 'hmac-sha1-96' },
      ...{ localIdentity: 'hostname ours.example', remoteIdentity: 'hostname theirs.example' },
    },
    swanctl: {
      ...{ aggressive: true, proposal: 'aes128-sha1-modp1024', espProposal: 'aes128-sha1' },
      ...{ localIdentity: 'theirs.example', remoteIdentity: 'ours.example' },
    },
  },
  {
    name: 'Aggressive with mail addresses as identities, group 14, PFS',
    srx: {
      ...{ mode: 'aggressive', encryption: 'aes-256-cbc', hash: 'sha-256', group: 'group14', pfs: 'group14' },
      espEncryption: 'aes-256-gcm',
      ...{ localIdentity: 'user-at-hostname gw@ours.example', remoteIdentity: 'user-at-hostname gw@theirs.example' },
    },
    swanctl: {
      ...{ aggressive: true, proposal: 'aes256-sha256-modp2048', espProposal: 'aes256gcm16-modp2048' },
      ...{ localIdentity: 'gw@theirs.example', remoteIdentity: 'gw@ours.example' },
    },
  },
  {
    name: 'Aggressive with addresses as identities, group 19',
    srx: {
      mode: 'aggressive',
      encryption: 'aes-256-cbc',
      hash: 'sha-256',
      group: 'group19',
      espEncryption: 'aes-256-gcm',
    },
    swanctl: { aggressive: true, proposal: 'aes256-sha256-ecp256', espProposal: 'aes256gcm16' },
  },
];

const options = { skip: skipReason(), timeout: 120_000 };

// Most of a test's time is waiting, so three run at once.
describe('strongSwan', { concurrency: 3 }, () => {
  for (const combination of COMBINATIONS) {
    test(`we initiate: ${combination.name}`, options, async (context) => {
      const scenario = await open(new Scenario(context), combination);
      await scenario.wakeTunnel(TO_THEM);
      assert.equal((await scenario.ping(TO_THEM)).received, 3, scenario.logs());
      assert.match(await scenario.theirs.sas(), /INSTALLED, TUNNEL-in-UDP/);
    });

    test(`it initiates: ${combination.name}`, options, async (context) => {
      const scenario = await open(new Scenario(context), combination);
      const { status, stdout, stderr } = await scenario.theirs.initiate('net');
      assert.equal(status, 0, `${stdout}${stderr}\n${scenario.logs()}`);
      assert.equal((await scenario.ping(TO_US)).received, 3, scenario.logs());
    });
  }
});

test('strongSwan: two traffic selectors are two pairs of SAs under one IKE SA', options, async (context) => {
  const second = { name: 'second', local: '10.1.0.0/24', remote: '10.3.0.0/24' };
  const scenario = await open(new Scenario(context), {
    name: '',
    srx: {
      ...{ encryption: 'aes-256-cbc', hash: 'sha-256', group: 'group14', espEncryption: 'aes-256-gcm' },
      trafficSelectors: [{ name: 'first', local: OUR_LAN, remote: THEIR_LAN }, second],
      establish: 'immediately',
    },
    swanctl: {
      ...{ proposal: 'aes256-sha256-modp2048', espProposal: 'aes256gcm16' },
      moreChildren: [{ name: 'second', local: second.remote, remote: second.local }],
    },
  });
  const areUp = await eventually(async () => (await scenario.ours.ipsecSas()).length === 2);
  assert.ok(areUp, scenario.logs());
  assert.equal((await scenario.ours.ikeSas()).length, 1);
  assert.equal((await scenario.ping(TO_THEM)).received, 3, scenario.logs());
});

test('strongSwan: a wrong pre-shared key is said to be one, and names the statement', options, async (context) => {
  const scenario = await open(new Scenario(context), {
    name: '',
    srx: {
      encryption: 'aes-256-cbc',
      hash: 'sha-256',
      group: 'group14',
      espEncryption: 'aes-256-gcm',
      secret: 'another',
    },
    swanctl: { proposal: 'aes256-sha256-modp2048', espProposal: 'aes256gcm16' },
  });
  const { status } = await scenario.theirs.initiate('net');
  assert.notEqual(status, 0);
  const failure = await failureOf(scenario);
  assert.match(failure, /pre-shared keys probably differ/);
  assert.match(failure, /security ike policy peer/);
});

test('strongSwan: proposals that do not meet are told with both offers', options, async (context) => {
  const scenario = await open(new Scenario(context), {
    name: '',
    srx: { encryption: 'aes-256-cbc', hash: 'sha-256', group: 'group14', espEncryption: 'aes-256-gcm' },
    swanctl: { proposal: 'aes128-sha1-modp1024', espProposal: 'aes256gcm16' },
  });
  const { status } = await scenario.theirs.initiate('net');
  assert.notEqual(status, 0);
  const failure = await failureOf(scenario);
  assert.match(failure, /aes-128-cbc/, failure);
  assert.match(failure, /aes-256-cbc/, failure);
});

async function open(scenario: Scenario, { srx, swanctl }: Combination): Promise<Scenario> {
  const ours = { localAddress: OUR_ADDRESS, remoteAddress: THEIR_ADDRESS, localLan: OUR_LAN, remoteLan: THEIR_LAN };
  const theirs = { localAddress: THEIR_ADDRESS, remoteAddress: OUR_ADDRESS, localLan: THEIR_LAN, remoteLan: OUR_LAN };
  await scenario.start(srxConfiguration({ secret: SECRET, ...ours, ...srx }), {
    swanctl: swanctlConfiguration({ secret: SECRET, ...theirs, ...swanctl }),
  });
  return scenario;
}

/** What our log says about the negotiation that failed, statements and all. */
async function failureOf(scenario: Scenario): Promise<string> {
  const hasFailed = await scenario.ours.waitFor((events) =>
    events.some((event) => event.kind === 'negotiation-failed'),
  );
  assert.ok(hasFailed, scenario.logs());
  const failure = scenario.ours.events.find((event) => event.kind === 'negotiation-failed');
  return JSON.stringify(failure);
}

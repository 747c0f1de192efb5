// Against strongSwan's charon: what the network and the passing of time do to a tunnel.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  eventually,
  INSIDE_ADDRESS,
  NAT_ADDRESS,
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

const SRX: SrxSettings = {
  encryption: 'aes-256-cbc',
  hash: 'sha-256',
  group: 'group14',
  espEncryption: 'aes-256-gcm',
  secret: 'through thick and thin',
  localAddress: OUR_ADDRESS,
  remoteAddress: THEIR_ADDRESS,
  localLan: OUR_LAN,
  remoteLan: THEIR_LAN,
};

const SWANCTL: SwanctlSettings = {
  proposal: 'aes256-sha256-modp2048',
  espProposal: 'aes256gcm16',
  secret: 'through thick and thin',
  localAddress: THEIR_ADDRESS,
  remoteAddress: OUR_ADDRESS,
  localLan: THEIR_LAN,
  remoteLan: OUR_LAN,
};

const OTHER_LAN = '10.3.0.0/24';

const options = { skip: skipReason(), timeout: 120_000 };

// Most of a test's time is waiting, so three run at once.
describe('strongSwan and NAT', { concurrency: 2 }, () => {
  test('we initiate from behind NAT, and the keepalives hold the way open', options, async (context) => {
    const scenario = new Scenario(context, 'ours');
    const names = { localIdentity: 'hostname ours.example', remoteIdentity: 'hostname theirs.example' };
    await scenario.start(
      srxConfiguration({
        ...{ ...SRX, ...names, localAddress: INSIDE_ADDRESS },
        more: ['set security ike gateway peer nat-keepalive 1'],
      }),
      {
        swanctl: swanctlConfiguration({
          ...{ ...SWANCTL, remoteAddress: NAT_ADDRESS },
          ...{ localIdentity: 'theirs.example', remoteIdentity: 'ours.example' },
        }),
      },
    );
    await scenario.wakeTunnel(TO_THEM);
    assert.equal((await scenario.ping(TO_THEM)).received, 3, scenario.logs());
    assert.equal((await scenario.ping(TO_US)).received, 3, scenario.logs());
    const [sa] = await scenario.ours.ikeSas();
    assert.equal(sa?.nat.isLocalBehindNat, true);
    assert.equal(sa?.path.remote.port, 4500);
  });

  test('it initiates from behind NAT, and we answer to the translated port', options, async (context) => {
    const scenario = new Scenario(context, 'theirs');
    const names = { localIdentity: 'hostname ours.example', remoteIdentity: 'hostname theirs.example' };
    await scenario.start(srxConfiguration({ ...SRX, ...names, remoteAddress: NAT_ADDRESS }), {
      swanctl: swanctlConfiguration({
        ...{ ...SWANCTL, localAddress: INSIDE_ADDRESS },
        ...{ localIdentity: 'theirs.example', remoteIdentity: 'ours.example' },
      }),
    });
    const { status, stdout, stderr } = await scenario.theirs.initiate('net');
    assert.equal(status, 0, `${stdout}${stderr}\n${scenario.logs()}`);
    assert.equal((await scenario.ping(TO_US)).received, 3, scenario.logs());
    assert.equal((await scenario.ping(TO_THEM)).received, 3, scenario.logs());
    const [sa] = await scenario.ours.ikeSas();
    assert.equal(sa?.nat.isRemoteBehindNat, true);
  });
});

describe('strongSwan and security policies', { concurrency: 2 }, () => {
  const securityPolicies = [
    { name: 'net', local: OUR_LAN, remote: THEIR_LAN },
    { name: 'other', local: OUR_LAN, remote: OTHER_LAN },
  ];
  for (const initiator of ['we', 'it'] as const)
    test(
      `without a tunnel interface, each security policy has SAs of its own, and ${initiator} may start them`,
      options,
      async (context) => {
        const scenario = new Scenario(context);
        scenario.namespaces.ip('their-lan', 'address', 'add', '10.3.0.10/24', 'dev', 'eth0');
        scenario.namespaces.ip('theirs', 'address', 'add', '10.3.0.1/24', 'dev', 'lan');
        await scenario.start(srxConfiguration({ ...SRX, securityPolicies }), {
          swanctl: swanctlConfiguration({
            ...SWANCTL,
            moreChildren: [{ name: 'other', local: OTHER_LAN, remote: OUR_LAN }],
          }),
        });
        const toOther = { ...TO_THEM, address: '10.3.0.10' };
        if (initiator === 'it') {
          assert.equal((await scenario.theirs.initiate('net')).status, 0, scenario.logs());
          assert.equal((await scenario.theirs.initiate('other')).status, 0, scenario.logs());
        } else {
          await scenario.wakeTunnel(TO_THEM);
          await scenario.wakeTunnel(toOther);
          assert.ok(await eventually(async () => (await scenario.ours.ipsecSas()).length === 2), scenario.logs());
        }
        for (const journey of [TO_THEM, TO_US, toOther])
          assert.equal((await scenario.ping(journey)).received, 3, `${journey.address}\n${scenario.logs()}`);
        assert.ok((await scenario.transfer(TO_THEM)).octets > 100_000, scenario.logs());
        const second = await scenario.ours.show('show security ipsec statistics index 131074');
        assert.match(
          second,
          /Encrypted packets: +[34]\n/,
          'of the second policy, the pings to the other network alone',
        );
        const sas = await scenario.ours.ipsecSas();
        assert.deepEqual(sas.map(({ policy }) => policy).sort(byName), ['peer', 'peer/policy-2']);
      },
    );
});

describe('strongSwan and time', { concurrency: 3 }, () => {
  test('RFC 3706: it is killed, and dead peer detection ends the SAs in time', options, async (context) => {
    const scenario = new Scenario(context);
    await scenario.start(srxConfiguration({ ...SRX, deadPeerDetection: { interval: 10, threshold: 1 } }), {
      swanctl: swanctlConfiguration(SWANCTL),
    });
    await scenario.wakeTunnel(TO_THEM);
    assert.equal((await scenario.ours.ikeSas()).length, 1, scenario.logs());
    await scenario.theirs.kill();
    const isGone = await eventually(async () => (await scenario.ours.ipsecSas()).length === 0, 40_000);
    assert.ok(isGone, `${await scenario.ours.show('show security ike sa detail')}\n${scenario.logs()}`);
    const reasons = scenario.ours.events.flatMap((event) => (event.kind === 'ike-sa-deleted' ? [event.reason] : []));
    assert.deepEqual(reasons, ['peer-dead']);
  });

  test('RFC 3706: it asks whether we are there, and we are', options, async (context) => {
    const scenario = new Scenario(context);
    await scenario.start(srxConfiguration(SRX), {
      swanctl: swanctlConfiguration({ ...SWANCTL, connection: 'dpd_delay = 1s\n    dpd_timeout = 4s' }),
    });
    await scenario.wakeTunnel(TO_THEM);
    await new Promise((resolve) => setTimeout(resolve, 8000));
    assert.match(await scenario.theirs.sas(), /ESTABLISHED/, scenario.logs());
    assert.match(scenario.theirs.log(), /R_U_THERE_ACK|DPD_ACK/, scenario.logs());
  });

  test('it negotiates phase 1 anew every few seconds, and no ping is lost over it', options, async (context) => {
    const scenario = new Scenario(context);
    await scenario.start(srxConfiguration(SRX), {
      swanctl: swanctlConfiguration({
        ...SWANCTL,
        connection: 'rekey_time = 4s\n    over_time = 4s\n    rand_time = 0s',
      }),
    });
    await scenario.wakeTunnel(TO_THEM);
    const report = await scenario.ping(TO_THEM, 60);
    assert.equal(report.received, report.sent, `${report.received} of ${report.sent}\n${scenario.logs()}`);
    const established = scenario.ours.events.filter((event) => event.kind === 'ike-sa-established');
    assert.ok(established.length >= 3, `${established.length} IKE SAs\n${scenario.logs()}`);
  });

  test(
    'respond-bad-spi: our Delete is lost; sending into the hole, it is told so inside the IKE SA, and a new pair works',
    options,
    async (context) => {
      const scenario = new Scenario(context);
      await scenario.start(srxConfiguration({ ...SRX, more: ['set security ike respond-bad-spi max-responses 5'] }), {
        swanctl: swanctlConfiguration(SWANCTL),
      });
      await scenario.wakeTunnel(TO_THEM);
      const silence =
        'table ip hole { chain out { type filter hook output priority 0; udp sport { 500, 4500 } drop; }; }';
      assert.equal(scenario.namespaces.run('ours', 'nft', [silence]).status, 0);
      await scenario.ours.show('clear security ipsec security-associations');
      assert.equal(scenario.namespaces.run('ours', 'nft', ['delete table ip hole']).status, 0);
      assert.deepEqual([(await scenario.ours.ipsecSas()).length, (await scenario.ours.ikeSas()).length], [0, 1]);
      assert.match(await scenario.theirs.sas(), /INSTALLED/, 'it has not heard of it');
      assert.equal((await scenario.ping(TO_US, 3, 2000)).received, 0);
      const isTold = await eventually(async () => /N\(INVAL_SPI\)/.test(scenario.theirs.log()));
      assert.ok(isTold, scenario.logs());
      // What it makes of that is its own affair: it logs it and goes on sending. The next pair is what it uses.
      await scenario.wakeTunnel(TO_THEM);
      assert.equal((await scenario.ping(TO_US)).received, 3, scenario.logs());
    },
  );

  test('it restarts without a word, and the tunnel comes back', options, async (context) => {
    const scenario = new Scenario(context);
    await scenario.start(srxConfiguration(SRX), { swanctl: swanctlConfiguration(SWANCTL) });
    await scenario.wakeTunnel(TO_THEM);
    await scenario.theirs.kill();
    await scenario.restartTheirs();
    assert.equal((await scenario.theirs.initiate('net')).status, 0, scenario.logs());
    assert.equal((await scenario.ping(TO_US)).received, 3, scenario.logs());
    const isSingle = await eventually(async () => (await scenario.ours.ikeSas()).length === 1);
    assert.ok(isSingle, `the old SA is still there\n${scenario.logs()}`);
  });
});

function byName(a: string, b: string): number {
  return a < b ? -1 : 1;
}

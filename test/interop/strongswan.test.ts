// Against strongSwan's charon with its user-space ESP: what a first site-to-site tunnel needs, in both roles.

import assert from 'node:assert/strict';
import { test } from 'node:test';
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

const SRX: SrxSettings = {
  encryption: 'aes-256-cbc',
  hash: 'sha-256',
  group: 'group14',
  espEncryption: 'aes-256-cbc',
  espIntegrity: 'hmac-sha-256-128',
  pfs: 'group14',
  secret: 'between two implementations',
  localAddress: OUR_ADDRESS,
  remoteAddress: THEIR_ADDRESS,
  localLan: OUR_LAN,
  remoteLan: THEIR_LAN,
};

const SWANCTL: SwanctlSettings = {
  proposal: 'aes256-sha256-modp2048',
  espProposal: 'aes256-sha256-modp2048',
  secret: 'between two implementations',
  localAddress: THEIR_ADDRESS,
  remoteAddress: OUR_ADDRESS,
  localLan: THEIR_LAN,
  remoteLan: OUR_LAN,
};

const options = { skip: skipReason(), timeout: 120_000 };

test(
  'strongSwan: we initiate, traffic passes both ways, phase 2 is rekeyed, and our Delete is heard',
  options,
  async (context) => {
    const scenario = new Scenario(context);
    await scenario.start(srxConfiguration({ ...SRX, ipsecLifetime: 180 }), { swanctl: swanctlConfiguration(SWANCTL) });
    const { ours, theirs } = scenario;

    await scenario.wakeTunnel(TO_THEM);
    assert.equal((await scenario.ping(TO_THEM)).received, 3, scenario.logs());
    assert.equal((await scenario.ping(TO_US)).received, 3, scenario.logs());
    const moved = await scenario.transfer(TO_THEM);
    assert.ok(moved.octets > 100_000, `${moved.octets} octets of TCP arrived\n${scenario.logs()}`);

    const [before] = await ours.ipsecSas();
    assert.equal((await theirs.rekeyChild('net')).status, 0, scenario.logs());
    const isRekeyed = await eventually(async () =>
      (await ours.ipsecSas()).some((sa) => sa.isCurrent && sa.inboundSpi !== before?.inboundSpi),
    );
    assert.ok(isRekeyed, `no new pair: ${JSON.stringify(await ours.ipsecSas())}\n${scenario.logs()}`);
    assert.equal((await scenario.ping(TO_THEM)).received, 3, scenario.logs());

    await ours.clear();
    const isGone = await eventually(async () => (await theirs.sas()).trim() === '');
    assert.ok(isGone, `strongSwan still has SAs\n${await theirs.sas()}\n${scenario.logs()}`);
  },
);

test('strongSwan: it initiates, traffic passes both ways, and its Delete is heard', options, async (context) => {
  const scenario = new Scenario(context);
  const esp = { espEncryption: 'aes-256-gcm', espIntegrity: undefined };
  const { espIntegrity: _, ...srx } = { ...SRX, ...esp };
  await scenario.start(srxConfiguration(srx), {
    swanctl: swanctlConfiguration({ ...SWANCTL, espProposal: 'aes256gcm16-modp2048' }),
  });
  const { ours, theirs } = scenario;

  const initiated = await theirs.initiate('net');
  assert.equal(initiated.status, 0, `${initiated.stdout}${initiated.stderr}\n${scenario.logs()}`);
  assert.equal((await scenario.ping(TO_US)).received, 3, scenario.logs());
  assert.equal((await scenario.ping(TO_THEM)).received, 3, scenario.logs());
  const moved = await scenario.transfer(TO_US);
  assert.ok(moved.octets > 100_000, `${moved.octets} octets of TCP arrived\n${scenario.logs()}`);

  assert.equal((await ours.ipsecSas()).length, 1);
  await theirs.terminate('peer');
  const isGone = await eventually(
    async () => (await ours.ikeSas()).length === 0 && (await ours.ipsecSas()).length === 0,
  );
  assert.ok(isGone, `we still have SAs\n${await ours.show('show security ike sa')}\n${scenario.logs()}`);
});

test('strongSwan: it rekeys phase 2 again and again, and no ping is lost over it', options, async (context) => {
  const scenario = new Scenario(context);
  await scenario.start(srxConfiguration({ ...SRX, ipsecLifetime: 180 }), {
    swanctl: swanctlConfiguration({
      ...SWANCTL,
      child: 'rekey_time = 4s\n        life_time = 20s\n        rand_time = 0s',
    }),
  });
  const { ours } = scenario;
  await scenario.wakeTunnel(TO_THEM);
  const report = await scenario.ping(TO_THEM, 60);
  assert.equal(report.received, report.sent, `${report.received} of ${report.sent}\n${scenario.logs()}`);
  const established = ours.events.filter((event) => event.kind === 'ipsec-sa-established');
  assert.ok(established.length >= 2, `${established.length} pairs in 12 s of a 4 s rekey interval\n${scenario.logs()}`);
});

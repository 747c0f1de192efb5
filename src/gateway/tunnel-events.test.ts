import assert from 'node:assert/strict';
import { test } from 'node:test';
import { instant, seconds } from '../lib/time.ts';
import { address } from '../model/address.ts';
import type { GatewayConfig } from '../model/gateway-config.ts';
import type { IkeEvent, SaEndReason } from '../model/ike-event.ts';
import { policyId, spi } from '../model/ipsec-sa.ts';
import { officeConfig } from '../simulation/two-offices.ts';
import { TunnelEvents } from './tunnel-events.ts';

const CONFIG: GatewayConfig = officeConfig('main', {
  mode: 'main',
  encryption: 'aes-256-cbc',
  hash: 'sha-256',
  dhGroup: 'group19',
  protocol: 'esp',
  ipsecEncryption: 'aes-128-gcm',
  ipsecIntegrity: 'none',
  ikeLifetime: seconds(28_800),
  ipsecLifetime: seconds(3600),
  deadPeerDetection: { mode: 'optimized', interval: seconds(10), threshold: 5 },
  establishMain: 'immediately',
  establishBranch: 'on-traffic',
  isBranchBehindNat: false,
  selectorCount: 1,
});
const VPN = 'to-branch';
const READY = 'Tunnel is ready. Waiting for trigger event or peer to trigger negotiation';

test('a new VPN is ready; equal events are counted, and the newest is first', () => {
  const events = started();
  events.handleEvent(instant(1), ikeSaEnded('cleared'));
  events.handleEvent(instant(2), timedOut());
  events.handleEvent(instant(3), ikeSaEnded('cleared'));
  assert.deepEqual(events.of(VPN), [
    { at: 3, text: 'User cleared IKE SA from CLI, corresponding IPSec SAs cleared', count: 2 },
    { at: 2, text: 'No response from peer. Negotiation failed', count: 1 },
    { at: 0, text: READY, count: 1 },
  ]);
});

test('an event of an IKE SA is part of the history of each VPN that uses its gateway, and of no other', () => {
  const [vpn] = CONFIG.vpns;
  assert.ok(vpn);
  const events = new TunnelEvents();
  const vpns = [vpn, { ...vpn, name: 'second' }, { ...vpn, name: 'other', gateway: 'another' }];
  events.applyConfig(instant(0), { ...CONFIG, vpns });
  events.handleEvent(instant(1), ikeSaEnded('peer-dead'));
  assert.deepEqual(
    ['to-branch', 'second', 'other'].map((name) => events.of(name).length),
    [2, 2, 1],
  );
});

test('a commit keeps the history of a VPN that stays and forgets that of one that goes', () => {
  const events = started();
  events.handleEvent(instant(1), timedOut());
  events.applyConfig(instant(2), CONFIG);
  assert.equal(events.of(VPN).length, 2);
  events.applyConfig(instant(3), { ...CONFIG, vpns: [] });
  assert.deepEqual(events.of(VPN), []);
});

test('a peer that invents reasons cannot make the history grow without end', () => {
  const events = started();
  for (let index = 0; index < 1000; index++) events.handleEvent(instant(index), { ...timedOut(), reason: `r${index}` });
  const history = events.of(VPN);
  assert.equal(history.length, 16);
  assert.equal(history[0]?.text, 'Negotiation failed with error code R999');
});

test('a rekey and a first negotiation are told apart', () => {
  const events = started();
  for (const isRekey of [false, true]) events.handleEvent(instant(1), pairEstablished(isRekey));
  assert.deepEqual(
    events.of(VPN).map((event) => event.text),
    ['IPSec SA rekey successfully completed', 'IPSec SA negotiation successfully completed', READY],
  );
});

function started(): TunnelEvents {
  const events = new TunnelEvents();
  events.applyConfig(instant(0), CONFIG);
  return events;
}

function ikeSaEnded(reason: SaEndReason): IkeEvent {
  return { kind: 'ike-sa-deleted', gateway: 'branch', ikeSa: 'i:r', reason };
}

function timedOut(): Extract<IkeEvent, { kind: 'negotiation-failed' }> {
  const end = { address: address('192.0.2.1'), port: 500 };
  return {
    kind: 'negotiation-failed',
    phase: 1,
    role: 'initiator',
    gateway: 'branch',
    vpn: VPN,
    path: { local: end, remote: end },
    reason: 'timed-out',
    explanation: '',
    statements: [],
    isFinal: false,
  };
}

function pairEstablished(isRekey: boolean): IkeEvent {
  const [selector] = CONFIG.vpns[0]?.selectors ?? [];
  assert.ok(selector);
  return {
    kind: 'ipsec-sa-established',
    gateway: 'branch',
    vpn: VPN,
    policy: policyId(VPN),
    role: 'initiator',
    inboundSpi: spi(1000),
    outboundSpi: spi(2000),
    selectors: selector,
    isRekey,
  };
}

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Side, type TwoGateways, twoGateways } from '../../test/scenarios/two-gateways.ts';
import type { UdpPath } from '../model/address.ts';
import type { GatewayConfig } from '../model/gateway-config.ts';
import { officeAddresses, withUnrelatedVpn } from '../simulation/two-offices.ts';

const NAT_KEEPALIVE = Uint8Array.of(0xff);

test('RFC 3948 §2.3: a keepalive is counted and has no other effect', () => {
  const lab = twoGateways();
  lab.inject(lab.responder, path(lab.responder, 4500), NAT_KEEPALIVE);
  lab.expectSilence();
  const { keepalivesReceived, dropped } = lab.responder.gateway.counters();
  assert.deepEqual([keepalivesReceived, dropped], [1, {}]);
});

test('ESP that reaches the control plane is counted and dropped', () => {
  const lab = twoGateways();
  lab.inject(lab.responder, path(lab.responder, 4500), Uint8Array.of(1, 2, 3, 4, 0, 0, 0, 1, 9, 9));
  assert.deepEqual(lab.responder.gateway.counters().dropped, { 'esp-outside-data-plane': 1 });
});

test('a datagram to a port that is not ours is counted and dropped', () => {
  const lab = twoGateways();
  lab.initiate();
  const { datagram } = lab.drop('-->  HDR, SA, VID');
  lab.inject(lab.responder, path(lab.responder, 501), datagram);
  lab.expectSilence();
  assert.deepEqual(lab.responder.gateway.counters().dropped, { 'unknown-port': 1 });
});

test('RFC 3948 §2.2: what comes to port 4500 behind the marker is answered from there, behind the marker', () => {
  const lab = twoGateways();
  lab.initiate();
  const { datagram } = lab.drop('-->  HDR, SA, VID');
  lab.inject(lab.responder, path(lab.responder, 4500), Uint8Array.of(0, 0, 0, 0, ...datagram));
  const [answer] = lab.inFlight;
  assert.equal(answer?.path.local.port, 4500);
  assert.deepEqual([...(answer?.datagram.subarray(0, 4) ?? [])], [0, 0, 0, 0]);
});

test('policies are there before the first SA that serves them', () => {
  const lab = established();
  const kinds = lab.initiator.commands.map((command) => command.kind);
  assert.equal(kinds[0], 'put-policy');
  assert.ok(kinds.indexOf('put-policy') < kinds.indexOf('add-inbound'));
});

test('the data plane hears the commands of Quick Mode in the order of the port: reserve, add both, use', () => {
  const lab = established();
  for (const side of [lab.initiator, lab.responder]) {
    const kinds = side.commands.map((command) => command.kind).filter((kind) => kind !== 'put-policy');
    assert.deepEqual(kinds, ['reserve-spi', 'add-inbound', 'add-outbound', 'use-outbound'], side.office);
  }
});

test('a commit that adds a VPN touches nothing else: one policy, no message, the same SAs', () => {
  const lab = established();
  const { config } = lab.initiator.gateway;
  const before = standing(lab.initiator, lab);
  const commandCount = lab.initiator.commands.length;
  lab.configure(lab.initiator, withUnrelatedVpn(config));
  lab.expectSilence();
  const added = lab.initiator.commands.slice(commandCount);
  assert.deepEqual(
    added.map((command) => command.kind === 'put-policy' && command.policy.id),
    ['elsewhere'],
  );
  lab.configure(lab.initiator, config);
  lab.expectSilence();
  assert.deepEqual(lab.initiator.commands.at(-1), { kind: 'delete-policy', id: 'elsewhere' });
  assert.deepEqual(standing(lab.initiator, lab), before);
});

test('a commit that takes a VPN away ends its SAs, tells the peer, and then takes the policy away', () => {
  const lab = established();
  const commandCount = lab.initiator.commands.length;
  lab.configure(lab.initiator, { ...lab.initiator.gateway.config, vpns: [], gateways: [] });
  const kinds = lab.initiator.commands.slice(commandCount).map((command) => command.kind);
  assert.deepEqual(kinds, ['remove', 'remove', 'delete-policy']);
  lab.settle();
  assert.deepEqual(lab.responder.gateway.ipsecSas(lab.now), []);
});

test('a commit that changes what was negotiated ends those SAs, and says so in the history', () => {
  const lab = established();
  lab.configure(lab.initiator, withEncryption(lab.initiator.gateway.config));
  assert.deepEqual(lab.initiator.gateway.ipsecSas(lab.now), []);
  const texts = lab.initiator.gateway.tunnelEvents('to-branch').map((event) => event.text);
  assert.ok(texts.includes('Tunnel configuration changed. Corresponding IKE/IPSec SAs are deleted'), texts.join('\n'));
});

test('the history of a tunnel and the counters say what happened', () => {
  const lab = established();
  const texts = lab.initiator.gateway.tunnelEvents('to-branch').map((event) => event.text);
  assert.deepEqual(texts, [
    'IPSec SA negotiation successfully completed',
    'IKE SA negotiation successfully completed',
    'Tunnel is ready. Waiting for trigger event or peer to trigger negotiation',
  ]);
  const { datagramsSent, datagramsReceived, ikeSasEstablished, ipsecSasEstablished } = lab.initiator.gateway.counters();
  assert.deepEqual([datagramsSent, datagramsReceived, ikeSasEstablished, ipsecSasEstablished], [5, 4, 1, 1]);
});

function established(): TwoGateways {
  const lab = twoGateways();
  lab.initiate();
  lab.settle();
  lab.expectEstablished();
  return lab;
}

function standing(side: Side, lab: TwoGateways): unknown {
  return [side.gateway.ikeSas(lab.now).map((sa) => sa.id), side.gateway.ipsecSas(lab.now).map((sa) => sa.inboundSpi)];
}

function withEncryption(config: GatewayConfig): GatewayConfig {
  const vpns = config.vpns.map((vpn) => ({
    ...vpn,
    proposals: vpn.proposals.map((proposal) => ({ ...proposal, encryption: 'aes-256-gcm' as const })),
  }));
  return { ...config, vpns };
}

function path(side: Side, port: number): UdpPath {
  const other = side.office === 'main' ? 'branch' : 'main';
  return {
    local: { address: side.address, port },
    remote: { address: officeAddresses(other, { isBranchBehindNat: false }).gateway, port },
  };
}

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seconds } from '../../lib/time.ts';
import { address } from '../../model/address.ts';
import type { IpsecProposalConfig } from '../../model/gateway-config.ts';
import { selectorFromAddress } from '../../model/traffic-selector.ts';
import { officeConfig, selector, TestPair } from './two-endpoints.fixture.ts';

const ORIGIN = { path: 'test', line: 0 };
const [BASE] = officeConfig('initiator').vpns[0]?.proposals ?? [];
assert.ok(BASE);
const ESP_256: IpsecProposalConfig = { ...BASE, name: 'esp256', encryption: 'aes-256-cbc' };
const ESP_GCM: IpsecProposalConfig = { ...BASE, name: 'gcm', encryption: 'aes-128-gcm', integrity: 'none' };
const AH: IpsecProposalConfig = { ...BASE, name: 'ah', protocol: 'ah', encryption: 'null' };

test('of several proposals the one that comes first in the responder’s configuration is taken', () => {
  const lab = new TestPair({
    initiator: { vpn: { proposals: [BASE, ESP_256, ESP_GCM, AH] } },
    responder: { vpn: { proposals: [AH, ESP_GCM, BASE] } },
  });
  lab.establish();
  assert.equal(lab.initiator.endpoint.ipsecSas(lab.now)[0]?.protocol, 'ah');
  const second = new TestPair({
    initiator: { vpn: { proposals: [BASE, ESP_256, ESP_GCM, AH] } },
    responder: { vpn: { proposals: [ESP_GCM, BASE] } },
  });
  second.establish();
  assert.equal(second.initiator.endpoint.ipsecSas(second.now)[0]?.encryption, 'aes-128-gcm');
});

test('RFC 2407 §4.6.3.1: the shorter lifetime counts on both sides, and the responder says so', () => {
  const lab = new TestPair({
    initiator: { ipsecProposal: { lifetime: seconds(7200), lifetimeKilobytes: 5000 } },
    responder: { ipsecProposal: { lifetime: seconds(1800), lifetimeKilobytes: 4000 } },
  });
  lab.establish();
  const answer = lab.responder.ofKind('message').find(({ exchange, number }) => exchange === 'quick' && number === 2);
  assert.match(answer?.notation ?? '', /N\(RESPONDER-LIFETIME\)/);
  for (const side of [lab.initiator, lab.responder]) {
    const [pair] = side.endpoint.ipsecSas(lab.now);
    assert.equal(pair?.hardLifetimeRemainingSeconds, 1800);
    assert.equal(pair?.lifetimeKilobytes, 4000);
    const added = side.commands.find(({ kind }) => kind === 'add-outbound');
    assert.deepEqual(added?.kind === 'add-outbound' && added.sa.lifetime, {
      hardSeconds: 1800,
      softKilobytes: 3400,
      hardKilobytes: 4000,
    });
  }
});

test('an initiator with the shorter lifetime gets its own', () => {
  const lab = new TestPair({ initiator: { ipsecProposal: { lifetime: seconds(900) } } });
  lab.establish();
  assert.equal(lab.responder.endpoint.ipsecSas(lab.now)[0]?.hardLifetimeRemainingSeconds, 900);
});

test('a phase 2 proposal mismatch: the responder says both offers, the initiator that the peer has signed its refusal', () => {
  const lab = new TestPair({ responder: { ipsecProposal: { encryption: 'aes-256-cbc' } } });
  lab.initiator.initiate();
  lab.run();
  const [theirs, ...others] = lab.responder.ofKind('negotiation-failed');
  assert.equal(others.length, 0);
  assert.match(theirs?.explanation ?? '', /the peer offered .*aes-128-cbc.*configured here: .*aes-256-cbc/);
  assert.deepEqual(theirs?.statements[0]?.path, 'security ipsec policy ipsec-policy');
  const [ours, ...more] = lab.initiator.ofKind('negotiation-failed');
  assert.equal(more.length, 0);
  assert.match(ours?.explanation ?? '', /NO-PROPOSAL-CHOSEN to our offer .*has authenticated/);
  assert.equal(lab.initiator.endpoint.ikeSas(lab.now)[0]?.state, 'up', 'phase 1 stays');
  lab.expectSilence();
});

for (const [offered, wanted] of [
  ['group14', undefined],
  [undefined, 'group14'],
  ['group14', 'group19'],
] as const) {
  test(`perfect forward secrecy must be the same on both sides: ${offered} is not ${wanted}`, () => {
    const lab = new TestPair({
      initiator: { vpn: offered ? { pfsGroup: offered } : {} },
      responder: { vpn: wanted ? { pfsGroup: wanted } : {} },
    });
    lab.initiator.initiate();
    lab.run();
    assert.equal(lab.responder.ofKind('negotiation-failed')[0]?.reason, 'phase2-no-proposal-chosen');
    assert.equal(lab.initiator.endpoint.ipsecSas(lab.now).length, 0);
  });
}

test('selectors that no VPN has are refused with both sides’', () => {
  const local = selector('10.7.0.0/24');
  const lab = new TestPair({
    initiator: { vpn: { selectors: [{ origin: ORIGIN, local, remote: selector('10.2.0.0/16') }] } },
  });
  lab.initiator.initiate();
  lab.run();
  const [failure] = lab.responder.ofKind('negotiation-failed');
  assert.equal(failure?.reason, 'selectors-unacceptable');
  assert.match(
    failure?.explanation ?? '',
    /10\.2\.0\.0\/16 to 10\.7\.0\.0\/24 .*configured: 10\.2\.0\.0\/16 to 10\.1\.0\.0\/16/,
  );
  assert.match(lab.initiator.ofKind('negotiation-failed')[0]?.explanation ?? '', /INVALID-ID-INFORMATION/);
});

test('Junos traffic-selector: one Quick Mode and one pair each, under one ISAKMP SA', () => {
  const pairs = [
    ['ts-v4', '10.1.1.0/24', '10.2.1.0/24'],
    ['ts-host', '10.1.2.7/32', '10.2.0.0/16'],
    ['ts-v6', '2001:db8:1::/48', '2001:db8:2::/48'],
  ] as const;
  const mirrored = (isInitiator: boolean) =>
    pairs.map(([name, left, right]) => ({
      name,
      origin: ORIGIN,
      local: selector(isInitiator ? left : right),
      remote: selector(isInitiator ? right : left),
    }));
  const range = { first: address('10.1.3.5'), last: address('10.1.3.77') };
  const host = selectorFromAddress(address('10.2.3.4'));
  const web = { ...host, protocol: 6, ports: { first: 443, last: 443 } };
  const ranged = { ...host, addresses: range };
  const lab = new TestPair({
    initiator: {
      vpn: { selectors: [...mirrored(true), { name: 'ts-range', origin: ORIGIN, local: ranged, remote: web }] },
    },
    responder: {
      vpn: { selectors: [...mirrored(false), { name: 'ts-range', origin: ORIGIN, local: web, remote: ranged }] },
    },
  });
  lab.initiator.initiate();
  lab.run();
  assert.equal(lab.initiator.endpoint.ikeSas(lab.now).length, 1);
  const installed = lab.responder.endpoint.ipsecSas(lab.now);
  assert.deepEqual(
    new Set(installed.map(({ trafficSelector }) => trafficSelector)),
    new Set(['ts-host', 'ts-range', 'ts-v4', 'ts-v6']),
  );
  const spis = new Set(installed.flatMap(({ inboundSpi, outboundSpi }) => [inboundSpi, outboundSpi]));
  assert.equal(spis.size, 8);
});

test('RFC 3947 §5.2: transport mode through a NAT says the original addresses, and is matched by them', () => {
  const [inside, outside, server] = [address('192.0.2.1'), address('203.0.113.9'), address('198.51.100.1')];
  const to = (local: typeof inside, remote: typeof inside) => ({
    origin: ORIGIN,
    local: selectorFromAddress(local),
    remote: selectorFromAddress(remote),
  });
  const lab = new TestPair({
    both: { gateway: { acceptsAnyIdentity: true }, vpn: { mode: 'transport' } },
    initiator: { vpn: { mode: 'transport', selectors: [to(inside, server)] } },
    responder: {
      gateway: { acceptsAnyIdentity: true, remoteAddresses: [outside] },
      vpn: { mode: 'transport', selectors: [to(server, outside)] },
    },
    nat: { initiatorSeenAs: outside },
  });
  lab.initiator.initiate();
  lab.run();
  const [first] = lab.initiator.ofKind('message').filter(({ exchange }) => exchange === 'quick');
  assert.equal(first?.notation, 'HDR*, HASH(1), SA, Ni, IDci, IDcr, NAT-OA, NAT-OA');
  const added = lab.responder.commands.find(({ kind }) => kind === 'add-inbound');
  assert.ok(added?.kind === 'add-inbound', JSON.stringify(lab.responder.ofKind('negotiation-failed')));
  assert.deepEqual(added.sa.originalAddresses, { local: server, remote: inside });
  assert.deepEqual(added.sa.selectors, { local: selectorFromAddress(server), remote: selectorFromAddress(outside) });
});

test('AH through a NAT is refused on both sides, saying why', () => {
  const nat = { initiatorSeenAs: '203.0.113.9' };
  const gateway = { acceptsAnyIdentity: true };
  const responder = { gateway: { acceptsAnyIdentity: true, remoteAddresses: [address('203.0.113.9')] } };
  const ours = new TestPair({ both: { gateway, vpn: { proposals: [AH] } }, responder, nat });
  ours.initiator.initiate();
  ours.run();
  assert.match(
    ours.initiator.ofKind('negotiation-failed')[0]?.explanation ?? '',
    /AH, which authenticates the addresses/,
  );
  assert.equal(ours.initiator.ofKind('message').filter(({ exchange }) => exchange === 'quick').length, 0);
  const theirs = new TestPair({ both: { gateway }, responder: { ...responder, vpn: { proposals: [AH] } }, nat });
  theirs.initiator.initiate();
  theirs.run();
  assert.match(
    theirs.responder.ofKind('negotiation-failed')[0]?.explanation ?? '',
    /AH, which authenticates the addresses/,
  );
});

test('RFC 2408 §3.1: with the commit bit set, nothing leaves under the new SA before CONNECTED, or a short wait', () => {
  const lab = new TestPair();
  lab.initiator.initiate();
  for (let count = 0; count < 7; count++) {
    const flight = lab.flights.shift();
    if (flight) lab.deliver(flight);
  }
  const answer = lab.flights.shift();
  assert.ok(answer);
  const committing = answer.bytes.slice();
  committing[19] = (committing[19] ?? 0) | 0x02;
  lab.deliver(answer, committing);
  const uses = () => lab.initiator.commands.filter(({ kind }) => kind === 'use-outbound').length;
  assert.equal(uses(), 0);
  lab.run();
  assert.equal(lab.responder.endpoint.ipsecSas(lab.now).length, 1);
  lab.advance('3s', true);
  assert.equal(uses(), 1);
});

test('a responder whose message 3 never comes gives its SPI and SAs back', () => {
  const lab = new TestPair();
  lab.initiator.initiate();
  for (let count = 0; count < 8; count++) {
    const flight = lab.flights.shift();
    if (flight) lab.deliver(flight);
  }
  lab.advance('70s');
  assert.equal(lab.responder.endpoint.ipsecSas(lab.now).length, 0);
  assert.deepEqual(
    lab.responder.commands.map(({ kind }) => kind),
    ['reserve-spi', 'add-inbound', 'add-outbound', 'remove', 'remove'],
  );
  const failures = lab.responder.ofKind('negotiation-failed');
  assert.equal(failures.length, 1);
  assert.equal(failures[0]?.reason, 'timed-out');
});

test('hundreds of traffic selectors come up under one ISAKMP SA', () => {
  const selectors = (isInitiator: boolean) =>
    Array.from({ length: 600 }, (_, index) => {
      const [left, right] = [selector(`10.1.${index % 256}.${index >> 8}/32`), selector('10.2.0.0/16')];
      return {
        name: `ts${index}`,
        origin: ORIGIN,
        local: isInitiator ? left : right,
        remote: isInitiator ? right : left,
      };
    });
  const lab = new TestPair({
    initiator: { vpn: { selectors: selectors(true) } },
    responder: { vpn: { selectors: selectors(false) } },
  });
  lab.initiator.initiate();
  while (lab.flights.length > 0) lab.runSome(100);
  assert.equal(lab.responder.endpoint.ipsecSas(lab.now).length, 600);
  assert.equal(lab.initiator.endpoint.ikeSas(lab.now).length, 1);
});

test('while a computation is out, the ISAKMP SA that waits for it, and all others, answer as ever', () => {
  const lab = new TestPair({ both: { vpn: { pfsGroup: 'group16' } } });
  lab.establish();
  lab.initiator.endpoint.clearIpsec(lab.now, {}, lab.initiator.out);
  lab.run();
  lab.initiator.endpoint.initiate(lab.now, 'office', lab.initiator.out);
  const [job] = lab.initiator.jobs.splice(0);
  assert.equal(job?.group, 'group16');
  assert.deepEqual(lab.flights, [], 'Quick Mode waits for its public value');
  // Meanwhile the peer asks for a pair itself, and phase 1 with it is still answered for.
  lab.responder.endpoint.initiate(lab.now, 'office', lab.responder.out);
  lab.settle();
  lab.run();
  lab.expectEstablished();
});

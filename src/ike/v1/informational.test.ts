import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concat } from '../../lib/bytes.ts';
import { seconds } from '../../lib/time.ts';
import { address } from '../../model/address.ts';
import type { DeadPeerDetectionConfig } from '../../model/gateway-config.ts';
import { policyId, spi } from '../../model/ipsec-sa.ts';
import { decodeIsakmpHeader, encodeIsakmpHeader, ISAKMP_HEADER_LENGTH } from '../../wire/isakmp-header.ts';
import { decodePayloadChain, encodePayloadChain } from '../../wire/isakmp-payloads.ts';
import { TestPair } from './two-endpoints.fixture.ts';

function withDeadPeerDetection(mode: DeadPeerDetectionConfig['mode'], immediately = false): TestPair {
  const deadPeerDetection = { mode, interval: seconds(10), threshold: 3 };
  const lab = new TestPair({
    initiator: { gateway: { deadPeerDetection }, vpn: immediately ? { establishTunnels: 'immediately' } : {} },
  });
  if (immediately) lab.advance('1s', true);
  else lab.establish();
  lab.expectEstablished();
  return lab;
}

function probes(lab: TestPair): number {
  return lab.initiator.ofKind('message').filter(({ notation }) => notation.includes('N(R-U-THERE)')).length;
}

function traffic(lab: TestPair, kind: 'inbound-traffic' | 'outbound-traffic'): void {
  const [pair] = lab.initiator.endpoint.ipsecSas(lab.now);
  assert.ok(pair);
  const number = kind === 'inbound-traffic' ? pair.inboundSpi : pair.outboundSpi;
  lab.initiator.endpoint.handleDataPlaneEvent(
    lab.now,
    { kind, spi: number, policy: policyId('office') },
    lab.initiator.out,
  );
}

test('RFC 3706 §5.4: `optimized` asks only when we send and nothing comes back', () => {
  const lab = withDeadPeerDetection('optimized');
  lab.advance('60s', true);
  assert.equal(probes(lab), 0, 'an idle tunnel is left alone');
  traffic(lab, 'outbound-traffic');
  lab.advance('11s', true);
  assert.equal(probes(lab), 1);
  const before = probes(lab);
  for (let second = 0; second < 60; second++) {
    traffic(lab, 'outbound-traffic');
    traffic(lab, 'inbound-traffic');
    lab.advance('1s', true);
  }
  assert.equal(probes(lab), before, 'traffic is proof enough');
});

test('`probe-idle-tunnel` asks also when nothing is sent, `always-send` even when traffic comes', () => {
  const idle = withDeadPeerDetection('probe-idle-tunnel');
  idle.advance('61s', true);
  assert.ok(probes(idle) >= 5);
  const always = withDeadPeerDetection('always-send');
  for (let second = 0; second < 61; second++) {
    traffic(always, 'inbound-traffic');
    always.advance('1s', true);
  }
  assert.ok(probes(always) >= 5);
});

test('a peer that answers no probe is dead: its SAs go, and a tunnel that is to be up always is tried again', () => {
  const lab = withDeadPeerDetection('always-send', true);
  lab.advance('36s');
  assert.equal(probes(lab), 3);
  assert.deepEqual(
    lab.initiator.ofKind('ike-sa-deleted').map(({ reason }) => reason),
    ['peer-dead'],
  );
  assert.deepEqual(
    lab.initiator.ofKind('ipsec-sa-deleted').map(({ reason }) => reason),
    ['peer-dead'],
  );
  lab.flights.length = 0;
  const restarted = lab.restart('responder');
  restarted.advance('70s', true);
  restarted.expectEstablished();
});

test('RFC 3706 §6.1: an old acknowledgement played again does not keep a dead peer alive', () => {
  const lab = withDeadPeerDetection('always-send');
  lab.advance('10s');
  lab.expect('--> HDR*, HASH(1), N(R-U-THERE)');
  const acknowledgement = lab.expect('<-- HDR*, HASH(1), N(R-U-THERE-ACK)');
  for (let second = 0; second < 40; second++) {
    lab.advance('1s');
    lab.flights.length = 0;
    lab.deliver(acknowledgement);
  }
  assert.equal(lab.initiator.ofKind('ike-sa-deleted')[0]?.reason, 'peer-dead');
});

test('respond-bad-spi: an unknown SPI from a peer’s address is told inside the ISAKMP SA, and acted on there', () => {
  const lab = new TestPair({
    both: { config: { respondBadSpi: 3 } },
    responder: { vpn: { establishTunnels: 'immediately' } },
  });
  lab.advance('1s', true);
  lab.expectEstablished();
  const [old] = lab.responder.endpoint.ipsecSas(lab.now);
  assert.ok(old);
  // The initiator has lost its pair, and its Delete gets lost.
  lab.initiator.endpoint.clearIpsec(lab.now, {}, lab.initiator.out);
  lab.flights.length = 0;
  const event = {
    kind: 'unknown-spi',
    spi: old.outboundSpi,
    protocol: 'esp',
    localAddress: address('192.0.2.1'),
    remoteAddress: address('198.51.100.1'),
  } as const;
  for (let count = 0; count < 5; count++)
    lab.initiator.endpoint.handleDataPlaneEvent(lab.now, event, lab.initiator.out);
  assert.equal(lab.flights.length, 1, 'rate-limited');
  lab.expect('--> HDR*, HASH(1), N(INVALID-SPI)');
  lab.run();
  lab.advance('2s', true);
  lab.expectEstablished();
  assert.notEqual(lab.responder.endpoint.ipsecSas(lab.now)[0]?.inboundSpi, old.inboundSpi);
  const stranger = { ...event, remoteAddress: address('203.0.113.1') };
  lab.initiator.endpoint.handleDataPlaneEvent(lab.now, stranger, lab.initiator.out);
  lab.expectSilence();
});

test('an SPI that the peer does not have cannot be told away by a stranger: a clear INVALID-SPI is dropped', () => {
  const lab = new TestPair({ both: { config: { respondBadSpi: 3 } } });
  lab.establish();
  const [pair] = lab.responder.endpoint.ipsecSas(lab.now);
  assert.ok(pair);
  const event = {
    kind: 'unknown-spi',
    spi: spi(pair.outboundSpi),
    protocol: 'esp',
    localAddress: address('192.0.2.1'),
    remoteAddress: address('198.51.100.1'),
  } as const;
  lab.initiator.endpoint.handleDataPlaneEvent(lab.now, event, lab.initiator.out);
  const flight = lab.flights.shift();
  assert.ok(flight);
  const clear = flight.bytes.slice();
  clear[19] = 0;
  const before = lab.responder.snapshot();
  lab.deliver(flight, clear);
  assert.equal(lab.responder.snapshot(), before);
  assert.ok(lab.responder.ofKind('message-dropped').some(({ fault }) => fault === 'not-encrypted'));
});

test('an authenticated message played again is dropped: its message ID is known', () => {
  const lab = new TestPair();
  lab.establish();
  lab.responder.endpoint.clearIpsec(lab.now, {}, lab.responder.out);
  const deletion = lab.expect('<-- HDR*, HASH(1), D');
  lab.initiator.initiate();
  lab.run();
  const before = lab.initiator.snapshot();
  lab.deliver(deletion);
  assert.equal(lab.initiator.snapshot(), before);
  assert.ok(lab.initiator.ofKind('message-dropped').some(({ fault }) => fault === 'replayed-message-id'));
});

test('RFC 3706 §5.1: a peer that has not announced it is not asked, and the operator is told once; its own questions are answered', () => {
  const deadPeerDetection = { mode: 'always-send', interval: seconds(10), threshold: 3 } as const;
  const lab = new TestPair({ both: { gateway: { deadPeerDetection } } });
  lab.initiator.initiate();
  // Unprotected, like all vendor IDs: the initiator does not see the responder's.
  lab.expect('--> HDR, SA, VID');
  const answer = lab.take('<-- HDR, SA, VID');
  lab.deliver(answer, withoutVendorIds(answer.bytes));
  for (const line of ['--> HDR, KE, Ni', '<-- HDR, KE, Nr, NAT-D, NAT-D']) lab.expect(line);
  lab.run();
  lab.expectEstablished();
  lab.advance('90s', true);
  const asked = lab.initiator.ofKind('message').filter(({ direction }) => direction === 'sent');
  assert.ok(asked.every(({ notation }) => !notation.includes('N(R-U-THERE)')));
  assert.ok(lab.responder.ofKind('message').some(({ notation }) => notation.includes('N(R-U-THERE)')));
  assert.ok(lab.initiator.ofKind('message').some(({ notation }) => notation.includes('N(R-U-THERE-ACK)')));
  const notices = lab.initiator
    .ofKind('notice')
    .filter(({ text }) => text.includes('does not announce dead peer detection'));
  assert.equal(notices.length, 1);
  lab.expectEstablished();
});

test('RFC 2408 §5.2: an exchange type that we do not speak is answered inside the SA, now and then, and changes nothing', () => {
  const lab = new TestPair();
  lab.establish();
  lab.initiator.endpoint.clearIpsec(lab.now, {}, lab.initiator.out);
  const message = lab.take('--> HDR*, HASH(1), D');
  const before = lab.responder.snapshot();
  const types = [1, 3, 6, 7, 31, 33, 34, 37, 240, 255];
  for (const type of types)
    lab.deliver(
      message,
      Uint8Array.from(message.bytes, (octet, at) => (at === 18 ? type : octet)),
    );
  // Its sender may be anyone: no flag is believed either.
  lab.deliver(
    message,
    Uint8Array.from(message.bytes, (octet, at) => (at === 18 ? 33 : at === 19 ? 0 : octet)),
  );
  assert.equal(lab.responder.snapshot(), before);
  assert.equal(
    lab.responder.ofKind('message-dropped').filter(({ fault }) => fault === 'unsupported-exchange').length,
    types.length + 1,
  );
  assert.equal(lab.flights.length, 1, 'one answer for all');
  lab.advance('10s');
  lab.deliver(
    message,
    Uint8Array.from(message.bytes, (octet, at) => (at === 18 ? 33 : octet)),
  );
  assert.equal(lab.flights.length, 2);
  lab.expect('<-- HDR*, HASH(1), N(UNSUPPORTED-EXCHANGE-TYPE)');
});

test('an error about a header, which anyone may have provoked, ends no exchange of ours', () => {
  const lab = new TestPair();
  lab.establish();
  lab.initiator.endpoint.clearIpsec(lab.now, {}, lab.initiator.out);
  const deletion = lab.expect('--> HDR*, HASH(1), D');
  lab.initiator.initiate();
  const offer = lab.take('--> HDR*, HASH(1), SA, Ni, IDci, IDcr');
  lab.deliver(
    deletion,
    Uint8Array.from(deletion.bytes, (octet, at) => (at === 18 ? 33 : octet)),
  );
  lab.expect('<-- HDR*, HASH(1), N(UNSUPPORTED-EXCHANGE-TYPE)');
  assert.deepEqual(lab.initiator.ofKind('negotiation-failed'), []);
  lab.deliver(offer);
  lab.run();
  lab.expectEstablished();
});

test('without an SA, no exchange type but those that begin one is answered', () => {
  const lab = new TestPair();
  lab.initiator.initiate();
  const first = lab.take('--> HDR, SA, VID');
  for (const type of [1, 3, 5, 6, 32, 33, 240])
    lab.deliver(
      first,
      Uint8Array.from(first.bytes, (octet, at) => (at === 18 ? type : octet)),
    );
  lab.expectSilence();
  assert.deepEqual(lab.responder.endpoint.ikeSas(lab.now), []);
});

test('RFC 3947 §4: a peer that a NAT has moved is followed once it has proven itself', () => {
  const deadPeerDetection = { mode: 'always-send', interval: seconds(10), threshold: 3 } as const;
  const lab = new TestPair({
    both: { gateway: { acceptsAnyIdentity: true } },
    initiator: { gateway: { acceptsAnyIdentity: true, deadPeerDetection } },
    responder: { gateway: { acceptsAnyIdentity: true, remoteAddresses: [address('203.0.113.9')] } },
    nat: { initiatorSeenAs: '203.0.113.9' },
  });
  lab.establish();
  lab.advance('10s');
  const probe = lab.flights.shift();
  assert.ok(probe);
  const moved = {
    local: { address: address('198.51.100.1'), port: 4500 },
    remote: { address: address('203.0.113.77'), port: 31_000 },
  };
  const forged = probe.bytes.slice();
  forged[forged.length - 1] = (forged[forged.length - 1] ?? 0) ^ 1;
  lab.responder.endpoint.handleMessage(lab.now, moved, forged, lab.responder.out);
  assert.equal(lab.responder.endpoint.ikeSas(lab.now)[0]?.path.remote.port, 14_500);
  lab.responder.endpoint.handleMessage(lab.now, moved, probe.bytes, lab.responder.out);
  assert.deepEqual(lab.responder.endpoint.ikeSas(lab.now)[0]?.path, moved);
  assert.ok(lab.responder.commands.some(({ kind }) => kind === 'move-path'));
  assert.deepEqual(lab.responder.endpoint.ipsecSas(lab.now)[0]?.path, moved);
});

function withoutVendorIds(message: Uint8Array): Uint8Array {
  const header = decodeIsakmpHeader(message);
  assert.ok(header.ok);
  const body = message.subarray(ISAKMP_HEADER_LENGTH);
  const payloads = decodePayloadChain(header.value.nextPayload, body, { encrypted: false });
  assert.ok(payloads.ok);
  const { bytes } = encodePayloadChain(payloads.value.filter(({ kind }) => kind !== 'vendor-id'));
  return concat(encodeIsakmpHeader({ ...header.value, length: ISAKMP_HEADER_LENGTH + bytes.length }), bytes);
}

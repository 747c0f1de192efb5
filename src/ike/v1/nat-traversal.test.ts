import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concat } from '../../lib/bytes.ts';
import { address } from '../../model/address.ts';
import type { IkeMessageEvent } from '../../model/ike-event.ts';
import {
  decodeIsakmpHeader,
  encodeIsakmpHeader,
  ISAKMP_HEADER_LENGTH,
  PAYLOAD_TYPE,
} from '../../wire/isakmp-header.ts';
import { type DecodedPayload, decodePayloadChain, encodePayloadChain } from '../../wire/isakmp-payloads.ts';
import { recognizeVendorId } from '../../wire/vendor-ids.ts';
import { NAT_TRAVERSAL_VERSIONS, type NatTraversalVersion } from './nat-traversal.ts';
import { type Flight, type PairOptions, TestPair } from './two-endpoints.fixture.ts';

const BEHIND_NAT: PairOptions = {
  both: { gateway: { acceptsAnyIdentity: true } },
  responder: { gateway: { remoteAddresses: [address('203.0.113.9')] } },
  nat: { initiatorSeenAs: '203.0.113.9' },
};

for (const version of NAT_TRAVERSAL_VERSIONS) {
  test(`RFC 3947 §3.1: a peer that announces only ${version} is spoken to in its numbers, and goes through the NAT`, () => {
    const lab = new TestPair(BEHIND_NAT);
    lab.initiator.initiate();
    const offer = lab.take('--> HDR, SA, VID');
    lab.deliver(offer, announcing(offer, version));
    const answer = lab.expect('<-- HDR, SA, VID');
    assert.deepEqual(announced(answer), [version], 'the responder answers with the one that it has chosen');
    const isDraft = version !== 'rfc-3947';
    for (const line of ['--> HDR, KE, Ni, NAT-D, NAT-D', '<-- HDR, KE, Nr, NAT-D, NAT-D']) {
      const types = payloadsOf(lab.expect(line)).flatMap((payload) =>
        payload.kind === 'nat-discovery' ? [payload.payloadType] : [],
      );
      const expected = isDraft ? PAYLOAD_TYPE['nat-discovery-draft'] : PAYLOAD_TYPE['nat-discovery'];
      assert.deepEqual(types, [expected, expected]);
    }
    lab.run();
    lab.expectEstablished();
    const quick = lab.initiator.ofKind('message').find(({ exchange, number }) => exchange === 'quick' && number === 1);
    assert.match(saDetail(quick), isDraft ? /draft/ : /udp/i);
    for (const side of [lab.initiator, lab.responder]) {
      const [pair] = side.endpoint.ipsecSas(lab.now);
      assert.deepEqual([pair?.isUdpEncapsulated, pair?.path.local.port], [true, 4500]);
    }
  });
}

test('a peer that announces no NAT traversal gets no NAT-D, and no UDP around IPsec', () => {
  const lab = new TestPair();
  lab.initiator.initiate();
  const offer = lab.take('--> HDR, SA, VID');
  lab.deliver(offer, announcing(offer, undefined));
  for (const line of ['<-- HDR, SA, VID', '--> HDR, KE, Ni', '<-- HDR, KE, Nr']) lab.expect(line);
  lab.run();
  lab.expectEstablished();
  for (const side of [lab.initiator, lab.responder])
    assert.equal(side.endpoint.ipsecSas(lab.now)[0]?.isUdpEncapsulated, false);
});

/** The first message, with all versions but this one left out: nothing protects vendor IDs. */
function announcing(flight: Flight, version: NatTraversalVersion | undefined): Uint8Array {
  const header = decodeIsakmpHeader(flight.bytes);
  assert.ok(header.ok);
  const versions: readonly (string | undefined)[] = NAT_TRAVERSAL_VERSIONS;
  const kept = payloadsOf(flight).filter((payload) => {
    const name = payload.kind === 'vendor-id' ? recognizeVendorId(payload.data) : undefined;
    return name === undefined || name === version || !versions.includes(name);
  });
  const { firstType, bytes } = encodePayloadChain(kept);
  const length = ISAKMP_HEADER_LENGTH + bytes.length;
  return concat(encodeIsakmpHeader({ ...header.value, nextPayload: firstType, length }), bytes);
}

function announced(flight: Flight): readonly (string | undefined)[] {
  const versions: readonly (string | undefined)[] = NAT_TRAVERSAL_VERSIONS;
  const names = payloadsOf(flight).map((payload) =>
    payload.kind === 'vendor-id' ? recognizeVendorId(payload.data) : undefined,
  );
  return names.filter((name) => name !== undefined && versions.includes(name));
}

function payloadsOf(flight: Flight): readonly DecodedPayload[] {
  const header = decodeIsakmpHeader(flight.bytes);
  assert.ok(header.ok);
  const body = flight.bytes.subarray(ISAKMP_HEADER_LENGTH);
  const payloads = decodePayloadChain(header.value.nextPayload, body, { encrypted: false });
  assert.ok(payloads.ok);
  return payloads.value;
}

function saDetail(event: IkeMessageEvent | undefined): string {
  return event?.payloads.find(({ name }) => name === 'SA')?.detail ?? '';
}

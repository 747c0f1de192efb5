// Every payload that IKEv1 can say, drawn at random: for round trips and as seeds for mutation.

import fc from 'fast-check';
import { addressFromOctets } from '../../src/model/address.ts';
import type { Attribute } from '../../src/wire/isakmp-attributes.ts';
import { PAYLOAD_TYPE } from '../../src/wire/isakmp-header.ts';
import type { Payload } from '../../src/wire/isakmp-payloads.ts';
import type { Proposal, SaPayload, Transform } from '../../src/wire/isakmp-sa-payload.ts';

const uint8 = fc.integer({ min: 0, max: 0xff });
const uint16 = fc.integer({ min: 0, max: 0xffff });
const uint32 = fc.integer({ min: 0, max: 0xffffffff });
const octets = fc.uint8Array({ maxLength: 48 });
const someOctets = fc.uint8Array({ minLength: 1, maxLength: 300 });

const attribute: fc.Arbitrary<Attribute> = record({
  type: fc.integer({ min: 0, max: 0x7fff }),
  value: fc.oneof(uint16, octets),
});

const attributes = fc.array(attribute, { maxLength: 8 });

const transform: fc.Arbitrary<Transform> = record({ number: uint8, transformId: uint8, attributes });

const proposal: fc.Arbitrary<Proposal> = record({
  number: uint8,
  protocolId: uint8,
  spi: fc.uint8Array({ maxLength: 16 }),
  transforms: fc.array(transform, { maxLength: 5 }),
});

const sa: fc.Arbitrary<SaPayload> = fc.oneof(
  record({
    kind: fc.constant('sa' as const),
    doi: fc.constant(1),
    situation: fc.constant(1),
    proposals: fc.array(proposal, { maxLength: 4 }),
    undecoded: fc.constant(new Uint8Array()),
  }),
  record({
    kind: fc.constant('sa' as const),
    doi: fc.constant(1),
    situation: fc.integer({ min: 2, max: 7 }),
    proposals: fc.constant([]),
    undecoded: octets,
  }),
);

const deletion = fc.integer({ min: 1, max: 16 }).chain((spiSize) =>
  record({
    kind: fc.constant('delete' as const),
    doi: uint32,
    protocolId: uint8,
    spiSize: fc.constant(spiSize),
    spis: fc.array(fc.uint8Array({ minLength: spiSize, maxLength: spiSize }), { maxLength: 6 }),
  }),
);

const originalAddress = fc.oneof(
  record({
    kind: fc.constant('nat-original-address' as const),
    payloadType: natTypes('nat-original-address', 'nat-original-address-draft'),
    idType: fc.constant(1),
    address: fc.uint8Array({ minLength: 4, maxLength: 4 }).map(addressFromOctets),
  }),
  record({
    kind: fc.constant('nat-original-address' as const),
    payloadType: natTypes('nat-original-address', 'nat-original-address-draft'),
    idType: fc.constant(5),
    address: fc.uint8Array({ minLength: 16, maxLength: 16 }).map(addressFromOctets),
  }),
);

const knownTypes = new Set<number>(Object.values(PAYLOAD_TYPE));
const unknownType = uint8.filter((type) => !knownTypes.has(type) || type === 2 || type === 3);

/** Any payload that the encoder can write and the decoder must read back. */
export const anyPayload: fc.Arbitrary<Payload> = fc.oneof(
  sa,
  ...(['key-exchange', 'hash', 'signature', 'vendor-id'] as const).map((kind) =>
    record({ kind: fc.constant(kind), data: someOctets }),
  ),
  record({ kind: fc.constant('nonce' as const), data: fc.uint8Array({ minLength: 8, maxLength: 256 }) }),
  record({
    kind: fc.constant('identification' as const),
    idType: uint8,
    protocolId: uint8,
    port: uint16,
    data: octets,
  }),
  record({ kind: fc.constant('certificate' as const), encoding: uint8, data: octets }),
  record({ kind: fc.constant('certificate-request' as const), encoding: uint8, data: octets }),
  record({
    kind: fc.constant('notification' as const),
    doi: uint32,
    protocolId: uint8,
    spi: fc.uint8Array({ maxLength: 16 }),
    notifyType: uint16,
    data: octets,
  }),
  deletion,
  record({ kind: fc.constant('attributes' as const), type: uint8, identifier: uint16, attributes }),
  record({
    kind: fc.constant('nat-discovery' as const),
    payloadType: natTypes('nat-discovery', 'nat-discovery-draft'),
    data: octets,
  }),
  originalAddress,
  record({
    kind: fc.constant('fragment' as const),
    fragmentId: uint16,
    number: uint8,
    isLast: fc.boolean(),
    data: someOctets,
  }),
  record({ kind: fc.constant('unknown' as const), type: unknownType, data: octets }),
);

/** A message's worth of payloads. */
export const anyPayloads: fc.Arbitrary<Payload[]> = fc.array(anyPayload, { maxLength: 8 });

/** With the usual prototype, so that deep equality can be strict. */
function record<T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record<T>(model, { noNullPrototype: true });
}

function natTypes(...names: (keyof typeof PAYLOAD_TYPE)[]): fc.Arbitrary<number> {
  return fc.constantFrom(...names.map((name) => PAYLOAD_TYPE[name]));
}

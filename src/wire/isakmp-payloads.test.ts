import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { anyPayloads } from '../../test/fuzz/payload-arbitraries.ts';
import { concat, fromHex, toHex } from '../lib/bytes.ts';
import { decodeIsakmpHeader, EXCHANGE_TYPE, ISAKMP_HEADER_LENGTH, NO_FLAGS, PAYLOAD_TYPE } from './isakmp-header.ts';
import {
  type DecodedPayload,
  decodePayloadChain,
  encodeMessage,
  encodePayloadBody,
  encodePayloadChain,
  type Payload,
  rawBody,
  rawOctetsFrom,
} from './isakmp-payloads.ts';

const SA_BODY =
  '00000001000000010000002c00010001000000240001000080010007800e0100800200048003000180040000800b0001800c7080';
const CLEAR = { encrypted: false };

const FIELDS = {
  initiatorCookie: fromHex('1122334455667788'),
  responderCookie: fromHex('99aabbccddeeff00'),
  exchangeType: EXCHANGE_TYPE['identity-protection'],
  flags: NO_FLAGS,
  messageId: 0,
};

test('RFC 2408 §3.2: every chain of payloads decodes to what was encoded, and encodes to the same octets', () => {
  fc.assert(
    fc.property(anyPayloads, (payloads) => {
      const encoded = encodePayloadChain(payloads);
      const { firstType, bytes, lengths } = encoded;
      const decoded = decode(firstType, bytes);
      assert.deepEqual(decoded.map(withoutRaw), payloads);
      assert.deepEqual(encodePayloadChain(decoded), encoded);
      assert.deepEqual(
        decoded.map(({ raw }) => raw.length),
        lengths,
      );
      assert.deepEqual(rawOctetsFrom(decoded, 0), bytes);
      for (const [index, payload] of decoded.entries()) {
        assert.deepEqual(rawBody(payload), encodePayloadBody(payloads[index] ?? payload));
      }
    }),
    { numRuns: 500 },
  );
});

test('no message cut short, and none with one octet changed, makes the decoder throw or read on for ever', () => {
  fc.assert(
    fc.property(anyPayloads, fc.nat(255), (payloads, difference) => {
      const message = encodeMessage(FIELDS, payloads);
      for (let length = 0; length < message.length; length++) decodeMessage(message.subarray(0, length));
      for (let offset = 0; offset < message.length; offset++) {
        const changed = message.slice();
        changed[offset] = (changed[offset] ?? 0) ^ (difference || 0xff);
        decodeMessage(changed);
      }
    }),
    { numRuns: 30 },
  );
});

test('a clear body that is cut anywhere is malformed', () => {
  const payloads: Payload[] = [
    { kind: 'key-exchange', data: new Uint8Array(8) },
    { kind: 'hash', data: new Uint8Array(4) },
  ];
  const { firstType, bytes } = encodePayloadChain(payloads);
  for (let length = 0; length < bytes.length; length++) {
    assert.equal(decodePayloadChain(firstType, bytes.subarray(0, length), CLEAR).ok, false, `cut to ${length} octets`);
  }
});

test('RFC 2409 Appendix B: octets after the last payload are padding in an encrypted body, and an error in a clear one', () => {
  const { firstType, bytes } = encodePayloadChain([{ kind: 'hash', data: new Uint8Array(4) }]);
  const padded = concat(bytes, new Uint8Array(7));
  const encrypted = decodePayloadChain(firstType, padded, { encrypted: true });
  assert.ok(encrypted.ok);
  assert.deepEqual(rawOctetsFrom(encrypted.value, 0), bytes, 'the hash does not cover padding (RFC 2409 §5.5)');
  assert.equal(fieldOf(firstType, padded), 'octets after the last payload');
});

test('RFC 2408 §3.3: an attribute keeps its form, short or long', () => {
  const short = chainOf([{ type: 12, value: 28_800 }]);
  const long = chainOf([{ type: 12, value: fromHex('00007080') }]);
  assert.ok(short.endsWith('800c7080'));
  assert.ok(long.endsWith('000c000400007080'));
});

test('RFC 2408 §3.4: a security association decodes into its proposals, transforms and attributes', () => {
  const [sa] = decode(PAYLOAD_TYPE.sa, chain(SA_BODY));
  assert.ok(sa?.kind === 'sa');
  const [proposal] = sa.proposals;
  assert.equal(sa.proposals.length, 1);
  assert.equal(proposal?.transforms[0]?.attributes.length, 7);
  assert.deepEqual(proposal?.transforms[0]?.attributes[1], { type: 14, value: 256 });
  assert.equal(toHex(rawBody(sa)), SA_BODY, 'SAi_b is the body as it came');
});

test('RFC 2407 §4.6.1: another DOI or situation is kept unread, so that it can be answered', () => {
  const [otherDoi] = decode(PAYLOAD_TYPE.sa, chain('0000000200000001ffff'));
  assert.ok(otherDoi?.kind === 'sa' && otherDoi.doi === 2 && otherDoi.undecoded.length === 6);
  const [secrecy] = decode(PAYLOAD_TYPE.sa, chain('0000000100000003ffff'));
  assert.ok(secrecy?.kind === 'sa' && secrecy.situation === 3 && secrecy.undecoded.length === 2);
  assert.deepEqual(encodePayloadChain([secrecy]).bytes, chain('0000000100000003ffff'));
});

test('RFC 2408 §2.5.2: reserved fields that are not zero are tolerated', () => {
  const [sa] = decode(
    PAYLOAD_TYPE.sa,
    fromHex(`00ff${(SA_BODY.length / 2 + 4).toString(16).padStart(4, '0')}${SA_BODY}`),
  );
  assert.equal(sa?.kind, 'sa');
});

test('CVE-2005-0398, CVE-2004-0218: a payload whose length is below its header or beyond the message stops the walk', () => {
  for (const length of ['0000', '0001', '0003']) {
    assert.equal(fieldOf(PAYLOAD_TYPE.hash, fromHex(`0800${length}`)), 'payload length');
  }
  assert.equal(fieldOf(PAYLOAD_TYPE.hash, fromHex('0000000900000000')), 'payload length');
});

test('CVE-2004-0220: a certificate request shorter than its fixed part is malformed', () => {
  assert.equal(fieldOf(PAYLOAD_TYPE['certificate-request'], chain('')), 'certificate type');
  assert.equal(fieldOf(PAYLOAD_TYPE.certificate, chain('')), 'certificate encoding');
});

test('CVE-2009-1574, CVE-2016-1287: a fragment without data, or shorter than its header, is malformed', () => {
  assert.equal(fieldOf(PAYLOAD_TYPE.fragment, chain('00010101')), 'fragment data');
  for (const body of ['', '00', '0001', '000101']) {
    assert.match(fieldOf(PAYLOAD_TYPE.fragment, chain(body)) ?? 'none', /^fragment/);
  }
});

test('tcpdump:isakmp-delete-segfault: a Delete payload with a wrong SPI count is malformed, and makes no list', () => {
  assert.equal(fieldOf(PAYLOAD_TYPE.delete, chain('000000010304ffff00000000')), 'SPI count');
  assert.equal(fieldOf(PAYLOAD_TYPE.delete, chain('00000001030400000000')), 'SPI count');
  const [empty] = decode(PAYLOAD_TYPE.delete, chain('000000010300ffff'));
  assert.ok(empty?.kind === 'delete' && empty.spis.length === 0);
});

test('tcpdump:isakmp-ikev1_n_print-oobr: a notification shorter than its SPI size is malformed', () => {
  assert.equal(fieldOf(PAYLOAD_TYPE.notification, chain('0000000103100018aabb')), 'SPI');
});

test('tcpdump:isakmpv1-attr-oobr: an attribute that reaches past its transform is malformed', () => {
  const body = '00000001000000010000001800010001000000100001000000010040aabbccdd';
  assert.equal(fieldOf(PAYLOAD_TYPE.sa, chain(body)), 'attribute value');
});

test('tcpdump:isakmp-no-none-np: a last payload that announces another is malformed', () => {
  assert.equal(fieldOf(PAYLOAD_TYPE.hash, fromHex('0800000500')), 'next payload');
});

test('CVE-2022-23094: nested lengths that do not fit their parents are malformed', () => {
  const valid = chain(SA_BODY);
  // Payload, proposal and transform length, each made one longer and one shorter.
  for (const offset of [3, 15, 23]) {
    for (const difference of [-1, 1]) {
      const bytes = valid.slice();
      bytes[offset] = (bytes[offset] ?? 0) + difference;
      assert.notEqual(fieldOf(PAYLOAD_TYPE.sa, bytes), undefined, `octet ${offset} changed by ${difference}`);
    }
  }
});

test('PROTOS-c09-ISAKMP: transform counts and SPI sizes that are not true are malformed', () => {
  const valid = chain(SA_BODY);
  for (const [offset, value] of [
    [18, 255],
    [19, 0],
    [19, 2],
    [19, 255],
    [12, PAYLOAD_TYPE.hash],
    [20, PAYLOAD_TYPE.proposal],
  ] as const) {
    const bytes = valid.slice();
    bytes[offset] = value;
    assert.notEqual(fieldOf(PAYLOAD_TYPE.sa, bytes), undefined, `octet ${offset} is ${value}`);
  }
});

test('suricata:ikev1-duplicate-proposals: at most 64 proposals are read, and each of them once', () => {
  const proposal = { number: 1, protocolId: 1, spi: new Uint8Array(), transforms: [] };
  const of = (count: number): Payload => ({
    kind: 'sa',
    doi: 1,
    situation: 1,
    proposals: Array.from({ length: count }, () => proposal),
    undecoded: new Uint8Array(),
  });
  assert.equal(fieldOf(PAYLOAD_TYPE.sa, encodePayloadChain([of(64)]).bytes), undefined);
  assert.equal(fieldOf(PAYLOAD_TYPE.sa, encodePayloadChain([of(65)]).bytes), 'proposal count');
});

test('CVE-2026-12413: a message has at most 128 payloads', () => {
  const of = (count: number): Uint8Array =>
    encodePayloadChain(Array.from({ length: count }, (): Payload => ({ kind: 'vendor-id', data: new Uint8Array() })))
      .bytes;
  assert.equal(fieldOf(PAYLOAD_TYPE['vendor-id'], of(128)), undefined);
  assert.equal(fieldOf(PAYLOAD_TYPE['vendor-id'], of(129)), 'payload count');
});

test('libreswan:ikev1-impair-07-send-empty-ike-ke: a KE payload with an empty body is malformed', () => {
  assert.equal(fieldOf(PAYLOAD_TYPE['key-exchange'], chain('')), 'public value');
});

test('RFC 2409 §5: a nonce has 8 to 256 octets', () => {
  for (const [length, field] of [
    [7, 'nonce length'],
    [8, undefined],
    [256, undefined],
    [257, 'nonce length'],
  ] as const) {
    assert.equal(fieldOf(PAYLOAD_TYPE.nonce, chain('00'.repeat(length))), field, `${length} octets`);
  }
});

test('RFC 3947 §5.2: an original address has the length of its type', () => {
  const [original] = decode(PAYLOAD_TYPE['nat-original-address'], chain('010000000a000001'));
  assert.ok(original?.kind === 'nat-original-address' && original.address === '10.0.0.1');
  assert.equal(fieldOf(21, chain('010000000a0000')), 'original address');
  assert.equal(fieldOf(21, chain('050000000a000001')), 'original address');
  assert.equal(fieldOf(21, chain('020000000a000001')), 'identification type');
});

function decode(firstType: number, bytes: Uint8Array): readonly DecodedPayload[] {
  const decoded = decodePayloadChain(firstType, bytes, CLEAR);
  assert.ok(decoded.ok, decoded.ok ? '' : decoded.error.toString());
  return decoded.value;
}

/** Which field is malformed; `undefined` if none is. */
function fieldOf(firstType: number, bytes: Uint8Array): string | undefined {
  const decoded = decodePayloadChain(firstType, bytes, CLEAR);
  return decoded.ok ? undefined : decoded.error.field;
}

function decodeMessage(message: Uint8Array): void {
  const header = decodeIsakmpHeader(message);
  if (header.ok) decodePayloadChain(header.value.nextPayload, message.subarray(ISAKMP_HEADER_LENGTH), CLEAR);
  // The header's own checks must not hide the chain from this test.
  decodePayloadChain(message[16] ?? 0, message.subarray(ISAKMP_HEADER_LENGTH), { encrypted: true });
}

/** One payload, the last of its chain, with this body in hexadecimal. */
function chain(body: string): Uint8Array {
  const bytes = fromHex(`00000000${body}`);
  new DataView(bytes.buffer).setUint16(2, bytes.length);
  return bytes;
}

function chainOf(attributes: readonly { type: number; value: number | Uint8Array }[]): string {
  const { firstType, bytes } = encodePayloadChain([{ kind: 'attributes', type: 1, identifier: 0, attributes }]);
  const [decoded] = decode(firstType, bytes);
  assert.ok(decoded?.kind === 'attributes');
  assert.deepEqual(decoded.attributes, attributes);
  return toHex(bytes);
}

function withoutRaw({ raw, ...payload }: DecodedPayload): unknown {
  assert.ok(raw.length >= 4);
  return payload;
}

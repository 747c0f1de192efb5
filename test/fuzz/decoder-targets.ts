// Every decoder, with what must hold whatever the octets are: it does not throw, and what it understood can be said again.

import assert from 'node:assert/strict';
import fc from 'fast-check';
import { describeCapture } from '../../src/diagnosis/capture.ts';
import { concat } from '../../src/lib/bytes.ts';
import { address } from '../../src/model/address.ts';
import { ANY_PORT } from '../../src/model/traffic-selector.ts';
import { formatDistinguishedName } from '../../src/wire/distinguished-name.ts';
import { decodeIpPacket, decodeUdpDatagram } from '../../src/wire/ip-packet.ts';
import {
  decodeIsakmpHeader,
  EXCHANGE_TYPE,
  encodeIsakmpHeader,
  ISAKMP_HEADER_LENGTH,
  NO_FLAGS,
} from '../../src/wire/isakmp-header.ts';
import {
  decodeIdentity,
  decodeSelector,
  encodeIdentity,
  encodeSelector,
  ID_TYPE,
} from '../../src/wire/isakmp-identity.ts';
import { notation, summarizePayloads } from '../../src/wire/isakmp-notation.ts';
import {
  decodePayloadChain,
  encodeMessage,
  encodePayloadChain,
  type IdentificationPayload,
  rawBody,
} from '../../src/wire/isakmp-payloads.ts';
import { findIpPacket, LINK_TYPE } from '../../src/wire/link-layer.ts';
import { encodePcapng } from '../../src/wire/pcap.ts';
import { classifyUdp4500 } from '../../src/wire/udp-encapsulation.ts';
import { recognizeVendorId } from '../../src/wire/vendor-ids.ts';
import type { FuzzTarget } from './fuzzer.ts';
import { anyPayloads } from './payload-arbitraries.ts';

const SEED = 20_240_401;
const FIELDS = {
  initiatorCookie: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8),
  responderCookie: new Uint8Array(8),
  exchangeType: EXCHANGE_TYPE['identity-protection'],
  flags: NO_FLAGS,
  messageId: 0,
};

const MESSAGES = fc.sample(anyPayloads, { seed: SEED, numRuns: 40 }).map((payloads) => encodeMessage(FIELDS, payloads));

/** Whole ISAKMP messages, as they come from UDP. */
const isakmpMessage: FuzzTarget = {
  name: 'isakmp-message',
  shortRuns: 12_000,
  seeds: () => MESSAGES,
  repair: (input) => {
    const message = input.slice();
    if (message.length >= ISAKMP_HEADER_LENGTH) new DataView(message.buffer).setUint32(24, message.length);
    return message;
  },
  run: (input) => {
    classifyUdp4500(input);
    const header = decodeIsakmpHeader(input);
    if (!header.ok) return;
    assert.equal(encodeIsakmpHeader(header.value).length, ISAKMP_HEADER_LENGTH);
    checkChain(header.value.nextPayload, input.subarray(ISAKMP_HEADER_LENGTH), header.value.flags.encryption);
  },
};

/** Payload chains as decryption with a wrong key gives them: the first octet is the first type. */
const payloadChain: FuzzTarget = {
  name: 'payload-chain',
  shortRuns: 15_000,
  seeds: () => MESSAGES.map((message) => concat(message.subarray(16, 17), message.subarray(ISAKMP_HEADER_LENGTH))),
  run: (input) => checkChain(input[0] ?? 0, input.subarray(1), true),
};

const identification: FuzzTarget = {
  name: 'identification',
  shortRuns: 20_000,
  seeds: () =>
    [
      encodeIdentity({ kind: 'address', address: address('192.0.2.1') }),
      encodeIdentity({ kind: 'fqdn', name: 'gw.example.net' }),
      encodeIdentity({ kind: 'key-id', id: Uint8Array.of(1, 2, 3) }),
      ...(['192.0.2.7', '2001:db8::'] as const).map((first) =>
        encodeSelector({ addresses: { first: address(first), last: address(first) }, protocol: 6, ports: ANY_PORT }),
      ),
      {
        kind: 'identification',
        idType: ID_TYPE.ID_IPV4_ADDR_SUBNET,
        protocolId: 0,
        port: 0,
        data: new Uint8Array(8),
      } as const,
      {
        kind: 'identification',
        idType: ID_TYPE.ID_IPV6_ADDR_RANGE,
        protocolId: 0,
        port: 0,
        data: new Uint8Array(32),
      } as const,
    ].map((payload) => concat(Uint8Array.of(payload.idType), payload.data)),
  run: (input) => {
    const idType = input[0] ?? 0;
    const payload: IdentificationPayload = {
      kind: 'identification',
      idType,
      protocolId: 6,
      port: 80,
      data: input.subarray(1),
    };
    const identity = decodeIdentity(payload);
    if (identity.ok && identity.value.kind !== 'selector') {
      assert.deepEqual(encodeIdentity(identity.value).data, payload.data, 'an identity is its octets');
    }
    const selector = decodeSelector(payload);
    if (selector.ok) assert.deepEqual(decodeSelector(encodeSelector(selector.value)), selector);
    formatDistinguishedName(input);
    recognizeVendorId(input);
  },
};

const CAPTURED = MESSAGES.slice(0, 4).map((message) => {
  const header = Uint8Array.of(0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2);
  const packet = concat(header, Uint8Array.of(0x01, 0xf4, 0x01, 0xf4, 0, 0, 0, 0), message);
  const view = new DataView(packet.buffer);
  view.setUint16(2, packet.length);
  view.setUint16(24, packet.length - header.length);
  return packet;
});

const capture: FuzzTarget = {
  name: 'capture',
  shortRuns: 5_000,
  seeds: () => [
    encodePcapng(
      LINK_TYPE.raw,
      CAPTURED.map((data, timestamp) => ({ timestamp, data })),
    ),
  ],
  run: (input) => {
    const described = describeCapture(input);
    if (described.ok)
      assert.equal(hasControlCharacters(described.value), false, 'what strangers wrote reaches a terminal');
  },
};

const ipPacket: FuzzTarget = {
  name: 'ip-packet',
  shortRuns: 20_000,
  seeds: () => [
    ...CAPTURED,
    Uint8Array.of(
      0x60,
      0,
      0,
      0,
      0,
      16,
      0,
      64,
      ...new Uint8Array(32),
      17,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
      1,
      244,
      1,
      244,
      0,
      8,
      0,
      0,
    ),
  ],
  run: (input) => {
    for (const linkType of Object.values(LINK_TYPE)) findIpPacket(linkType, input);
    const packet = decodeIpPacket(input);
    if (!packet.ok) return;
    assert.ok(packet.value.payload.length < input.length);
    decodeUdpDatagram(packet.value);
  },
};

export const DECODER_TARGETS: readonly FuzzTarget[] = [isakmpMessage, payloadChain, identification, capture, ipPacket];

/** What is understood of a chain must be written the same way again, reserved octets aside: so a second round must change nothing. */
function checkChain(firstType: number, body: Uint8Array, encrypted: boolean): void {
  const payloads = decodePayloadChain(firstType, body, { encrypted });
  if (!payloads.ok) return;
  let octets = 0;
  for (const payload of payloads.value) octets += rawBody(payload).length + 4;
  assert.ok(octets <= body.length, 'payloads do not overlap');
  const encoded = encodePayloadChain(payloads.value);
  assert.equal(encoded.firstType, payloads.value.length === 0 ? 0 : firstType);
  const again = decodePayloadChain(encoded.firstType, encoded.bytes, { encrypted: false });
  assert.ok(again.ok, 'what was decoded and encoded decodes');
  assert.deepEqual(encodePayloadChain(again.value), encoded);
  assert.equal(encoded.bytes.length, octets, 'and has the same length');
  const place = { exchange: 'quick', number: 1, sender: 'initiator', isEncrypted: encrypted } as const;
  const shown = notation(place, payloads.value) + JSON.stringify(summarizePayloads(payloads.value));
  assert.equal(hasControlCharacters(shown), false, 'what strangers wrote reaches a terminal');
}

function hasControlCharacters(text: string): boolean {
  return /[^\P{Cc}\n]/u.test(text);
}

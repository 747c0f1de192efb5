import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromHex, utf8 } from '../lib/bytes.ts';
import { type MessagePlace, notation, summarizePayloads } from './isakmp-notation.ts';
import { NOTIFY_TYPE } from './isakmp-notify.ts';
import type { Payload } from './isakmp-payloads.ts';
import { VENDOR_ID } from './vendor-ids.ts';

const SECRET = utf8('correct horse');
const SA: Payload = {
  kind: 'sa',
  doi: 1,
  situation: 1,
  undecoded: new Uint8Array(),
  proposals: [
    {
      number: 1,
      protocolId: 1,
      spi: new Uint8Array(),
      transforms: [
        {
          number: 1,
          transformId: 1,
          attributes: [
            { type: 1, value: 7 },
            { type: 14, value: 256 },
            { type: 2, value: 4 },
            { type: 4, value: 14 },
            { type: 3, value: 1 },
            { type: 11, value: 1 },
            { type: 12, value: fromHex('00007080') },
          ],
        },
      ],
    },
  ],
};
const ESP_SA: Payload = {
  ...SA,
  proposals: [
    {
      number: 1,
      protocolId: 3,
      spi: fromHex('c0ffee01'),
      transforms: [
        {
          number: 1,
          transformId: 12,
          attributes: [
            { type: 6, value: 128 },
            { type: 5, value: 2 },
            { type: 4, value: 3 },
            { type: 3, value: 19 },
            { type: 1, value: 1 },
            { type: 2, value: 3600 },
            { type: 1, value: 2 },
            { type: 2, value: 4096 },
          ],
        },
      ],
    },
  ],
};
const VID: Payload = { kind: 'vendor-id', data: VENDOR_ID['rfc-3947'] };
const KE: Payload = { kind: 'key-exchange', data: SECRET };
const NONCE: Payload = { kind: 'nonce', data: SECRET };
const HASH: Payload = { kind: 'hash', data: SECRET };
const NAT_D: Payload = { kind: 'nat-discovery', payloadType: 20, data: SECRET };
const ID: Payload = { kind: 'identification', idType: 4, protocolId: 6, port: 443, data: fromHex('0a010000ffff0000') };

test('RFC 2409 §5: messages are written as the standard writes them', () => {
  const initiator = { sender: 'initiator', isEncrypted: false } as const;
  const responder = { sender: 'responder', isEncrypted: false } as const;
  const cases: readonly [MessagePlace, Payload[], string][] = [
    [{ exchange: 'main', number: 1, ...initiator }, [SA, VID, VID, VID], 'HDR, SA, VID'],
    [{ exchange: 'main', number: 4, ...responder }, [KE, NONCE, NAT_D, NAT_D], 'HDR, KE, Nr, NAT-D, NAT-D'],
    [{ exchange: 'main', number: 5, ...initiator, isEncrypted: true }, [ID, HASH], 'HDR*, IDii, HASH_I'],
    [{ exchange: 'aggressive', number: 2, ...responder }, [SA, KE, NONCE, ID, HASH], 'HDR, SA, KE, Nr, IDir, HASH_R'],
    [
      { exchange: 'quick', number: 1, ...initiator, isEncrypted: true },
      [HASH, SA, NONCE, KE, ID, ID],
      'HDR*, HASH(1), SA, Ni, KE, IDci, IDcr',
    ],
    [{ exchange: 'quick', number: 3, ...initiator, isEncrypted: true }, [HASH], 'HDR*, HASH(3)'],
    [
      { exchange: 'informational', number: 0, ...initiator, isEncrypted: true },
      [HASH, notification(NOTIFY_TYPE['R-U-THERE']), notification(40_000)],
      'HDR*, HASH(1), N(R-U-THERE), N(40000)',
    ],
  ];
  for (const [place, payloads, expected] of cases) assert.equal(notation(place, payloads), expected);
});

test('a security association is described in the words of the configuration', () => {
  assert.equal(detailOf(SA), 'isakmp pre-shared-keys aes-256-cbc sha-256 group14 28800s');
  assert.equal(detailOf(ESP_SA), 'esp aes-128-cbc hmac-sha1-96 group19 udp-tunnel 3600s 4096kB');
});

test('an identity, a notification, a vendor ID and a fragment say what they hold', () => {
  assert.equal(detailOf(ID), 'ID_IPV4_ADDR_SUBNET 10.1.0.0/16 proto 6 port 443');
  assert.equal(detailOf(notification(14)), 'NO-PROPOSAL-CHOSEN for esp SPI c0ffee01');
  assert.equal(detailOf(VID), 'rfc-3947');
  const spis = [fromHex('c0ffee01')];
  assert.equal(detailOf({ kind: 'delete', doi: 1, protocolId: 3, spiSize: 4, spis }), 'esp c0ffee01');
});

test('no summary shows a hash, a key, a nonce, or what a user answered', () => {
  const password: Payload = {
    kind: 'attributes',
    type: 2,
    identifier: 1,
    attributes: [
      { type: 16_521, value: SECRET },
      { type: 16_522, value: SECRET },
    ],
  };
  const shown = JSON.stringify(
    summarizePayloads([KE, NONCE, HASH, NAT_D, password, { kind: 'signature', data: SECRET }]),
  );
  assert.match(shown, /reply XAUTH-USER-NAME XAUTH-USER-PASSWORD/);
  assert.doesNotMatch(shown, /correct|636f7272/);
});

test('names that a peer chose cannot write to the terminal', () => {
  const name = detailOf({ kind: 'identification', idType: 2, protocolId: 0, port: 0, data: utf8('\u001b[2Jgw') });
  assert.equal(name, 'ID_FQDN 0x1b5b324a6777');
});

function notification(notifyType: number): Payload {
  return { kind: 'notification', doi: 1, protocolId: 3, spi: fromHex('c0ffee01'), notifyType, data: new Uint8Array() };
}

function detailOf(payload: Payload): string | undefined {
  return summarizePayloads([payload])[0]?.detail;
}

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { sharedFile } from '../../test/shared.ts';
import { concat, fromHex } from '../lib/bytes.ts';
import { EXCHANGE_TYPE, NO_FLAGS } from '../wire/isakmp-header.ts';
import { encodeMessage } from '../wire/isakmp-payloads.ts';
import { LINK_TYPE } from '../wire/link-layer.ts';
import { encodePcapng } from '../wire/pcap.ts';
import { describeCapture } from './capture.ts';

const FIELDS = {
  initiatorCookie: fromHex('1122334455667788'),
  responderCookie: new Uint8Array(8),
  exchangeType: EXCHANGE_TYPE['identity-protection'],
  flags: NO_FLAGS,
  messageId: 0,
};

test('a capture is described message by message, its SAs and keepalives counted', () => {
  const request = encodeMessage(FIELDS, [{ kind: 'nonce', data: new Uint8Array(16) }]);
  const answer = encodeMessage(FIELDS, [{ kind: 'nonce', data: new Uint8Array(20) }]);
  const frames = [
    datagram(1, 2, 500, request),
    datagram(2, 1, 500, answer),
    datagram(1, 2, 500, request),
    datagram(1, 2, 4500, fromHex('ff')),
    datagram(1, 2, 4500, fromHex('c0ffee0100000001')),
    datagram(1, 2, 4500, fromHex('c0ffee0100000002')),
    datagram(1, 2, 53, fromHex('00')),
  ];
  const capture = encodePcapng(
    LINK_TYPE.raw,
    frames.map((data, index) => ({ timestamp: index * 1000, data })),
  );
  const described = describeCapture(capture);
  assert.ok(described.ok);
  assert.deepEqual(described.value.split('\n'), [
    '#1 0.000s 192.0.2.1:500 -> 192.0.2.2:500 main 1: HDR, Ni',
    '    cookies 1122334455667788:0000000000000000, message ID 0, 48 octets',
    '    NONCE (20): 16 octets',
    '#2 0.001s 192.0.2.2:500 -> 192.0.2.1:500 main 2: HDR, Nr',
    '    cookies 1122334455667788:0000000000000000, message ID 0, 52 octets',
    '    NONCE (24): 20 octets',
    '#3 0.002s 192.0.2.1:500 -> 192.0.2.2:500 main 1 (again): HDR, Ni',
    '    cookies 1122334455667788:0000000000000000, message ID 0, 48 octets',
    '    NONCE (20): 16 octets',
    '192.0.2.1:4500 -> 192.0.2.2:4500 ESP in UDP SPI c0ffee01: 2 packets',
    '1 NAT keepalives',
    '1 other packets',
  ]);
});

const recordings = sharedFile('vectors/strongswan-live');
const skip = recordings === undefined ? 'the recordings are not here' : false;

test('recorded negotiations read as Main Mode in six messages and Quick Mode in three', { skip }, () => {
  const folder = recordings ?? '';
  const names = readdirSync(folder).filter((name) => /^ikev1-main-psk.*\.pcap$/.test(name));
  assert.ok(names.length > 0);
  for (const name of names) {
    const described = describeCapture(readFileSync(join(folder, name)));
    assert.ok(described.ok);
    for (const title of [
      'main 1: HDR, SA, VID',
      'main 4: HDR, KE, Nr, NAT-D, NAT-D',
      'main 6: HDR*',
      'quick 3: HDR*',
    ]) {
      assert.ok(described.value.includes(title), `${name}: ${title}`);
    }
    assert.doesNotMatch(described.value, /malformed|unknown/);
  }
});

function datagram(source: number, destination: number, port: number, payload: Uint8Array): Uint8Array {
  const header = fromHex('45000000000000004011 0000 c0000200 c0000200'.replaceAll(' ', ''));
  header[15] = source;
  header[19] = destination;
  const packet = concat(header, new Uint8Array(8), payload);
  const view = new DataView(packet.buffer);
  view.setUint16(2, packet.length);
  view.setUint16(20, port);
  view.setUint16(22, port);
  view.setUint16(24, 8 + payload.length);
  return packet;
}

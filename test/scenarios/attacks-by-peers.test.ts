// Attacks with encrypted messages: the bench's ciphers do nothing and its keyed hashes are all zero, so that whoever forges a message
// is believed as a holder of the keys is. What must not happen even then, and what must not happen before.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { GatewayOutbox } from '../../src/gateway/outbox.ts';
import { concat, utf8 } from '../../src/lib/bytes.ts';
import { SeededRandom } from '../../src/lib/random.ts';
import { Secret } from '../../src/lib/secret.ts';
import { seconds } from '../../src/lib/time.ts';
import type { GatewayConfig } from '../../src/model/gateway-config.ts';
import { EXCHANGE_TYPE, type IsakmpHeader } from '../../src/wire/isakmp-header.ts';
import type { Payload } from '../../src/wire/isakmp-payloads.ts';
import { IPSEC_DOI, PROTOCOL_ID } from '../../src/wire/isakmp-sa-payload.ts';
import { MODE_CONFIG_ATTRIBUTE, MODE_CONFIG_TYPE } from '../../src/wire/mode-config.ts';
import { TRANSPARENT } from '../fuzz/transparent-crypto.ts';
import {
  clearMessage,
  encryptedMessage,
  headerOf,
  initialContact,
  rewrite,
  standing,
} from './forged-messages.fixture.ts';
import {
  type BenchOptions,
  MAIN_MODE_LADDER,
  QUICK_MODE_LADDER,
  type TwoGateways,
  twoGateways,
} from './two-gateways.ts';

const R_U_THERE = 36_136;
const HASH_LENGTH = 32;
const RIGHT_HASH: Payload = { kind: 'hash', data: new Uint8Array(HASH_LENGTH) };
const WRONG_HASH: Payload = { kind: 'hash', data: new Uint8Array(HASH_LENGTH).fill(1) };

test('CVE-2019-10155: a Delete or notification whose hash is wrong, missing or not in front does nothing; with the right one it does', () => {
  const { lab, entry, header } = established();
  const before = standing(lab);
  const deletion = deleteIsakmp(header);
  let messageId = 0x100;
  for (const payload of [deletion, initialContact(header), areYouThere(header)]) {
    for (const payloads of [
      [WRONG_HASH, payload],
      [payload],
      [payload, RIGHT_HASH],
      [RIGHT_HASH, RIGHT_HASH, payload],
    ]) {
      lab.deliver(entry, encryptedMessage({ ...header, messageId: messageId++ }, payloads));
      assert.ok(['hash-mismatch', 'unexpected-payloads'].includes(lab.responder.drops().at(-1) ?? ''));
    }
  }
  assert.equal(lab.responder.drops().length, 12);
  assert.deepEqual(standing(lab), before);
  lab.expectSilence();
  lab.deliver(entry, encryptedMessage({ ...header, messageId }, [RIGHT_HASH, deletion]));
  assert.deepEqual(upIkeSas(lab), []);
});

test('CVE-2023-38712: what follows a Delete of the IKE SA in the same message is not acted on, nor answered under keys that are gone', () => {
  for (const after of [
    [areYouThere],
    [initialContact],
    [deleteIsakmp, areYouThere],
    [deleteIpsec, areYouThere],
  ] as const) {
    const { lab, entry, header } = established();
    const pairs = lab.responder.gateway.ipsecSas(lab.now);
    const payloads = [
      RIGHT_HASH,
      deleteIsakmp(header),
      ...after.map((make) => make(header, pairs[0]?.outboundSpi ?? 0)),
    ];
    lab.deliver(entry, encryptedMessage(header, payloads));
    assert.deepEqual(upIkeSas(lab), []);
    // All that it says is that it wants a new IKE SA, for the IPsec SAs that still stand.
    assert.deepEqual(
      lab.inFlight.map(({ notation }) => notation),
      ['HDR, SA, VID'],
    );
    assert.equal(lab.responder.gateway.ipsecSas(lab.now).length, pairs.length);
  }
});

test('CVE-2004-0164: INITIAL-CONTACT and Delete in the clear are ignored, whoever’s cookies they carry', () => {
  const { lab, entry, header } = established();
  const before = standing(lab);
  for (const payload of [deleteIsakmp(header), initialContact(header)]) {
    for (const payloads of [[payload], [RIGHT_HASH, payload]]) {
      lab.deliver(entry, clearMessage({ ...header, flags: { ...header.flags, encryption: false } }, payloads));
      assert.equal(lab.responder.drops().at(-1), 'not-encrypted');
    }
  }
  assert.deepEqual(standing(lab), before);
  lab.expectSilence();
});

test('CVE-2004-0164: INITIAL-CONTACT that somebody adds to a message in clear of a new phase 1 does not end what stands', () => {
  for (const mode of ['main', 'aggressive'] as const) {
    for (const isAdded of [true, false]) {
      const lab = twoGateways({ mode, ikeLifetime: seconds(600), crypto: TRANSPARENT });
      connect(lab);
      for (let count = 0; lab.inFlight.length === 0; count++) {
        assert.ok(count < 600, 'phase 1 is renewed');
        lab.advance('1s');
      }
      for (let entry = lab.inFlight.shift(); entry !== undefined; entry = lab.inFlight.shift()) {
        const isClear = !entry.notation.includes('HDR*');
        const added =
          isAdded && isClear
            ? rewrite(entry.datagram, (all) => [...all, initialContact(headerOf(entry?.datagram ?? new Uint8Array()))])
            : entry.datagram;
        lab.deliver(entry, added);
      }
      for (const side of [lab.initiator, lab.responder]) {
        const ended = side.eventsOf('ipsec-sa-deleted').map(({ reason }) => reason);
        assert.ok(!ended.includes('peer-restarted'), `${side.office} in ${mode} mode`);
        // Main Mode takes no notification in its first messages: there the exchange is not renewed by these, but by repetitions.
        if (mode === 'aggressive' || !isAdded) assert.equal(side.eventsOf('ike-sa-established').length, 2);
      }
    }
  }
});

test('CVE-2014-2338, CVE-2009-0790: under an IKE SA whose peer has proven nothing, no other exchange is looked at', () => {
  const stranger = twoGateways({ seed: 500, crypto: TRANSPARENT });
  stranger.initiate();
  for (const line of MAIN_MODE_LADDER) stranger.expect(line);
  const quick = stranger.drop(QUICK_MODE_LADDER[0] ?? '').datagram;
  const lab = twoGateways({ crypto: TRANSPARENT });
  lab.initiate();
  for (const line of MAIN_MODE_LADDER.slice(0, 4)) lab.expect(line);
  const entry = lab.drop(MAIN_MODE_LADDER[4] ?? '');
  const { initiatorCookie, responderCookie } = headerOf(entry.datagram);
  const header = { ...headerOf(quick), exchangeType: EXCHANGE_TYPE.informational };
  const forged = [
    concat(initiatorCookie, responderCookie, quick.subarray(16)),
    encryptedMessage({ ...header, initiatorCookie, responderCookie }, [
      RIGHT_HASH,
      areYouThere(headerOf(entry.datagram)),
    ]),
    encryptedMessage({ ...header, initiatorCookie, responderCookie }, [
      RIGHT_HASH,
      deleteIsakmp(headerOf(entry.datagram)),
    ]),
  ];
  for (const message of forged) lab.deliver(entry, message);
  assert.deepEqual(lab.responder.drops(), ['unexpected-message', 'unexpected-message', 'unexpected-message']);
  assert.deepEqual(lab.responder.gateway.ipsecSas(lab.now), []);
  lab.expectSilence();
  lab.deliver(entry);
  lab.settle();
  lab.expectEstablished();
});

test('CVE-2015-4171: user and password are given to nobody who has not authenticated in phase 1', () => {
  const lab = twoGateways({ crypto: TRANSPARENT, changeInitiator: asDialInClient, changeResponder: asDialInServer });
  lab.initiate();
  for (const line of MAIN_MODE_LADDER.slice(0, 4)) lab.expect(line);
  // The client has sent its proof and waits for the server's. Somebody on the path has kept it, and asks instead.
  const proof = lab.drop(MAIN_MODE_LADDER[4] ?? '');
  const request: Payload = {
    kind: 'attributes',
    type: MODE_CONFIG_TYPE.request,
    identifier: 1,
    attributes: [MODE_CONFIG_ATTRIBUTE['XAUTH-USER-NAME'], MODE_CONFIG_ATTRIBUTE['XAUTH-USER-PASSWORD']].map(
      (type) => ({
        type,
        value: new Uint8Array(0),
      }),
    ),
  };
  const header = { ...headerOf(proof.datagram), exchangeType: EXCHANGE_TYPE.transaction, messageId: 77 };
  const path = { local: proof.path.local, remote: proof.path.remote };
  lab.inject(lab.initiator, path, encryptedMessage(header, [RIGHT_HASH, request]));
  assert.equal(lab.initiator.drops().at(-1), 'unexpected-message');
  lab.expectSilence();
});

test('CVE-2009-1632: 100,000 keepalives and messages that are not authentic leave no more behind than one', () => {
  const { lab, entry } = established({});
  const { gateway } = lab.responder;
  const path = { local: entry.path.remote, remote: entry.path.local };
  const nat = { local: { ...path.local, port: 4500 }, remote: { ...path.remote, port: 4500 } };
  const random = new SeededRandom(5);
  const round = (count: number): void => {
    for (let index = 0; index < count; index++) {
      gateway.handleDatagram(lab.now, nat, Uint8Array.of(0xff), NOWHERE);
      // Another message ID each time, and another first block: nothing that was ever encrypted.
      const forged = entry.datagram.slice();
      forged.set(random.bytes(4), 20);
      forged.set(random.bytes(16), 28);
      gateway.handleDatagram(lab.now, path, forged, NOWHERE);
    }
  };
  round(2_000);
  const before = heapAfterCollection();
  round(48_000);
  const growth = heapAfterCollection() - before;
  assert.ok(growth < 2_000_000, `${growth} octets more`);
  assert.equal(gateway.counters().keepalivesReceived, 50_000);
  lab.expectEstablished();
});

const NOWHERE: GatewayOutbox = {
  transmit: () => undefined,
  compute: () => undefined,
  command: () => undefined,
  report: () => undefined,
};

/** An established tunnel, the last message of its negotiation, and the header of an Informational from the same sender. */
function established(options: BenchOptions = { crypto: TRANSPARENT }) {
  const lab = twoGateways(options);
  lab.initiate();
  const entries = [...MAIN_MODE_LADDER, ...QUICK_MODE_LADDER].map((line) => lab.expect(line));
  const entry = entries.at(-1);
  assert.ok(entry);
  lab.expectEstablished();
  const header = { ...headerOf(entry.datagram), exchangeType: EXCHANGE_TYPE.informational, messageId: 0x77 };
  return { lab, entry, header };
}

function upIkeSas(lab: TwoGateways): readonly string[] {
  return lab.responder.gateway
    .ikeSas(lab.now)
    .filter(({ state }) => state === 'up')
    .map(({ id }) => id);
}

function connect(lab: TwoGateways): void {
  lab.initiate();
  lab.settle();
  lab.expectEstablished();
}

function asDialInClient(config: GatewayConfig): GatewayConfig {
  const xauth = {
    role: 'client',
    username: 'carol',
    password: new Secret(utf8('open sesame')),
    origin: ORIGIN,
  } as const;
  return { ...config, gateways: config.gateways.map((gateway) => ({ ...gateway, xauth })) };
}

function asDialInServer(config: GatewayConfig): GatewayConfig {
  const xauth = { role: 'server', users: [], origin: ORIGIN } as const;
  return { ...config, gateways: config.gateways.map((gateway) => ({ ...gateway, xauth })) };
}

const ORIGIN = { path: 'access profile', line: 0 };

function deleteIsakmp({ initiatorCookie, responderCookie }: IsakmpHeader): Payload {
  const spis = [concat(initiatorCookie, responderCookie)];
  return { kind: 'delete', doi: IPSEC_DOI, protocolId: PROTOCOL_ID.isakmp, spiSize: 16, spis };
}

function deleteIpsec(_header: IsakmpHeader, spi: number): Payload {
  const octets = new Uint8Array(4);
  new DataView(octets.buffer).setUint32(0, spi);
  return { kind: 'delete', doi: IPSEC_DOI, protocolId: PROTOCOL_ID.esp, spiSize: 4, spis: [octets] };
}

function areYouThere({ initiatorCookie, responderCookie }: IsakmpHeader): Payload {
  const spi = concat(initiatorCookie, responderCookie);
  const data = Uint8Array.of(0, 0, 0, 1);
  return { kind: 'notification', doi: IPSEC_DOI, protocolId: PROTOCOL_ID.isakmp, spi, notifyType: R_U_THERE, data };
}

/** Octets in use once the collector has been through. */
function heapAfterCollection(): number {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  assert.ok(typeof collect === 'function');
  collect();
  return process.memoryUsage().heapUsed;
}

// Attacks that broke other implementations, on one gateway of two, before anybody has proven anything. Each title begins with the
// identifiers under which docs/ATTACKS.md tells what was attacked and what answers it here.

import assert from 'node:assert/strict';
import { getDiffieHellman } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { concat, toHex } from '../../src/lib/bytes.ts';
import type { GatewayConfig } from '../../src/model/gateway-config.ts';
import type { Attribute } from '../../src/wire/isakmp-attributes.ts';
import { EXCHANGE_TYPE, type IsakmpHeader } from '../../src/wire/isakmp-header.ts';
import type { DecodedPayload, Payload } from '../../src/wire/isakmp-payloads.ts';
import { readCapture } from '../../src/wire/pcap.ts';
import { PHASE1_ATTRIBUTE } from '../../src/wire/transform-attributes.ts';
import { sharedFile } from '../shared.ts';
import { clearMessage, headerOf, initialContact, rewrite, standing } from './forged-messages.fixture.ts';
import {
  AGGRESSIVE_MODE_LADDER,
  type BenchOptions,
  type InFlight,
  MAIN_MODE_LADDER,
  type TwoGateways,
  twoGateways,
} from './two-gateways.ts';

const LADDERS = { main: MAIN_MODE_LADDER, aggressive: AGGRESSIVE_MODE_LADDER };

test('CVE-2015-3240, libreswan:ikev1-impair-05-send-zero-ike-ke: a public value of 0, 1, p-1 or p ends its exchange before there are keys', () => {
  const prime = new Uint8Array(getDiffieHellman('modp14').getPrime());
  const zero = new Uint8Array(prime.length);
  const one = withLastOctet(zero, 1);
  for (const value of [zero, one, withLastOctet(prime, (prime.at(-1) ?? 0) - 1), prime]) {
    for (const index of [2, 3]) {
      const { lab, entry } = upTo(index, { dhGroup: 'group14' });
      lab.deliver(entry, rewrite(entry.datagram, withData('key-exchange', value)));
      const target = entry.from === lab.initiator ? lab.responder : lab.initiator;
      assert.deepEqual(
        target.eventsOf('negotiation-failed').map(({ reason }) => reason),
        ['invalid-public-value'],
      );
      assert.deepEqual(target.gateway.ikeSas(lab.now), []);
      lab.advance('200s');
      lab.inFlight.length = 0;
      connect(lab);
    }
  }
});

test('CVE-2023-41913, CVE-2014-9221: a public value that is not as long as its group is dropped before anything is computed', () => {
  for (const index of [2, 3]) {
    const { lab, entry } = upTo(index, { dhGroup: 'group14' });
    const target = entry.from === lab.initiator ? lab.responder : lab.initiator;
    const path = { local: entry.path.remote, remote: entry.path.local };
    for (const length of [1, 255, 257, 512, 4096]) {
      const changed = rewrite(entry.datagram, withData('key-exchange', new Uint8Array(length).fill(7)));
      target.gateway.handleDatagram(lab.now, path, changed, target);
      assert.deepEqual(target.jobs, []);
      assert.equal(target.drops().at(-1), 'invalid-public-value');
      assert.deepEqual(lab.inFlight, []);
    }
    lab.deliver(entry);
    lab.settle();
    lab.expectEstablished();
  }
});

test('CVE-2005-3732: a message in clear without one of its payloads, or with that under another type, is dropped and then welcome whole', () => {
  for (const mode of ['main', 'aggressive'] as const) {
    for (const [index, line] of LADDERS[mode].entries()) {
      if (line.includes('HDR*')) continue;
      const { lab, entry } = upTo(index, { mode });
      const target = entry.from === lab.initiator ? lab.responder : lab.initiator;
      for (const kind of ['sa', 'key-exchange', 'nonce', 'identification', 'hash'] as const) {
        const withheld = rewrite(entry.datagram, (payloads) => payloads.filter((payload) => payload.kind !== kind));
        if (withheld.length === entry.datagram.length) continue;
        const renumbered = rewrite(entry.datagram, (payloads) =>
          payloads.map((each) => (each.kind === kind ? UNKNOWN : each)),
        );
        const twice = rewrite(entry.datagram, (payloads) => [
          ...payloads,
          ...payloads.filter((each) => each.kind === kind),
        ]);
        for (const changed of [withheld, renumbered, twice]) {
          lab.deliver(entry, changed);
          assert.equal(target.drops().at(-1), 'unexpected-payloads', `${line} and ${kind}`);
          assert.deepEqual(lab.inFlight, []);
        }
      }
      lab.deliver(entry);
      lab.settle();
      lab.expectEstablished();
    }
  }
});

test('CVE-2020-1763, CVE-2009-0790: an Informational for cookies that nobody has is dropped, in clear or encrypted, and leaves nothing', () => {
  const lab = twoGateways();
  const { header, entry } = firstMessage();
  for (const encryption of [false, true]) {
    for (const responderCookie of [new Uint8Array(8), new Uint8Array(8).fill(3)]) {
      for (const payloads of [[areYouThere(header)], [initialContact(header)], [UNKNOWN]]) {
        const flags = { ...header.flags, encryption };
        const about = { ...header, exchangeType: EXCHANGE_TYPE.informational, messageId: 5, responderCookie, flags };
        lab.deliver({ ...entry, from: lab.initiator }, clearMessage(about, payloads));
      }
    }
  }
  assert.deepEqual(new Set(lab.responder.drops()), new Set(['unsupported-exchange', 'unknown-sa']));
  assert.equal(lab.responder.drops().length, 12);
  assert.deepEqual(lab.responder.gateway.ikeSas(lab.now), []);
  lab.expectSilence();
});

test('CVE-2023-30570: the cookie in a refusal belongs to nobody: what comes under it is dropped', () => {
  const lab = twoGateways({ mode: 'aggressive', changeInitiator: withIkeEncryption('aes-128-cbc') });
  lab.initiate();
  const first = lab.expect('-->  HDR, SA, KE, Ni, IDii, VID');
  const refusal = lab.drop('<--  HDR, N(NO-PROPOSAL-CHOSEN)');
  const { responderCookie } = headerOf(refusal.datagram);
  assert.notDeepEqual(responderCookie, new Uint8Array(8));
  for (const exchangeType of [EXCHANGE_TYPE.aggressive, EXCHANGE_TYPE.informational, EXCHANGE_TYPE.quick]) {
    for (const encryption of [false, true]) {
      const flags = { ...headerOf(first.datagram).flags, encryption };
      const header = { ...headerOf(first.datagram), responderCookie, exchangeType, flags };
      lab.deliver(first, clearMessage(header, [{ kind: 'hash', data: new Uint8Array(32) }]));
    }
  }
  assert.deepEqual(
    lab.responder.drops(),
    Array.from({ length: 6 }, () => 'unknown-sa'),
  );
  assert.deepEqual(lab.responder.gateway.ikeSas(lab.now), []);
  lab.expectSilence();
});

test('CVE-2018-0131: authentication by encryption with RSA is not there to be attacked: who asks for it is refused', () => {
  for (const method of [4, 5]) expectNoProposal(withAttribute(PHASE1_ATTRIBUTE.authenticationMethod, [method]));
});

test('CVE-2016-3071, CVE-2018-10811: an algorithm that is unknown here, or not configured, is never chosen', () => {
  for (const [type, numbers] of [
    [PHASE1_ATTRIBUTE.encryptionAlgorithm, [0, 2, 3, 4, 6, 8, 99]],
    [PHASE1_ATTRIBUTE.hashAlgorithm, [0, 1, 3, 7, 99]],
  ] as const)
    for (const number of numbers) expectNoProposal(withAttribute(type, [number]));
});

test('CVE-2016-5391: an offer without a Diffie-Hellman group, or with one that is none, is refused', () => {
  expectNoProposal(withAttribute(PHASE1_ATTRIBUTE.groupDescription, []));
  for (const group of [0, 1025, 0xffff]) expectNoProposal(withAttribute(PHASE1_ATTRIBUTE.groupDescription, [group]));
});

test('libreswan:impair-08-ikev1-key-length-attribute: AES with 256 bits needs its key length, once, and no other', () => {
  for (const lengths of [[], [0], [1], [128], [257], [256, 128], [128, 256], [256, 256]])
    expectNoProposal(withAttribute(PHASE1_ATTRIBUTE.keyLength, lengths));
});

test('libreswan:impair-14-ike-initiator-spi-0-ikev1: a first message whose cookie is zero is dropped', () => {
  const { lab, entry } = upTo(0);
  lab.deliver(entry, concat(new Uint8Array(8), entry.datagram.subarray(8)));
  assert.deepEqual(lab.responder.drops(), ['malformed']);
  lab.expectSilence();
  lab.deliver(entry);
  lab.settle();
  lab.expectEstablished();
});

test('libreswan:impair-14-ike-responder-spi-0-ikev1: an answer whose own cookie is zero is dropped, in every step', () => {
  for (const index of [1, 3, 5]) {
    const { lab, entry } = upTo(index);
    const { datagram } = entry;
    lab.deliver(entry, concat(datagram.subarray(0, 8), new Uint8Array(8), datagram.subarray(16)));
    assert.equal(lab.initiator.drops().length, 1);
    lab.expectSilence();
    lab.deliver(entry);
    lab.settle();
    lab.expectEstablished();
  }
});

test('libreswan:replay-authip-01: exchange types that are not IKEv1’s are dropped without an answer', () => {
  const { lab, entry } = upTo(0);
  for (let exchangeType = 0; exchangeType < 256; exchangeType++) {
    if (exchangeType === EXCHANGE_TYPE['identity-protection'] || exchangeType === EXCHANGE_TYPE.aggressive) continue;
    const changed = entry.datagram.slice();
    changed[18] = exchangeType;
    lab.deliver(entry, changed);
    assert.equal(lab.responder.drops().at(-1), 'unsupported-exchange');
  }
  lab.expectSilence();
  assert.deepEqual(lab.responder.gateway.ikeSas(lab.now), []);
});

const CAPTURES = sharedFile('vectors/pcaps');

test('tcpdump:isakmp-various-oobr, libreswan:replay-authip-01: captures of what broke others change nothing that stands', {
  skip: CAPTURES === undefined ? 'the captures are not here' : false,
}, () => {
  const lab = twoGateways();
  connect(lab);
  const before = standing(lab);
  const { path } = firstMessage().entry;
  let frameCount = 0;
  for (const folder of ['tcpdump', 'libreswan']) {
    for (const file of readdirSync(join(CAPTURES ?? '', folder)).filter((name) => /isakmp|ike/.test(name))) {
      const frames = readCapture(readFileSync(join(CAPTURES ?? '', folder, file)));
      if (!frames.ok) continue;
      for (const { data } of frames.value.frames) {
        // Wherever the headers end: some of these have wrong lengths on purpose.
        for (let offset = 0; offset < Math.min(data.length, 80); offset++) {
          for (const port of [500, 4500]) {
            const [local, remote] = [
              { ...path.remote, port },
              { ...path.local, port },
            ];
            lab.inject(lab.responder, { local, remote }, data.subarray(offset));
          }
        }
        lab.inFlight.length = 0;
        frameCount++;
      }
    }
  }
  assert.ok(frameCount > 30, `${frameCount} frames`);
  assert.deepEqual(standing(lab), before);
  lab.advance('60s');
  lab.settle();
  lab.expectEstablished();
});

test('CVE-2024-2357: without a key for the peer, its message and each repetition get one refusal, the same octets, and one line', () => {
  const lab = twoGateways({ changeResponder: withoutPresharedKey });
  lab.initiate();
  const first = lab.expect('-->  HDR, SA, VID');
  const answers = [lab.drop('<--  HDR, N(NO-PROPOSAL-CHOSEN)')];
  for (let count = 0; count < 3; count++) {
    lab.deliver(first);
    const answer = lab.inFlight.shift();
    if (answer) answers.push(answer);
  }
  assert.equal(new Set(answers.map(({ datagram }) => toHex(datagram))).size, 1);
  assert.equal(lab.responder.eventsOf('negotiation-failed').length, 1);
  assert.deepEqual(lab.responder.gateway.ikeSas(lab.now), []);
});

test('CVE-2018-5389: the operator is told that Aggressive Mode gives away a hash to guess the key from, and Main Mode gives none', () => {
  for (const mode of ['main', 'aggressive'] as const) {
    const lab = twoGateways({ mode });
    connect(lab);
    const texts = lab.responder.eventsOf('notice').map(({ text }) => text);
    const isTold = texts.some((text) => text.includes('a hash of the pre-shared key'));
    assert.equal(isTold, mode === 'aggressive');
  }
  // An active attacker in Main Mode gets as far as message 4, in which there is no hash.
  const { lab } = upTo(4);
  const said = lab.responder.events.filter((event) => event.kind === 'message' && event.direction === 'sent');
  assert.ok(said.every((event) => event.kind === 'message' && !event.notation.includes('HASH')));
});

const UNKNOWN: Payload = { kind: 'unknown', type: 77, data: new Uint8Array(8) };

/** A negotiation that stands before its message number `index`, from 0. */
function upTo(index: number, options: BenchOptions = {}): { readonly lab: TwoGateways; readonly entry: InFlight } {
  const lab = twoGateways(options);
  lab.initiate();
  const ladder = LADDERS[options.mode ?? 'main'];
  for (const line of ladder.slice(0, index)) lab.expect(line);
  return { lab, entry: lab.drop(ladder[index] ?? '') };
}

function firstMessage(): { readonly header: IsakmpHeader; readonly entry: InFlight } {
  const { entry } = upTo(0, { seed: 77 });
  return { header: headerOf(entry.datagram), entry };
}

function connect(lab: TwoGateways): void {
  lab.initiate();
  lab.settle();
  lab.expectEstablished();
}

/** The responder refuses the offer as changed, and says so to the peer and to the operator. */
function expectNoProposal(change: (payloads: readonly DecodedPayload[]) => readonly Payload[]): void {
  const { lab, entry } = upTo(0);
  lab.deliver(entry, rewrite(entry.datagram, change));
  lab.drop('<--  HDR, N(NO-PROPOSAL-CHOSEN)');
  lab.expectSilence();
  assert.deepEqual(
    lab.responder.eventsOf('negotiation-failed').map(({ reason }) => reason),
    ['no-proposal-chosen'],
  );
  assert.deepEqual(lab.responder.gateway.ikeSas(lab.now), []);
}

/** The offer's transforms with these values of an attribute in the place of the true one. */
function withAttribute(type: number, values: readonly number[]) {
  const replaced = (attributes: readonly Attribute[]) => [
    ...attributes.filter((attribute) => attribute.type !== type),
    ...values.map((value) => ({ type, value })),
  ];
  return (payloads: readonly DecodedPayload[]): readonly Payload[] =>
    payloads.map((payload) => {
      if (payload.kind !== 'sa') return payload;
      const proposals = payload.proposals.map((proposal) => ({
        ...proposal,
        transforms: proposal.transforms.map((each) => ({ ...each, attributes: replaced(each.attributes) })),
      }));
      return { ...payload, proposals };
    });
}

function withData(kind: 'key-exchange', data: Uint8Array) {
  return (payloads: readonly DecodedPayload[]): readonly Payload[] =>
    payloads.map((payload) => (payload.kind === kind ? { kind, data } : payload));
}

function withLastOctet(octets: Uint8Array, value: number): Uint8Array {
  const copy = octets.slice();
  copy[copy.length - 1] = value;
  return copy;
}

function withIkeEncryption(encryption: 'aes-128-cbc') {
  return (config: GatewayConfig): GatewayConfig => ({
    ...config,
    gateways: config.gateways.map((gateway) => ({
      ...gateway,
      policy: { ...gateway.policy, proposals: gateway.policy.proposals.map((each) => ({ ...each, encryption })) },
    })),
  });
}

function withoutPresharedKey(config: GatewayConfig): GatewayConfig {
  const gateways = config.gateways.map((gateway) => {
    const { preSharedKey: _key, ...policy } = gateway.policy;
    return { ...gateway, policy };
  });
  return { ...config, gateways };
}

function areYouThere({ initiatorCookie, responderCookie }: IsakmpHeader): Payload {
  const spi = concat(initiatorCookie, responderCookie);
  return { kind: 'notification', doi: 1, protocolId: 1, spi, notifyType: 36_136, data: Uint8Array.of(0, 0, 0, 1) };
}

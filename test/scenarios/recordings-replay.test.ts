// Each recorded negotiation with a pre-shared key, played against our endpoint, once in the initiator's place and once in the responder's.
// `src/ike/v1/recordings.test.ts` follows the same recordings from outside, to prove the keys; here the state machines speak.
//
// Where we and strongSwan say the same thing in another form, the table below says so, and the test holds the two forms side by side:
// - vendor IDs: each announces its own extensions; no hash covers them.
// - NAT-D: strongSwan in user space needs UDP encapsulation, and gets it by a random hash of its own address. The other one is the same.
// - INITIAL-CONTACT: we say it as responder too, and in Aggressive Mode.
// - SA of Quick Mode: the order of attributes, and lifetimes, which we offer and strongSwan only answers with.
// - XAUTH and Mode Config as their author: we name the type that we ask for, ask for more than an address, and give what was asked for.
// HASH(1) and HASH(2) cover these payloads; both sides' are then computed anew with the logged SKEYID_a. HASH_I and HASH_R are always the same.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { nodeCrypto } from '../../src/crypto/node-provider.ts';
import { hash1, hash2, hmacPrf } from '../../src/ike/v1/key-material.ts';
import { find, findAll, type Recording } from '../../src/ike/v1/recording.fixture.ts';
import { officeConfig, type SideOptions, selector } from '../../src/ike/v1/two-endpoints.fixture.ts';
import { equalBytes, fromHex, toHex, utf8 } from '../../src/lib/bytes.ts';
import { Secret } from '../../src/lib/secret.ts';
import { seconds } from '../../src/lib/time.ts';
import { address, parsePrefix } from '../../src/model/address.ts';
import type { DhGroup } from '../../src/model/algorithms.ts';
import {
  type EncryptionAlgorithm,
  encryptionTraits,
  type HashAlgorithm,
  type IntegrityAlgorithm,
} from '../../src/model/algorithms.ts';
import type { GatewayConfig, XauthConfig } from '../../src/model/gateway-config.ts';
import type { IkeRole } from '../../src/model/ike-event.ts';
import { decodeIsakmpHeader, EXCHANGE_TYPE, ISAKMP_HEADER_LENGTH } from '../../src/wire/isakmp-header.ts';
import { type DecodedPayload, rawBody, rawOctetsFrom } from '../../src/wire/isakmp-payloads.ts';
import { modeConfigAttributeName } from '../../src/wire/mode-config.ts';
import { PHASE2_ATTRIBUTE } from '../../src/wire/transform-attributes.ts';
import { sharedFile } from '../shared.ts';
import {
  describeMessage,
  INITIATOR,
  RESPONDER,
  type RecordedMessage,
  Replay,
  type Replayed,
} from './recording-replay.fixture.ts';

interface Scenario {
  readonly name: string;
  readonly mode?: 'aggressive';
  readonly encryption: EncryptionAlgorithm;
  readonly hash: HashAlgorithm;
  readonly dhGroup: DhGroup;
  readonly esp: { readonly encryption: EncryptionAlgorithm; readonly integrity: IntegrityAlgorithm };
  readonly pfsGroup?: DhGroup;
  readonly xauth?: true;
}

const AES_SHA1 = {
  encryption: 'aes-128-cbc',
  hash: 'sha1',
  dhGroup: 'group2',
  esp: { encryption: 'aes-128-cbc', integrity: 'hmac-sha1-96' },
} as const;

const SCENARIOS: readonly Scenario[] = [
  { name: 'ikev1-main-psk-aes128-sha1-modp1024', ...AES_SHA1 },
  {
    name: 'ikev1-main-psk-3des-md5-modp1024',
    encryption: '3des-cbc',
    hash: 'md5',
    dhGroup: 'group2',
    esp: { encryption: '3des-cbc', integrity: 'hmac-md5-96' },
  },
  {
    name: 'ikev1-main-psk-aes256-sha256-modp2048-pfs',
    encryption: 'aes-256-cbc',
    hash: 'sha-256',
    dhGroup: 'group14',
    esp: { encryption: 'aes-256-cbc', integrity: 'hmac-sha-256-128' },
    pfsGroup: 'group14',
  },
  {
    name: 'ikev1-main-psk-aes256-sha384-ecp384',
    encryption: 'aes-256-cbc',
    hash: 'sha-384',
    dhGroup: 'group20',
    esp: { encryption: 'aes-256-gcm', integrity: 'none' },
    pfsGroup: 'group20',
  },
  { name: 'ikev1-aggr-psk-aes128-sha1-modp1024', mode: 'aggressive', ...AES_SHA1 },
  { name: 'ikev1-main-xauth-psk-modecfg', xauth: true, ...AES_SHA1 },
  { name: 'ikev1-aggr-xauth-psk-modecfg', mode: 'aggressive', xauth: true, ...AES_SHA1 },
];

/** What each of our messages is, compared with the recorded one. */
const LIKENESS = {
  main: {
    initiator: ['main 1: all but vendor-id', 'main 3: all but own nat-discovery', 'main 5: same octets'],
    responder: ['main 2: all but vendor-id', 'main 4: all but own nat-discovery', 'main 6: all but INITIAL-CONTACT'],
  },
  aggressive: {
    initiator: ['aggressive 1: all but vendor-id', 'aggressive 3: all but own nat-discovery, INITIAL-CONTACT'],
    responder: ['aggressive 2: all but own nat-discovery, vendor-id'],
  },
  xauth: {
    initiator: [
      'transaction 2: same payloads',
      'transaction 2: same payloads',
      'transaction 1: all but attributes (ours too: INTERNAL_IP4_NETMASK, INTERNAL_IP4_DNS, INTERNAL_IP4_NBNS, UNITY_SPLIT_INCLUDE), hash',
    ],
    responder: [
      'transaction 1: all but attributes (ours too: XAUTH-TYPE), hash',
      'transaction 1: same payloads',
      'transaction 2: all but attributes (theirs too: INTERNAL_IP4_DNS), hash',
    ],
  },
  quick: {
    initiator: ['quick 1: all but hash, form of sa', 'quick 3: same payloads'],
    responder: ['quick 2: all but hash, form of sa'],
  },
} as const;

const folder = sharedFile('vectors/strongswan-live');
const skip = folder === undefined ? 'the recordings are not here' : false;

for (const scenario of SCENARIOS) {
  for (const role of ['initiator', 'responder'] as const) {
    test(`RFC 2409 §5: in the place of the ${role} of ${scenario.name} we say what it said, and come to its keys`, {
      skip,
    }, () => {
      const replay = new Replay(readRecording(scenario), role, configOf(scenario, role));
      const ours = replay.run();
      assert.deepEqual(
        ours.map((each) => describeLikeness(replay, each)),
        expectedLikeness(scenario, role),
      );
      for (const { recorded, payloads } of ours) expectHash(replay, recorded, payloads);
      for (const recorded of replay.messages) expectHash(replay, recorded, recorded.payloads);
      expectIpsecKeys(replay, scenario);
      // The recording ends with the initiator's Deletes.
      assert.deepEqual(replay.endpoint.ikeSas(replay.now), []);
      assert.deepEqual(replay.endpoint.ipsecSas(replay.now), []);
      const user = scenario.xauth ? 1 : 0;
      assert.equal(
        replay.messages.filter(({ message }) => message.header.exchangeType === EXCHANGE_TYPE.transaction).length,
        user * 6,
      );
    });
  }
}

function readRecording({ name }: Scenario): Recording {
  return JSON.parse(readFileSync(`${folder}/${name}.json`, 'utf8'));
}

function expectedLikeness(scenario: Scenario, role: IkeRole): readonly string[] {
  const { mode = 'main', xauth, name } = scenario;
  // All encrypted messages of phase 1 have the recorded octets, and so the IVs of later exchanges are the recorded ones.
  const isSameUntilNow = mode === 'main' ? role === 'initiator' : role === 'responder';
  const same = isSameUntilNow ? 'same octets' : 'same payloads';
  // The recording with perfect forward secrecy has a second Quick Mode, in which the IPsec SAs are replaced.
  const quickModes = name.endsWith('-pfs') ? 2 : 1;
  return [
    ...LIKENESS[mode][role],
    ...(xauth ? LIKENESS.xauth[role].map((line) => line.replace('same payloads', same)) : []),
    ...Array.from({ length: quickModes }, () => LIKENESS.quick[role]).flat(),
    ...(role === 'initiator' ? Array.from({ length: quickModes + 1 }, () => `informational 1: ${same}`) : []),
  ];
}

/** How one of our messages differs from the recorded one in whose place it stands. */
function describeLikeness(replay: Replay, { recorded, bytes, payloads }: Replayed): string {
  const title = describeMessage(recorded);
  const header = decodeIsakmpHeader(bytes);
  assert.ok(header.ok);
  const { nextPayload, length, ...ours } = header.value;
  const { nextPayload: _type, length: _length, ...theirs } = recorded.message.header;
  assert.deepEqual(ours, theirs, title);
  if (hasSameOctets(bytes, recorded)) return `${title}: same octets`;
  const kinds = new Set([...payloads, ...recorded.payloads].map(({ kind }) => kind));
  const differences: string[] = [];
  for (const kind of [...kinds].sort(byText)) {
    const bodies = (all: readonly DecodedPayload[]) => findAll(all, kind).map((payload) => toHex(rawBody(payload)));
    const [own, other] = [bodies(payloads), bodies(recorded.payloads)];
    if (own.join() === other.join()) continue;
    differences.push(describeDifference(replay, kind, payloads, recorded.payloads, own, other));
  }
  return `${title}: ${differences.length === 0 ? 'same payloads' : `all but ${differences.join(', ')}`}`;
}

/** strongSwan pads by a whole block where nothing needs padding; that block aside. */
function hasSameOctets(bytes: Uint8Array, { message, body }: RecordedMessage): boolean {
  const surplus = message.bytes.length - bytes.length;
  if (surplus !== 0 && (surplus < 0 || body.subarray(-surplus).some((octet) => octet !== 0))) return false;
  const recorded = message.bytes.subarray(ISAKMP_HEADER_LENGTH, bytes.length);
  return equalBytes(bytes.subarray(ISAKMP_HEADER_LENGTH), recorded);
}

function describeDifference(
  replay: Replay,
  kind: DecodedPayload['kind'],
  ours: readonly DecodedPayload[],
  theirs: readonly DecodedPayload[],
  own: readonly string[],
  other: readonly string[],
): string {
  switch (kind) {
    case 'nat-discovery':
      assert.equal(own.length, 2);
      assert.equal(own[0], other[0], 'the hash of the peer as we see it');
      return 'own nat-discovery';
    case 'notification':
      assert.deepEqual(other, []);
      assert.deepEqual(
        findAll(ours, 'notification').map(({ notifyType }) => notifyType),
        [INITIAL_CONTACT],
      );
      return 'INITIAL-CONTACT';
    case 'sa':
      assert.deepEqual(meaningOfOffer(ours), meaningOfOffer(theirs));
      return 'form of sa';
    case 'attributes':
      return describeAttributes(ours, theirs);
    default:
      assert.ok(kind === 'vendor-id' || kind === 'hash', `${kind} differs (${replay.role})`);
      return kind;
  }
}

/** RFC 2407 §4.6.3.3. */
const INITIAL_CONTACT = 24_578;

/** Proposals and transforms without the order of attributes, and without lifetimes. */
function meaningOfOffer(payloads: readonly DecodedPayload[]): unknown {
  return find(payloads, 'sa')?.proposals.map(({ number, protocolId, spi, transforms }) => ({
    number,
    protocolId,
    spi: toHex(spi),
    transforms: transforms.map(({ transformId, attributes }) => ({
      transformId,
      attributes: attributes
        .filter(({ type }) => type !== PHASE2_ATTRIBUTE.lifeType && type !== PHASE2_ATTRIBUTE.lifeDuration)
        .map(({ type, value }) => `${type}=${value}`)
        .sort(byText),
    })),
  }));
}

/** Which attributes only one of the two has; what both have must be the same. */
function describeAttributes(ours: readonly DecodedPayload[], theirs: readonly DecodedPayload[]): string {
  const [own, other] = [find(ours, 'attributes'), find(theirs, 'attributes')];
  assert.ok(own && other);
  assert.deepEqual([own.type, own.identifier], [other.type, other.identifier]);
  for (const { type, value } of own.attributes) {
    for (const theirs of other.attributes) if (theirs.type === type) assert.deepEqual(value, theirs.value);
  }
  const onlyIn = (some: typeof own, rest: typeof own) =>
    some.attributes
      .filter(({ type }) => !rest.attributes.some((attribute) => attribute.type === type))
      .map(({ type }) => modeConfigAttributeName(type));
  const parts = [
    ['ours too', onlyIn(own, other)],
    ['theirs too', onlyIn(other, own)],
  ] as const;
  const said = parts.filter(([, names]) => names.length > 0).map(([whose, names]) => `${whose}: ${names.join(', ')}`);
  return `attributes (${said.join('; ')})`;
}

/** After phase 1 every message begins with a hash under SKEYID_a, here the logged one (RFC 2409 §5.5, §5.7). */
function expectHash(replay: Replay, { message, number }: RecordedMessage, payloads: readonly DecodedPayload[]): void {
  const { exchangeType, messageId } = message.header;
  // HASH(3) covers no payloads, and is always the same as the recorded one.
  if (messageId === 0 || (exchangeType === EXCHANGE_TYPE.quick && number === 3)) return;
  const prf = hmacPrf(nodeCrypto, replay.hash);
  const { SKEYID_a: logged } = replay.recording.secrets;
  const skeyidA = new Secret(fromHex(logged?.[0] ?? ''));
  const rest = rawOctetsFrom(payloads, 1);
  const first = replay.messages.find((each) => each.message.header.messageId === messageId);
  const nonceI = first && find(first.payloads, 'nonce');
  const isAnswer = exchangeType === EXCHANGE_TYPE.quick && number === 2 && nonceI !== undefined;
  const expected = isAnswer ? hash2(prf, skeyidA, messageId, nonceI.data, rest) : hash1(prf, skeyidA, messageId, rest);
  assert.equal(toHex(find(payloads, 'hash')?.data ?? new Uint8Array()), toHex(expected), `${exchangeType} ${number}`);
}

/** The SAs in our data plane have the keys that strongSwan logged for its own. */
function expectIpsecKeys(replay: Replay, { esp }: Scenario): void {
  const added = (kind: 'add-inbound' | 'add-outbound') =>
    replay.commands.flatMap((command) => (command.kind === kind ? [command.sa] : []));
  // strongSwan names a key for who sends under it.
  const [outbound, inbound] =
    replay.role === 'initiator' ? (['initiator', 'responder'] as const) : (['responder', 'initiator'] as const);
  const { secrets } = replay.recording;
  const expectedLength = encryptionTraits(esp.encryption).keyLength * 2;
  for (const [sas, sender] of [
    [added('add-outbound'), outbound],
    [added('add-inbound'), inbound],
  ] as const) {
    const logged = secrets[`encryption ${sender} key`] ?? [];
    assert.equal(sas.length, logged.length);
    assert.ok(logged.length > 0);
    for (const [index, sa] of sas.entries()) {
      assert.equal(toHex(sa.encryptionKey).slice(0, expectedLength), logged[index]?.slice(0, expectedLength));
      if (esp.integrity !== 'none') assert.equal(toHex(sa.integrityKey), secrets[`integrity ${sender} key`]?.[index]);
      assert.equal(sa.udp?.local.port, 4500);
    }
  }
}

function byText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

function configOf(scenario: Scenario, role: IkeRole): GatewayConfig {
  const isInitiator = role === 'initiator';
  const { name, mode = 'main', encryption, hash, dhGroup, esp, pfsGroup, xauth } = scenario;
  const [own, other] = isInitiator ? (['a.vec', 'b.vec'] as const) : (['b.vec', 'a.vec'] as const);
  const lans = { initiator: selector(xauth ? '0.0.0.0/0' : '10.77.1.0/24'), responder: selector('10.77.2.0/24') };
  const peer = isInitiator ? 'responder' : 'initiator';
  const options: SideOptions = {
    gateway: {
      localAddress: isInitiator ? INITIATOR : RESPONDER,
      remoteAddresses: [isInitiator ? RESPONDER : INITIATOR],
      localIdentity: { kind: 'fqdn', name: own },
      remoteIdentity: { kind: 'fqdn', name: other },
      ...(xauth ? { xauth: xauthConfig(role) } : {}),
    },
    policy: { mode, preSharedKey: new Secret(fromHex(readRecording(scenario).psk_hex ?? '')) },
    ikeProposal: { encryption, hash, dhGroup, lifetime: PHASE1_LIFETIME },
    ipsecProposal: { ...esp, lifetime: PHASE2_LIFETIME },
    vpn: {
      selectors: [{ origin: { path: name, line: 0 }, local: lans[role], remote: lans[peer] }],
      ...(pfsGroup ? { pfsGroup } : {}),
    },
  };
  return officeConfig(role, options);
}

/** What strongSwan says in SA payloads for its defaults. */
const PHASE1_LIFETIME = seconds(15_840);
const PHASE2_LIFETIME = seconds(28_800);

function xauthConfig(role: IkeRole): XauthConfig {
  const origin = { path: 'access profile', line: 0 };
  // The recorded password, from the configurations beside the recordings.
  const password = new Secret(utf8('4iChxLT3'));
  if (role === 'initiator') return { role: 'client', username: 'carol', password, origin };
  const network = parsePrefix('10.77.3.0/24');
  assert.ok(network);
  const pool = {
    network,
    first: address('10.77.3.1'),
    last: address('10.77.3.254'),
    dnsServers: [address('10.77.2.53')],
    winsServers: [],
    splitInclude: [],
  };
  return { role: 'server', users: [{ name: 'carol', password }], pool, origin };
}

// strongSwan's recorded negotiations against our state machines, in the place of either side: our chance is what the recorded side drew,
// our Diffie-Hellman yields what it computed, and what we encrypt is checked and then replaced by what it sent, so that the IVs go on
// as recorded. Whatever we derive otherwise, or refuse, ends the replay.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { sharedFile } from '../../../test/shared.ts';
import { nodeCrypto } from '../../crypto/node-provider.ts';
import type { CryptoProvider } from '../../crypto/provider.ts';
import { fromHex, toHex, utf8 } from '../../lib/bytes.ts';
import { type RandomSource, SeededRandom } from '../../lib/random.ts';
import { Secret } from '../../lib/secret.ts';
import { instant, seconds } from '../../lib/time.ts';
import { address, parsePrefix, type UdpPath } from '../../model/address.ts';
import { DH_GROUPS, type DhGroup, encryptionTraits } from '../../model/algorithms.ts';
import type { ComputeJob } from '../../model/compute-job.ts';
import type { GatewayConfig, XauthConfig } from '../../model/gateway-config.ts';
import type { IkeEvent, IkeRole } from '../../model/ike-event.ts';
import { decodeIsakmpHeader, EXCHANGE_TYPE, ISAKMP_HEADER_LENGTH } from '../../wire/isakmp-header.ts';
import { decodeSelector } from '../../wire/isakmp-identity.ts';
import { type DecodedPayload, decodePayloadChain } from '../../wire/isakmp-payloads.ts';
import { PHASE1_ATTRIBUTE, PHASE2_ATTRIBUTE } from '../../wire/transform-attributes.ts';
import { IkeEndpoint } from '../endpoint.ts';
import type { IkeOutbox, SaCommand } from '../outbox.ts';
import { nextIv, phase2Iv } from './key-material.ts';
import { espSuite, find, findAll, messagesOf, numberOf, phase1Suite, type Recording } from './recording.fixture.ts';
import { officeConfig } from './two-endpoints.fixture.ts';

const folder = sharedFile('vectors/strongswan-live');
const skip = folder === undefined ? 'the recordings are not here' : false;
const names =
  folder === undefined ? [] : readdirSync(folder).filter((name) => /^ikev1-.*psk.*(?<!tshark)\.json$/.test(name));

/** A recorded message, opened. */
interface Opened {
  readonly bytes: Uint8Array;
  readonly exchangeType: number;
  readonly messageId: number;
  readonly isEncrypted: boolean;
  readonly isFromInitiator: boolean;
  readonly payloads: readonly DecodedPayload[];
  /** As its receiver sees it. */
  readonly path: UdpPath;
}

test('recorded negotiations go through our state machines in the place of either side', { skip }, async (context) => {
  assert.equal(names.length, 7);
  for (const name of names) {
    const recording: Recording & { responder: string } = JSON.parse(readFileSync(join(folder ?? '', name), 'utf8'));
    for (const role of ['initiator', 'responder'] as const) {
      await context.test(`${name} as ${role}`, () => new Stage(recording, role).play());
    }
  }
});

/** One replay. */
class Stage {
  readonly #recording: Recording;
  readonly #role: IkeRole;
  readonly #messages: readonly Opened[];
  readonly #own: readonly Opened[];
  readonly #endpoint: IkeEndpoint;
  readonly #now = instant(1000);
  readonly #events: IkeEvent[] = [];
  readonly #commands: SaCommand[] = [];
  readonly #sent: Uint8Array[] = [];
  readonly #jobs: ComputeJob[] = [];
  #encryptedCount = 0;
  #secretCount = 0;

  constructor(recording: Recording & { readonly responder: string }, role: IkeRole) {
    this.#recording = recording;
    this.#role = role;
    this.#messages = openAll(recording);
    this.#own = this.#messages.filter(({ isFromInitiator }) => isFromInitiator === (role === 'initiator'));
    this.#endpoint = new IkeEndpoint({ crypto: this.#splicingCrypto(), random: this.#scriptedRandom() });
    this.#endpoint.applyConfig(this.#now, configOf(recording, this.#messages, role), this.#out);
  }

  readonly #out: IkeOutbox = {
    transmit: (_path, bytes) => this.#sent.push(bytes),
    transmitKeepalive: () => undefined,
    compute: (job) => this.#jobs.push(job),
    command: (command) => this.#commands.push(command),
    report: (event) => this.#events.push(event),
  };

  play(): void {
    if (this.#role === 'initiator') this.#endpoint.initiate(this.#now, 'office', this.#out);
    this.#settle();
    for (const message of this.#messages) {
      if (this.#own.includes(message)) {
        // The recording ends when one side shuts down, which we are not told to do.
        if (message.exchangeType === EXCHANGE_TYPE.informational) break;
        this.#expectSent(message);
      } else this.#receive(message);
    }
    this.#expectKeys();
    const failures = this.#events.filter(({ kind }) => kind === 'negotiation-failed' || kind === 'message-dropped');
    assert.deepEqual(failures, []);
    if (this.#role === 'responder') assert.deepEqual(this.#endpoint.ikeSas(this.#now), [], 'the peer deleted it');
  }

  #receive(message: Opened): void {
    const before = this.#events.filter(({ kind }) => kind === 'message').length;
    this.#endpoint.handleMessage(this.#now, message.path, message.bytes, this.#out);
    this.#settle();
    const received = this.#events.filter((event) => event.kind === 'message' && event.direction === 'received');
    const last = received.at(-1);
    assert.ok(
      this.#events.filter(({ kind }) => kind === 'message').length > before,
      JSON.stringify(this.#events.at(-1)),
    );
    // We have read the same payloads, of the same lengths.
    assert.ok(last?.kind === 'message');
    assert.deepEqual(
      last.payloads.map(({ length }) => length),
      message.payloads.map(({ raw }) => raw.length),
    );
  }

  #expectSent(message: Opened): void {
    if (this.#sent.length === 0 && message.exchangeType === EXCHANGE_TYPE.quick) this.#rekey();
    const bytes = this.#sent.shift();
    assert.ok(bytes, `${describe(message)} is sent: ${JSON.stringify(this.#events.at(-1))}`);
    const header = decodeIsakmpHeader(bytes);
    assert.ok(header.ok);
    const expected = decodeIsakmpHeader(message.bytes);
    assert.ok(expected.ok);
    for (const field of ['exchangeType', 'messageId', 'flags', 'majorVersion'] as const) {
      assert.deepEqual(header.value[field], expected.value[field], `${describe(message)}: ${field}`);
    }
    assert.deepEqual(header.value.initiatorCookie, expected.value.initiatorCookie);
    assert.deepEqual(header.value.responderCookie, expected.value.responderCookie);
  }

  #rekey(): void {
    const pair = this.#endpoint.ipsecSas(this.#now).find(({ isCurrent }) => isCurrent);
    assert.ok(pair);
    const event = { kind: 'soft-expired', direction: 'outbound', spi: pair.outboundSpi, policy: pair.policy } as const;
    this.#endpoint.handleDataPlaneEvent(this.#now, event, this.#out);
    this.#settle();
  }

  #settle(): void {
    for (let job = this.#jobs.shift(); job !== undefined; job = this.#jobs.shift()) {
      const [ours, theirs] = [true, false].map((isOwn) => this.#publicValues(isOwn)[this.#secretCount]);
      assert.ok(ours && theirs);
      if (job.peerPublicValue === undefined) {
        this.#endpoint.handleComputed(this.#now, job.id, { kind: 'diffie-hellman', publicValue: ours }, this.#out);
        continue;
      }
      assert.deepEqual(job.peerPublicValue, theirs);
      const sharedSecret = fromHex(this.#secrets()[this.#secretCount] ?? '');
      this.#secretCount++;
      const result = { kind: 'diffie-hellman', publicValue: ours, sharedSecret } as const;
      this.#endpoint.handleComputed(this.#now, job.id, result, this.#out);
    }
  }

  #secrets(): readonly string[] {
    const { secrets } = this.#recording;
    return [...(secrets['shared Diffie Hellman secret'] ?? []), ...(secrets['DH secret'] ?? [])];
  }

  #publicValues(isOwn: boolean): readonly Uint8Array[] {
    const messages = this.#messages.filter((message) => this.#own.includes(message) === isOwn);
    return messages.flatMap(({ payloads }) => findAll(payloads, 'key-exchange').map(({ data }) => data));
  }

  /** What the recorded side drew, by its length in octets: cookie, nonces, and SPIs and message IDs in the order in which we draw them. */
  #scriptedRandom(): RandomSource {
    const otherwise = new SeededRandom(5);
    const header = decodeIsakmpHeader(this.#messages[1]?.bytes ?? new Uint8Array(0));
    assert.ok(header.ok);
    const { initiatorCookie, responderCookie } = header.value;
    const draws = new Map<number, Uint8Array[]>([
      [8, [this.#role === 'initiator' ? initiatorCookie : responderCookie]],
      [32, this.#own.flatMap(({ payloads }) => findAll(payloads, 'nonce').map(({ data }) => data))],
      [4, this.#own.flatMap((message) => this.#drawnFor(message))],
    ]);
    return { bytes: (length) => draws.get(length)?.shift()?.slice() ?? otherwise.bytes(length) };
  }

  #drawnFor({ exchangeType, messageId, payloads }: Opened): readonly Uint8Array[] {
    const id = Uint8Array.of(messageId >>> 24, messageId >>> 16, messageId >>> 8, messageId);
    const isFirst = this.#messages.find((message) => message.messageId === messageId)?.payloads === payloads;
    const spi = find(payloads, 'sa')?.proposals[0]?.spi;
    if (exchangeType === EXCHANGE_TYPE.quick && spi) return isFirst ? [spi, id] : [spi];
    return exchangeType === EXCHANGE_TYPE.transaction && isFirst ? [id] : [];
  }

  /** Encrypts as it should, makes sure that the recording can be decrypted with the same key and IV, and returns that. */
  #splicingCrypto(): CryptoProvider {
    return {
      ...nodeCrypto,
      encryptCbc: (algorithm, key, iv, plaintext) => {
        const own = this.#own.filter(({ isEncrypted }) => isEncrypted)[this.#encryptedCount++];
        if (own === undefined) return nodeCrypto.encryptCbc(algorithm, key, iv, plaintext);
        const recorded = own.bytes.subarray(ISAKMP_HEADER_LENGTH);
        const decrypted = nodeCrypto.decryptCbc(algorithm, key, iv, recorded);
        assert.deepEqual(
          chain(own, decrypted).map(({ raw }) => toHex(raw)),
          own.payloads.map(({ raw }) => toHex(raw)),
        );
        this.#expectAlike(own, chain(own, plaintext));
        return recorded;
      },
    };
  }

  /** What we would have sent says the same: who we are, and the proof of it. */
  #expectAlike(own: Opened, ours: readonly DecodedPayload[]): void {
    const isPhase1 = own.messageId === 0;
    for (const kind of ['hash', 'identification', 'nonce'] as const) {
      // In phase 2 the hash covers payloads that may be in another order; in phase 1 it covers only what both sides know.
      if (kind === 'hash' && !isPhase1) continue;
      assert.deepEqual(
        findAll(ours, kind).map(({ data }) => toHex(data)),
        findAll(own.payloads, kind).map(({ data }) => toHex(data)),
        `${describe(own)}: ${kind}`,
      );
    }
    const first = ours[0];
    const isConfirmation = own.exchangeType === EXCHANGE_TYPE.quick && own.payloads.length === 1;
    if (isConfirmation && first?.kind === 'hash')
      assert.deepEqual(first.data, find(own.payloads, 'hash')?.data, 'HASH(3)');
  }

  #expectKeys(): void {
    const ownDirection = this.#role === 'initiator' ? 'inbound' : 'outbound';
    const { secrets } = this.#recording;
    const added = this.#commands.flatMap((command) =>
      command.kind === 'add-inbound' || command.kind === 'add-outbound' ? [command.sa] : [],
    );
    assert.ok(added.length >= 2);
    for (const sa of added) {
      // strongSwan calls "initiator key" the one for packets that the initiator sends.
      const sender = sa.direction === ownDirection ? 'responder' : 'initiator';
      const { keyLength } = encryptionTraits(sa.encryption);
      const logged = (secrets[`encryption ${sender} key`] ?? []).map((key) => key.slice(0, keyLength * 2));
      assert.ok(logged.includes(toHex(sa.encryptionKey.slice(0, keyLength))), `${sa.direction} encryption key`);
      if (sa.integrity === 'none') continue;
      assert.ok(secrets[`integrity ${sender} key`]?.includes(toHex(sa.integrityKey)), `${sa.direction} integrity key`);
    }
  }
}

/** All messages of a recording, decrypted with the key and first IV that strongSwan logged. */
function openAll(recording: Recording & { readonly responder: string }): readonly Opened[] {
  const key = fromHex(recording.secrets['encryption key Ka']?.[0] ?? '');
  const packets = recording.packets.filter(({ kind }) => kind === 'ike');
  const ivs = new Map<number, Uint8Array>([[0, fromHex(recording.secrets['initial IV']?.[0] ?? '')]]);
  let suite: ReturnType<typeof phase1Suite> | undefined;
  return messagesOf(recording).map(({ header, bytes, isFromInitiator }, index) => {
    const { exchangeType, messageId, nextPayload, flags } = header;
    let body = bytes.subarray(ISAKMP_HEADER_LENGTH);
    if (flags.encryption) {
      assert.ok(suite);
      const { cipher, hash } = suite;
      const lastBlock = ivs.get(0) ?? new Uint8Array(0);
      const iv = ivs.get(messageId) ?? phase2Iv(nodeCrypto, hash, cipher, lastBlock, messageId);
      ivs.set(messageId, nextIv(cipher, body));
      body = nodeCrypto.decryptCbc(cipher, key, iv, body);
    }
    const payloads = decodePayloadChain(nextPayload, body, { encrypted: flags.encryption });
    assert.ok(payloads.ok);
    const transform = find(payloads.value, 'sa')?.proposals[0]?.transforms[0];
    if (suite === undefined && transform) suite = phase1Suite(transform);
    const port = packets[index]?.dport ?? 500;
    const [source, destination] = isFromInitiator
      ? [recording.initiator, recording.responder]
      : [recording.responder, recording.initiator];
    const path = {
      local: { address: address(destination), port },
      remote: { address: address(source), port },
    };
    return {
      bytes,
      exchangeType,
      messageId,
      isEncrypted: flags.encryption,
      isFromInitiator,
      payloads: payloads.value,
      path,
    };
  });
}

/** The configuration under which one recorded side would have been ours. */
function configOf(
  recording: Recording & { readonly responder: string },
  messages: readonly Opened[],
  role: IkeRole,
): GatewayConfig {
  const [first] = messages;
  const quick = messages.find(({ exchangeType }) => exchangeType === EXCHANGE_TYPE.quick);
  const phase1 = find(first?.payloads ?? [], 'sa')?.proposals[0]?.transforms[0];
  const phase2 = find(quick?.payloads ?? [], 'sa')?.proposals[0]?.transforms[0];
  assert.ok(first && quick && phase1 && phase2);
  const { cipher: encryption, hash } = phase1Suite(phase1);
  const dhGroup = groupOf(numberOf(phase1, PHASE1_ATTRIBUTE.groupDescription));
  const pfsGroup = groupOf(numberOf(phase2, PHASE2_ATTRIBUTE.groupDescription));
  assert.ok(dhGroup);
  const [initiatorSide, responderSide] = findAll(quick.payloads, 'identification').map((payload) => {
    const selector = decodeSelector(payload);
    assert.ok(selector.ok);
    return selector.value;
  });
  assert.ok(initiatorSide && responderSide);
  const isInitiator = role === 'initiator';
  const [own, peer] = isInitiator ? ['a.vec', 'b.vec'] : ['b.vec', 'a.vec'];
  const addresses = [address(recording.initiator), address(recording.responder)];
  const [localAddress, remoteAddress] = isInitiator ? addresses : addresses.toReversed();
  assert.ok(localAddress && remoteAddress);
  const hasXauth = messages.some(({ exchangeType }) => exchangeType === EXCHANGE_TYPE.transaction);
  const [local, remote] = isInitiator ? [initiatorSide, responderSide] : [responderSide, initiatorSide];
  return officeConfig(role, {
    gateway: {
      localAddress,
      remoteAddresses: [remoteAddress],
      localIdentity: { kind: 'fqdn', name: own ?? '' },
      remoteIdentity: { kind: 'fqdn', name: peer ?? '' },
      ...(hasXauth ? { xauth: xauthOf(role, initiatorSide.addresses.first) } : {}),
    },
    policy: {
      mode: first.exchangeType === EXCHANGE_TYPE.aggressive ? 'aggressive' : 'main',
      preSharedKey: new Secret(fromHex(recording.psk_hex ?? '')),
    },
    ikeProposal: { encryption, hash, dhGroup, lifetime: seconds(numberOf(phase1, PHASE1_ATTRIBUTE.lifeDuration) ?? 0) },
    ipsecProposal: espSuite(phase2),
    vpn: {
      ...(pfsGroup ? { pfsGroup } : {}),
      selectors: [{ origin: { path: 'test', line: 0 }, local, remote }],
    },
  });
}

function xauthOf(role: IkeRole, assigned: string): XauthConfig {
  const origin = { path: 'test', line: 0 };
  const credentials = { name: 'carol', password: new Secret(utf8('4iChxLT3')) };
  if (role === 'initiator')
    return { role: 'client', origin, username: credentials.name, password: credentials.password };
  const network = parsePrefix('10.77.3.0/24');
  assert.ok(network);
  const pool = {
    network,
    first: address(assigned),
    last: address('10.77.3.254'),
    dnsServers: [address('10.77.2.53')],
    winsServers: [],
    splitInclude: [],
  };
  return { role: 'server', origin, users: [credentials], pool };
}

function groupOf(number: number | undefined): DhGroup | undefined {
  for (const name in DH_GROUPS) if (isGroup(name) && DH_GROUPS[name].number === number) return name;
  return undefined;
}

function isGroup(name: string): name is DhGroup {
  return name in DH_GROUPS;
}

function chain({ payloads, bytes }: Opened, plaintext: Uint8Array): readonly DecodedPayload[] {
  const first = decodeIsakmpHeader(bytes);
  assert.ok(first.ok && payloads.length > 0);
  const decoded = decodePayloadChain(first.value.nextPayload, plaintext, { encrypted: true });
  assert.ok(decoded.ok);
  return decoded.value;
}

function describe({ exchangeType, messageId }: Opened): string {
  return `exchange ${exchangeType}, message ID ${messageId.toString(16)}`;
}

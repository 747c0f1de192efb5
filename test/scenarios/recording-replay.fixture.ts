// Puts our endpoint in the place of one side of a recorded negotiation. It draws what that side drew (cookies, nonces, message IDs, SPIs),
// its computations give what the recording has (the logs hold g^xy, not the exponents), and it is told what the other side said.
// Everything that it says is compared with what the recorded side said, message by message.
//
// Two IV chains are kept. Where a message of ours has other octets than the recorded one, all later IVs of that exchange differ, and
// after phase 1 those of every exchange: then what the other side said is decrypted under the recorded chain and encrypted under ours.
// While all octets are the same, so are the chains, and this changes nothing.

import assert from 'node:assert/strict';
import { nodeCrypto } from '../../src/crypto/node-provider.ts';
import type { CbcAlgorithm } from '../../src/crypto/provider.ts';
import { IkeEndpoint } from '../../src/ike/endpoint.ts';
import type { IkeOutbox, SaCommand } from '../../src/ike/outbox.ts';
import { nextIv, phase2Iv } from '../../src/ike/v1/key-material.ts';
import { findAll, type Message, messagesOf, phase1Suite, type Recording } from '../../src/ike/v1/recording.fixture.ts';
import { concat, fromHex, toHex } from '../../src/lib/bytes.ts';
import { type RandomSource, SeededRandom } from '../../src/lib/random.ts';
import { type Instant, instant, NEVER } from '../../src/lib/time.ts';
import { address, type IpAddress, type UdpPath } from '../../src/model/address.ts';
import { encryptionTraits, type HashAlgorithm } from '../../src/model/algorithms.ts';
import type { ComputeJob, ComputeResult } from '../../src/model/compute-job.ts';
import type { GatewayConfig } from '../../src/model/gateway-config.ts';
import type { IkeEvent, IkeRole } from '../../src/model/ike-event.ts';
import { EXCHANGE_TYPE, ISAKMP_HEADER_LENGTH, type IsakmpHeader } from '../../src/wire/isakmp-header.ts';
import { type DecodedPayload, decodePayloadChain } from '../../src/wire/isakmp-payloads.ts';

/** A message of the recording, opened. */
export interface RecordedMessage {
  readonly message: Message;
  readonly payloads: readonly DecodedPayload[];
  /** Decrypted, with its padding. */
  readonly body: Uint8Array;
  readonly port: number;
  readonly sender: IkeRole;
  /** From 1, within its exchange. */
  readonly number: number;
}

/** A message of ours, and the recorded one in whose place it stands. */
export interface Replayed {
  readonly recorded: RecordedMessage;
  readonly bytes: Uint8Array;
  readonly payloads: readonly DecodedPayload[];
}

const START = instant(1_000_000);

export class Replay {
  readonly recording: Recording;
  readonly role: IkeRole;
  readonly messages: readonly RecordedMessage[];
  readonly events: IkeEvent[] = [];
  readonly commands: SaCommand[] = [];
  readonly endpoint: IkeEndpoint;
  readonly hash: HashAlgorithm;
  readonly #random: RecordedRandom;
  readonly #chain: IvChain;
  readonly #jobs: ComputeJob[] = [];
  readonly #sent: { readonly path: UdpPath; readonly bytes: Uint8Array }[] = [];
  #secretCount = 0;
  #now: Instant = START;

  constructor(recording: Recording, role: IkeRole, config: GatewayConfig) {
    this.recording = recording;
    this.role = role;
    const { messages, hash, newChain } = openRecording(recording);
    this.messages = messages;
    this.hash = hash;
    this.#chain = newChain();
    this.#random = drawnBy(role, messages);
    this.endpoint = new IkeEndpoint({ crypto: nodeCrypto, random: this.#random });
    this.endpoint.applyConfig(this.#now, config, this.#out);
  }

  readonly #out: IkeOutbox = {
    transmit: (path, bytes) => this.#sent.push({ path, bytes }),
    transmitKeepalive: () => undefined,
    compute: (job) => this.#jobs.push(job),
    command: (command) => this.commands.push(command),
    report: (event) => this.events.push(event),
  };

  get now(): Instant {
    return this.#now;
  }

  /** Plays the whole recording; says what we have said. */
  run(): readonly Replayed[] {
    const replayed: Replayed[] = [];
    if (this.role === 'initiator') this.endpoint.initiate(this.#now, 'office', this.#out);
    this.#settle();
    for (const recorded of this.messages) {
      if (recorded.sender === this.role) replayed.push(this.#takeOurs(recorded));
      else this.#deliver(recorded);
    }
    assert.deepEqual(this.#sent, [], 'nothing more is said than was recorded');
    this.#random.expectEmpty();
    return replayed;
  }

  #takeOurs(recorded: RecordedMessage): Replayed {
    if (this.#sent.length === 0) this.#provoke(recorded);
    const sent = this.#sent.shift();
    assert.ok(sent, `${describeMessage(recorded)} is sent: ${JSON.stringify(this.events.at(-1))}`);
    const { local, remote } = this.#path(recorded);
    assert.deepEqual(sent.path, { local, remote }, describeMessage(recorded));
    const body = recorded.message.header.flags.encryption
      ? this.#chain.decrypt(recorded.message.header.messageId, sent.bytes.subarray(ISAKMP_HEADER_LENGTH))
      : sent.bytes.subarray(ISAKMP_HEADER_LENGTH);
    return { recorded, bytes: sent.bytes, payloads: decodeBody(sent.bytes[NEXT_PAYLOAD] ?? 0, body, recorded) };
  }

  /** What the recorded side did without having been spoken to: it replaced the IPsec SAs, or ended everything. */
  #provoke({ message }: RecordedMessage): void {
    const pairs = this.endpoint.ipsecSas(this.#now);
    const [newest] = pairs.filter(({ isCurrent }) => isCurrent);
    if (message.header.exchangeType === EXCHANGE_TYPE.quick) {
      assert.ok(newest);
      const { inboundSpi, policy } = newest;
      const expiry = { kind: 'soft-expired', direction: 'inbound', spi: inboundSpi, policy } as const;
      this.endpoint.handleDataPlaneEvent(this.#now, expiry, this.#out);
    } else if (pairs.length > 1) {
      // The older pair is deleted a few seconds after it has been replaced.
      while (this.#sent.length === 0 && this.endpoint.nextTimeout() !== NEVER) {
        this.#now = this.endpoint.nextTimeout();
        this.endpoint.handleTimeout(this.#now, this.#out);
      }
    } else {
      this.endpoint.shutdown(this.#now, this.#out);
    }
    this.#settle();
  }

  #deliver(recorded: RecordedMessage): void {
    const { bytes, header } = recorded.message;
    const message = header.flags.encryption
      ? concat(bytes.subarray(0, ISAKMP_HEADER_LENGTH), this.#chain.encrypt(header.messageId, recorded.body))
      : bytes;
    const before = this.#droppedCount();
    this.endpoint.handleMessage(this.#now, this.#path(recorded), message, this.#out);
    this.#settle();
    assert.equal(this.#droppedCount(), before, `${describeMessage(recorded)}: ${JSON.stringify(this.events.at(-1))}`);
  }

  #path({ port }: RecordedMessage): UdpPath {
    const [local, remote] = this.role === 'initiator' ? [INITIATOR, RESPONDER] : [RESPONDER, INITIATOR];
    return { local: { address: local, port }, remote: { address: remote, port } };
  }

  #settle(): void {
    for (let job = this.#jobs.shift(); job !== undefined; job = this.#jobs.shift()) {
      this.endpoint.handleComputed(this.#now, job.id, this.#computed(job), this.#out);
    }
  }

  /** The recorded side's public value and, once the other's has come, the secret that both logged. */
  #computed({ peerPublicValue }: ComputeJob): ComputeResult {
    const index = this.#secretCount;
    const publicValue = this.#recordedKey(this.role, index);
    if (peerPublicValue === undefined) return { kind: 'diffie-hellman', publicValue };
    const peer = this.role === 'initiator' ? 'responder' : 'initiator';
    assert.deepEqual(peerPublicValue, this.#recordedKey(peer, index));
    this.#secretCount++;
    const { secrets } = this.recording;
    const logged = index === 0 ? secrets['shared Diffie Hellman secret']?.[0] : secrets['DH secret']?.[index - 1];
    assert.ok(logged !== undefined, 'the recording has the secret');
    return { kind: 'diffie-hellman', publicValue, sharedSecret: fromHex(logged) };
  }

  #recordedKey(sender: IkeRole, index: number): Uint8Array {
    const sent = this.messages.filter((each) => each.sender === sender).flatMap(({ payloads }) => payloads);
    const key = findAll(sent, 'key-exchange')[index];
    assert.ok(key !== undefined, 'the recording has the public value');
    return key.data.slice();
  }

  #droppedCount(): number {
    return this.events.filter(({ kind }) => kind === 'message-dropped' || kind === 'negotiation-failed').length;
  }
}

const EXCHANGE_NAMES = new Map<number, string>([
  [EXCHANGE_TYPE['identity-protection'], 'main'],
  [EXCHANGE_TYPE.aggressive, 'aggressive'],
  [EXCHANGE_TYPE.transaction, 'transaction'],
  [EXCHANGE_TYPE.informational, 'informational'],
  [EXCHANGE_TYPE.quick, 'quick'],
]);

/** Such as `main 5`. */
export function describeMessage({ message, number }: RecordedMessage): string {
  return `${EXCHANGE_NAMES.get(message.header.exchangeType) ?? '?'} ${number}`;
}

/** Addresses of the two sides in every recording. */
export const INITIATOR: IpAddress = address('192.168.77.1');
export const RESPONDER: IpAddress = address('192.168.77.2');

/** Where an ISAKMP header says which payload is first (RFC 2408 §3.1). */
const NEXT_PAYLOAD = 16;

function decodeBody(firstType: number, body: Uint8Array, { message }: Pick<RecordedMessage, 'message'>) {
  const decoded = decodePayloadChain(firstType, body, { encrypted: message.header.flags.encryption });
  assert.ok(decoded.ok, decoded.ok ? '' : decoded.error.toString());
  return decoded.value;
}

/** Opens every message of a recording with the logged key and IV. */
function openRecording(recording: Recording) {
  const raw = messagesOf(recording);
  const ports = recording.packets.filter(({ kind }) => kind === 'ike').map(({ dport }) => dport);
  const { hash, cipher } = agreedSuite(raw);
  const [key, iv] = [recording.secrets['encryption key Ka']?.[0], recording.secrets['initial IV']?.[0]];
  assert.ok(key !== undefined && iv !== undefined, 'the recording has keys');
  const { blockLength } = encryptionTraits(cipher);
  const newChain = () => new IvChain(hash, cipher, fromHex(key), fromHex(iv).subarray(0, blockLength));
  const chain = newChain();
  const numbers = new Map<number, number>();
  const messages = raw.map((message, index): RecordedMessage => {
    const { header, bytes, isFromInitiator } = message;
    const number = (numbers.get(header.messageId) ?? 0) + 1;
    numbers.set(header.messageId, number);
    const sent = bytes.subarray(ISAKMP_HEADER_LENGTH);
    const body = header.flags.encryption ? chain.decrypt(header.messageId, sent) : sent;
    const payloads = decodeBody(header.nextPayload, body, { message });
    return {
      message,
      payloads,
      body,
      number,
      port: ports[index] ?? 0,
      sender: isFromInitiator ? 'initiator' : 'responder',
    };
  });
  return { messages, hash, newChain };
}

function agreedSuite(messages: readonly Message[]): { hash: HashAlgorithm; cipher: CbcAlgorithm } {
  const answer = messages.find(({ isFromInitiator }) => !isFromInitiator);
  assert.ok(answer);
  const body = answer.bytes.subarray(ISAKMP_HEADER_LENGTH);
  const [sa] = findAll(decodeBody(answer.header.nextPayload, body, { message: answer }), 'sa');
  const transform = sa?.proposals[0]?.transforms[0];
  assert.ok(transform);
  return phase1Suite(transform);
}

/** One way of chaining IVs (RFC 2409 Appendix B): by the octets that were really sent. */
class IvChain {
  readonly #hash: HashAlgorithm;
  readonly #cipher: CbcAlgorithm;
  readonly #key: Uint8Array;
  readonly #ivs: Map<number, Uint8Array>;

  constructor(hash: HashAlgorithm, cipher: CbcAlgorithm, key: Uint8Array, iv: Uint8Array) {
    this.#hash = hash;
    this.#cipher = cipher;
    this.#key = key;
    this.#ivs = new Map([[0, iv]]);
  }

  decrypt(messageId: number, ciphertext: Uint8Array): Uint8Array {
    const iv = this.#iv(messageId);
    this.#ivs.set(messageId, nextIv(this.#cipher, ciphertext));
    return nodeCrypto.decryptCbc(this.#cipher, this.#key, iv, ciphertext);
  }

  encrypt(messageId: number, plaintext: Uint8Array): Uint8Array {
    const ciphertext = nodeCrypto.encryptCbc(this.#cipher, this.#key, this.#iv(messageId), plaintext);
    this.#ivs.set(messageId, nextIv(this.#cipher, ciphertext));
    return ciphertext;
  }

  #iv(messageId: number): Uint8Array {
    const ofPhase1 = this.#ivs.get(0);
    assert.ok(ofPhase1);
    return this.#ivs.get(messageId) ?? phase2Iv(nodeCrypto, this.#hash, this.#cipher, ofPhase1, messageId);
  }
}

/** What jitter and identifiers of transactions are drawn from; strongSwan's identifiers are zero. */
const JITTER_LENGTH = 6;

/** Gives out what the recorded side drew, by length; private values, which nobody recorded, are drawn anew. */
class RecordedRandom implements RandomSource {
  readonly #recorded = new Map<number, Uint8Array[]>();
  readonly #other = new SeededRandom(1);

  add(octets: Uint8Array): void {
    const queue = this.#recorded.get(octets.length) ?? [];
    queue.push(octets.slice());
    this.#recorded.set(octets.length, queue);
  }

  bytes(length: number): Uint8Array {
    if (length === JITTER_LENGTH) return new Uint8Array(length);
    return this.#recorded.get(length)?.shift() ?? this.#other.bytes(length);
  }

  expectEmpty(): void {
    assert.deepEqual([...this.#recorded.values()].flat().map(toHex), [], 'all that was recorded has been drawn');
  }
}

function drawnBy(role: IkeRole, messages: readonly RecordedMessage[]): RecordedRandom {
  const random = new RecordedRandom();
  for (const { message, payloads, sender, number } of messages) {
    if (sender !== role) continue;
    const { exchangeType, messageId, initiatorCookie, responderCookie } = message.header;
    if (messageId === 0 && number <= 2) random.add(role === 'initiator' ? initiatorCookie : responderCookie);
    for (const { data } of findAll(payloads, 'nonce')) random.add(data);
    // An SPI is reserved before the exchange gets its ID.
    if (exchangeType === EXCHANGE_TYPE.quick)
      for (const { proposals } of findAll(payloads, 'sa')) addSpi(random, proposals);
    if (messageId !== 0 && number === 1) random.add(messageIdOctets(message.header));
  }
  return random;
}

function addSpi(random: RecordedRandom, [proposal]: readonly { readonly spi: Uint8Array }[]): void {
  if (proposal) random.add(proposal.spi);
}

function messageIdOctets({ messageId }: IsakmpHeader): Uint8Array {
  const octets = new Uint8Array(4);
  new DataView(octets.buffer).setUint32(0, messageId);
  return octets;
}

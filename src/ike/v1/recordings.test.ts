// Whole negotiations between two strongSwan daemons, replayed from what is on the wire, the pre-shared key, and the Diffie-Hellman secrets
// that strongSwan logged: every key, IV and hash is derived by our functions, every message is decrypted and authenticated with them.

import assert from 'node:assert/strict';
import { publicDecrypt, X509Certificate } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { sharedFile } from '../../../test/shared.ts';
import { readTshark } from '../../../test/tshark.ts';
import { nodePacketCrypto } from '../../crypto/node-packet-provider.ts';
import { nodeCrypto } from '../../crypto/node-provider.ts';
import type { CbcAlgorithm } from '../../crypto/provider.ts';
import { concat, fromHex, toHex } from '../../lib/bytes.ts';
import { Secret } from '../../lib/secret.ts';
import {
  type EncryptionAlgorithm,
  encryptionTraits,
  type HashAlgorithm,
  INTEGRITY,
  type IntegrityAlgorithm,
} from '../../model/algorithms.ts';
import { spi } from '../../model/ipsec-sa.ts';
import {
  decodeIsakmpHeader,
  EXCHANGE_TYPE,
  ISAKMP_HEADER_LENGTH,
  type IsakmpHeader,
} from '../../wire/isakmp-header.ts';
import { type DecodedPayload, decodePayloadChain, rawBody, rawOctetsFrom } from '../../wire/isakmp-payloads.ts';
import { PHASE1_ATTRIBUTE } from '../../wire/transform-attributes.ts';
import {
  type Cookies,
  hash1,
  hash2,
  hash3,
  hashI,
  hashR,
  hmacPrf,
  type IpsecKeys,
  ipsecKeys,
  nextIv,
  type Phase1Keys,
  type Prf,
  phase1Iv,
  phase1Keys,
  phase2Iv,
  skeyidFromPresharedKey,
  skeyidFromSignatures,
} from './key-material.ts';
import {
  espSuite,
  expectInnerIpv4,
  find,
  findAll,
  type Message,
  messagesOf,
  numberOf,
  phase1Suite,
  type Recording,
} from './recording.fixture.ts';

const folder = sharedFile('vectors/strongswan-live');
const skip = folder === undefined ? 'the recordings are not here' : false;
const names =
  folder === undefined ? [] : readdirSync(folder).filter((name) => /^ikev1-.*(?<!tshark)\.json$/.test(name));

test('RFC 2409: what strongSwan derived, encrypted and authenticated, we derive, decrypt and verify', {
  skip,
}, async (context) => {
  assert.equal(names.length, 10);
  for (const name of names)
    await context.test(name, () => {
      const recording: Recording = JSON.parse(readFileSync(join(folder ?? '', name), 'utf8'));
      const replay = new Replay(recording);
      const tshark = readTshark(join(folder ?? '', name.replace('.json', '.tshark.json.gz')));
      const seenByTshark = tshark.filter((packet) => packet.isIsakmp);
      const messages = messagesOf(recording);
      assert.equal(seenByTshark.length, messages.length);
      for (const [index, message] of messages.entries()) {
        const payloads = replay.receive(message);
        // A message in pieces is one message for us, and its pieces for tshark.
        if (payloads === undefined || replay.wasInPieces) continue;
        const expected = seenByTshark[index]?.payloads;
        const actual = payloads.map(({ raw }, place) => ({
          type: payloads[place - 1]?.raw[0] ?? message.header.nextPayload,
          length: raw.length,
        }));
        assert.deepEqual(actual, expected, `message ${index + 1}`);
      }
      replay.expectAllVerified(name);
    });
});

/** Follows one negotiation from outside. */
class Replay {
  readonly #recording: Recording;
  readonly #pieces: Uint8Array[] = [];
  wasInPieces = false;
  readonly #phase1: DecodedPayload[][] = [];
  #keys: Phase1Keys | undefined;
  #suite: { hash: HashAlgorithm; cipher: CbcAlgorithm; prf: Prf } | undefined;
  #cookies: Cookies | undefined;
  readonly #ivs = new Map<number, Uint8Array>();
  readonly #quickModes = new Map<number, DecodedPayload[][]>();
  readonly #verified: string[] = [];
  #keymatCount = 0;

  constructor(recording: Recording) {
    this.#recording = recording;
  }

  /** The message's payloads, once it is whole. */
  receive(message: Message): readonly DecodedPayload[] | undefined {
    const { header, bytes } = message;
    const body = header.flags.encryption ? this.#decrypt(message) : bytes.subarray(ISAKMP_HEADER_LENGTH);
    const decoded = decodePayloadChain(header.nextPayload, body, { encrypted: header.flags.encryption });
    assert.ok(decoded.ok, decoded.ok ? '' : decoded.error.toString());
    const payloads = [...decoded.value];
    const fragment = find(payloads, 'fragment');
    if (fragment !== undefined) {
      this.#pieces.push(fragment.data);
      if (!fragment.isLast) return undefined;
      const whole = concat(...this.#pieces.splice(0));
      const wholeHeader = decodeIsakmpHeader(whole);
      assert.ok(wholeHeader.ok);
      const result = this.receive({ ...message, header: wholeHeader.value, bytes: whole });
      this.wasInPieces = true;
      return result;
    }
    this.wasInPieces = false;
    this.#follow(message, payloads);
    return payloads;
  }

  #follow(message: Message, payloads: DecodedPayload[]): void {
    const { exchangeType, messageId } = message.header;
    switch (exchangeType) {
      case EXCHANGE_TYPE['identity-protection']:
      case EXCHANGE_TYPE.aggressive:
        this.#phase1.push(payloads);
        if (this.#keys === undefined) this.#deriveWhenPossible(message.header);
        this.#authenticate(message, payloads);
        break;
      case EXCHANGE_TYPE.quick:
        this.#followQuickMode(messageId, payloads);
        break;
      case EXCHANGE_TYPE.informational:
      case EXCHANGE_TYPE.transaction: {
        // In strongSwan's Main Mode, INITIAL-CONTACT comes inside of message 5; no Informational here is in the clear.
        const { prf } = this.#protection();
        const expected = hash1(prf, this.#skeyidA(), messageId, rawOctetsFrom(payloads, 1));
        this.#expectHash(
          exchangeType === EXCHANGE_TYPE.transaction ? 'transaction' : 'informational',
          payloads,
          expected,
        );
        break;
      }
      default:
        assert.fail(`exchange type ${exchangeType}`);
    }
  }

  #deriveWhenPossible(header: IsakmpHeader): void {
    const all = this.#phase1.flat();
    const [keI, keR] = findAll(all, 'key-exchange');
    const [nonceI, nonceR] = findAll(all, 'nonce');
    const chosen = findAll(all, 'sa')[1]?.proposals[0]?.transforms[0];
    if (keI === undefined || keR === undefined || nonceI === undefined || nonceR === undefined || !chosen) return;
    const { hash, cipher } = phase1Suite(chosen);
    const prf = hmacPrf(nodeCrypto, hash);
    const cookies = { initiatorCookie: header.initiatorCookie, responderCookie: header.responderCookie };
    const nonces = { nonceI: nonceI.data, nonceR: nonceR.data };
    const gXY = new Secret(fromHex(this.#logged('shared Diffie Hellman secret')));
    // Methods 65001 and up are XAUTH after a pre-shared key.
    const method = numberOf(chosen, PHASE1_ATTRIBUTE.authenticationMethod);
    const skeyid =
      method === 1 || method === 65_001
        ? skeyidFromPresharedKey(prf, new Secret(fromHex(this.#recording.psk_hex ?? '')), nonces)
        : skeyidFromSignatures(prf, nonces, gXY);
    const keys = phase1Keys(prf, cipher, skeyid, gXY, cookies);
    assert.equal(toHex(keys.skeyid.reveal()), this.#logged('SKEYID'));
    assert.equal(toHex(keys.skeyidD.reveal()), this.#logged('SKEYID_d'));
    assert.equal(toHex(keys.skeyidA.reveal()), this.#logged('SKEYID_a'));
    assert.equal(toHex(keys.skeyidE.reveal()), this.#logged('SKEYID_e'));
    assert.equal(toHex(keys.cipherKey.reveal()), this.#logged('encryption key Ka'));
    const iv = phase1Iv(nodeCrypto, hash, cipher, { gXI: keI.data, gXR: keR.data });
    assert.equal(toHex(iv), this.#logged('initial IV').slice(0, iv.length * 2));
    this.#ivs.set(0, iv);
    this.#keys = keys;
    this.#suite = { hash, cipher, prf };
    this.#cookies = cookies;
  }

  #decrypt({ header, bytes }: Message): Uint8Array {
    const { hash, cipher } = this.#protection();
    const { messageId } = header;
    const lastPhase1Block = this.#ivs.get(0);
    assert.ok(this.#keys !== undefined && lastPhase1Block !== undefined, 'keys come before encryption');
    const iv = this.#ivs.get(messageId) ?? phase2Iv(nodeCrypto, hash, cipher, lastPhase1Block, messageId);
    const ciphertext = bytes.subarray(ISAKMP_HEADER_LENGTH);
    const next = nextIv(cipher, ciphertext);
    this.#ivs.set(messageId, next);
    const logged = this.#recording.secrets[`next IV for MID ${messageId}`] ?? [];
    assert.ok(logged.some((each) => each === toHex(next)) || logged.some((each) => each === toHex(iv)), 'IV chain');
    return nodeCrypto.decryptCbc(cipher, this.#keys.cipherKey.reveal(), iv, ciphertext);
  }

  /** Checks HASH_I or HASH_R, or the signature of it. */
  #authenticate({ isFromInitiator }: Message, payloads: readonly DecodedPayload[]): void {
    const [hash, signature] = [find(payloads, 'hash'), find(payloads, 'signature')];
    if (hash === undefined && signature === undefined) return;
    const { prf } = this.#protection();
    const all = this.#phase1.flat();
    const [sa] = findAll(all, 'sa');
    const [keI, keR] = findAll(all, 'key-exchange');
    const id = findAll(all, 'identification')[isFromInitiator ? 0 : 1];
    assert.ok(sa && keI && keR && id && this.#keys && this.#cookies);
    const side = isFromInitiator ? 'HASH_I' : 'HASH_R';
    const compute = isFromInitiator ? hashI : hashR;
    const publicValues = { gXI: keI.data, gXR: keR.data };
    const expected = compute(prf, this.#keys.skeyid, publicValues, this.#cookies, rawBody(sa), rawBody(id));
    assert.equal(toHex(expected), this.#logged(side));
    if (signature === undefined) return this.#expectHash(side, payloads, expected);
    const certificate = find(payloads, 'certificate');
    assert.ok(certificate !== undefined);
    const { publicKey } = new X509Certificate(certificate.data);
    // RFC 2409 §5.1: an RSA signature is of the hash itself, without an algorithm's name around it.
    if (publicKey.asymmetricKeyType === 'rsa')
      assert.equal(toHex(publicDecrypt(publicKey, signature.data)), toHex(expected));
    this.#verified.push(`${side} ${publicKey.asymmetricKeyType}`);
  }

  #followQuickMode(messageId: number, payloads: DecodedPayload[]): void {
    const { prf } = this.#protection();
    const messages = this.#quickModes.get(messageId) ?? [];
    messages.push(payloads);
    this.#quickModes.set(messageId, messages);
    const [nonceI, nonceR] = findAll(messages.flat(), 'nonce');
    const rest = rawOctetsFrom(payloads, 1);
    assert.ok(nonceI !== undefined);
    if (messages.length === 1) {
      this.#expectHash('HASH(1)', payloads, hash1(prf, this.#skeyidA(), messageId, rest));
    } else if (messages.length === 2) {
      this.#expectHash('HASH(2)', payloads, hash2(prf, this.#skeyidA(), messageId, nonceI.data, rest));
    } else {
      assert.ok(nonceR !== undefined);
      const nonces = { nonceI: nonceI.data, nonceR: nonceR.data };
      this.#expectHash('HASH(3)', payloads, hash3(prf, this.#skeyidA(), messageId, nonces));
      this.#expectKeymat(messages.flat());
    }
  }

  /** Both directions' keys, against the log and the ESP packets that were sent under them. */
  #expectKeymat(payloads: readonly DecodedPayload[]): void {
    const { prf } = this.#protection();
    const [offer, answer] = findAll(payloads, 'sa').map((sa) => sa.proposals);
    const [nonceI, nonceR] = findAll(payloads, 'nonce');
    const chosen = answer?.[0];
    const transform = chosen?.transforms[0];
    const spiI = offer?.find((proposal) => proposal.number === chosen?.number)?.spi;
    assert.ok(chosen && transform && spiI && nonceI && nonceR && this.#keys);
    const { encryption, integrity } = espSuite(transform);
    const hasPfs = find(payloads, 'key-exchange') !== undefined;
    const gQmXY = hasPfs ? new Secret(fromHex(this.#logged('DH secret', this.#keymatCount))) : undefined;
    for (const [direction, spiOctets] of [
      ['initiator', chosen.spi],
      ['responder', spiI],
    ] as const) {
      const purpose = {
        protocol: 'esp',
        spi: spi(Number.parseInt(toHex(spiOctets), 16)),
        nonces: { nonceI: nonceI.data, nonceR: nonceR.data },
        ...(gQmXY && { gQmXY }),
      } as const;
      const keys = ipsecKeys(prf, this.#keys.skeyidD, purpose, encryption, integrity);
      const { keyLength } = encryptionTraits(encryption);
      const encryptionKey = toHex(keys.encryptionKey);
      assert.equal(
        encryptionKey.slice(0, keyLength * 2),
        this.#logged(`encryption ${direction} key`, this.#keymatCount).slice(0, keyLength * 2),
      );
      if (integrity !== 'none')
        assert.equal(toHex(keys.integrityKey), this.#logged(`integrity ${direction} key`, this.#keymatCount));
      this.#expectEsp(spiOctets, encryption, integrity, keys);
    }
    this.#keymatCount++;
  }

  /** Opens every ESP packet with this SPI: the data plane's functions agree with strongSwan's about the keys' direction and order. */
  #expectEsp(
    spiOctets: Uint8Array,
    encryption: EncryptionAlgorithm,
    integrity: IntegrityAlgorithm,
    keys: IpsecKeys,
  ): void {
    const { ivLength, icvLength } = encryptionTraits(encryption);
    for (const { kind, payload } of this.#recording.packets) {
      if (kind !== 'esp-udp' || !payload.startsWith(toHex(spiOctets))) continue;
      const packet = fromHex(payload);
      const iv = packet.slice(8, 8 + ivLength);
      if (icvLength > 0) {
        const aead = nodePacketCrypto.aead(encryption, keys.encryptionKey);
        assert.ok(aead.open(iv, packet.slice(0, 8), packet, 8 + ivLength, packet.length - icvLength));
        expectInnerIpv4(packet.subarray(8 + ivLength, packet.length - icvLength));
      } else {
        const end = packet.length - INTEGRITY[integrity].icvLength;
        const mac = nodePacketCrypto.integrity(integrity, keys.integrityKey);
        assert.ok(mac.verify(new Uint8Array(), packet.subarray(0, end), new Uint8Array(), packet.subarray(end)));
        nodePacketCrypto.cipher(encryption, keys.encryptionKey).decrypt(iv, packet, 8 + ivLength, end);
        expectInnerIpv4(packet.subarray(8 + ivLength, end));
      }
      this.#verified.push('ESP');
    }
  }

  expectAllVerified(name: string): void {
    const count = (what: string): number => this.#verified.filter((each) => each.startsWith(what)).length;
    assert.equal(count('HASH_I'), 1);
    assert.equal(count('HASH_R'), 1);
    for (const hash of ['HASH(1)', 'HASH(2)', 'HASH(3)']) assert.equal(count(hash), name.includes('-pfs') ? 2 : 1);
    assert.ok(count('informational') >= 2);
    assert.equal(count('transaction'), name.includes('xauth') ? 6 : 0);
    assert.equal(count('ESP'), 4);
  }

  #expectHash(what: string, payloads: readonly DecodedPayload[], expected: Uint8Array): void {
    const [hash] = payloads.filter((payload) => payload.kind === 'hash');
    assert.ok(hash !== undefined, `${what} is there`);
    assert.equal(toHex(hash.data), toHex(expected), what);
    this.#verified.push(what);
  }

  #protection(): { hash: HashAlgorithm; cipher: CbcAlgorithm; prf: Prf } {
    assert.ok(this.#suite !== undefined, 'keys are there');
    return this.#suite;
  }

  #skeyidA(): Secret {
    assert.ok(this.#keys !== undefined, 'keys are there');
    return this.#keys.skeyidA;
  }

  #logged(name: string, index = 0): string {
    const value = this.#recording.secrets[name]?.[index];
    assert.ok(value !== undefined, `the recording has ${name}`);
    return value;
  }
}

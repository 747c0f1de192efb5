// Whole negotiations between two strongSwan daemons, with their keys: clear and decrypted messages decode and re-encode to the same octets.

import assert from 'node:assert/strict';
import { createDecipheriv, createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { sharedFile } from '../../test/shared.ts';
import { fromHex, toHex } from '../lib/bytes.ts';
import {
  decodeIsakmpHeader,
  EXCHANGE_TYPE,
  encodeIsakmpHeader,
  ISAKMP_HEADER_LENGTH,
  type IsakmpHeader,
  PAYLOAD_TYPE,
} from './isakmp-header.ts';
import { decodeIdentity } from './isakmp-identity.ts';
import { summarizePayloads } from './isakmp-notation.ts';
import { type DecodedPayload, decodePayloadChain, encodeMessage, encodePayloadChain } from './isakmp-payloads.ts';
import { classifyUdp4500, stripNonEspMarker } from './udp-encapsulation.ts';

interface Recording {
  readonly packets: readonly { kind: string; payload: string; dport: number; non_esp_marker?: boolean }[];
  readonly secrets: Readonly<Record<string, readonly string[]>>;
}

const folder = sharedFile('vectors/strongswan-live');
const skip = folder === undefined ? 'the recordings are not here' : false;
const names =
  folder === undefined ? [] : readdirSync(folder).filter((name) => /^ikev1-.*(?<!tshark)\.json$/.test(name));

test('every message of a recorded negotiation decodes, and re-encodes to the same octets', {
  skip,
}, async (context) => {
  assert.ok(names.length >= 10);
  for (const name of names) {
    await context.test(name, () => {
      const recording: Recording = JSON.parse(readFileSync(join(folder ?? '', name), 'utf8'));
      const decrypter = new Decrypter(recording, name.includes('3des'));
      const kinds = new Set<string>();
      for (const message of messagesOf(recording)) {
        const header = decodeIsakmpHeader(message);
        assert.ok(header.ok);
        assert.deepEqual(encodeIsakmpHeader(header.value), message.subarray(0, ISAKMP_HEADER_LENGTH));
        const { encryption } = header.value.flags;
        const body = encryption ? decrypter.decrypt(header.value, message) : message.subarray(ISAKMP_HEADER_LENGTH);
        const payloads = decodeBody(header.value, body);
        if (!encryption) assert.deepEqual(encodeMessage(header.value, payloads), message);
        for (const payload of payloads) kinds.add(payload.kind);
      }
      assert.ok(['sa', 'key-exchange', 'nonce', 'identification', 'hash'].every((kind) => kinds.has(kind)));
      assert.ok(!kinds.has('unknown'));
      if (name.includes('xauth')) assert.ok(kinds.has('attributes'));
      if (name.includes('rsasig')) assert.ok(kinds.has('certificate') && kinds.has('signature'));
    });
  }
});

function messagesOf(recording: Recording): readonly Uint8Array[] {
  return recording.packets
    .filter((packet) => packet.kind === 'ike')
    .map((packet) => {
      const payload = fromHex(packet.payload);
      return packet.dport === 4500 && classifyUdp4500(payload) === 'ike' ? stripNonEspMarker(payload) : payload;
    });
}

function decodeBody(header: IsakmpHeader, body: Uint8Array): readonly DecodedPayload[] {
  const payloads = decodePayloadChain(header.nextPayload, body, { encrypted: header.flags.encryption });
  assert.ok(payloads.ok, payloads.ok ? '' : payloads.error.toString());
  const { firstType, bytes } = encodePayloadChain(payloads.value);
  assert.equal(firstType, header.nextPayload);
  assert.equal(toHex(bytes), toHex(body.subarray(0, bytes.length)));
  // strongSwan pads with zeros, and a body that needs none with a whole block.
  const padding = body.subarray(bytes.length);
  assert.ok(padding.length <= 16 && padding.every((octet) => octet === 0), `${toHex(padding)} is padding`);
  for (const payload of payloads.value) {
    if (payload.kind === 'identification') assert.ok(decodeIdentity(payload).ok);
  }
  assert.equal(summarizePayloads(payloads.value).length, payloads.value.length);
  return payloads.value;
}

/** Keeps the IV chains of RFC 2409 Appendix B: one for phase 1, and one for each message ID after it. */
class Decrypter {
  readonly #cipher: string;
  readonly #hash: string;
  readonly #key: Uint8Array;
  readonly #ivs = new Map<number, Uint8Array>();
  readonly #blockLength: number;

  constructor({ secrets }: Recording, is3des: boolean) {
    this.#key = fromHex(only(secrets, 'encryption key Ka'));
    this.#cipher = is3des ? 'des-ede3-cbc' : `aes-${this.#key.length * 8}-cbc`;
    this.#blockLength = is3des ? 8 : 16;
    const digestLength = only(secrets, 'SKEYID').length / 2;
    this.#hash = { 16: 'md5', 20: 'sha1', 32: 'sha256', 48: 'sha384', 64: 'sha512' }[digestLength] ?? 'unknown';
    this.#ivs.set(0, fromHex(only(secrets, 'initial IV')).subarray(0, this.#blockLength));
  }

  decrypt(header: IsakmpHeader, message: Uint8Array): Uint8Array {
    const ciphertext = message.subarray(ISAKMP_HEADER_LENGTH);
    const decipher = createDecipheriv(this.#cipher, this.#key, this.#ivFor(header.messageId)).setAutoPadding(false);
    const body = new Uint8Array(Buffer.concat([decipher.update(ciphertext), decipher.final()]));
    // An Informational is one message: what follows under its message ID would start afresh, but never comes.
    this.#ivs.set(header.messageId, ciphertext.subarray(-this.#blockLength));
    assert.ok(header.exchangeType === EXCHANGE_TYPE.informational || header.nextPayload !== PAYLOAD_TYPE.none);
    return body;
  }

  #ivFor(messageId: number): Uint8Array {
    const known = this.#ivs.get(messageId);
    if (known !== undefined) return known;
    const id = Uint8Array.of(messageId >>> 24, messageId >>> 16, messageId >>> 8, messageId);
    const digest = createHash(this.#hash)
      .update(this.#ivs.get(0) ?? id)
      .update(id)
      .digest();
    return new Uint8Array(digest.subarray(0, this.#blockLength));
  }
}

function only(secrets: Recording['secrets'], name: string): string {
  const value = secrets[name]?.[0];
  assert.ok(value !== undefined, `the recording has ${name}`);
  return value;
}

// A message's body is a chain of payloads, each with a header that names the type of the next (RFC 2408 §3.2).
// Lengths are strict: nothing may reach past its parent, and a parent must be filled. Reserved fields are not checked: RFC 2408 §2.5.2
// would have us drop a message for them, but strongSwan and others ignore them, and they change nothing that we act on.

import { type ByteReader, decodeWith } from '../lib/byte-reader.ts';
import { ByteWriter } from '../lib/byte-writer.ts';
import { concat } from '../lib/bytes.ts';
import { invariant, unreachable } from '../lib/invariant.ts';
import { Malformed } from '../lib/malformed.ts';
import type { Result } from '../lib/result.ts';
import { addressFamily, addressFromOctets, addressOctets, type IpAddress } from '../model/address.ts';
import { type Attribute, readAttributes, writeAttributes } from './isakmp-attributes.ts';
import {
  encodeIsakmpHeader,
  IKEV1_VERSION,
  ISAKMP_HEADER_LENGTH,
  type IsakmpHeader,
  PAYLOAD_TYPE,
} from './isakmp-header.ts';
import { readSaPayload, type SaPayload, writeSaPayload } from './isakmp-sa-payload.ts';

/** Which side a peer says it is, or what an SA shall carry (RFC 2407 §4.6.2); `isakmp-identity.ts` gives it meaning. */
export interface IdentificationPayload {
  readonly kind: 'identification';
  readonly idType: number;
  /** IP protocol number; 0 for any. */
  readonly protocolId: number;
  /** 0 for any. */
  readonly port: number;
  readonly data: Uint8Array;
}

/** A status or an error (RFC 2408 §3.14). */
export interface NotificationPayload {
  readonly kind: 'notification';
  readonly doi: number;
  readonly protocolId: number;
  readonly spi: Uint8Array;
  readonly notifyType: number;
  readonly data: Uint8Array;
}

/** SAs that the sender has deleted (RFC 2408 §3.15). */
export interface DeletePayload {
  readonly kind: 'delete';
  readonly doi: number;
  readonly protocolId: number;
  /** Octets of each SPI: 16 for ISAKMP (the cookies), 4 for ESP and AH. */
  readonly spiSize: number;
  readonly spis: readonly Uint8Array[];
}

/** Mode Config and XAUTH (no RFC): asks for, gives, sets or acknowledges attributes. */
export interface AttributesPayload {
  readonly kind: 'attributes';
  /** `MODE_CONFIG_TYPE`. */
  readonly type: number;
  readonly identifier: number;
  readonly attributes: readonly Attribute[];
}

/** One address as the sender sees itself or its peer, behind NAT in transport mode (RFC 3947 §5.2). */
export interface NatOriginalAddressPayload {
  readonly kind: 'nat-original-address';
  /** `PAYLOAD_TYPE['nat-original-address']`, or the drafts' number. */
  readonly payloadType: number;
  readonly idType: number;
  readonly address: IpAddress;
}

/** One piece of a message that is sent in pieces (Cisco's and Microsoft's IKEv1 fragmentation; no RFC). */
export interface FragmentPayload {
  readonly kind: 'fragment';
  readonly fragmentId: number;
  /** From 1. */
  readonly number: number;
  readonly isLast: boolean;
  readonly data: Uint8Array;
}

export type Payload =
  | SaPayload
  | { readonly kind: 'key-exchange'; readonly data: Uint8Array }
  | IdentificationPayload
  | { readonly kind: 'certificate'; readonly encoding: number; readonly data: Uint8Array }
  | { readonly kind: 'certificate-request'; readonly encoding: number; readonly data: Uint8Array }
  | { readonly kind: 'hash'; readonly data: Uint8Array }
  | { readonly kind: 'signature'; readonly data: Uint8Array }
  | { readonly kind: 'nonce'; readonly data: Uint8Array }
  | NotificationPayload
  | DeletePayload
  | { readonly kind: 'vendor-id'; readonly data: Uint8Array }
  | AttributesPayload
  /** `payloadType` is `PAYLOAD_TYPE['nat-discovery']`, or the drafts' number. */
  | { readonly kind: 'nat-discovery'; readonly payloadType: number; readonly data: Uint8Array }
  | NatOriginalAddressPayload
  | FragmentPayload
  | { readonly kind: 'unknown'; readonly type: number; readonly data: Uint8Array };

/** A payload as it came: `raw` is all of it, its generic header included, as a view; hashes are computed over these octets. */
export type DecodedPayload = Payload & { readonly raw: Uint8Array };

/** What a header says besides what the payloads say themselves. */
export type MessageFields = Pick<
  IsakmpHeader,
  'initiatorCookie' | 'responderCookie' | 'exchangeType' | 'flags' | 'messageId'
>;

/** Octets of the header in front of every payload (RFC 2408 §3.2). */
export const GENERIC_HEADER_LENGTH = 4;

/** Payloads in one message: beyond this it is refused. */
const PAYLOADS_PER_MESSAGE_MAX = 128;

/** Nonces are 8 to 256 octets (RFC 2409 §5). */
const NONCE_LENGTH_MIN = 8;
const NONCE_LENGTH_MAX = 256;

const ID_IPV4_ADDR = 1;
const ID_IPV6_ADDR = 5;
const FRAGMENT_LAST = 0x01;

/**
 * Splits a message body into its payloads (RFC 2408 §3.2); all octets in the result are views of `body`.
 * In a decrypted body, octets after the last payload are the cipher's padding (RFC 2409 Appendix B); in a clear one they are an error.
 */
export function decodePayloadChain(
  firstType: number,
  body: Uint8Array,
  { encrypted }: { readonly encrypted: boolean },
): Result<readonly DecodedPayload[], Malformed> {
  return decodeWith(body, (reader) => {
    const payloads: DecodedPayload[] = [];
    for (let type = firstType; type !== PAYLOAD_TYPE.none; ) {
      if (payloads.length === PAYLOADS_PER_MESSAGE_MAX) throw new Malformed('payload count', reader.remaining);
      const start = reader.offset;
      const nextType = reader.uint8('next payload');
      reader.uint8('reserved');
      const length = reader.uint16('payload length');
      // A length below the header's own size would stop the cursor, and so the loop, from advancing.
      if (length < GENERIC_HEADER_LENGTH) throw new Malformed('payload length', reader.remaining);
      const payloadReader = reader.sub(length - GENERIC_HEADER_LENGTH, 'payload length');
      const payload = Object.assign(readPayload(type, payloadReader), { raw: body.subarray(start, start + length) });
      payloadReader.expectEnd('octets after the end of a payload');
      payloads.push(payload);
      type = nextType;
    }
    if (!encrypted) reader.expectEnd('octets after the last payload');
    return payloads;
  });
}

/** Payloads as they go on the wire. */
export interface EncodedChain {
  /** For the header's next payload field. */
  readonly firstType: number;
  readonly bytes: Uint8Array;
  /** Octets of each payload with its header. */
  readonly lengths: readonly number[];
}

export function encodePayloadChain(payloads: readonly Payload[]): EncodedChain {
  const writer = new ByteWriter();
  const lengths: number[] = [];
  for (const [index, payload] of payloads.entries()) {
    const start = writer.length;
    const next = payloads[index + 1];
    writer.uint8(next === undefined ? PAYLOAD_TYPE.none : payloadType(next));
    writer.uint8(0).uint16(0);
    writePayload(writer, payload);
    const length = writer.length - start;
    invariant(length <= 0xffff, 'a payload counts its octets in 16 bits');
    writer.patchUint16(start + 2, length);
    lengths.push(length);
  }
  const first = payloads[0];
  const firstType = first === undefined ? PAYLOAD_TYPE.none : payloadType(first);
  return { firstType, bytes: writer.finish(), lengths };
}

/** A whole message in the clear. */
export function encodeMessage(fields: MessageFields, payloads: readonly Payload[]): Uint8Array {
  const { firstType, bytes } = encodePayloadChain(payloads);
  const length = ISAKMP_HEADER_LENGTH + bytes.length;
  return concat(encodeIsakmpHeader({ ...fields, ...IKEV1_VERSION, nextPayload: firstType, length }), bytes);
}

/** One payload's octets without its generic header: the `_b` of RFC 2409 §5 (SAi_b, IDii_b, Ni_b). */
export function encodePayloadBody(payload: Payload): Uint8Array {
  const writer = new ByteWriter();
  writePayload(writer, payload);
  return writer.finish();
}

/** The same for a payload that was received, as a view: these octets and no others are what the peer hashed. */
export function rawBody(payload: DecodedPayload): Uint8Array {
  return payload.raw.subarray(GENERIC_HEADER_LENGTH);
}

/** All octets of the payloads from `index` on, headers included, padding not: what HASH(1) of Quick Mode covers (RFC 2409 §5.5). */
export function rawOctetsFrom(payloads: readonly DecodedPayload[], index: number): Uint8Array {
  return concat(...payloads.slice(index).map((payload) => payload.raw));
}

/** The number that stands for this payload in the "next payload" field before it. */
function payloadType(payload: Payload): number {
  switch (payload.kind) {
    case 'nat-discovery':
    case 'nat-original-address':
      return payload.payloadType;
    case 'unknown':
      return payload.type;
    default:
      return PAYLOAD_TYPE[payload.kind];
  }
}

function readPayload(type: number, reader: ByteReader): Payload {
  switch (type) {
    case PAYLOAD_TYPE.sa:
      return readSaPayload(reader);
    case PAYLOAD_TYPE['key-exchange']:
      // An empty value is no public value in any group.
      return { kind: 'key-exchange', data: reader.bytes(Math.max(reader.remaining, 1), 'public value') };
    case PAYLOAD_TYPE.identification:
      return readIdentification(reader);
    case PAYLOAD_TYPE.certificate:
      return { kind: 'certificate', encoding: reader.uint8('certificate encoding'), data: reader.rest() };
    case PAYLOAD_TYPE['certificate-request']:
      return { kind: 'certificate-request', encoding: reader.uint8('certificate type'), data: reader.rest() };
    case PAYLOAD_TYPE.hash:
      return { kind: 'hash', data: reader.rest() };
    case PAYLOAD_TYPE.signature:
      return { kind: 'signature', data: reader.rest() };
    case PAYLOAD_TYPE.nonce:
      return readNonce(reader);
    case PAYLOAD_TYPE.notification:
      return readNotification(reader);
    case PAYLOAD_TYPE.delete:
      return readDelete(reader);
    case PAYLOAD_TYPE['vendor-id']:
      return { kind: 'vendor-id', data: reader.rest() };
    case PAYLOAD_TYPE.attributes:
      return readModeConfig(reader);
    case PAYLOAD_TYPE['nat-discovery']:
    case PAYLOAD_TYPE['nat-discovery-draft']:
      return { kind: 'nat-discovery', payloadType: type, data: reader.rest() };
    case PAYLOAD_TYPE['nat-original-address']:
    case PAYLOAD_TYPE['nat-original-address-draft']:
      return readNatOriginalAddress(type, reader);
    case PAYLOAD_TYPE.fragment:
      return readFragment(reader);
    default:
      return { kind: 'unknown', type, data: reader.rest() };
  }
}

function readIdentification(reader: ByteReader): IdentificationPayload {
  const idType = reader.uint8('identification type');
  const protocolId = reader.uint8('identification protocol');
  const port = reader.uint16('identification port');
  return { kind: 'identification', idType, protocolId, port, data: reader.rest() };
}

function readNonce(reader: ByteReader): Payload {
  const length = reader.remaining;
  if (length < NONCE_LENGTH_MIN || length > NONCE_LENGTH_MAX) throw new Malformed('nonce length', length);
  return { kind: 'nonce', data: reader.rest() };
}

function readNotification(reader: ByteReader): NotificationPayload {
  const doi = reader.uint32('DOI');
  const protocolId = reader.uint8('protocol ID');
  const spiSize = reader.uint8('SPI size');
  const notifyType = reader.uint16('notify message type');
  const spi = reader.bytes(spiSize, 'SPI');
  return { kind: 'notification', doi, protocolId, spi, notifyType, data: reader.rest() };
}

function readDelete(reader: ByteReader): DeletePayload {
  const doi = reader.uint32('DOI');
  const protocolId = reader.uint8('protocol ID');
  const spiSize = reader.uint8('SPI size');
  const count = reader.uint16('SPI count');
  // Sizes first: a count of 65535 with SPIs of no octets must not make a list.
  if (count * spiSize !== reader.remaining) throw new Malformed('SPI count', reader.remaining);
  const spis = spiSize === 0 ? [] : Array.from({ length: count }, () => reader.bytes(spiSize, 'SPI'));
  return { kind: 'delete', doi, protocolId, spiSize, spis };
}

function readModeConfig(reader: ByteReader): AttributesPayload {
  const type = reader.uint8('attributes type');
  reader.uint8('reserved');
  const identifier = reader.uint16('attributes identifier');
  return { kind: 'attributes', type, identifier, attributes: readAttributes(reader) };
}

function readNatOriginalAddress(type: number, reader: ByteReader): NatOriginalAddressPayload {
  const idType = reader.uint8('identification type');
  if (idType !== ID_IPV4_ADDR && idType !== ID_IPV6_ADDR) throw new Malformed('identification type', reader.remaining);
  reader.bytes(3, 'reserved');
  const octets = reader.bytes(idType === ID_IPV4_ADDR ? 4 : 16, 'original address');
  return { kind: 'nat-original-address', payloadType: type, idType, address: addressFromOctets(octets) };
}

function readFragment(reader: ByteReader): FragmentPayload {
  const fragmentId = reader.uint16('fragment ID');
  const number = reader.uint8('fragment number');
  const flags = reader.uint8('fragment flags');
  const isLast = (flags & FRAGMENT_LAST) !== 0;
  // A piece of nothing would never complete a message.
  const data = reader.bytes(Math.max(reader.remaining, 1), 'fragment data');
  return { kind: 'fragment', fragmentId, number, isLast, data };
}

function writePayload(writer: ByteWriter, payload: Payload): void {
  switch (payload.kind) {
    case 'sa':
      writeSaPayload(writer, payload);
      return;
    case 'identification':
      writer.uint8(payload.idType).uint8(payload.protocolId).uint16(payload.port).bytes(payload.data);
      return;
    case 'certificate':
    case 'certificate-request':
      writer.uint8(payload.encoding).bytes(payload.data);
      return;
    case 'notification':
      writer.uint32(payload.doi).uint8(payload.protocolId).uint8(payload.spi.length);
      writer.uint16(payload.notifyType).bytes(payload.spi).bytes(payload.data);
      return;
    case 'delete':
      writeDelete(writer, payload);
      return;
    case 'attributes':
      writer.uint8(payload.type).uint8(0).uint16(payload.identifier);
      writeAttributes(writer, payload.attributes);
      return;
    case 'nat-original-address':
      writer.uint8(addressFamily(payload.address) === 4 ? ID_IPV4_ADDR : ID_IPV6_ADDR);
      writer.bytes(new Uint8Array(3)).bytes(addressOctets(payload.address));
      return;
    case 'fragment':
      writer.uint16(payload.fragmentId).uint8(payload.number);
      writer.uint8(payload.isLast ? FRAGMENT_LAST : 0).bytes(payload.data);
      return;
    case 'key-exchange':
    case 'hash':
    case 'signature':
    case 'nonce':
    case 'vendor-id':
    case 'nat-discovery':
    case 'unknown':
      writer.bytes(payload.data);
      return;
    default:
      unreachable(payload);
  }
}

function writeDelete(writer: ByteWriter, payload: DeletePayload): void {
  writer.uint32(payload.doi).uint8(payload.protocolId).uint8(payload.spiSize).uint16(payload.spis.length);
  for (const spi of payload.spis) {
    invariant(spi.length === payload.spiSize, 'the SPIs of a Delete payload have one size');
    writer.bytes(spi);
  }
}

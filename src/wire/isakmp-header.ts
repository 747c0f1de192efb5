// The ISAKMP header that every IKEv1 (and, with other flags, IKEv2) message starts with (RFC 2408 §3.1).

import { type ByteReader, decodeWith } from '../lib/byte-reader.ts';
import { ByteWriter } from '../lib/byte-writer.ts';
import { invariant } from '../lib/invariant.ts';
import { Malformed } from '../lib/malformed.ts';
import type { Result } from '../lib/result.ts';

/** Octets of an ISAKMP header (RFC 2408 §3.1). */
export const ISAKMP_HEADER_LENGTH = 28;

/** Octets of each of the two cookies (RFC 2408 §3.1). */
export const COOKIE_LENGTH = 8;

/** Exchange types (RFC 2408 §3.1; quick and new group: RFC 2409 Appendix A; transaction: Mode Config, no RFC). */
export const EXCHANGE_TYPE = {
  base: 1,
  'identity-protection': 2,
  'authentication-only': 3,
  aggressive: 4,
  informational: 5,
  transaction: 6,
  quick: 32,
  'new-group': 33,
} as const;

/** Payload types (RFC 2408 §3.1; NAT-D, NAT-OA: RFC 3947 §3.2, §5.2, and their numbers in the drafts before it). */
export const PAYLOAD_TYPE = {
  none: 0,
  sa: 1,
  proposal: 2,
  transform: 3,
  'key-exchange': 4,
  identification: 5,
  certificate: 6,
  'certificate-request': 7,
  hash: 8,
  signature: 9,
  nonce: 10,
  notification: 11,
  delete: 12,
  'vendor-id': 13,
  attributes: 14,
  'nat-discovery': 20,
  'nat-original-address': 21,
  'nat-discovery-draft': 130,
  'nat-original-address-draft': 131,
  fragment: 132,
} as const;

/** The header's flag bits (RFC 2408 §3.1). */
export interface IsakmpFlags {
  /** Everything after the header is encrypted. */
  readonly encryption: boolean;
  readonly commit: boolean;
  readonly authenticationOnly: boolean;
}

/** A decoded ISAKMP header (RFC 2408 §3.1). */
export interface IsakmpHeader {
  /** Eight octets. */
  readonly initiatorCookie: Uint8Array;
  /** Eight octets; zero in the first message of phase 1. */
  readonly responderCookie: Uint8Array;
  readonly nextPayload: number;
  readonly majorVersion: number;
  readonly minorVersion: number;
  readonly exchangeType: number;
  readonly flags: IsakmpFlags;
  /** 0 in phase 1. */
  readonly messageId: number;
  /** Octets of the whole message, this header included. */
  readonly length: number;
}

export const NO_FLAGS: IsakmpFlags = { encryption: false, commit: false, authenticationOnly: false };

/** The version that IKEv1 writes: 1.0 (RFC 2408 §3.1). */
export const IKEV1_VERSION = { majorVersion: 1, minorVersion: 0 } as const;

const FLAG_ENCRYPTION = 0x01;
const FLAG_COMMIT = 0x02;
const FLAG_AUTHENTICATION_ONLY = 0x04;

/**
 * Reads the header of one message, which is the whole datagram: its length field must say so.
 * The cookies are views of `message`. Reserved flag bits are ignored, as strongSwan does; version and types are the caller's to judge.
 */
export function decodeIsakmpHeader(message: Uint8Array): Result<IsakmpHeader, Malformed> {
  return decodeWith(message, (reader) => {
    const header = readHeader(reader);
    if (header.length < ISAKMP_HEADER_LENGTH) throw new Malformed('message length below its header', header.length);
    if (header.length > message.length) {
      throw new Malformed('message shorter than its length field', header.length - message.length);
    }
    if (header.length < message.length) {
      throw new Malformed('message longer than its length field', message.length - header.length);
    }
    return header;
  });
}

/** The 28 octets of a header. */
export function encodeIsakmpHeader(header: IsakmpHeader): Uint8Array {
  invariant(header.initiatorCookie.length === COOKIE_LENGTH, 'an initiator cookie has 8 octets');
  invariant(header.responderCookie.length === COOKIE_LENGTH, 'a responder cookie has 8 octets');
  return new ByteWriter(ISAKMP_HEADER_LENGTH)
    .bytes(header.initiatorCookie)
    .bytes(header.responderCookie)
    .uint8(header.nextPayload)
    .uint8((header.majorVersion << 4) | header.minorVersion)
    .uint8(header.exchangeType)
    .uint8(encodeFlags(header.flags))
    .uint32(header.messageId)
    .uint32(header.length)
    .finish();
}

function readHeader(reader: ByteReader): IsakmpHeader {
  const initiatorCookie = reader.bytes(COOKIE_LENGTH, 'initiator cookie');
  const responderCookie = reader.bytes(COOKIE_LENGTH, 'responder cookie');
  const nextPayload = reader.uint8('next payload');
  const version = reader.uint8('version');
  const exchangeType = reader.uint8('exchange type');
  const flags = decodeFlags(reader.uint8('flags'));
  const messageId = reader.uint32('message ID');
  const length = reader.uint32('message length');
  return {
    initiatorCookie,
    responderCookie,
    nextPayload,
    majorVersion: version >> 4,
    minorVersion: version & 0x0f,
    exchangeType,
    flags,
    messageId,
    length,
  };
}

function decodeFlags(octet: number): IsakmpFlags {
  return {
    encryption: (octet & FLAG_ENCRYPTION) !== 0,
    commit: (octet & FLAG_COMMIT) !== 0,
    authenticationOnly: (octet & FLAG_AUTHENTICATION_ONLY) !== 0,
  };
}

function encodeFlags(flags: IsakmpFlags): number {
  return (
    (flags.encryption ? FLAG_ENCRYPTION : 0) |
    (flags.commit ? FLAG_COMMIT : 0) |
    (flags.authenticationOnly ? FLAG_AUTHENTICATION_ONLY : 0)
  );
}

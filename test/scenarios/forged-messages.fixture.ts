// What an attacker makes of messages, for tests: changed, invented, and, where a bench's cryptography hides nothing, encrypted.

import assert from 'node:assert/strict';
import { concat } from '../../src/lib/bytes.ts';
import {
  decodeIsakmpHeader,
  encodeIsakmpHeader,
  ISAKMP_HEADER_LENGTH,
  type IsakmpHeader,
} from '../../src/wire/isakmp-header.ts';
import { NOTIFY_TYPE } from '../../src/wire/isakmp-notify.ts';
import {
  type DecodedPayload,
  decodePayloadChain,
  encodePayloadChain,
  type Payload,
} from '../../src/wire/isakmp-payloads.ts';
import { IPSEC_DOI, PROTOCOL_ID } from '../../src/wire/isakmp-sa-payload.ts';
import type { TwoGateways } from './two-gateways.ts';

export function headerOf(message: Uint8Array): IsakmpHeader {
  const header = decodeIsakmpHeader(message);
  assert.ok(header.ok);
  return header.value;
}

/** A message in clear with other payloads. */
export function rewrite(
  message: Uint8Array,
  change: (payloads: readonly DecodedPayload[]) => readonly Payload[],
): Uint8Array {
  const header = headerOf(message);
  const payloads = decodePayloadChain(header.nextPayload, message.subarray(ISAKMP_HEADER_LENGTH), { encrypted: false });
  assert.ok(payloads.ok);
  return clearMessage(header, change(payloads.value));
}

/** A message under this header, its length and first payload aside. */
export function clearMessage(header: IsakmpHeader, payloads: readonly Payload[]): Uint8Array {
  const { firstType, bytes } = encodePayloadChain(payloads);
  const length = ISAKMP_HEADER_LENGTH + bytes.length;
  return concat(encodeIsakmpHeader({ ...header, nextPayload: firstType, length }), bytes);
}

/** The same, in whole cipher blocks and marked as encrypted: for a bench whose ciphers do nothing. */
export function encryptedMessage(header: IsakmpHeader, payloads: readonly Payload[]): Uint8Array {
  const { firstType, bytes } = encodePayloadChain(payloads);
  const body = concat(bytes, new Uint8Array(-bytes.length & 15));
  const flags = { ...header.flags, encryption: true };
  const length = ISAKMP_HEADER_LENGTH + body.length;
  return concat(encodeIsakmpHeader({ ...header, flags, nextPayload: firstType, length }), body);
}

/** INITIAL-CONTACT for the SA of this header (RFC 2407 §4.6.3.3). */
export function initialContact({ initiatorCookie, responderCookie }: IsakmpHeader): Payload {
  return {
    kind: 'notification',
    doi: IPSEC_DOI,
    protocolId: PROTOCOL_ID.isakmp,
    spi: concat(initiatorCookie, responderCookie),
    notifyType: NOTIFY_TYPE['INITIAL-CONTACT'],
    data: new Uint8Array(0),
  };
}

/** The SAs that are up at both ends: what no attack may change. */
export function standing(lab: TwoGateways): unknown {
  return [lab.initiator, lab.responder].map(({ gateway }) => ({
    ike: gateway
      .ikeSas(lab.now)
      .filter((sa) => sa.state === 'up')
      .map((sa) => sa.id),
    ipsec: gateway.ipsecSas(lab.now).map((pair) => [pair.inboundSpi, pair.outboundSpi, pair.isCurrent, pair.path]),
  }));
}

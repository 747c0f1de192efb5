// Messages for people: in the notation of RFC 2409 §3.2 and §5, and payload by payload. Nothing here shows a secret: no keys, no hashes, no
// signatures, no XAUTH answers.

import { toHex } from '../lib/bytes.ts';
import { formatIdentity } from '../model/identity.ts';
import type { ExchangeName, IkePayloadSummary, IkeRole } from '../model/ike-event.ts';
import { formatSelector } from '../model/traffic-selector.ts';
import { EXCHANGE_TYPE } from './isakmp-header.ts';
import { decodeIdentity, idTypeName } from './isakmp-identity.ts';
import { notifyName } from './isakmp-notify.ts';
import {
  type AttributesPayload,
  type DecodedPayload,
  type DeletePayload,
  encodePayloadBody,
  GENERIC_HEADER_LENGTH,
  type IdentificationPayload,
  type NotificationPayload,
  type Payload,
} from './isakmp-payloads.ts';
import type { SaPayload } from './isakmp-sa-payload.ts';
import { modeConfigAttributeName, modeConfigTypeName } from './mode-config.ts';
import { describeTransform, protocolName } from './transform-attributes.ts';
import { recognizeVendorId } from './vendor-ids.ts';

/** Where a message stands, as far as its notation depends on it. */
export interface MessagePlace {
  readonly exchange: ExchangeName;
  /** Position in the exchange, from 1; 0 where it has none. */
  readonly number: number;
  /** Who of this exchange sent it. */
  readonly sender: IkeRole;
  readonly isEncrypted: boolean;
}

const EXCHANGE_NAMES: ReadonlyMap<number, ExchangeName> = new Map<number, ExchangeName>([
  [EXCHANGE_TYPE['identity-protection'], 'main'],
  [EXCHANGE_TYPE.aggressive, 'aggressive'],
  [EXCHANGE_TYPE.informational, 'informational'],
  [EXCHANGE_TYPE.transaction, 'transaction'],
  [EXCHANGE_TYPE.quick, 'quick'],
]);

/** More transforms than this are counted, not listed. */
const TRANSFORMS_SHOWN_MAX = 8;
const VALUES_SHOWN_MAX = 16;

/** IKE's name of an ISAKMP exchange type: Identity Protection is Main Mode (RFC 2409 §5). */
export function exchangeName(exchangeType: number): ExchangeName {
  return EXCHANGE_NAMES.get(exchangeType) ?? 'unknown';
}

/** A message in the RFC's notation: `HDR*, HASH(1), SA, Ni, KE, IDci, IDcr`. Vendor IDs that follow each other are one `VID`. */
export function notation(place: MessagePlace, payloads: readonly Payload[]): string {
  const words = [place.isEncrypted ? 'HDR*' : 'HDR'];
  let identificationCount = 0;
  for (const payload of payloads) {
    const name =
      payload.kind === 'identification' ? identityWord(place, identificationCount++) : payloadWord(place, payload);
    if (name !== 'VID' || words.at(-1) !== 'VID') words.push(name);
  }
  return words.join(', ');
}

/** Each payload's name, length in octets with its header, and what can be said of it. Who has encoded them knows the `lengths`. */
export function summarizePayloads(
  payloads: readonly (Payload | DecodedPayload)[],
  lengths?: readonly number[],
): readonly IkePayloadSummary[] {
  return payloads.map((payload, index) => ({
    name: payloadName(payload),
    length: lengths?.[index] ?? payloadLength(payload),
    detail: payloadDetail(payload),
  }));
}

function payloadLength(payload: Payload | DecodedPayload): number {
  return 'raw' in payload ? payload.raw.length : GENERIC_HEADER_LENGTH + encodePayloadBody(payload).length;
}

function payloadWord(place: MessagePlace, payload: Payload): string {
  const side = place.sender === 'initiator' ? 'i' : 'r';
  switch (payload.kind) {
    case 'nonce':
      return `N${side}`;
    case 'hash':
      return hashWord(place);
    case 'signature':
      return `SIG_${side.toUpperCase()}`;
    case 'notification':
      return `N(${notifyName(payload.notifyType)})`;
    default:
      return payloadName(payload);
  }
}

function hashWord(place: MessagePlace): string {
  switch (place.exchange) {
    case 'main':
    case 'aggressive':
      return place.sender === 'initiator' ? 'HASH_I' : 'HASH_R';
    case 'quick':
      return place.number > 0 ? `HASH(${place.number})` : 'HASH';
    case 'informational':
      return 'HASH(1)';
    default:
      return 'HASH';
  }
}

/** Phase 1 sends its own identity; Quick Mode the two ends of the traffic, the initiator's first (RFC 2409 §5.5). */
function identityWord(place: MessagePlace, index: number): string {
  switch (place.exchange) {
    case 'main':
    case 'aggressive':
      return place.sender === 'initiator' ? 'IDii' : 'IDir';
    case 'quick':
      return index === 0 ? 'IDci' : 'IDcr';
    default:
      return 'ID';
  }
}

/** The RFCs' short name of a payload. */
function payloadName(payload: Payload): string {
  switch (payload.kind) {
    case 'sa':
      return 'SA';
    case 'key-exchange':
      return 'KE';
    case 'identification':
      return 'ID';
    case 'certificate':
      return 'CERT';
    case 'certificate-request':
      return 'CR';
    case 'hash':
      return 'HASH';
    case 'signature':
      return 'SIG';
    case 'nonce':
      return 'NONCE';
    case 'notification':
      return 'N';
    case 'delete':
      return 'D';
    case 'vendor-id':
      return 'VID';
    case 'attributes':
      return 'ATTR';
    case 'nat-discovery':
      return 'NAT-D';
    case 'nat-original-address':
      return 'NAT-OA';
    case 'fragment':
      return 'FRAGMENT';
    case 'unknown':
      return `payload ${payload.type}`;
  }
}

function payloadDetail(payload: Payload): string {
  switch (payload.kind) {
    case 'sa':
      return saDetail(payload);
    case 'key-exchange':
    case 'nonce':
    case 'unknown':
      return `${payload.data.length} octets`;
    case 'identification':
      return identificationDetail(payload);
    case 'certificate':
    case 'certificate-request':
      return `encoding ${payload.encoding}, ${payload.data.length} octets`;
    case 'notification':
      return notificationDetail(payload);
    case 'delete':
      return deleteDetail(payload);
    case 'vendor-id':
      return recognizeVendorId(payload.data) ?? toHex(payload.data.subarray(0, VALUES_SHOWN_MAX));
    case 'attributes':
      return attributesDetail(payload);
    case 'nat-original-address':
      return payload.address;
    case 'fragment':
      return `message ${payload.fragmentId}, piece ${payload.number}${payload.isLast ? ', the last' : ''}`;
    case 'hash':
    case 'signature':
    case 'nat-discovery':
      return '';
  }
}

function saDetail(payload: SaPayload): string {
  if (payload.undecoded.length > 0) return `DOI ${payload.doi}, situation ${payload.situation}, not understood`;
  const transforms = payload.proposals.flatMap((proposal) =>
    proposal.transforms.map(
      (transform) =>
        `${proposalPrefix(payload, proposal.number)}${protocolName(proposal.protocolId)} ${describeTransform(proposal, transform)}`,
    ),
  );
  const shown = transforms.slice(0, TRANSFORMS_SHOWN_MAX).join('; ');
  const hiddenCount = transforms.length - TRANSFORMS_SHOWN_MAX;
  return hiddenCount > 0 ? `${shown}; and ${hiddenCount} more` : shown;
}

function proposalPrefix(payload: SaPayload, number: number): string {
  return payload.proposals.length > 1 ? `#${number} ` : '';
}

function identificationDetail(payload: IdentificationPayload): string {
  const identity = decodeIdentity(payload);
  const name = idTypeName(payload.idType);
  if (!identity.ok) return `${name} (${payload.data.length} octets that are none)`;
  if (identity.value.kind === 'selector') return `${name} ${formatSelector(identity.value.selector)}`;
  const protocol = payload.protocolId === 0 ? '' : ` proto ${payload.protocolId}`;
  const port = payload.port === 0 ? '' : ` port ${payload.port}`;
  return `${name} ${formatIdentity(identity.value)}${protocol}${port}`;
}

function notificationDetail(payload: NotificationPayload): string {
  const spi = payload.spi.length === 4 ? ` SPI ${toHex(payload.spi)}` : '';
  const data = payload.data.length > 0 ? `, ${payload.data.length} octets of data` : '';
  return `${notifyName(payload.notifyType)} for ${protocolName(payload.protocolId)}${spi}${data}`;
}

function deleteDetail(payload: DeletePayload): string {
  const spis = payload.spis.slice(0, VALUES_SHOWN_MAX).map(toHex);
  const hiddenCount = payload.spis.length - spis.length;
  return `${protocolName(payload.protocolId)} ${spis.join(' ')}${hiddenCount > 0 ? ` and ${hiddenCount} more` : ''}`;
}

/** Names only: among the values are passwords. */
function attributesDetail(payload: AttributesPayload): string {
  const names = payload.attributes.slice(0, VALUES_SHOWN_MAX).map(({ type }) => modeConfigAttributeName(type));
  const hiddenCount = payload.attributes.length - names.length;
  const more = hiddenCount > 0 ? ` and ${hiddenCount} more` : '';
  return `${modeConfigTypeName(payload.type)} ${names.join(' ')}${more}`.trimEnd();
}

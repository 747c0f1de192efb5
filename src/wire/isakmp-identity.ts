// Identification payloads and what they mean: who a peer is in phase 1, what an SA carries in phase 2 (RFC 2407 §4.6.2).

import { concat, fromUtf8, utf8 } from '../lib/bytes.ts';
import { catchMalformed, Malformed } from '../lib/malformed.ts';
import { ok, type Result } from '../lib/result.ts';
import {
  type AddressRange,
  addressBits,
  addressFamily,
  addressFromOctets,
  addressOctets,
  compareAddresses,
  type IpAddress,
  prefixRange,
  rangePrefix,
} from '../model/address.ts';
import type { Identity } from '../model/identity.ts';
import { ANY_PORT, type TrafficSelector } from '../model/traffic-selector.ts';
import { formatDistinguishedName } from './distinguished-name.ts';
import type { IdentificationPayload } from './isakmp-payloads.ts';

/** Identification types (RFC 2407 §4.6.2.1). */
export const ID_TYPE = {
  ID_IPV4_ADDR: 1,
  ID_FQDN: 2,
  ID_USER_FQDN: 3,
  ID_IPV4_ADDR_SUBNET: 4,
  ID_IPV6_ADDR: 5,
  ID_IPV6_ADDR_SUBNET: 6,
  ID_IPV4_ADDR_RANGE: 7,
  ID_IPV6_ADDR_RANGE: 8,
  ID_DER_ASN1_DN: 9,
  ID_DER_ASN1_GN: 10,
  ID_KEY_ID: 11,
} as const;

/** The protocol and port that a phase 1 identification names: both 0, or UDP and 500 (RFC 2407 §4.6.2). */
export interface IdentificationPort {
  readonly protocolId: number;
  readonly port: number;
}

const NO_PORT: IdentificationPort = { protocolId: 0, port: 0 };
const TYPE_NAMES: ReadonlyMap<number, string> = new Map(Object.entries(ID_TYPE).map(([name, type]) => [type, name]));

/** The RFC's name of an identification type, or its number as text. */
export function idTypeName(idType: number): string {
  return TYPE_NAMES.get(idType) ?? String(idType);
}

/** Who the payload says the peer is. Names must be valid UTF-8, so that different octets are never the same name. */
export function decodeIdentity(payload: IdentificationPayload): Result<Identity, Malformed> {
  const { data } = payload;
  switch (payload.idType) {
    case ID_TYPE.ID_IPV4_ADDR:
    case ID_TYPE.ID_IPV6_ADDR:
      return catchMalformed(() => ({ kind: 'address', address: readRange(payload).first }));
    case ID_TYPE.ID_FQDN:
      return catchMalformed(() => ({ kind: 'fqdn', name: readName(data) }));
    case ID_TYPE.ID_USER_FQDN:
      return catchMalformed(() => ({ kind: 'user-fqdn', name: readName(data) }));
    case ID_TYPE.ID_DER_ASN1_DN: {
      const text = formatDistinguishedName(data);
      return text.ok ? ok({ kind: 'distinguished-name', der: data.slice(), text: text.value }) : text;
    }
    case ID_TYPE.ID_KEY_ID:
      return ok({ kind: 'key-id', id: data.slice() });
    default: {
      const selector = decodeSelector(payload);
      return selector.ok ? ok({ kind: 'selector', selector: selector.value }) : selector;
    }
  }
}

export function encodeIdentity(identity: Identity, port: IdentificationPort = NO_PORT): IdentificationPayload {
  switch (identity.kind) {
    case 'address': {
      const idType = addressFamily(identity.address) === 4 ? ID_TYPE.ID_IPV4_ADDR : ID_TYPE.ID_IPV6_ADDR;
      return { kind: 'identification', idType, ...port, data: addressOctets(identity.address) };
    }
    case 'fqdn':
      return { kind: 'identification', idType: ID_TYPE.ID_FQDN, ...port, data: utf8(identity.name) };
    case 'user-fqdn':
      return { kind: 'identification', idType: ID_TYPE.ID_USER_FQDN, ...port, data: utf8(identity.name) };
    case 'distinguished-name':
      return { kind: 'identification', idType: ID_TYPE.ID_DER_ASN1_DN, ...port, data: identity.der };
    case 'key-id':
      return { kind: 'identification', idType: ID_TYPE.ID_KEY_ID, ...port, data: identity.id };
    case 'selector':
      return encodeSelector(identity.selector);
  }
}

/** What a phase 2 identification (IDci or IDcr) asks the SA to carry. Names and wildcard masks are not selectors. */
export function decodeSelector(payload: IdentificationPayload): Result<TrafficSelector, Malformed> {
  return catchMalformed(() => {
    const addresses = readRange(payload);
    const { protocolId, port } = payload;
    return { addresses, protocol: protocolId, ports: port === 0 ? ANY_PORT : { first: port, last: port } };
  });
}

/**
 * The identification that says this selector, in its most usual form: one address, a subnet, or else a range of addresses.
 * IKEv1 can name one port or all (RFC 2407 §4.6.2): some ports but not all are said as all, as strongSwan does.
 */
export function encodeSelector(selector: TrafficSelector): IdentificationPayload {
  const { addresses, protocol, ports } = selector;
  const port = ports.first === ports.last ? ports.first : 0;
  const isIpv4 = addressFamily(addresses.first) === 4;
  const prefix = rangePrefix(addresses);
  const common = { kind: 'identification', protocolId: protocol, port } as const;
  if (addresses.first === addresses.last) {
    const idType = isIpv4 ? ID_TYPE.ID_IPV4_ADDR : ID_TYPE.ID_IPV6_ADDR;
    return { ...common, idType, data: addressOctets(addresses.first) };
  }
  if (prefix !== undefined) {
    const idType = isIpv4 ? ID_TYPE.ID_IPV4_ADDR_SUBNET : ID_TYPE.ID_IPV6_ADDR_SUBNET;
    const mask = maskOctets(prefix.length, addressBits(addresses.first));
    return { ...common, idType, data: concat(addressOctets(addresses.first), mask) };
  }
  const idType = isIpv4 ? ID_TYPE.ID_IPV4_ADDR_RANGE : ID_TYPE.ID_IPV6_ADDR_RANGE;
  return { ...common, idType, data: concat(addressOctets(addresses.first), addressOctets(addresses.last)) };
}

function readRange(payload: IdentificationPayload): AddressRange {
  switch (payload.idType) {
    case ID_TYPE.ID_IPV4_ADDR:
      return readHost(payload.data, 4);
    case ID_TYPE.ID_IPV6_ADDR:
      return readHost(payload.data, 16);
    case ID_TYPE.ID_IPV4_ADDR_SUBNET:
      return readSubnet(payload.data, 4);
    case ID_TYPE.ID_IPV6_ADDR_SUBNET:
      return readSubnet(payload.data, 16);
    case ID_TYPE.ID_IPV4_ADDR_RANGE:
      return readAddressPair(payload.data, 4);
    case ID_TYPE.ID_IPV6_ADDR_RANGE:
      return readAddressPair(payload.data, 16);
    default:
      throw new Malformed('identification type', payload.data.length);
  }
}

function readHost(data: Uint8Array, addressLength: number): AddressRange {
  const address = readAddress(data, 0, addressLength);
  expectLength(data, addressLength);
  return { first: address, last: address };
}

function readSubnet(data: Uint8Array, addressLength: number): AddressRange {
  expectLength(data, addressLength * 2);
  const length = maskLength(data.subarray(addressLength));
  return prefixRange({ address: readAddress(data, 0, addressLength), length });
}

function readAddressPair(data: Uint8Array, addressLength: number): AddressRange {
  expectLength(data, addressLength * 2);
  const first = readAddress(data, 0, addressLength);
  const last = readAddress(data, addressLength, addressLength);
  if (compareAddresses(first, last) > 0) throw new Malformed('identification range', data.length);
  return { first, last };
}

function readAddress(data: Uint8Array, offset: number, addressLength: number): IpAddress {
  if (data.length < offset + addressLength) throw new Malformed('identification data length', data.length);
  return addressFromOctets(data.subarray(offset, offset + addressLength));
}

function expectLength(data: Uint8Array, length: number): void {
  if (data.length !== length) throw new Malformed('identification data length', data.length);
}

function readName(data: Uint8Array): string {
  const name = fromUtf8(data);
  const encoded = utf8(name);
  const isUtf8 = encoded.length === data.length && encoded.every((octet, index) => octet === data[index]);
  if (data.length === 0 || !isUtf8) throw new Malformed('identification name', data.length);
  return name;
}

/** Bits of a contiguous mask. RFC 2407 §4.6.2.5 allows wildcard bits anywhere; no peer sends that, and no prefix says it. */
function maskLength(mask: Uint8Array): number {
  let length = 0;
  while (length < mask.length * 8 && isBitSet(mask, length)) length++;
  for (let bit = length; bit < mask.length * 8; bit++) {
    if (isBitSet(mask, bit)) throw new Malformed('identification mask', mask.length);
  }
  return length;
}

function isBitSet(octets: Uint8Array, bit: number): boolean {
  return ((octets[bit >> 3] ?? 0) & (0x80 >> (bit % 8))) !== 0;
}

function maskOctets(length: number, bits: number): Uint8Array {
  const mask = new Uint8Array(bits / 8);
  for (let bit = 0; bit < length; bit++) mask[bit >> 3] = (mask[bit >> 3] ?? 0) | (0x80 >> (bit % 8));
  return mask;
}

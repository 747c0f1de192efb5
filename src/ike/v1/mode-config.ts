// Mode Config (draft-dukes-ike-mode-cfg-02, never an RFC): the client asks for an address and what belongs to it, the server gives it.

import { concat } from '../../lib/bytes.ts';
import { addressFromOctets, addressOctets, type IpAddress, type Prefix, prefixRange } from '../../model/address.ts';
import type { XauthPool } from '../../model/gateway-config.ts';
import type { Attribute } from '../../wire/isakmp-attributes.ts';
import type { AttributesPayload } from '../../wire/isakmp-payloads.ts';
import { MODE_CONFIG_ATTRIBUTE, MODE_CONFIG_TYPE } from '../../wire/mode-config.ts';

/** What a client is given. */
export interface ModeConfiguration {
  readonly address: IpAddress;
  readonly pool: XauthPool;
}

const NO_VALUE = new Uint8Array(0);
/** A split-include entry: address, mask, and six octets of protocol and ports that nobody fills. */
const SPLIT_INCLUDE_FILL = new Uint8Array(6);

/** What we ask for as client. */
export function modeConfigRequest(identifier: number): AttributesPayload {
  const { INTERNAL_IP4_ADDRESS, INTERNAL_IP4_NETMASK, INTERNAL_IP4_DNS, INTERNAL_IP4_NBNS, UNITY_SPLIT_INCLUDE } =
    MODE_CONFIG_ATTRIBUTE;
  const wanted = [INTERNAL_IP4_ADDRESS, INTERNAL_IP4_NETMASK, INTERNAL_IP4_DNS, INTERNAL_IP4_NBNS, UNITY_SPLIT_INCLUDE];
  const attributes = wanted.map((type) => ({ type, value: NO_VALUE }));
  return { kind: 'attributes', type: MODE_CONFIG_TYPE.request, identifier, attributes };
}

/** The server's answer: of what the client asks for, what there is. */
export function modeConfigReply(request: AttributesPayload, given: ModeConfiguration): AttributesPayload {
  const asked = new Set(request.attributes.map(({ type }) => type));
  const attributes = configurationAttributes(given).filter(({ type }) => asked.has(type));
  return { kind: 'attributes', type: MODE_CONFIG_TYPE.reply, identifier: request.identifier, attributes };
}

/** An acknowledgement names what it acknowledges, without values. */
export function acknowledge(set: AttributesPayload): AttributesPayload {
  const attributes = set.attributes.map(({ type }) => ({ type, value: NO_VALUE }));
  return { kind: 'attributes', type: MODE_CONFIG_TYPE.acknowledge, identifier: set.identifier, attributes };
}

/** Whether a message is about addresses rather than users. */
export function isModeConfig(payload: AttributesPayload): boolean {
  return payload.attributes.every(({ type }) => type < FIRST_XAUTH_TYPE || type > LAST_XAUTH_TYPE);
}

/** The address that the server has given. */
export function givenAddress(payload: AttributesPayload): IpAddress | undefined {
  for (const { type, value } of payload.attributes) {
    if (type !== MODE_CONFIG_ATTRIBUTE.INTERNAL_IP4_ADDRESS || typeof value === 'number') continue;
    if (value.length === 4) return addressFromOctets(value);
  }
  return undefined;
}

const FIRST_XAUTH_TYPE = MODE_CONFIG_ATTRIBUTE['XAUTH-TYPE'];
const LAST_XAUTH_TYPE = MODE_CONFIG_ATTRIBUTE['XAUTH-ANSWER'];

function configurationAttributes({ address, pool }: ModeConfiguration): readonly Attribute[] {
  const { INTERNAL_IP4_ADDRESS, INTERNAL_IP4_NETMASK, INTERNAL_IP4_DNS, INTERNAL_IP4_NBNS, UNITY_SPLIT_INCLUDE } =
    MODE_CONFIG_ATTRIBUTE;
  return [
    { type: INTERNAL_IP4_ADDRESS, value: addressOctets(address) },
    { type: INTERNAL_IP4_NETMASK, value: maskOf(pool.network) },
    ...pool.dnsServers.map((server) => ({ type: INTERNAL_IP4_DNS, value: addressOctets(server) })),
    ...pool.winsServers.map((server) => ({ type: INTERNAL_IP4_NBNS, value: addressOctets(server) })),
    ...(pool.splitInclude.length === 0
      ? []
      : [{ type: UNITY_SPLIT_INCLUDE, value: concat(...pool.splitInclude.map(splitIncludeEntry)) }]),
  ];
}

function splitIncludeEntry(prefix: Prefix): Uint8Array {
  return concat(addressOctets(prefixRange(prefix).first), maskOf(prefix), SPLIT_INCLUDE_FILL);
}

function maskOf(prefix: Prefix): Uint8Array {
  const mask = new Uint8Array(4);
  for (let bit = 0; bit < prefix.length; bit++) mask[bit >> 3] = (mask[bit >> 3] ?? 0) | (0x80 >> (bit % 8));
  return mask;
}

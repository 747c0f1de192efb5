// Vendor IDs: how IKEv1 peers say which extensions they speak (RFC 2408 §3.16). Most are the MD5 of a name.

import { fromHex } from '../lib/bytes.ts';

/** The extensions that we know, with the octets to send for each. */
export const VENDOR_ID = {
  /** MD5 of `RFC 3947` (RFC 3947 §3.1). */
  'rfc-3947': fromHex('4a131c81070358455c5728f20e95452f'),
  /** MD5 of `draft-ietf-ipsec-nat-t-ike-03`. */
  'nat-t-draft-03': fromHex('7d9419a65310ca6f2c179d9215529d56'),
  /** MD5 of `draft-ietf-ipsec-nat-t-ike-02`. */
  'nat-t-draft-02': fromHex('cd60464335df21f87cfdb2fc68b6a448'),
  /** The same with a newline at its end: a slip of the first implementations that stayed. */
  'nat-t-draft-02-newline': fromHex('90cb80913ebb696e086381b5ec427b1f'),
  /** Ends in the major and minor version of the protocol (RFC 3706 §5.1). */
  'dead-peer-detection': fromHex('afcad71368a1f1c96b8696fc77570100'),
  /** draft-ietf-ipsec-isakmp-xauth-06. */
  xauth: fromHex('09002689dfd6b712'),
  /** MD5 of `FRAGMENTATION`, then which modes may be fragmented: main and aggressive. */
  fragmentation: fromHex('4048b7d56ebce88525e7de7f00d6c2d380000000'),
  'cisco-unity': fromHex('12f5f28c457168a9702d9fe274cc0100'),
  strongswan: fromHex('882fe56d6fd20dbc2251613b2ebe5beb'),
} as const;

export type VendorIdName = keyof typeof VENDOR_ID;

// Octets that a received ID must begin with, where what follows is a version or options.
const PREFIX_LENGTHS: Partial<Record<VendorIdName, number>> = {
  'dead-peer-detection': 14,
  fragmentation: 16,
  'cisco-unity': 14,
};

/** Which extension a received vendor ID announces; `undefined` for one that we do not know, which is to be ignored. */
export function recognizeVendorId(data: Uint8Array): VendorIdName | undefined {
  return KNOWN.find(({ start, isWhole }) => {
    const hasLength = isWhole ? data.length === start.length : data.length >= start.length;
    return hasLength && start.every((octet, index) => octet === data[index]);
  })?.name;
}

const VENDOR_ID_NAMES: readonly VendorIdName[] = [
  'rfc-3947',
  'nat-t-draft-03',
  'nat-t-draft-02',
  'nat-t-draft-02-newline',
  'dead-peer-detection',
  'xauth',
  'fragmentation',
  'cisco-unity',
  'strongswan',
];

const KNOWN = VENDOR_ID_NAMES.map((name) => {
  const prefixLength = PREFIX_LENGTHS[name];
  return { name, start: VENDOR_ID[name].slice(0, prefixLength), isWhole: prefixLength === undefined };
});

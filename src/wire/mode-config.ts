// Mode Config and XAUTH: numbers that have no RFC. draft-dukes-ike-mode-cfg-02 and draft-beaulieu-ike-xauth-02, carried in the
// attributes payload of a transaction exchange; attributes are encoded as RFC 2408 §3.3 says.

/** What an attributes payload does (draft-dukes-ike-mode-cfg-02 §3.2). */
export const MODE_CONFIG_TYPE = { request: 1, reply: 2, set: 3, acknowledge: 4 } as const;

/** Attribute types: Mode Config's, Cisco Unity's from 28672 on, and XAUTH's from 16520 on. */
export const MODE_CONFIG_ATTRIBUTE = {
  INTERNAL_IP4_ADDRESS: 1,
  INTERNAL_IP4_NETMASK: 2,
  INTERNAL_IP4_DNS: 3,
  INTERNAL_IP4_NBNS: 4,
  INTERNAL_ADDRESS_EXPIRY: 5,
  INTERNAL_IP4_DHCP: 6,
  APPLICATION_VERSION: 7,
  INTERNAL_IP6_ADDRESS: 8,
  INTERNAL_IP4_SUBNET: 13,
  SUPPORTED_ATTRIBUTES: 14,
  'XAUTH-TYPE': 16_520,
  'XAUTH-USER-NAME': 16_521,
  'XAUTH-USER-PASSWORD': 16_522,
  'XAUTH-PASSCODE': 16_523,
  'XAUTH-MESSAGE': 16_524,
  'XAUTH-CHALLENGE': 16_525,
  'XAUTH-DOMAIN': 16_526,
  'XAUTH-STATUS': 16_527,
  'XAUTH-NEXT-PIN': 16_528,
  'XAUTH-ANSWER': 16_529,
  UNITY_BANNER: 28_672,
  UNITY_SAVE_PASSWD: 28_673,
  UNITY_DEF_DOMAIN: 28_674,
  UNITY_SPLITDNS_NAME: 28_675,
  UNITY_SPLIT_INCLUDE: 28_676,
  UNITY_LOCAL_LAN: 28_678,
  UNITY_PFS: 28_679,
} as const;

const TYPE_NAMES = new Map<number, string>(Object.entries(MODE_CONFIG_TYPE).map(([name, type]) => [type, name]));
const ATTRIBUTE_NAMES = new Map<number, string>(
  Object.entries(MODE_CONFIG_ATTRIBUTE).map(([name, type]) => [type, name]),
);

/** `request`, `reply`, `set`, `acknowledge`, or the number as text. */
export function modeConfigTypeName(type: number): string {
  return TYPE_NAMES.get(type) ?? String(type);
}

/** The drafts' name of an attribute, or its number as text. */
export function modeConfigAttributeName(type: number): string {
  return ATTRIBUTE_NAMES.get(type) ?? String(type);
}

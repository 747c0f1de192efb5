// Notify message types (RFC 2408 §3.14.1, RFC 2407 §4.6.3, and for dead peer detection RFC 3706 §5.3).

/** Numbers by the RFCs' names. Below 16384 they are errors, from there on statuses. */
export const NOTIFY_TYPE = {
  'INVALID-PAYLOAD-TYPE': 1,
  'DOI-NOT-SUPPORTED': 2,
  'SITUATION-NOT-SUPPORTED': 3,
  'INVALID-COOKIE': 4,
  'INVALID-MAJOR-VERSION': 5,
  'INVALID-MINOR-VERSION': 6,
  'INVALID-EXCHANGE-TYPE': 7,
  'INVALID-FLAGS': 8,
  'INVALID-MESSAGE-ID': 9,
  'INVALID-PROTOCOL-ID': 10,
  'INVALID-SPI': 11,
  'INVALID-TRANSFORM-ID': 12,
  'ATTRIBUTES-NOT-SUPPORTED': 13,
  'NO-PROPOSAL-CHOSEN': 14,
  'BAD-PROPOSAL-SYNTAX': 15,
  'PAYLOAD-MALFORMED': 16,
  'INVALID-KEY-INFORMATION': 17,
  'INVALID-ID-INFORMATION': 18,
  'INVALID-CERT-ENCODING': 19,
  'INVALID-CERTIFICATE': 20,
  'CERT-TYPE-UNSUPPORTED': 21,
  'INVALID-CERT-AUTHORITY': 22,
  'INVALID-HASH-INFORMATION': 23,
  'AUTHENTICATION-FAILED': 24,
  'INVALID-SIGNATURE': 25,
  'ADDRESS-NOTIFICATION': 26,
  'NOTIFY-SA-LIFETIME': 27,
  'CERTIFICATE-UNAVAILABLE': 28,
  'UNSUPPORTED-EXCHANGE-TYPE': 29,
  'UNEQUAL-PAYLOAD-LENGTHS': 30,
  CONNECTED: 16_384,
  'RESPONDER-LIFETIME': 24_576,
  'REPLAY-STATUS': 24_577,
  'INITIAL-CONTACT': 24_578,
  'R-U-THERE': 36_136,
  'R-U-THERE-ACK': 36_137,
} as const;

const STATUS_TYPE_MIN = 16_384;
const NAMES: ReadonlyMap<number, string> = new Map(Object.entries(NOTIFY_TYPE).map(([name, type]) => [type, name]));

/** The RFC's name, or the number as text. */
export function notifyName(type: number): string {
  return NAMES.get(type) ?? String(type);
}

/** Whether the type says that something failed, rather than how something stands (RFC 2408 §3.14.1). */
export function isErrorNotify(type: number): boolean {
  return type < STATUS_TYPE_MIN;
}

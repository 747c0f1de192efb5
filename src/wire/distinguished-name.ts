// X.501 distinguished names in DER, as far as showing one to people needs it: SEQUENCE OF SET OF SEQUENCE { type OID, value }.

import { ByteReader, decodeWith } from '../lib/byte-reader.ts';
import { fromUtf8, toHex } from '../lib/bytes.ts';
import { Malformed } from '../lib/malformed.ts';
import type { Result } from '../lib/result.ts';

const TAG = {
  objectIdentifier: 0x06,
  utf8String: 0x0c,
  printableString: 0x13,
  teletexString: 0x14,
  ia5String: 0x16,
  sequence: 0x30,
  set: 0x31,
} as const;

/** Attribute types by the octets of their object identifier (RFC 4519 §2, and PKCS #9's e-mail address). */
const ATTRIBUTE_NAMES: Readonly<Record<string, string>> = {
  '550403': 'CN',
  '550404': 'SN',
  '550405': 'serialNumber',
  '550406': 'C',
  '550407': 'L',
  '550408': 'ST',
  '550409': 'STREET',
  '55040a': 'O',
  '55040b': 'OU',
  '55040c': 'title',
  '55042a': 'givenName',
  '2a864886f70d010901': 'E',
  '0992268993f22c640119': 'DC',
  '0992268993f22c640101': 'UID',
};

const RELATIVE_NAMES_MAX = 64;

/** The name as text, `C=CH, O=Example, CN=gw`, in the order of its encoding; characters that could confuse a reader are escaped. */
export function formatDistinguishedName(der: Uint8Array): Result<string, Malformed> {
  return decodeWith(der, (reader) => {
    const names = readElement(reader, TAG.sequence, 'distinguished name');
    reader.expectEnd('octets after the distinguished name');
    const parts: string[] = [];
    while (names.remaining > 0) {
      if (parts.length === RELATIVE_NAMES_MAX) throw new Malformed('relative name count', names.remaining);
      const set = readElement(names, TAG.set, 'relative name');
      const attributes: string[] = [];
      while (set.remaining > 0) attributes.push(readAttribute(set));
      if (attributes.length === 0) throw new Malformed('relative name', names.remaining);
      parts.push(attributes.join('+'));
    }
    return parts.join(', ');
  });
}

function readAttribute(set: ByteReader): string {
  const attribute = readElement(set, TAG.sequence, 'name attribute');
  const type = toHex(readElement(attribute, TAG.objectIdentifier, 'name attribute type').rest());
  const valueTag = attribute.uint8('name value');
  const value = attribute.bytes(readLength(attribute), 'name value');
  attribute.expectEnd('octets after the name value');
  return `${ATTRIBUTE_NAMES[type] ?? `oid.${type}`}=${formatValue(valueTag, value)}`;
}

function formatValue(tag: number, octets: Uint8Array): string {
  switch (tag) {
    case TAG.utf8String:
    case TAG.printableString:
    case TAG.teletexString:
    case TAG.ia5String:
      // Peers choose these: no control characters into terminals, and no comma that looks like the next attribute.
      return fromUtf8(octets).replace(
        /[\p{C}\p{Zl}\p{Zp},+=\\]/gu,
        (character) => `\\${toHex(new TextEncoder().encode(character))}`,
      );
    default:
      return `#${toHex(octets)}`;
  }
}

function readElement(reader: ByteReader, tag: number, field: string): ByteReader {
  if (reader.uint8(field) !== tag) throw new Malformed(field, reader.remaining);
  return new ByteReader(reader.bytes(readLength(reader), field));
}

/** DER: definite lengths only; more than two octets of length do not fit a payload. */
function readLength(reader: ByteReader): number {
  const first = reader.uint8('DER length');
  if (first < 0x80) return first;
  if (first === 0x81) return reader.uint8('DER length');
  if (first === 0x82) return reader.uint16('DER length');
  throw new Malformed('DER length', reader.remaining);
}

// Data attributes, as transforms and Mode Config carry them (RFC 2408 §3.3).

import type { ByteReader } from '../lib/byte-reader.ts';
import type { ByteWriter } from '../lib/byte-writer.ts';
import { invariant } from '../lib/invariant.ts';
import { Malformed } from '../lib/malformed.ts';

/** A number travels in the short form (type/value), octets in the long one (type/length/value): so each re-encodes as it came. */
export interface Attribute {
  /** 15 bits, without the format bit. */
  readonly type: number;
  readonly value: number | Uint8Array;
}

/** Attributes in one list: beyond this the message is refused. */
const ATTRIBUTES_MAX = 256;

const FORMAT_SHORT = 0x8000;
const TYPE_MAX = 0x7fff;

/** Reads attributes until `reader` is empty. Values are views. */
export function readAttributes(reader: ByteReader): readonly Attribute[] {
  const attributes: Attribute[] = [];
  while (reader.remaining > 0) {
    if (attributes.length === ATTRIBUTES_MAX) throw new Malformed('attribute count', reader.remaining);
    const formatAndType = reader.uint16('attribute type');
    const type = formatAndType & TYPE_MAX;
    if (formatAndType & FORMAT_SHORT) {
      attributes.push({ type, value: reader.uint16('attribute value') });
    } else {
      const length = reader.uint16('attribute length');
      attributes.push({ type, value: reader.bytes(length, 'attribute value') });
    }
  }
  return attributes;
}

export function writeAttributes(writer: ByteWriter, attributes: readonly Attribute[]): void {
  for (const { type, value } of attributes) {
    invariant(type <= TYPE_MAX, 'an attribute type has 15 bits');
    if (typeof value === 'number') {
      invariant(value <= 0xffff, 'a short attribute value has 16 bits');
      writer.uint16(FORMAT_SHORT | type).uint16(value);
    } else {
      writer.uint16(type).uint16(value.length).bytes(value);
    }
  }
}

/** An attribute for a number of up to 32 bits: short where it fits, else four octets, as peers send lifetimes. */
export function numericAttribute(type: number, value: number): Attribute {
  invariant(Number.isInteger(value) && value >= 0 && value <= 0xffffffff, 'an attribute number has 32 bits');
  if (value <= 0xffff) return { type, value };
  return { type, value: Uint8Array.of(value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff) };
}

/** The value as a number, whichever form it came in; `undefined` if it has no octets or needs more than 48 bits. */
export function attributeNumber(attribute: Attribute): number | undefined {
  if (typeof attribute.value === 'number') return attribute.value;
  if (attribute.value.length === 0) return undefined;
  let number = 0;
  for (const octet of attribute.value) {
    number = number * 256 + octet;
    if (number >= 2 ** 48) return undefined;
  }
  return number;
}

/** Octets joined in order into a new array. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const joined = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((octet, index) => octet === b[index]);
}

/** Compares without an early exit, so that the time taken says nothing about where the first difference is. */
export function equalInConstantTime(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let index = 0; index < a.length; index++) difference |= (a[index] ?? 0) ^ (b[index] ?? 0);
  return difference === 0;
}

const HEX_DIGITS = Array.from({ length: 256 }, (_, octet) => octet.toString(16).padStart(2, '0'));

/** Lower-case hexadecimal, two digits an octet. */
export function toHex(bytes: Uint8Array): string {
  let text = '';
  for (const octet of bytes) text += HEX_DIGITS[octet];
  return text;
}

/** Octets from hexadecimal digits; throws a RangeError on anything else. */
export function fromHex(text: string): Uint8Array {
  if (!/^([0-9a-fA-F]{2})*$/.test(text)) throw new RangeError('expected an even number of hexadecimal digits');
  const bytes = new Uint8Array(text.length / 2);
  for (let index = 0; index < bytes.length; index++)
    bytes[index] = Number.parseInt(text.slice(index * 2, index * 2 + 2), 16);
  return bytes;
}

const ENCODER = new TextEncoder();
const DECODER = new TextDecoder();

export function utf8(text: string): Uint8Array {
  return ENCODER.encode(text);
}

/** Text from UTF-8; an invalid sequence becomes U+FFFD. */
export function fromUtf8(bytes: Uint8Array): string {
  return DECODER.decode(bytes);
}

import { type AddressRange, addressFromOctets, addressOctets, type Prefix } from '../model/address.ts';

/** The fewest prefixes that together cover exactly this range, in order. */
export function prefixesOfRange(range: AddressRange): readonly Prefix[] {
  const octetCount = addressOctets(range.first).length;
  const bits = octetCount * 8;
  const last = toNumber(addressOctets(range.last));
  const prefixes: Prefix[] = [];
  for (let start = toNumber(addressOctets(range.first)); start <= last; ) {
    let hostBits = 0;
    while (hostBits < bits && isAligned(start, hostBits + 1) && start + (1n << BigInt(hostBits + 1)) - 1n <= last)
      hostBits++;
    prefixes.push({ address: addressFromOctets(toOctets(start, octetCount)), length: bits - hostBits });
    start += 1n << BigInt(hostBits);
  }
  return prefixes;
}

function isAligned(value: bigint, bits: number): boolean {
  return (value & ((1n << BigInt(bits)) - 1n)) === 0n;
}

function toNumber(octets: Uint8Array): bigint {
  return octets.reduce((value, octet) => (value << 8n) | BigInt(octet), 0n);
}

function toOctets(value: bigint, length: number): Uint8Array {
  const octets = new Uint8Array(length);
  for (let index = length - 1; index >= 0; index--) {
    octets[index] = Number(value & 0xffn);
    value >>= 8n;
  }
  return octets;
}

// The Internet checksum (RFC 1071) and its incremental update (RFC 1624).

/** Adds the 16-bit words of `buffer[start, end)` to `sum`, an odd last octet padded with zero; not folded, not complemented. */
export function addToSum(sum: number, buffer: Uint8Array, start: number, end: number): number {
  const even = end - ((end - start) & 1);
  for (let offset = start; offset < even; offset += 2) sum += ((buffer[offset] ?? 0) << 8) | (buffer[offset + 1] ?? 0);
  return even < end ? sum + ((buffer[even] ?? 0) << 8) : sum;
}

/** Folds the carries of a sum of up to 2^53 into 16 bits and complements it. */
export function finishChecksum(sum: number): number {
  let folded = (sum % 0x1_0000) + Math.floor(sum / 0x1_0000);
  while (folded > 0xffff) folded = (folded & 0xffff) + (folded >>> 16);
  return ~folded & 0xffff;
}

/** The checksum field of data in which a 16-bit word changed (RFC 1624 §3, equation 3). */
export function updateChecksum(checksum: number, oldWord: number, newWord: number): number {
  return finishChecksum((~checksum & 0xffff) + (~oldWord & 0xffff) + newWord);
}

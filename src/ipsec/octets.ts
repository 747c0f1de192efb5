// Big-endian fields (RFC 791 §3.1) at an offset, for the data path: no reader object, no allocation. The caller has checked the bounds.

export function uint8At(buffer: Uint8Array, offset: number): number {
  return buffer[offset] ?? 0;
}

export function uint16At(buffer: Uint8Array, offset: number): number {
  return ((buffer[offset] ?? 0) << 8) | (buffer[offset + 1] ?? 0);
}

export function uint32At(buffer: Uint8Array, offset: number): number {
  return (
    (((buffer[offset] ?? 0) << 24) |
      ((buffer[offset + 1] ?? 0) << 16) |
      ((buffer[offset + 2] ?? 0) << 8) |
      (buffer[offset + 3] ?? 0)) >>>
    0
  );
}

/** As `uint32At`, as a signed number: those are small integers to V8, which cost no object. */
export function int32At(buffer: Uint8Array, offset: number): number {
  return (
    ((buffer[offset] ?? 0) << 24) |
    ((buffer[offset + 1] ?? 0) << 16) |
    ((buffer[offset + 2] ?? 0) << 8) |
    (buffer[offset + 3] ?? 0)
  );
}

export function putUint16(buffer: Uint8Array, offset: number, value: number): void {
  buffer[offset] = value >>> 8;
  buffer[offset + 1] = value;
}

export function putUint32(buffer: Uint8Array, offset: number, value: number): void {
  buffer[offset] = value >>> 24;
  buffer[offset + 1] = value >>> 16;
  buffer[offset + 2] = value >>> 8;
  buffer[offset + 3] = value;
}

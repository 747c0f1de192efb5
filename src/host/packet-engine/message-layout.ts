// How the kernel lays out what sendmmsg(2) and recvmmsg(2) take, on 64-bit machines (all that Node 20 runs on with FFI).

/** Octets of a `struct mmsghdr`. */
export const MESSAGE_LENGTH = 64;
/** Octets of a `struct cmsghdr`. */
export const CONTROL_HEADER_LENGTH = 16;

/** Where the fields of a `struct mmsghdr` lie in it. */
export const MessageField = {
  name: 0,
  nameLength: 8,
  vectors: 16,
  vectorCount: 24,
  control: 32,
  controlLength: 40,
  length: 56,
} as const;

/** Writes a pointer or a `size_t`; Numbers hold 53 bits, and no address has more than 48. */
export function writePointer(view: DataView, offset: number, value: number): void {
  view.setUint32(offset, value >>> 0, true);
  view.setUint32(offset + 4, Math.floor(value / 2 ** 32), true);
}

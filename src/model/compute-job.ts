import type { DhGroup } from './algorithms.ts';

/** A computation too long for the control thread. Leaves through `out.compute`, comes back through `handleComputed`. Holds secrets: never log one. */
export type ComputeJob = {
  readonly id: number;
  readonly kind: 'diffie-hellman';
  readonly group: DhGroup;
  /** Our private value, big-endian, drawn by the core so that a simulation can be repeated. */
  readonly privateValue: Uint8Array;
  /** The peer's public value as its KE payload carried it; absent to make our own public value only. */
  readonly peerPublicValue?: Uint8Array;
};

export type ComputeResult =
  /** `publicValue` and `sharedSecret` (g^xy) have the fixed length of the group (RFC 2409 §5, RFC 5903 §7). */
  | { readonly kind: 'diffie-hellman'; readonly publicValue: Uint8Array; readonly sharedSecret?: Uint8Array }
  /** The peer's public value is not one: zero, one, p-1, out of range, or off the curve. */
  | { readonly kind: 'invalid-public-value' };

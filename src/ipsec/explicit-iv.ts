import { putUint32 } from './octets.ts';
import type { RandomBlocks } from './random-blocks.ts';
import type { Transform } from './transform.ts';

/**
 * Makes the IV of the next packet, in `transform.iv`. CBC's is random (RFC 3602 §3); that of a counter mode is the sequence number,
 * which never comes twice under one key (RFC 4106 §3.1, RFC 3686 §3.1).
 */
export function writeIv(transform: Transform, high: number, low: number, ivs: RandomBlocks): void {
  if (transform.ivLength === 0) return;
  if (transform.isIvRandom) {
    ivs.fill(transform.iv);
    return;
  }
  putUint32(transform.iv, 0, high);
  putUint32(transform.iv, 4, low);
}

import { updateChecksum } from './checksum.ts';
import { type Flow, PROTOCOL_TCP } from './flow.ts';
import { putUint16, uint8At, uint16At } from './octets.ts';

const TCP_HEADER_LENGTH = 20;
const FLAG_SYN = 0x02;
const OPTION_END = 0;
const OPTION_NO_OPERATION = 1;
const OPTION_MSS = 2;
const OPTION_MSS_LENGTH = 4;

/** Lowers the maximum segment size that a TCP SYN in `flow` announces to `limit` octets, in place (RFC 9293 §3.7.1). */
export function clampTcpMss(buffer: Uint8Array, flow: Flow, limit: number): void {
  if (flow.protocol !== PROTOCOL_TCP || flow.isFragment) return;
  const tcp = flow.upperOffset;
  if (flow.end - tcp < TCP_HEADER_LENGTH || (uint8At(buffer, tcp + 13) & FLAG_SYN) === 0) return;
  const optionsEnd = Math.min(tcp + (uint8At(buffer, tcp + 12) >>> 4) * 4, flow.end);
  for (let offset = tcp + TCP_HEADER_LENGTH; offset + 1 < optionsEnd; ) {
    const kind = uint8At(buffer, offset);
    if (kind === OPTION_END) return;
    if (kind === OPTION_NO_OPERATION) {
      offset += 1;
      continue;
    }
    const length = uint8At(buffer, offset + 1);
    if (length < 2 || offset + length > optionsEnd) return;
    if (kind === OPTION_MSS && length === OPTION_MSS_LENGTH) {
      lower(buffer, tcp, offset + 2, limit);
      return;
    }
    offset += length;
  }
}

function lower(buffer: Uint8Array, tcp: number, at: number, limit: number): void {
  const announced = uint16At(buffer, at);
  if (announced <= limit) return;
  putUint16(buffer, at, limit);
  let checksum = uint16At(buffer, tcp + 16);
  if ((at - tcp) % 2 === 0) {
    checksum = updateChecksum(checksum, announced, limit);
  } else {
    // After an odd number of no-operations the value straddles two words of the checksum: sum it with its octets swapped.
    checksum = updateChecksum(checksum, swapOctets(announced), swapOctets(limit));
  }
  putUint16(buffer, tcp + 16, checksum);
}

function swapOctets(word: number): number {
  return ((word & 0xff) << 8) | (word >>> 8);
}

// "Too big" to an inner host, so that its path MTU discovery works through the tunnel (RFC 4301 §8.2, RFC 1191 §4, RFC 4443 §3.2).

import type { Instant } from '../lib/time.ts';
import { addToSum, finishChecksum } from './checksum.ts';
import { type Flow, IPV4_HEADER_LENGTH, IPV6_HEADER_LENGTH, PROTOCOL_ICMP, PROTOCOL_ICMPV6 } from './flow.ts';
import { putUint16, putUint32, uint8At } from './octets.ts';
import type { DataPlaneOutbox } from './outbox.ts';
import { RateLimit } from './rate-limit.ts';

const ICMP_HEADER_LENGTH = 8;
const HOP_LIMIT = 64;
/** RFC 1812 §4.3.2.3 and RFC 4443 §3.2: quote as much as fits these. */
const ICMP_ERROR_LENGTH_MAX = 576;
const ICMPV6_ERROR_LENGTH_MAX = 1280;
const IPV6_MTU_MIN = 1280;
/** Errors a second at most, for the whole data plane (RFC 1812 §4.3.2.8, RFC 4443 §2.4 (f)). */
const ERRORS_PER_SECOND_MAX = 100;

/** Writes ICMP errors about outbound packets, not faster than the standards allow. */
export class IcmpErrors {
  readonly #rate = new RateLimit(ERRORS_PER_SECOND_MAX);

  /** Tells the sender of the packet in `flow` that it must not exceed `mtu` octets; silent where an error may not be answered. */
  sendTooBig(
    now: Instant,
    tunnelInterface: string | undefined,
    buffer: Uint8Array,
    flow: Flow,
    mtu: number,
    out: DataPlaneOutbox,
  ): void {
    if (!deservesError(buffer, flow) || !this.#rate.take(now)) return;
    const error = flow.family === 4 ? fragmentationNeeded(buffer, flow, mtu) : tooBig(buffer, flow, mtu);
    out.deliver(tunnelInterface, error, 0, error.length);
  }
}

/** RFC 1122 §3.2.2 and RFC 4443 §2.4 (e): no error about an error, a later fragment, or a packet to many. */
function deservesError(buffer: Uint8Array, flow: Flow): boolean {
  if (flow.isLaterFragment) return false;
  const type = uint8At(buffer, flow.upperOffset);
  const source = flow.addresses[0] ?? 0;
  const destination = flow.addresses[4] ?? 0;
  if (flow.family === 4) {
    const isQuery = type === 0 || type === 8 || (type >= 13 && type <= 18);
    if (flow.protocol === PROTOCOL_ICMP && !isQuery) return false;
    return source !== 0 && source >>> 28 < 0xe && destination >>> 28 < 0xe;
  }
  if (flow.protocol === PROTOCOL_ICMPV6 && type < 128) return false;
  // A Packet Too Big may answer a multicast destination (RFC 4443 §2.4 (e.3)), but none of ours is one.
  const isUnspecified = !flow.addresses.subarray(0, 4).some((word) => word !== 0);
  return !isUnspecified && source >>> 24 !== 0xff && destination >>> 24 !== 0xff;
}

function fragmentationNeeded(buffer: Uint8Array, flow: Flow, mtu: number): Uint8Array {
  const room = ICMP_ERROR_LENGTH_MAX - IPV4_HEADER_LENGTH - ICMP_HEADER_LENGTH;
  const quoted = buffer.subarray(flow.start, Math.min(flow.end, flow.start + room));
  const packet = new Uint8Array(IPV4_HEADER_LENGTH + ICMP_HEADER_LENGTH + quoted.length);
  packet.set([0x45, 0xc0, 0, 0, 0, 0, 0, 0, HOP_LIMIT, PROTOCOL_ICMP]);
  putUint16(packet, 2, packet.length);
  // It comes from the host that could not be reached: its address is certainly routed into this tunnel.
  putUint32(packet, 12, flow.addresses[4] ?? 0);
  putUint32(packet, 16, flow.addresses[0] ?? 0);
  putUint16(packet, 10, finishChecksum(addToSum(0, packet, 0, IPV4_HEADER_LENGTH)));
  packet[IPV4_HEADER_LENGTH] = 3;
  packet[IPV4_HEADER_LENGTH + 1] = 4;
  putUint16(packet, IPV4_HEADER_LENGTH + 6, mtu);
  packet.set(quoted, IPV4_HEADER_LENGTH + ICMP_HEADER_LENGTH);
  putUint16(packet, IPV4_HEADER_LENGTH + 2, finishChecksum(addToSum(0, packet, IPV4_HEADER_LENGTH, packet.length)));
  return packet;
}

function tooBig(buffer: Uint8Array, flow: Flow, mtu: number): Uint8Array {
  const room = ICMPV6_ERROR_LENGTH_MAX - IPV6_HEADER_LENGTH - ICMP_HEADER_LENGTH;
  const quoted = buffer.subarray(flow.start, Math.min(flow.end, flow.start + room));
  const packet = new Uint8Array(IPV6_HEADER_LENGTH + ICMP_HEADER_LENGTH + quoted.length);
  packet.set([0x60, 0, 0, 0, 0, 0, PROTOCOL_ICMPV6, HOP_LIMIT]);
  putUint16(packet, 4, ICMP_HEADER_LENGTH + quoted.length);
  for (let word = 0; word < 4; word++) {
    putUint32(packet, 8 + word * 4, flow.addresses[4 + word] ?? 0);
    putUint32(packet, 24 + word * 4, flow.addresses[word] ?? 0);
  }
  packet[IPV6_HEADER_LENGTH] = 2;
  putUint32(packet, IPV6_HEADER_LENGTH + 4, Math.max(mtu, IPV6_MTU_MIN));
  packet.set(quoted, IPV6_HEADER_LENGTH + ICMP_HEADER_LENGTH);
  // RFC 4443 §2.3: the checksum covers a pseudo-header of addresses, length and next header.
  const pseudo = addToSum(ICMP_HEADER_LENGTH + quoted.length + PROTOCOL_ICMPV6, packet, 8, IPV6_HEADER_LENGTH);
  const checksum = finishChecksum(addToSum(pseudo, packet, IPV6_HEADER_LENGTH, packet.length));
  putUint16(packet, IPV6_HEADER_LENGTH + 2, checksum);
  return packet;
}

// Junos' `vpn-monitor`: an SRX pings this gateway's own outer address through the tunnel, and takes the tunnel down if no answer comes back
// through it. The host's stack would answer outside the tunnel, where the SRX's outer address is reached; so the answer is made here.

import { addressOctets, type IpAddress } from '../model/address.ts';
import { updateChecksum } from './checksum.ts';
import { type Flow, PROTOCOL_ICMP, PROTOCOL_ICMPV6 } from './flow.ts';
import { putUint16, putUint32, uint8At, uint32At } from './octets.ts';

const ICMP_ECHO_LENGTH = 8;
/** RFC 792 and RFC 4443 §4.1, §4.2. */
const ECHO_REQUEST = 8;
const ECHO_REPLY = 0;
const ECHO_REQUEST_V6 = 128;
const ECHO_REPLY_V6 = 129;

/**
 * If the packet in `flow` asks for an echo from `gateway`, turns it into the reply, in place, and returns true. Swapping the addresses changes
 * neither the IP header's checksum nor the pseudo-header's, since both only add them up.
 */
export function turnProbeIntoAnswer(buffer: Uint8Array, flow: Flow, gateway: Uint32Array): boolean {
  const { protocol, upperOffset: at, end, start } = flow;
  const isIpv4 = flow.family === 4;
  if (protocol !== (isIpv4 ? PROTOCOL_ICMP : PROTOCOL_ICMPV6) || flow.isFragment) return false;
  const request = isIpv4 ? ECHO_REQUEST : ECHO_REQUEST_V6;
  if (end - at < ICMP_ECHO_LENGTH || uint8At(buffer, at) !== request || uint8At(buffer, at + 1) !== 0) return false;
  const length = isIpv4 ? 4 : 16;
  if (gateway.length * 4 !== length) return false;
  for (let word = 0; word < gateway.length; word++) if (flow.addresses[4 + word] !== gateway[word]) return false;
  const source = start + (isIpv4 ? 12 : 8);
  buffer.copyWithin(source + length, source, source + length);
  for (let word = 0; word < gateway.length; word++) putUint32(buffer, source + word * 4, gateway[word] ?? 0);
  const reply = isIpv4 ? ECHO_REPLY : ECHO_REPLY_V6;
  const checksum = (uint8At(buffer, at + 2) << 8) | uint8At(buffer, at + 3);
  buffer[at] = reply;
  putUint16(buffer, at + 2, updateChecksum(checksum, request << 8, reply << 8));
  return true;
}

/** An address as `Flow` holds it: 32-bit words in host byte order. */
export function addressWords(address: IpAddress): Uint32Array {
  const octets = addressOctets(address);
  return Uint32Array.from({ length: octets.length / 4 }, (_, word) => uint32At(octets, word * 4));
}

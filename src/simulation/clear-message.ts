import { NAT_TRAVERSAL_PORT } from '../gateway/gateway.ts';
import { decodeIsakmpHeader, type IsakmpHeader } from '../wire/isakmp-header.ts';
import { classifyUdp4500, stripNonEspMarker } from '../wire/udp-encapsulation.ts';
import type { WirePacket } from './fabric.ts';

/** The ISAKMP header of a packet, or `undefined` if it is no IKE message. */
export function isakmpHeaderOf(packet: WirePacket): IsakmpHeader | undefined {
  if (packet.kind === 'ip') return undefined;
  // A NAT changes the port of one end only.
  const isOn4500 = packet.destination.port === NAT_TRAVERSAL_PORT || packet.source.port === NAT_TRAVERSAL_PORT;
  if (isOn4500 && classifyUdp4500(packet.octets) !== 'ike') return undefined;
  const header = decodeIsakmpHeader(isOn4500 ? stripNonEspMarker(packet.octets) : packet.octets);
  return header.ok ? header.value : undefined;
}

/** Whether the packet is an IKE message that no key protects (RFC 2409 §5: all of phase 1 but its last messages). */
export function isClearMessage(packet: WirePacket): boolean {
  const header = isakmpHeaderOf(packet);
  return header !== undefined && !header.flags.encryption;
}

import type { IpAddress, UdpPath } from '../model/address.ts';
import type { DataPlaneEvent } from '../model/data-plane.ts';
import type { OuterFields } from './outer-header.ts';

/**
 * Where the data plane's packets and events go. A packet is `buffer[start, end)`. The octets belong to the data plane and are valid only
 * during the call: an implementation that keeps them copies them. One that lies in wait for more in the buffers that it gave us
 * itself, as the packet engine does, has the crypto provider `finish` before it sends.
 */
export interface DataPlaneOutbox {
  /** An inner packet for the host: into the tunnel interface that the SA's policy is bound to, or, without one, into the host's stack. */
  deliver(tunnelInterface: string | undefined, buffer: Uint8Array, start: number, end: number): void;
  /** A UDP payload that starts with an ESP header (RFC 3948 §2.1), and what the IP header in front of it is to say; both are valid only during the call. */
  transmitUdp(path: UdpPath, buffer: Uint8Array, start: number, end: number, outer: Readonly<OuterFields>): void;
  /** A whole IP packet: one that carries ESP or AH (or a fragment of one), or one that a policy lets pass in clear. */
  transmitIp(local: IpAddress, remote: IpAddress, buffer: Uint8Array, start: number, end: number): void;
  event(event: DataPlaneEvent): void;
}

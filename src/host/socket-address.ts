import { addressFamily, addressFromOctets, addressOctets, type IpAddress, type UdpEndpoint } from '../model/address.ts';
import { AF_INET, AF_INET6 } from './libc.ts';

/** Octets of the larger of `sockaddr_in` (16) and `sockaddr_in6` (28). */
export const SOCKET_ADDRESS_LENGTH_MAX = 28;

const IPV4_LENGTH = 16;
const IPV6_LENGTH = 28;

/** The endpoint as a `sockaddr_in` or `sockaddr_in6`, in a new array. */
export function socketAddress(endpoint: UdpEndpoint): Uint8Array {
  const isIpv4 = addressFamily(endpoint.address) === 4;
  const bytes = new Uint8Array(isIpv4 ? IPV4_LENGTH : IPV6_LENGTH);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, isIpv4 ? AF_INET : AF_INET6, true);
  view.setUint16(2, endpoint.port);
  bytes.set(addressOctets(endpoint.address), isIpv4 ? 4 : 8);
  return bytes;
}

/** Reads what the kernel wrote as a `sockaddr`; `undefined` for a family that is neither IPv4 nor IPv6. */
export function readSocketAddress(view: DataView, offset: number): UdpEndpoint | undefined {
  const family = view.getUint16(offset, true);
  const port = view.getUint16(offset + 2);
  if (family === AF_INET) return { address: octetsAt(view, offset + 4, 4), port };
  if (family === AF_INET6) return { address: octetsAt(view, offset + 8, 16), port };
  return undefined;
}

function octetsAt(view: DataView, offset: number, length: number): IpAddress {
  return addressFromOctets(new Uint8Array(view.buffer, view.byteOffset + offset, length));
}

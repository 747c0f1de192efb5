// The sockets that carry IKE and IPsec. All are non-blocking and marked, so that a tunnel for 0.0.0.0/0 does not swallow its own packets.

import { addressFamily, formatEndpoint, type UdpEndpoint } from '../model/address.ts';
import {
  AF_INET,
  AF_INET6,
  check,
  IP_HDRINCL,
  IP_MTU_DISCOVER,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPPROTO_RAW,
  IPV6_MTU_DISCOVER,
  IPV6_RECVPKTINFO,
  IPV6_RECVTCLASS,
  IPV6_V6ONLY,
  libc,
  NativeMemory,
  SO_MARK,
  SO_RCVBUFFORCE,
  SO_SNDBUFFORCE,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOCK_RAW,
  SOL_SOCKET,
  SystemCallError,
} from './libc.ts';
import { OWN_MARK } from './own-mark.ts';
import { findUdpPortOwner } from './port-owner.ts';
import { writeSocketAddress } from './socket-address.ts';

const BUFFER_LENGTH = 8 * 1024 * 1024;
/** No DF bit, and the kernel fragments: what `IP_PMTUDISC_DONT` means. Junos' default for ESP is df-bit clear. */
const PMTU_DISCOVERY_OFF = 0;
const scratch = NativeMemory.allocate(128);

/** A UDP socket bound to exactly this address and port; throws an Error that says who has the port if it is taken. */
export function openUdpSocket(local: UdpEndpoint): number {
  const isIpv4 = addressFamily(local.address) === 4;
  const descriptor = openSocket(isIpv4 ? AF_INET : AF_INET6, SOCK_DGRAM, 0, 'UDP socket');
  try {
    if (isIpv4) {
      setOption(descriptor, IPPROTO_IP, IP_MTU_DISCOVER, PMTU_DISCOVERY_OFF);
    } else {
      setOption(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, 1);
      setOption(descriptor, IPPROTO_IPV6, IPV6_MTU_DISCOVER, PMTU_DISCOVERY_OFF);
    }
    const length = writeSocketAddress(scratch.view, 0, local);
    check(libc.bind(descriptor, scratch.address, length), 'bind', formatEndpoint(local));
    return descriptor;
  } catch (error) {
    libc.close(descriptor);
    throw explainBind(error, local);
  }
}

/** Receives every packet of an IP protocol (50 or 51) that comes to this host. IPv4 packets come with their header, IPv6 without. */
export function openRawReceiveSocket(family: 4 | 6, protocol: number): number {
  const descriptor = openSocket(
    family === 4 ? AF_INET : AF_INET6,
    SOCK_RAW,
    protocol,
    `raw socket for protocol ${protocol}`,
  );
  if (family === 6) {
    setOption(descriptor, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    setOption(descriptor, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
  }
  return descriptor;
}

/** Sends whole IP packets, header included. */
export function openRawSendSocket(family: 4 | 6): number {
  // A socket of protocol IPPROTO_RAW takes the header from us and receives nothing (raw(7)).
  const descriptor = openSocket(family === 4 ? AF_INET : AF_INET6, SOCK_RAW, IPPROTO_RAW, 'raw socket');
  if (family === 4) setOption(descriptor, IPPROTO_IP, IP_HDRINCL, 1);
  return descriptor;
}

export function setOption(descriptor: number, level: number, option: number, value: number): void {
  scratch.view.setInt32(64, value, true);
  check(libc.setsockopt(descriptor, level, option, scratch.address + 64, 4), 'setsockopt', `socket option ${option}`);
}

function openSocket(family: number, type: number, protocol: number, purpose: string): number {
  let descriptor: number;
  try {
    descriptor = check(libc.socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol), 'socket', purpose);
  } catch (error) {
    throw isRefusal(error) ? new Error(`${purpose}: it needs CAP_NET_RAW (run as root)`, { cause: error }) : error;
  }
  try {
    setOption(descriptor, SOL_SOCKET, SO_MARK, OWN_MARK);
    setOption(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_LENGTH);
    setOption(descriptor, SOL_SOCKET, SO_SNDBUFFORCE, BUFFER_LENGTH);
    return descriptor;
  } catch (error) {
    libc.close(descriptor);
    throw isRefusal(error) ? new Error(`${purpose}: it needs CAP_NET_ADMIN (run as root)`, { cause: error }) : error;
  }
}

function isRefusal(error: unknown): boolean {
  return error instanceof SystemCallError && (error.code === 'EPERM' || error.code === 'EACCES');
}

function explainBind(error: unknown, local: UdpEndpoint): unknown {
  if (!(error instanceof SystemCallError)) return error;
  const where = `UDP ${formatEndpoint(local)}`;
  if (error.code === 'EACCES')
    return new Error(`${where}: it needs CAP_NET_BIND_SERVICE (run as root)`, { cause: error });
  if (error.code !== 'EADDRINUSE') return error;
  const owner = findUdpPortOwner(local.port);
  const who = owner === undefined ? 'another process' : `${owner.name} (process ${owner.processId})`;
  return new Error(`${where} is in use by ${who}: only one IKE daemon can have it; stop the other first`, {
    cause: error,
  });
}

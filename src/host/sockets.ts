// The sockets that carry IKE and IPsec. All are non-blocking and marked, so that a tunnel for 0.0.0.0/0 does not swallow its own packets.

import { addressFamily, formatEndpoint, type UdpEndpoint } from '../model/address.ts';
import {
  AF_INET,
  AF_INET6,
  check,
  IP_HDRINCL,
  IP_MTU_DISCOVER,
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPPROTO_RAW,
  IPV6_MTU_DISCOVER,
  IPV6_RECVDSTOPTS,
  IPV6_RECVHOPOPTS,
  IPV6_RECVPKTINFO,
  IPV6_RECVRTHDR,
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
import { socketAddress } from './socket-address.ts';
import { attachPortFilter } from './socket-filters.ts';

const BUFFER_LENGTH = 8 * 1024 * 1024;
/** No DF bit, and the kernel fragments: what `IP_PMTUDISC_DONT` means. Junos' default for ESP is df-bit clear. */
const PMTU_DISCOVERY_OFF = 0;
/** DF on everything, and the data plane alone knows what the path carries. */
const PMTU_DISCOVERY_PROBE = 3;
const PROTOCOL_AH = 51;
const SO_REUSEPORT = 15;
const SOL_RAW = 255;
/** Of IPv6 as well. */
const ICMP_FILTER = 1;
const ICMP_FILTER_LENGTH = 4;
const ICMPV6_FILTER_LENGTH = 32;
const ICMP_UNREACHABLE = 3;
const ICMPV6_TOO_BIG = 2;
const scratch = NativeMemory.allocate(128);

/** A UDP socket bound to exactly this address and port; throws an Error that says who has the port if it is taken. */
export function openUdpSocket(local: UdpEndpoint): number {
  return openBound(local, false);
}

/** The sockets of a port that IKE and ESP share (RFC 3948). */
export interface NatTraversalSockets {
  /** One for each engine; a single one where the kernel cannot tell what is for whom. */
  readonly esp: readonly number[];
  readonly ike?: number;
  /** What leaves here carries DF, whatever the kernel knows of the path; nothing comes in. */
  readonly unfragmented?: number;
}

/**
 * Sockets bound to the same address and port: the kernel gives what begins with the non-ESP marker (RFC 3948 §2.2) to `ike`, and
 * everything else to one of `esp`, by its SPI. So a flood of ESP fills its own buffer only. `ike` and `unfragmented` are absent where the
 * kernel cannot tell them apart, the last one also for IPv6.
 */
export function openNatTraversalSockets(local: UdpEndpoint, engines = 1): NatTraversalSockets {
  // Sockets that share a port would also share it with another daemon's: the port is tried alone first.
  libc.close(openBound(local, false));
  const opened: number[] = [];
  const open = () => {
    const descriptor = openBound(local, true);
    opened.push(descriptor);
    return descriptor;
  };
  const first = open();
  try {
    attachPortFilter(first, engines);
    // The filter names them by their numbers: those that receive ESP, then the one that receives IKE, and behind it the one that receives nothing.
    const esp = [first, ...Array.from({ length: engines - 1 }, open)];
    const ike = open();
    if (addressFamily(local.address) === 6) return { esp, ike };
    const unfragmented = open();
    setOption(unfragmented, IPPROTO_IP, IP_MTU_DISCOVER, PMTU_DISCOVERY_PROBE);
    return { esp, ike, unfragmented };
  } catch (error) {
    for (const descriptor of opened.slice(1)) libc.close(descriptor);
    if (error instanceof SystemCallError) return { esp: [first] };
    libc.close(first);
    throw error;
  }
}

function openBound(local: UdpEndpoint, isShared: boolean): number {
  const isIpv4 = addressFamily(local.address) === 4;
  const descriptor = openSocket(isIpv4 ? AF_INET : AF_INET6, SOCK_DGRAM, 0, 'UDP socket');
  try {
    if (isIpv4) {
      setOption(descriptor, IPPROTO_IP, IP_MTU_DISCOVER, PMTU_DISCOVERY_OFF);
    } else {
      setOption(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, 1);
      setOption(descriptor, IPPROTO_IPV6, IPV6_MTU_DISCOVER, PMTU_DISCOVERY_OFF);
    }
    if (isShared) setOption(descriptor, SOL_SOCKET, SO_REUSEPORT, 1);
    const name = socketAddress(local);
    scratch.bytes.set(name);
    check(libc.bind(descriptor, scratch.address, name.length), 'bind', formatEndpoint(local));
    return descriptor;
  } catch (error) {
    libc.close(descriptor);
    throw explainBind(error, local);
  }
}

/** Receives every packet of an IP protocol that comes to this host. IPv4 packets come with their header, IPv6 without. */
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
    // The ICV of AH is about extension headers too, that of ESP is not (RFC 4302 §3.3.3.1.2).
    if (protocol === PROTOCOL_AH)
      for (const option of [IPV6_RECVHOPOPTS, IPV6_RECVRTHDR, IPV6_RECVDSTOPTS])
        setOption(descriptor, IPPROTO_IPV6, option, 1);
  }
  return descriptor;
}

/** Receives what ICMP says of packets that could not be delivered: "destination unreachable" (RFC 792), or "packet too big" (RFC 4443 §3.2). */
export function openIcmpErrorSocket(family: 4 | 6): number {
  const descriptor = openRawReceiveSocket(family, family === 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
  // The kernel keeps all other types to itself: pings cost us nothing. A bit that is set blocks its type.
  const filter = NativeMemory.allocate(128);
  filter.view.setUint32(0, ~(1 << (family === 4 ? ICMP_UNREACHABLE : ICMPV6_TOO_BIG)), true);
  filter.bytes.fill(0xff, 4, ICMPV6_FILTER_LENGTH);
  const [level, length] = family === 4 ? [SOL_RAW, ICMP_FILTER_LENGTH] : [IPPROTO_ICMPV6, ICMPV6_FILTER_LENGTH];
  try {
    check(libc.setsockopt(descriptor, level, ICMP_FILTER, filter.address, length), 'setsockopt', 'ICMP filter');
    return descriptor;
  } catch (error) {
    libc.close(descriptor);
    throw error;
  }
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

// IP packets and the UDP datagrams in them as values: for captures and tests. The data path reads its headers in place (ipsec/flow.ts).
// IPv4: RFC 791 §3.1. IPv6 and its extension headers: RFC 8200 §3, §4.

import { type ByteReader, decodeWith } from '../lib/byte-reader.ts';
import { Malformed } from '../lib/malformed.ts';
import type { Result } from '../lib/result.ts';
import { addressFromOctets, type IpAddress, type UdpEndpoint } from '../model/address.ts';

/** IP protocol numbers that this program meets. */
export const IP_PROTOCOL = { udp: 17, esp: 50, ah: 51 } as const;

/** One IP packet, its header options and extension headers stepped over. */
export interface IpPacket {
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly protocol: number;
  /** A piece of a packet, first or later: its payload is not whole. */
  readonly isFragment: boolean;
  /** A view; ends where the packet's own length field says. */
  readonly payload: Uint8Array;
}

/** A UDP datagram (RFC 768). */
export interface UdpDatagram {
  readonly source: UdpEndpoint;
  readonly destination: UdpEndpoint;
  readonly payload: Uint8Array;
}

const IPV4_HEADER_LENGTH = 20;
const UDP_HEADER_LENGTH = 8;
const EXTENSION_HEADERS_MAX = 8;
const EXTENSION = { hopByHop: 0, routing: 43, fragment: 44, destinationOptions: 60 } as const;

/** Reads one IP packet; octets after its end (link padding) are ignored. */
export function decodeIpPacket(bytes: Uint8Array): Result<IpPacket, Malformed> {
  return decodeWith(bytes, (reader) => {
    const first = reader.uint8('IP version');
    if (first >> 4 === 4) return readIpv4(reader, first, bytes.length);
    if (first >> 4 === 6) return readIpv6(reader);
    throw new Malformed('IP version', reader.remaining);
  });
}

/** Reads a UDP datagram that is all of `packet`'s payload. A length field of more than there is makes it malformed. */
export function decodeUdpDatagram(packet: IpPacket): Result<UdpDatagram, Malformed> {
  return decodeWith(packet.payload, (reader) => {
    const source = { address: packet.source, port: reader.uint16('source port') };
    const destination = { address: packet.destination, port: reader.uint16('destination port') };
    const length = reader.uint16('UDP length');
    reader.uint16('UDP checksum');
    if (length < UDP_HEADER_LENGTH) throw new Malformed('UDP length', reader.remaining);
    return { source, destination, payload: reader.bytes(length - UDP_HEADER_LENGTH, 'UDP length') };
  });
}

function readIpv4(reader: ByteReader, first: number, available: number): IpPacket {
  const headerLength = (first & 0x0f) * 4;
  reader.uint8('type of service');
  const totalLength = reader.uint16('total length');
  if (headerLength < IPV4_HEADER_LENGTH || totalLength < headerLength) throw new Malformed('header length', available);
  reader.uint16('identification');
  const fragment = reader.uint16('fragment offset');
  reader.uint8('time to live');
  const protocol = reader.uint8('protocol');
  reader.uint16('header checksum');
  const source = addressFromOctets(reader.bytes(4, 'source address'));
  const destination = addressFromOctets(reader.bytes(4, 'destination address'));
  reader.bytes(headerLength - IPV4_HEADER_LENGTH, 'options');
  // More Fragments, and the offset.
  const isFragment = (fragment & 0x3fff) !== 0;
  return {
    source,
    destination,
    protocol,
    isFragment,
    payload: reader.bytes(totalLength - headerLength, 'total length'),
  };
}

function readIpv6(reader: ByteReader): IpPacket {
  reader.bytes(3, 'flow label');
  const payloadLength = reader.uint16('payload length');
  const nextHeader = reader.uint8('next header');
  reader.uint8('hop limit');
  const source = addressFromOctets(reader.bytes(16, 'source address'));
  const destination = addressFromOctets(reader.bytes(16, 'destination address'));
  const body = reader.sub(payloadLength, 'payload length');
  return { source, destination, ...readExtensionHeaders(body, nextHeader) };
}

function readExtensionHeaders(
  body: ByteReader,
  nextHeader: number,
): Pick<IpPacket, 'protocol' | 'isFragment' | 'payload'> {
  let protocol = nextHeader;
  let isFragment = false;
  let isLaterFragment = false;
  for (let count = 0; isExtension(protocol) && !isLaterFragment; count++) {
    if (count === EXTENSION_HEADERS_MAX) throw new Malformed('extension header count', body.remaining);
    const isFragmentHeader = protocol === EXTENSION.fragment;
    protocol = body.uint8('next header');
    const length = body.uint8('extension header length');
    if (isFragmentHeader) {
      const fragment = body.uint16('fragment offset');
      isFragment = (fragment & 0xfff9) !== 0;
      isLaterFragment = (fragment & 0xfff8) !== 0;
      body.uint32('fragment identification');
    } else {
      body.bytes(6 + length * 8, 'extension header');
    }
  }
  return { protocol, isFragment, payload: body.rest() };
}

function isExtension(protocol: number): boolean {
  const { hopByHop, routing, fragment, destinationOptions } = EXTENSION;
  return protocol === hopByHop || protocol === routing || protocol === fragment || protocol === destinationOptions;
}

// Packets on their way into TUN devices. Neighbours of one TCP or UDP flow become one super-packet, which the kernel handles as one
// (as its own GRO would): the octets stay where they were decrypted, and the write lists the pieces (writev(2)).
//
// Two packets are joined only if splitting the result gives back exactly these packets: the same headers but for what counts, sequence
// numbers without a gap, equal lengths, and checksums that are right, since the kernel makes new ones.

import type { TunnelOffload } from '../tunnel-device.ts';
import type { Arena } from './arena.ts';
import {
  IPV4_HEADER_LENGTH,
  IPV6_HEADER_LENGTH,
  Ipv4,
  Ipv6,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  swap16,
  TCP_HEADER_LENGTH,
  Tcp,
  TcpFlag,
  UDP_HEADER_LENGTH,
  Udp,
} from './ip-view.ts';
import { foldSum, type PacketArithmetic } from './packet-arithmetic.ts';
import type { TunnelOutput } from './tunnel-output.ts';
import { NEEDS_CHECKSUM, Segmentation, VIRTIO_HEADER_LENGTH, Virtio } from './virtio-header.ts';

/** Where packets go: a TUN device and what it takes. */
export interface TunnelTarget {
  readonly descriptor: number;
  readonly offload: TunnelOffload;
}

const FLOWS_MAX = 8;
const PIECES_MAX = 64;
const VECTOR_LENGTH = 16;
/** Flows that may begin between two flushes: what their pieces are must not change before the kernel has read it. */
const BEGINNINGS_MAX = 64;
const SUPER_PACKET_LENGTH_MAX = 65_535;
const DONT_FRAGMENT = 0x4000;
const FRAGMENT_BITS = 0x3fff;

/** A packet that may grow: its headers lie at `start`, its payload is in `count` pieces. */
class Flow {
  target: TunnelTarget | undefined = undefined;
  start = 0;
  vectors = 0;
  isIpv4 = true;
  isTcp = true;
  ipLength = 0;
  headerLength = 0;
  segmentLength = 0;
  total = 0;
  count = 0;
  nextSequence = 0;
  isPushed = false;
  /** Whether the checksum of the first packet has been found right; it is looked at when a second one comes. */
  isVerified = false;
  /** Whether more may follow: not behind a shorter packet, or one that was pushed. */
  isOpen = false;
}

/** What was learnt of the packet at hand; one object serves for all. */
class Candidate extends Flow {
  end = 0;
}

/** One engine's writes to all its TUN devices. What is added must stay unchanged, and the ten octets in front of it are overwritten, until `flush`. */
export class TunnelWriter {
  readonly #arena: Arena;
  readonly #output: TunnelOutput;
  readonly #arithmetic: PacketArithmetic;
  readonly #flows = Array.from({ length: FLOWS_MAX }, () => new Flow());
  readonly #vectors: number;
  readonly #candidate = new Candidate();
  #nextFlow = 0;
  #usedFlows = 0;
  #beginnings = 0;

  constructor(arena: Arena, output: TunnelOutput, arithmetic: PacketArithmetic) {
    this.#arena = arena;
    this.#output = output;
    this.#arithmetic = arithmetic;
    this.#vectors = arena.reserve(BEGINNINGS_MAX * PIECES_MAX * VECTOR_LENGTH);
  }

  /** Adds the packet at `[start, end)` in the arena. */
  add(target: TunnelTarget, start: number, end: number): void {
    const candidate = this.#candidate;
    if (target.offload === 'none') return this.#output.write(target.descriptor, start, end - start);
    if (this.#beginnings === BEGINNINGS_MAX) this.flush();
    if (!this.#read(candidate, target, start, end)) {
      // Its order among the flows is unknown, so everything before it goes first.
      this.#flushFlows();
      return this.#writeWhole(target, start, end);
    }
    for (let index = 0; index < this.#usedFlows; index++) {
      const flow = this.#flows[index];
      if (!flow || !this.#isSameFlow(flow, candidate)) continue;
      if (this.#mayAppend(flow, candidate)) return this.#append(flow, candidate);
      this.#flushFlow(flow);
      return this.#begin(flow, candidate);
    }
    let index = this.#usedFlows;
    if (index < FLOWS_MAX) this.#usedFlows++;
    else {
      index = this.#nextFlow;
      this.#nextFlow = (index + 1) % FLOWS_MAX;
    }
    const flow = this.#flows[index];
    if (!flow) return;
    this.#flushFlow(flow);
    this.#begin(flow, candidate);
  }

  /** Writes everything added; then its octets are the caller's again. */
  flush(): void {
    this.#flushFlows();
    this.#output.flush();
    this.#beginnings = 0;
  }

  #flushFlows(): void {
    for (let index = 0; index < this.#usedFlows; index++) {
      const flow = this.#flows[index];
      if (flow) this.#flushFlow(flow);
    }
    this.#usedFlows = 0;
  }

  /** Takes the packet apart; `false` for one that no super-packet can hold. */
  #read(candidate: Candidate, target: TunnelTarget, start: number, end: number): boolean {
    const { view } = this.#arena.memory;
    const length = end - start;
    if (length < IPV4_HEADER_LENGTH) return false;
    const first = view.getUint8(start);
    const isIpv4 = first === 0x45;
    if (!isIpv4 && first >>> 4 !== 6) return false;
    const ipLength = isIpv4 ? IPV4_HEADER_LENGTH : IPV6_HEADER_LENGTH;
    if (length < ipLength + UDP_HEADER_LENGTH) return false;
    const stated = isIpv4
      ? view.getUint16(start + Ipv4.totalLength)
      : view.getUint16(start + Ipv6.payloadLength) + IPV6_HEADER_LENGTH;
    if (stated !== length) return false;
    if (isIpv4 && (view.getUint16(start + Ipv4.flags) & FRAGMENT_BITS) !== 0) return false;
    const protocol = view.getUint8(start + (isIpv4 ? Ipv4.protocol : Ipv6.nextHeader));
    const upper = start + ipLength;
    if (protocol === PROTOCOL_TCP) {
      if (length < ipLength + TCP_HEADER_LENGTH) return false;
      candidate.headerLength = ipLength + (view.getUint8(upper + Tcp.dataOffset) >>> 4) * 4;
      candidate.nextSequence = view.getUint32(upper + Tcp.sequence);
      const flags = view.getUint8(upper + Tcp.flags);
      candidate.isPushed = (flags & TcpFlag.push) !== 0;
      candidate.isOpen = (flags & ~TcpFlag.push) === TcpFlag.ack && !candidate.isPushed;
    } else if (protocol === PROTOCOL_UDP && target.offload === 'tcp-and-udp') {
      candidate.headerLength = ipLength + UDP_HEADER_LENGTH;
      candidate.isPushed = false;
      // Without a checksum there is nothing to make a new one like (RFC 768).
      candidate.isOpen =
        view.getUint16(upper + Udp.checksum) !== 0 && view.getUint16(upper + Udp.length) === length - ipLength;
    } else return false;
    candidate.segmentLength = length - candidate.headerLength;
    if (candidate.segmentLength < 0) return false;
    candidate.target = target;
    candidate.start = start;
    candidate.end = end;
    candidate.isIpv4 = isIpv4;
    candidate.isTcp = protocol === PROTOCOL_TCP;
    candidate.ipLength = ipLength;
    candidate.total = length;
    return true;
  }

  /** The same device, addresses, protocol and ports: packets that must stay in order. */
  #isSameFlow(flow: Flow, candidate: Candidate): boolean {
    if (flow.count === 0 || flow.target !== candidate.target) return false;
    if (flow.isIpv4 !== candidate.isIpv4 || flow.isTcp !== candidate.isTcp) return false;
    const { view } = this.#arena.memory;
    const from = flow.isIpv4 ? Ipv4.addresses : Ipv6.addresses;
    // The ports come first behind the addresses of a header without options.
    for (let at = from; at <= flow.ipLength; at += 4)
      if (view.getUint32(flow.start + at) !== view.getUint32(candidate.start + at)) return false;
    return true;
  }

  #mayAppend(flow: Flow, candidate: Candidate): boolean {
    const length = candidate.segmentLength;
    if (!flow.isOpen || length === 0 || length > flow.segmentLength) return false;
    if (flow.count >= PIECES_MAX || flow.total + length > SUPER_PACKET_LENGTH_MAX) return false;
    if (flow.headerLength !== candidate.headerLength || !this.#isSameIp(flow, candidate)) return false;
    if (flow.isTcp ? !this.#isNextTcp(flow, candidate) : !candidate.isOpen) return false;
    flow.isVerified ||= this.#isChecksumRight(flow, flow.start + flow.headerLength, flow.segmentLength);
    if (!flow.isVerified) {
      flow.isOpen = false;
      return false;
    }
    return this.#isChecksumRight(candidate, candidate.start + candidate.headerLength, length);
  }

  #isSameIp(flow: Flow, candidate: Candidate): boolean {
    const { view } = this.#arena.memory;
    const [a, b] = [flow.start, candidate.start];
    if (!flow.isIpv4)
      return (
        view.getUint32(a) === view.getUint32(b) &&
        view.getUint16(a + Ipv6.nextHeader) === view.getUint16(b + Ipv6.nextHeader)
      );
    if (view.getUint8(a + Ipv4.trafficClass) !== view.getUint8(b + Ipv4.trafficClass)) return false;
    if (view.getUint8(a + Ipv4.ttl) !== view.getUint8(b + Ipv4.ttl)) return false;
    const flags = view.getUint16(a + Ipv4.flags);
    if (flags !== view.getUint16(b + Ipv4.flags)) return false;
    // Where the packet may be fragmented on, its identification counts, and splitting will number the pieces on from the first.
    if ((flags & DONT_FRAGMENT) !== 0) return true;
    const expected = (view.getUint16(a + Ipv4.identification) + flow.count) & 0xffff;
    return view.getUint16(b + Ipv4.identification) === expected;
  }

  #isNextTcp(flow: Flow, candidate: Candidate): boolean {
    const { view } = this.#arena.memory;
    const a = flow.start + flow.ipLength;
    const b = candidate.start + candidate.ipLength;
    if (candidate.nextSequence !== flow.nextSequence) return false;
    if (view.getUint32(a + Tcp.acknowledgment) !== view.getUint32(b + Tcp.acknowledgment)) return false;
    if ((view.getUint8(b + Tcp.flags) & ~TcpFlag.push) !== TcpFlag.ack) return false;
    // Window, urgent pointer and options say the same in every piece.
    if (view.getUint16(a + Tcp.window) !== view.getUint16(b + Tcp.window)) return false;
    if (view.getUint16(a + Tcp.urgentPointer) !== view.getUint16(b + Tcp.urgentPointer)) return false;
    const options = flow.headerLength - flow.ipLength;
    for (let at = TCP_HEADER_LENGTH; at < options; at += 4)
      if (view.getUint32(a + at) !== view.getUint32(b + at)) return false;
    return true;
  }

  /** Whether the checksum of the packet that `flow` began as is right; its payload is `length` octets at `payload`. */
  #isChecksumRight(flow: Flow, payload: number, length: number): boolean {
    const upperLength = flow.headerLength - flow.ipLength;
    const sum =
      this.#pseudoSum(flow, upperLength + length) +
      this.#arithmetic.sum(flow.start + flow.ipLength, upperLength) +
      this.#arithmetic.sum(payload, length);
    return foldSum(sum) === 0xffff;
  }

  #pseudoSum(flow: Flow, upperLength: number): number {
    const addresses = flow.start + (flow.isIpv4 ? Ipv4.addresses : Ipv6.addresses);
    const protocol = (flow.isTcp ? PROTOCOL_TCP : PROTOCOL_UDP) << 8;
    return this.#arithmetic.sum(addresses, flow.isIpv4 ? 8 : 32) + protocol + swap16(upperLength);
  }

  #begin(flow: Flow, candidate: Candidate): void {
    flow.target = candidate.target;
    flow.vectors = this.#vectors + this.#beginnings++ * PIECES_MAX * VECTOR_LENGTH;
    flow.start = candidate.start;
    flow.isIpv4 = candidate.isIpv4;
    flow.isTcp = candidate.isTcp;
    flow.ipLength = candidate.ipLength;
    flow.headerLength = candidate.headerLength;
    flow.segmentLength = candidate.segmentLength;
    flow.total = candidate.total;
    flow.nextSequence = (candidate.nextSequence + candidate.segmentLength) >>> 0;
    flow.isPushed = candidate.isPushed;
    flow.isOpen = candidate.isOpen && candidate.segmentLength > 0;
    flow.isVerified = false;
    flow.count = 1;
    // The virtio header lies in front of the packet, so that one piece holds both.
    this.#putVector(flow, 0, flow.start - VIRTIO_HEADER_LENGTH, VIRTIO_HEADER_LENGTH + candidate.total);
  }

  #append(flow: Flow, candidate: Candidate): void {
    this.#putVector(flow, flow.count, candidate.start + candidate.headerLength, candidate.segmentLength);
    flow.count++;
    flow.total += candidate.segmentLength;
    flow.nextSequence = (flow.nextSequence + candidate.segmentLength) >>> 0;
    flow.isPushed = candidate.isPushed;
    flow.isOpen = !candidate.isPushed && candidate.segmentLength === flow.segmentLength;
  }

  #putVector(flow: Flow, piece: number, offset: number, length: number): void {
    const { memory } = this.#arena;
    const { view } = memory;
    const vector = flow.vectors + piece * VECTOR_LENGTH;
    memory.putAddress(vector, offset);
    view.setUint32(vector + 8, length, true);
    view.setUint32(vector + 12, 0, true);
  }

  #flushFlow(flow: Flow): void {
    const { target, count } = flow;
    flow.count = 0;
    if (!target || count === 0) return;
    if (count === 1) return this.#writeWhole(target, flow.start, flow.start + flow.total);
    this.#finishHeaders(flow);
    this.#output.writePieces(target.descriptor, flow.vectors, count);
  }

  /** Makes the first packet's headers those of the super-packet. */
  #finishHeaders(flow: Flow): void {
    const { view } = this.#arena.memory;
    const { start, ipLength, total } = flow;
    const upper = start + ipLength;
    const upperLength = total - ipLength;
    if (flow.isIpv4) {
      view.setUint16(start + Ipv4.totalLength, total);
      view.setUint16(start + Ipv4.checksum, 0);
      view.setUint16(start + Ipv4.checksum, ~foldSum(this.#arithmetic.sum(start, ipLength)) & 0xffff, true);
    } else view.setUint16(start + Ipv6.payloadLength, upperLength);
    if (flow.isTcp && flow.isPushed) view.setUint8(upper + Tcp.flags, view.getUint8(upper + Tcp.flags) | TcpFlag.push);
    if (!flow.isTcp) view.setUint16(upper + Udp.length, upperLength);
    const checksumOffset = flow.isTcp ? Tcp.checksum : Udp.checksum;
    // Left to do, for the kernel or the card: the field holds the sum of the pseudo-header, not complemented.
    view.setUint16(upper + checksumOffset, foldSum(this.#pseudoSum(flow, upperLength)), true);
    const header = start - VIRTIO_HEADER_LENGTH;
    const tcp = flow.isIpv4 ? Segmentation.tcpIpv4 : Segmentation.tcpIpv6;
    view.setUint8(header + Virtio.flags, NEEDS_CHECKSUM);
    view.setUint8(header + Virtio.segmentation, flow.isTcp ? tcp : Segmentation.udp);
    view.setUint16(header + Virtio.headerLength, flow.headerLength, true);
    view.setUint16(header + Virtio.segmentLength, flow.segmentLength, true);
    view.setUint16(header + Virtio.checksumStart, ipLength, true);
    view.setUint16(header + Virtio.checksumOffset, checksumOffset, true);
  }

  /** Writes one packet as it is, with a virtio header that asks for nothing. */
  #writeWhole(target: TunnelTarget, start: number, end: number): void {
    const header = start - VIRTIO_HEADER_LENGTH;
    const { bytes } = this.#arena.memory;
    // So few octets take longer to fill by calling out for it.
    for (let at = header; at < start; at++) bytes[at] = 0;
    this.#output.write(target.descriptor, header, end - header);
  }
}

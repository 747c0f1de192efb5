// Super-packets from a TUN device, split into what goes on the wire: the kernel hands over up to 64 KiB of one TCP or UDP flow at a time,
// with one header, and leaves it to us to do what a network card would do (segmentation and checksums).

import type { Arena } from './arena.ts';
import {
  IPV4_HEADER_LENGTH,
  IPV6_HEADER_LENGTH,
  Ipv4,
  Ipv6,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  swap16,
  Tcp,
  TcpFlag,
  UDP_HEADER_LENGTH,
  Udp,
} from './ip-view.ts';
import type { OutboundArea } from './outbound-area.ts';
import { foldSum, type PacketArithmetic } from './packet-arithmetic.ts';
import { NEEDS_CHECKSUM, Segmentation, Virtio } from './virtio-header.ts';

/** Takes the packet at `[start, end)` in the arena, with room around it, before it returns; `isFirst` of those that one read becomes. */
export type PacketHandler = (start: number, end: number, isFirst: boolean) => void;

/** Finishes and splits what a TUN device with offloads has read. */
export class SuperPacketSplitter {
  readonly #arena: Arena;
  readonly #arithmetic: PacketArithmetic;
  readonly #area: OutboundArea;
  readonly #flush: () => void;

  /** `flush` sends the batch, which empties the area. */
  constructor(arena: Arena, arithmetic: PacketArithmetic, area: OutboundArea, flush: () => void) {
    this.#arena = arena;
    this.#arithmetic = arithmetic;
    this.#area = area;
    this.#flush = flush;
  }

  /**
   * The packet at `[start, end)`, which lies outside the area, with its virtio header at `header`: hands over each packet that it becomes, in order.
   * A whole packet is handed over where it lies; pieces are put into the outbound area. Says `false` for a header that contradicts the packet.
   */
  split(header: number, start: number, end: number, handle: PacketHandler): boolean {
    const { view } = this.#arena.memory;
    const kind = view.getUint8(header + Virtio.segmentation) & ~Segmentation.ecn;
    if (kind !== Segmentation.none) return this.#splitFlow(kind, header, start, end, handle);
    if ((view.getUint8(header + Virtio.flags) & NEEDS_CHECKSUM) !== 0 && !this.#finishChecksum(header, start, end))
      return false;
    handle(start, end, true);
    return true;
  }

  #finishChecksum(header: number, start: number, end: number): boolean {
    const { view } = this.#arena.memory;
    const from = start + view.getUint16(header + Virtio.checksumStart, true);
    const at = from + view.getUint16(header + Virtio.checksumOffset, true);
    if (at + 2 > end) return false;
    // RFC 768: a checksum that comes out as zero is sent as all ones; to TCP both mean the same.
    const sum = foldSum(this.#arithmetic.sum(from, end - from));
    this.#putChecksum(at, sum === 0xffff ? 0 : sum);
    return true;
  }

  #splitFlow(kind: number, header: number, start: number, end: number, handle: PacketHandler): boolean {
    const { view } = this.#arena.memory;
    const isUdp = kind === Segmentation.udp;
    const upper = start + view.getUint16(header + Virtio.checksumStart, true);
    const segmentLength = view.getUint16(header + Virtio.segmentLength, true);
    if (upper + UDP_HEADER_LENGTH > end || segmentLength === 0) return false;
    const upperLength = isUdp ? UDP_HEADER_LENGTH : (view.getUint8(upper + Tcp.dataOffset) >>> 4) * 4;
    const payload = upper + upperLength;
    if (payload > end || upper - start < IPV4_HEADER_LENGTH) return false;
    const isIpv4 = view.getUint8(start) >>> 4 === 4;
    const addresses = isIpv4
      ? this.#arithmetic.sum(start + Ipv4.addresses, 8)
      : this.#arithmetic.sum(start + Ipv6.addresses, 32);
    const pseudo = addresses + ((isUdp ? PROTOCOL_UDP : PROTOCOL_TCP) << 8);
    const pieceLength = payload - start + segmentLength;
    for (let at = payload, index = 0; at < end; at += segmentLength, index++) {
      const length = Math.min(segmentLength, end - at);
      if (!this.#area.hasRoom(pieceLength, 1)) this.#flush();
      const target = this.#area.next;
      const total = payload - start + length;
      this.#area.take(total);
      const sum = this.#arithmetic.copyAndSum(target + (payload - start), at, length);
      this.#copyHeader(target, start, payload - start);
      this.#patchIp(target, isIpv4, upper - start, total, index);
      const upperTarget = target + (upper - start);
      if (isUdp) this.#patchUdp(upperTarget, pseudo + sum, UDP_HEADER_LENGTH + length);
      else this.#patchTcp(upperTarget, upperLength, pseudo + sum, at - payload, length, at + length >= end);
      handle(target, target + total, index === 0);
    }
    return true;
  }

  #copyHeader(target: number, source: number, length: number): void {
    this.#arithmetic.copyAndSum(target, source, length);
  }

  #patchIp(target: number, isIpv4: boolean, headerLength: number, total: number, index: number): void {
    const { view } = this.#arena.memory;
    if (!isIpv4) return view.setUint16(target + Ipv6.payloadLength, total - IPV6_HEADER_LENGTH);
    view.setUint16(target + Ipv4.totalLength, total);
    const identification = view.getUint16(target + Ipv4.identification) + index;
    view.setUint16(target + Ipv4.identification, identification & 0xffff);
    view.setUint16(target + Ipv4.checksum, 0);
    this.#putChecksum(target + Ipv4.checksum, foldSum(this.#arithmetic.sum(target, headerLength)));
  }

  #patchTcp(
    target: number,
    headerLength: number,
    sum: number,
    position: number,
    length: number,
    isLast: boolean,
  ): void {
    const { view } = this.#arena.memory;
    view.setUint32(target + Tcp.sequence, view.getUint32(target + Tcp.sequence) + position);
    let flags = view.getUint8(target + Tcp.flags);
    // The congestion window was reduced once (RFC 3168 §6.1.2); what ends or pushes, does so at the end.
    if (position > 0) flags &= ~TcpFlag.cwr;
    if (!isLast) flags &= ~(TcpFlag.fin | TcpFlag.push);
    view.setUint8(target + Tcp.flags, flags);
    view.setUint16(target + Tcp.checksum, 0);
    const whole = sum + swap16(headerLength + length) + this.#arithmetic.sum(target, headerLength);
    this.#putChecksum(target + Tcp.checksum, foldSum(whole));
  }

  #patchUdp(target: number, sum: number, length: number): void {
    const { view } = this.#arena.memory;
    view.setUint16(target + Udp.length, length);
    view.setUint16(target + Udp.checksum, 0);
    const whole = foldSum(sum + swap16(length) + this.#arithmetic.sum(target, UDP_HEADER_LENGTH));
    // RFC 768: a checksum that comes out as zero is sent as all ones.
    this.#putChecksum(target + Udp.checksum, whole === 0xffff ? 0 : whole);
  }

  /** Sums are kept in the machine's order of octets, and so is what they are written with. */
  #putChecksum(at: number, sum: number): void {
    this.#arena.memory.view.setUint16(at, ~sum & 0xffff, true);
  }
}

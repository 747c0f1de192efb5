import { toHex } from '../../lib/bytes.ts';
import type { SeededRandom } from '../../lib/random.ts';

interface MadeFlow {
  readonly isIpv4: boolean;
  readonly isTcp: boolean;
  readonly dontFragment: boolean;
  readonly hasTimestamps: boolean;
  readonly segmentLength: number;
  readonly ports: number;
  readonly ttl: number;
  sequence: number;
  identification: number;
}

/** Makes batches of packets as several flows would mix them, and with everything in them that must keep packets apart. */
export class FlowMaker {
  readonly #random: SeededRandom;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  batch(countMax: number): readonly Uint8Array[] {
    const flows = Array.from({ length: 1 + this.#below(12) }, () => this.#flow());
    const packets: Uint8Array[] = [];
    while (packets.length < countMax) {
      const flow = flows[this.#below(flows.length)];
      const run = 1 + this.#below(this.#chance(0.5) ? 70 : 3);
      for (let count = 0; flow && count < run && packets.length < countMax; count++) packets.push(this.#packet(flow));
      if (this.#chance(0.05)) break;
    }
    return packets;
  }

  #flow(): MadeFlow {
    return {
      isIpv4: this.#chance(0.6),
      isTcp: this.#chance(0.7),
      dontFragment: this.#chance(0.7),
      hasTimestamps: this.#chance(0.5),
      segmentLength: [1, 2, 47, 536, 1000, 1348][this.#below(6)] ?? 1,
      ports: this.#random.uint32(),
      ttl: 64 - this.#below(2),
      sequence: this.#chance(0.2) ? 0xffffff00 : this.#random.uint32(),
      identification: this.#below(65_536),
    };
  }

  #packet(flow: MadeFlow): Uint8Array {
    const length = this.#chance(0.04) ? this.#below(flow.segmentLength + 1) : flow.segmentLength;
    const hasOptions = flow.isIpv4 && this.#chance(0.01);
    const ipLength = flow.isIpv4 ? (hasOptions ? 24 : 20) : 40;
    const upperLength = flow.isTcp ? (flow.hasTimestamps ? 32 : 20) : 8;
    const packet = new Uint8Array(ipLength + upperLength + length);
    packet.set(this.#random.bytes(length), ipLength + upperLength);
    const view = new DataView(packet.buffer);
    if (flow.isTcp) this.#writeTcp(view, ipLength, upperLength, flow, length);
    else this.#writeUdp(view, ipLength, flow, length);
    if (flow.isIpv4) this.#writeIpv4(view, ipLength, flow);
    else this.#writeIpv6(view, flow);
    this.#finish(view, ipLength, flow);
    return packet;
  }

  #writeTcp(view: DataView, at: number, length: number, flow: MadeFlow, payload: number): void {
    if (this.#chance(0.02)) flow.sequence += 1 + this.#below(5000);
    view.setUint32(at, flow.ports);
    view.setUint32(at + 4, flow.sequence);
    view.setUint32(at + 8, this.#chance(0.03) ? this.#random.uint32() : 77);
    const flags = this.#chance(0.04) ? this.#below(256) : this.#chance(0.05) ? 0x18 : 0x10;
    view.setUint16(at + 12, (length / 4) * 0x1000 + flags);
    view.setUint16(at + 14, this.#chance(0.03) ? this.#below(65_536) : 501);
    if (this.#chance(0.01)) view.setUint16(at + 18, 5);
    for (let option = 20; option < length; option += 4)
      view.setUint32(at + option, this.#chance(0.01) ? this.#random.uint32() : 0x0101080a);
    flow.sequence = (flow.sequence + payload) >>> 0;
  }

  #writeUdp(view: DataView, at: number, flow: MadeFlow, payload: number): void {
    view.setUint32(at, flow.ports);
    view.setUint16(at + 4, this.#chance(0.01) ? 8 : 8 + payload);
  }

  #writeIpv4(view: DataView, length: number, flow: MadeFlow): void {
    flow.identification = (flow.identification + (this.#chance(0.03) ? 7 : 1)) & 0xffff;
    view.setUint16(0, 0x4000 + (length / 4) * 0x100 + (this.#chance(0.02) ? 3 : 0));
    view.setUint16(2, view.byteLength - (this.#chance(0.005) ? 1 : 0));
    view.setUint16(4, flow.identification);
    const fragment = this.#chance(0.01) ? 0x2000 + this.#below(100) : 0;
    view.setUint16(6, (flow.dontFragment ? 0x4000 : 0) + fragment);
    view.setUint16(8, (this.#chance(0.01) ? 9 : flow.ttl) * 0x100 + (flow.isTcp ? 6 : 17));
    view.setUint32(12, 0x0a010001);
    view.setUint32(16, 0x0a020001);
    view.setUint16(10, ~fold(sumOf(view, 0, length)) & 0xffff);
  }

  #writeIpv6(view: DataView, flow: MadeFlow): void {
    view.setUint32(0, 0x60000000 + (this.#chance(0.02) ? 5 : 0));
    view.setUint16(4, view.byteLength - 40);
    view.setUint16(6, (flow.isTcp ? 6 : 17) * 0x100 + (this.#chance(0.01) ? 9 : flow.ttl));
    view.setUint32(8, 0x20010db8);
    view.setUint32(20, 1);
    view.setUint32(24, 0x20010db8);
    view.setUint32(36, 2);
  }

  /** The checksum: right, or now and then wrong, or for UDP over IPv4 left out. */
  #finish(view: DataView, ipLength: number, flow: MadeFlow): void {
    const at = ipLength + (flow.isTcp ? 16 : 6);
    if (!flow.isTcp && flow.isIpv4 && this.#chance(0.05)) return;
    const upperLength = view.byteLength - ipLength;
    const addresses = flow.isIpv4 ? sumOf(view, 12, 20) : sumOf(view, 8, 40);
    const sum = addresses + (flow.isTcp ? 6 : 17) + upperLength + sumOf(view, ipLength, view.byteLength);
    // Zero means none in UDP alone (RFC 768).
    const checksum = ~fold(sum) & 0xffff || (flow.isTcp ? 0 : 0xffff);
    view.setUint16(at, this.#chance(0.02) ? checksum ^ 0x0100 : checksum);
  }

  #below(limit: number): number {
    return Math.floor(this.#random.fraction() * limit);
  }

  #chance(probability: number): boolean {
    return this.#random.fraction() < probability;
  }
}

/**
 * What is wrong with what came out, in words; empty if nothing is: every packet, octet for octet, and in order within its flow. Only the
 * identification of a packet that must not be fragmented may differ, for nobody uses it (RFC 6864 §4.1).
 */
export function describeLoss(sent: readonly Uint8Array[], received: readonly Uint8Array[]): string {
  const expected = byFlow(sent);
  const actual = byFlow(received);
  for (const [flow, packets] of expected) {
    const got = actual.get(flow) ?? [];
    for (const [index, packet] of packets.entries())
      if (got[index] !== packet)
        return `flow ${flow}, packet ${index} of ${packets.length}: ${packet} became ${got[index]}`;
  }
  return sent.length === received.length ? '' : `${sent.length} packets became ${received.length}`;
}

function byFlow(packets: readonly Uint8Array[]): ReadonlyMap<string, readonly string[]> {
  const flows = new Map<string, string[]>();
  for (const packet of packets) {
    const isIpv4 = (packet[0] ?? 0) >>> 4 === 4;
    const plain = packet.slice();
    if (isIpv4 && ((packet[6] ?? 0) & 0x40) !== 0) plain.fill(0, 4, 6).fill(0, 10, 12);
    const upper = isIpv4 ? ((packet[0] ?? 0) & 15) * 4 : 40;
    const addresses = isIpv4 ? packet.subarray(12, 20) : packet.subarray(8, 40);
    const ports = packet.subarray(upper, upper + 4);
    const key = `${toHex(addresses)} ${packet[isIpv4 ? 9 : 6]} ${toHex(ports)}`;
    const list = flows.get(key) ?? [];
    list.push(toHex(plain));
    flows.set(key, list);
  }
  return flows;
}

function sumOf(view: DataView, start: number, end: number): number {
  let sum = 0;
  for (let at = start; at < end; at += 2) sum += at + 1 < end ? view.getUint16(at) : view.getUint8(at) << 8;
  return sum;
}

function fold(sum: number): number {
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return sum;
}

// A few packets of each kind, sent from an engine to itself before the first real one. V8 compiles the packet path for what it has seen by then: under
// a TCP stream for TCP alone, so that the first ping throws the compiled code away, and it takes thousands of pings until it is there again.

import { systemRandom } from '../../crypto/node-provider.ts';
import type { PacketCryptoProvider } from '../../crypto/provider.ts';
import { DataPlane } from '../../ipsec/data-plane.ts';
import { HEADROOM, TAILROOM } from '../../ipsec/packet-room.ts';
import type { Instant } from '../../lib/time.ts';
import { address, parsePrefix, type UdpPath } from '../../model/address.ts';
import {
  type EncryptionAlgorithm,
  encryptionTraits,
  type IntegrityAlgorithm,
  integrityTraits,
} from '../../model/algorithms.ts';
import type { DataPlaneCommand } from '../../model/data-plane.ts';
import { type IpsecSa, policyId, type Spi, spi } from '../../model/ipsec-sa.ts';
import { selectorFromPrefix } from '../../model/traffic-selector.ts';
import type { Arena } from './arena.ts';
import { EngineTally } from './engine-counters.ts';
import { EngineOutbox, type UdpTargets } from './engine-outbox.ts';
import type { IoRing } from './io-ring.ts';
import {
  IPV4_HEADER_LENGTH,
  IPV6_HEADER_LENGTH,
  Ipv4,
  Ipv6,
  PROTOCOL_TCP,
  PROTOCOL_UDP,
  TCP_HEADER_LENGTH,
  Tcp,
  TcpFlag,
  UDP_HEADER_LENGTH,
  Udp,
} from './ip-view.ts';
import { OutboundArea } from './outbound-area.ts';
import type { PacketArithmetic } from './packet-arithmetic.ts';
import { RawTargets } from './raw-socket.ts';
import { SendBatch, type SendTarget } from './send-batch.ts';
import { SuperPacketSplitter } from './super-packet.ts';
import { TunnelOutput } from './tunnel-output.ts';
import { TunnelWriter } from './tunnel-writer.ts';
import { NEEDS_CHECKSUM, Segmentation, VIRTIO_HEADER_LENGTH, Virtio } from './virtio-header.ts';

/** With fewer, V8 does not yet take notes of every function; each takes some ten milliseconds. */
const ROUNDS = 3;
const NO_DESCRIPTOR = -1;
const TUNNEL = 'rehearsal';
const PAYLOAD_LENGTH = 800;
const PIECE_LENGTH = 300;
const PROTOCOL_ICMP = 1;
const PROTOCOL_ICMPV6 = 58;
const AREA_LENGTH = 16 * 1024;

const SUITES: readonly (readonly [EncryptionAlgorithm, IntegrityAlgorithm])[] = [
  ['aes-256-gcm', 'none'],
  ['aes-256-cbc', 'hmac-sha-256-128'],
];
const FAMILIES = ['0.0.0.0/0', '::/0'] as const;

/** What is rehearsed, by the virtio header's segmentation: whole packets of any protocol, and what a host hands over to be split. */
interface Kind {
  readonly isIpv4: boolean;
  readonly protocol: number;
  readonly segmentation: number;
  readonly isFragment?: boolean;
}

const KINDS: readonly Kind[] = [true, false].flatMap((isIpv4) => [
  { isIpv4, protocol: PROTOCOL_TCP, segmentation: isIpv4 ? Segmentation.tcpIpv4 : Segmentation.tcpIpv6 },
  { isIpv4, protocol: PROTOCOL_TCP, segmentation: Segmentation.none },
  { isIpv4, protocol: PROTOCOL_UDP, segmentation: Segmentation.udp },
  { isIpv4, protocol: PROTOCOL_UDP, segmentation: Segmentation.none },
  { isIpv4, protocol: isIpv4 ? PROTOCOL_ICMP : PROTOCOL_ICMPV6, segmentation: Segmentation.none },
  { isIpv4, protocol: PROTOCOL_UDP, segmentation: Segmentation.none, isFragment: isIpv4 },
]);

/** What of an engine is rehearsed with. */
interface Stage {
  readonly arena: Arena;
  readonly crypto: PacketCryptoProvider;
  readonly arithmetic: PacketArithmetic;
  readonly outputRing: IoRing | undefined;
}

/** Rehearses; says how many packets were sent, and how many of them arrived. None of them leaves, or is counted elsewhere. */
export function rehearse(now: Instant, stage: Stage): { readonly sent: number; readonly arrived: number } {
  const rehearsal = new Rehearsal(stage);
  const counters = SUITES.map(([encryption, integrity]) => rehearsal.run(now, encryption, integrity).counters());
  return {
    sent: counters.reduce((sum, { espEncryptedPackets }) => sum + espEncryptedPackets, 0),
    arrived: counters.reduce((sum, { espDecryptedPackets }) => sum + espDecryptedPackets, 0),
  };
}

const PATH: UdpPath = {
  local: { address: address('192.0.2.1'), port: 4500 },
  remote: { address: address('192.0.2.2'), port: 4500 },
};
const BACK: UdpPath = { local: PATH.remote, remote: PATH.local };

class Rehearsal {
  readonly #arena: Arena;
  readonly #crypto: PacketCryptoProvider;
  readonly #out: EngineOutbox;
  readonly #area: OutboundArea;
  readonly #splitter: SuperPacketSplitter;
  readonly #packet: number;
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];

  constructor({ arena, crypto, arithmetic, outputRing }: Stage) {
    this.#arena = arena;
    this.#crypto = crypto;
    const tally = new EngineTally();
    const nothing = (): void => undefined;
    const batches = {
      send: new SendBatch(arena, tally, {
        complete: () => crypto.finish?.(),
        handleNotice: nothing,
        handleTooBig: nothing,
      }),
      writer: new TunnelWriter(arena, new TunnelOutput(arena, tally, outputRing), arithmetic),
      raw: new RawTargets([]),
    };
    this.#out = new EngineOutbox(arena, tally, batches, nothing);
    this.#out.addTunnel(TUNNEL, { descriptor: NO_DESCRIPTOR, offload: 'tcp-and-udp' });
    this.#out.addUdpPort(PATH.local.address, PATH.local.port, new NoUdpTargets());
    this.#area = new OutboundArea(arena, AREA_LENGTH);
    this.#splitter = new SuperPacketSplitter(arena, arithmetic, this.#area, nothing);
    this.#packet =
      arena.reserve(HEADROOM + IPV6_HEADER_LENGTH + TCP_HEADER_LENGTH + PAYLOAD_LENGTH + TAILROOM) + HEADROOM;
  }

  run(now: Instant, encryption: EncryptionAlgorithm, integrity: IntegrityAlgorithm): DataPlane {
    const plane = new DataPlane({ crypto: this.#crypto, random: systemRandom });
    for (const [index, prefix] of FAMILIES.entries())
      for (const command of commandsFor(index, prefix, encryption, integrity))
        plane.handleCommand(now, structuredClone(command), this.#out);
    const { ivLength, icvLength, blockLength } = encryptionTraits(encryption);
    const headerLength = 8 + ivLength;
    const alignment = Math.max(4, blockLength);
    const icv = icvLength === 0 ? integrityTraits(integrity).icvLength : icvLength;
    for (let round = 0; round < ROUNDS; round++)
      for (const kind of KINDS) {
        const { bytes } = this.#arena.memory;
        const end = this.#write(kind, round * PAYLOAD_LENGTH);
        this.#starts.length = 0;
        this.#ends.length = 0;
        this.#splitter.split(this.#packet - VIRTIO_HEADER_LENGTH, this.#packet, end, (start, pieceEnd, isFirst) => {
          if (isFirst) plane.handleInnerPacket(now, TUNNEL, bytes, start, pieceEnd, this.#out);
          else plane.handleNextPiece(now, TUNNEL, bytes, start, pieceEnd, this.#out);
          this.#starts.push(start - headerLength);
          this.#ends.push(start + Math.ceil((pieceEnd - start + 2) / alignment) * alignment + icv);
        });
        this.#out.send();
        this.#receive(now, plane);
        this.#area.reset();
      }
    return plane;
  }

  /** What was sent arrives, and the first packet twice. */
  #receive(now: Instant, plane: DataPlane): void {
    const { bytes } = this.#arena.memory;
    for (const [index, start] of this.#starts.entries())
      plane.expectUdpPacket(bytes, start, this.#ends[index] ?? start);
    for (const [index, start] of this.#starts.entries())
      plane.handleUdpPacket(now, BACK, bytes, this.#out, 0, start, this.#ends[index] ?? start);
    plane.forgetExpected();
    this.#out.send();
  }

  /** A packet of this kind with its virtio header in front; returns its end. */
  #write({ isIpv4, protocol, segmentation, isFragment }: Kind, sequence: number): number {
    const { view, bytes } = this.#arena.memory;
    const start = this.#packet;
    const upper = start + (isIpv4 ? IPV4_HEADER_LENGTH : IPV6_HEADER_LENGTH);
    const isTcp = protocol === PROTOCOL_TCP;
    const end = upper + (isTcp ? TCP_HEADER_LENGTH : UDP_HEADER_LENGTH) + PAYLOAD_LENGTH;
    const header = start - VIRTIO_HEADER_LENGTH;
    bytes.fill(0, header, end);
    if (isIpv4) {
      view.setUint8(start, 0x45);
      view.setUint16(start + Ipv4.totalLength, end - start);
      view.setUint16(start + Ipv4.flags, isFragment === true ? 0x2000 : 0x4000);
      view.setUint8(start + Ipv4.ttl, 64);
      view.setUint8(start + Ipv4.protocol, protocol);
      view.setUint32(start + Ipv4.addresses, 0x0a010001);
      view.setUint32(start + Ipv4.addresses + 4, 0x0a020001);
    } else {
      view.setUint8(start, 0x60);
      view.setUint16(start + Ipv6.payloadLength, end - upper);
      view.setUint8(start + Ipv6.nextHeader, protocol);
      view.setUint8(start + Ipv6.hopLimit, 64);
      for (const [at, octet] of [0xfd, 0xfd].entries()) view.setUint8(start + Ipv6.addresses + at * 16, octet);
    }
    view.setUint16(upper, 1000);
    view.setUint16(upper + 2, 2000);
    if (isTcp) {
      view.setUint32(upper + Tcp.sequence, sequence);
      view.setUint8(upper + Tcp.dataOffset, (TCP_HEADER_LENGTH / 4) << 4);
      view.setUint8(upper + Tcp.flags, TcpFlag.ack);
    } else if (protocol === PROTOCOL_UDP) view.setUint16(upper + Udp.length, end - upper);
    // An echo request.
    else view.setUint16(upper, (isIpv4 ? 8 : 128) << 8);
    if (protocol === PROTOCOL_UDP || isTcp) {
      view.setUint8(header + Virtio.flags, NEEDS_CHECKSUM);
      view.setUint8(header + Virtio.segmentation, segmentation);
      view.setUint16(header + Virtio.headerLength, upper - start, true);
      view.setUint16(header + Virtio.segmentLength, segmentation === Segmentation.none ? 0 : PIECE_LENGTH, true);
      view.setUint16(header + Virtio.checksumStart, upper - start, true);
      view.setUint16(header + Virtio.checksumOffset, isTcp ? Tcp.checksum : Udp.checksum, true);
    }
    return end;
  }
}

/** Datagrams go nowhere. */
class NoUdpTargets implements UdpTargets {
  readonly descriptor = NO_DESCRIPTOR;
  readonly #target = { descriptor: NO_DESCRIPTOR, address: new Uint8Array(16), segmentLengthMax: 65_536 };

  target(): SendTarget {
    return this.#target;
  }

  pathFrom(): undefined {
    return undefined;
  }
}

/** A policy for everything of one family, and an SA each way that is the same SA. */
function commandsFor(
  index: number,
  prefix: string,
  encryption: EncryptionAlgorithm,
  integrity: IntegrityAlgorithm,
): readonly DataPlaneCommand[] {
  const parsed = parsePrefix(prefix);
  if (!parsed) return [];
  const selector = selectorFromPrefix(parsed);
  const { keyLength, saltLength } = encryptionTraits(encryption);
  const policy = policyId(`${TUNNEL}/${index}`);
  const number: Spi = spi(0x1000 + index);
  const sa = (direction: IpsecSa['direction'], path: UdpPath): IpsecSa => ({
    direction,
    protocol: 'esp',
    spi: number,
    mode: 'tunnel',
    policy,
    localAddress: path.local.address,
    remoteAddress: path.remote.address,
    udp: path,
    encryption,
    encryptionKey: new Uint8Array(keyLength + saltLength),
    integrity,
    integrityKey: new Uint8Array(integrityTraits(integrity).keyLength),
    selectors: { local: selector, remote: selector },
    extendedSequenceNumbers: false,
    replayWindow: 64,
    lifetime: {},
  });
  return [
    {
      kind: 'put-policy',
      policy: {
        id: policy,
        order: index,
        action: 'protect',
        selectors: { local: selector, remote: selector },
        tunnelInterface: TUNNEL,
        dfBit: 'clear',
        copyOuterDscp: false,
      },
    },
    { kind: 'add-inbound', sa: sa('inbound', BACK) },
    { kind: 'add-outbound', sa: sa('outbound', PATH) },
    { kind: 'use-outbound', policy, spi: number },
  ];
}

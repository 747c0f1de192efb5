// Says what is in a capture of IKE and IPsec: each IKE message decoded as far as it is in the clear, and the rest counted.

import { equalBytes, toHex } from '../lib/bytes.ts';
import type { Malformed } from '../lib/malformed.ts';
import { ok, type Result } from '../lib/result.ts';
import { formatEndpoint, type UdpEndpoint } from '../model/address.ts';
import type { IkeRole } from '../model/ike-event.ts';
import { decodeIpPacket, decodeUdpDatagram, IP_PROTOCOL, type IpPacket, type UdpDatagram } from '../wire/ip-packet.ts';
import { decodeIsakmpHeader, ISAKMP_HEADER_LENGTH, type IsakmpHeader } from '../wire/isakmp-header.ts';
import { exchangeName, notation, summarizePayloads } from '../wire/isakmp-notation.ts';
import { decodePayloadChain } from '../wire/isakmp-payloads.ts';
import { findIpPacket } from '../wire/link-layer.ts';
import { readCapture } from '../wire/pcap.ts';
import { classifyUdp4500, stripNonEspMarker } from '../wire/udp-encapsulation.ts';

const IKE_PORT = 500;
const NAT_TRAVERSAL_PORT = 4500;

/** A capture may be a flood: beyond these, exchanges are no longer told apart, and SAs are counted as other packets. */
const EXCHANGES_MAX = 10_000;
const SAS_MAX = 10_000;
/** Messages of one exchange in which a retransmission is looked for. */
const MESSAGES_PER_EXCHANGE_MAX = 16;

/** The capture in words, one paragraph an IKE message and one line an ESP or AH SA; malformed if it is not a capture. */
export function describeCapture(bytes: Uint8Array): Result<string, Malformed> {
  const capture = readCapture(bytes);
  if (!capture.ok) return capture;
  const reading = new CaptureReading();
  const start = capture.value.frames[0]?.timestamp ?? 0;
  for (const [index, frame] of capture.value.frames.entries()) {
    const octets = findIpPacket(frame.linkType, frame.data);
    const seconds = ((frame.timestamp - start) / 1e6).toFixed(3);
    reading.readPacket(`#${index + 1} ${seconds}s`, octets);
  }
  if (capture.value.isTruncated) reading.lines.push('the capture is cut short');
  return ok(reading.finish());
}

/** One exchange as far as it was seen, so that a message can be given its place in it. */
interface SeenExchange {
  readonly initiator: string;
  readonly messages: Uint8Array[];
}

class CaptureReading {
  readonly lines: string[] = [];
  readonly #exchanges = new Map<string, SeenExchange>();
  readonly #sas = new Map<string, number>();
  #otherCount = 0;
  #keepaliveCount = 0;

  readPacket(label: string, octets: Uint8Array | undefined): void {
    const packet = octets && decodeIpPacket(octets);
    if (packet === undefined) return this.#countOther();
    if (!packet.ok) return this.#say(`${label} not a whole IP packet: ${packet.error}`);
    const { value } = packet;
    const ends = `${value.source} -> ${value.destination}`;
    if (value.isFragment) return this.#say(`${label} ${ends} a fragment, protocol ${value.protocol}`);
    switch (value.protocol) {
      case IP_PROTOCOL.esp:
        return this.#countSa(`${ends} ESP`, value.payload, 0);
      case IP_PROTOCOL.ah:
        return this.#countSa(`${ends} AH`, value.payload, 4);
      case IP_PROTOCOL.udp:
        return this.#readDatagram(label, value);
      default:
        return this.#countOther();
    }
  }

  finish(): string {
    const sas = [...this.#sas].map(([name, count]) => `${name}: ${count} packets`);
    const rest = [
      ...(this.#keepaliveCount > 0 ? [`${this.#keepaliveCount} NAT keepalives`] : []),
      ...(this.#otherCount > 0 ? [`${this.#otherCount} other packets`] : []),
    ];
    return [...this.lines, ...sas, ...rest].join('\n');
  }

  #readDatagram(label: string, packet: IpPacket): void {
    const datagram = decodeUdpDatagram(packet);
    if (!datagram.ok) return this.#say(`${label} not a whole UDP datagram: ${datagram.error}`);
    const { source, destination, payload } = datagram.value;
    const ends = `${formatEndpoint(source)} -> ${formatEndpoint(destination)}`;
    if (hasPort(datagram.value, NAT_TRAVERSAL_PORT)) {
      switch (classifyUdp4500(payload)) {
        case 'ike':
          return this.#readMessage(`${label} ${ends}`, source, stripNonEspMarker(payload));
        case 'esp':
          return this.#countSa(`${ends} ESP in UDP`, payload, 0);
        case 'keepalive':
          this.#keepaliveCount++;
          return;
        case 'malformed':
          return this.#say(`${label} ${ends} neither IKE nor ESP: ${payload.length} octets`);
      }
    }
    if (hasPort(datagram.value, IKE_PORT)) return this.#readMessage(`${label} ${ends}`, source, payload);
    this.#countOther();
  }

  #readMessage(label: string, source: UdpEndpoint, message: Uint8Array): void {
    const decoded = decodeIsakmpHeader(message);
    if (!decoded.ok) return this.#say(`${label} not an IKE message: ${decoded.error}`);
    const header = decoded.value;
    if (header.majorVersion !== 1) {
      const version = `IKE version ${header.majorVersion}.${header.minorVersion}`;
      return this.#say(`${label} ${version}, exchange type ${header.exchangeType}: not decoded`);
    }
    this.#say(...describeMessage(label, header, message, this.#place(header, source, message)));
  }

  #place(header: IsakmpHeader, source: UdpEndpoint, message: Uint8Array): Place {
    const key = `${toHex(header.initiatorCookie)} ${header.exchangeType} ${header.messageId}`;
    const known = this.#exchanges.get(key);
    if (known === undefined) {
      if (this.#exchanges.size < EXCHANGES_MAX) {
        this.#exchanges.set(key, { initiator: source.address, messages: [message] });
      }
      return { number: 1, sender: 'initiator', isRepeat: false };
    }
    const { initiator, messages } = known;
    const sender = initiator === source.address ? 'initiator' : 'responder';
    const repeated = messages.findIndex((earlier) => equalBytes(earlier, message));
    if (repeated >= 0) return { number: repeated + 1, sender, isRepeat: true };
    if (messages.length < MESSAGES_PER_EXCHANGE_MAX) messages.push(message);
    return { number: messages.length, sender, isRepeat: false };
  }

  #countSa(name: string, payload: Uint8Array, spiOffset: number): void {
    const spi = payload.subarray(spiOffset, spiOffset + 4);
    const key = spi.length < 4 ? `${name} cut short` : `${name} SPI ${toHex(spi)}`;
    if (this.#sas.size < SAS_MAX || this.#sas.has(key)) this.#sas.set(key, (this.#sas.get(key) ?? 0) + 1);
    else this.#countOther();
  }

  #countOther(): void {
    this.#otherCount++;
  }

  #say(...lines: readonly string[]): void {
    this.lines.push(...lines);
  }
}

interface Place {
  readonly number: number;
  readonly sender: IkeRole;
  readonly isRepeat: boolean;
}

function describeMessage(label: string, header: IsakmpHeader, message: Uint8Array, place: Place): readonly string[] {
  const exchange = exchangeName(header.exchangeType);
  const again = place.isRepeat ? ' (again)' : '';
  const name = exchange === 'unknown' ? `exchange type ${header.exchangeType}` : exchange;
  const title = `${label} ${name} ${place.number}${again}`;
  const cookies = `cookies ${toHex(header.initiatorCookie)}:${toHex(header.responderCookie)}`;
  const ids = `    ${cookies}, message ID ${header.messageId.toString(16)}, ${header.length} octets`;
  if (header.flags.encryption) {
    return [`${title}: HDR*, ${header.length - ISAKMP_HEADER_LENGTH} octets encrypted`, ids];
  }
  const body = message.subarray(ISAKMP_HEADER_LENGTH);
  const payloads = decodePayloadChain(header.nextPayload, body, { encrypted: false });
  if (!payloads.ok) return [`${title}: ${payloads.error}`, ids];
  const { number, sender } = place;
  return [
    `${title}: ${notation({ exchange, number, sender, isEncrypted: false }, payloads.value)}`,
    ids,
    ...summarizePayloads(payloads.value).map(
      (summary) => `    ${summary.name} (${summary.length})${summary.detail === '' ? '' : `: ${summary.detail}`}`,
    ),
  ];
}

function hasPort(datagram: UdpDatagram, port: number): boolean {
  return datagram.source.port === port || datagram.destination.port === port;
}

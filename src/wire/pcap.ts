// Packet captures: classic pcap (draft-ietf-opsawg-pcap) and pcapng (draft-ietf-opsawg-pcapng), read; pcapng, written.
// Neither has an RFC. Captures come from anywhere, so they are read with the same care as datagrams.

import { ByteWriter } from '../lib/byte-writer.ts';
import { catchMalformed, Malformed } from '../lib/malformed.ts';
import type { Result } from '../lib/result.ts';

/** One captured frame. */
export interface CapturedFrame {
  /** `LINK_TYPE`, or a number that we do not know. */
  readonly linkType: number;
  /** Microseconds since 1970; 0 where the capture does not say. */
  readonly timestamp: number;
  /** A view of the capture's octets. */
  readonly data: Uint8Array;
}

/** A capture's frames in order. */
export interface Capture {
  readonly frames: readonly CapturedFrame[];
  /** The file ends in the middle of a record: what is whole has been read. */
  readonly isTruncated: boolean;
}

/** Frames in one capture: beyond this it is cut off, and said to be truncated. */
const FRAMES_MAX = 1_000_000;

const PCAP_MAGIC = 0xa1b2c3d4;
const PCAP_MAGIC_NANOSECONDS = 0xa1b23c4d;
const PCAP_HEADER_LENGTH = 24;
const PCAP_RECORD_HEADER_LENGTH = 16;

const BLOCK = {
  interfaceDescription: 1,
  packet: 2,
  simplePacket: 3,
  enhancedPacket: 6,
  sectionHeader: 0x0a0d0d0a,
} as const;
const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
const BLOCK_OVERHEAD = 12;
const OPTION_END = 0;
const OPTION_TIMESTAMP_RESOLUTION = 9;
const MICROSECONDS_PER_SECOND = 1e6;

/** Reads either form, recognised by its first octets. A file cut short gives what is whole in it. */
export function readCapture(bytes: Uint8Array): Result<Capture, Malformed> {
  return catchMalformed(() => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (bytes.length < 4) throw new Malformed('capture magic', bytes.length);
    if (view.getUint32(0) === BLOCK.sectionHeader) return readPcapng(bytes, view);
    return readPcap(bytes, view);
  });
}

/** A pcapng file of one interface, timestamps in microseconds. */
export function encodePcapng(linkType: number, frames: readonly Omit<CapturedFrame, 'linkType'>[]): Uint8Array {
  const writer = new ByteWriter(4096);
  // Byte order magic, version 1.0, unknown section length.
  writeBlock(writer, BLOCK.sectionHeader, (body) =>
    body.uint32(BYTE_ORDER_MAGIC).uint16(1).uint16(0).uint32(0xffffffff).uint32(0xffffffff),
  );
  writeBlock(writer, BLOCK.interfaceDescription, (body) => body.uint16(linkType).uint16(0).uint32(0));
  for (const { timestamp, data } of frames) {
    writeBlock(writer, BLOCK.enhancedPacket, (body) => {
      body
        .uint32(0)
        .uint32(Math.floor(timestamp / 2 ** 32))
        .uint32(timestamp % 2 ** 32);
      body
        .uint32(data.length)
        .uint32(data.length)
        .bytes(data)
        .bytes(new Uint8Array(-data.length & 3));
    });
  }
  return writer.finish();
}

function readPcap(bytes: Uint8Array, view: DataView): Capture {
  if (bytes.length < PCAP_HEADER_LENGTH) throw new Malformed('capture header', bytes.length);
  const littleEndian = [PCAP_MAGIC, PCAP_MAGIC_NANOSECONDS].includes(view.getUint32(0, true));
  const magic = view.getUint32(0, littleEndian);
  if (magic !== PCAP_MAGIC && magic !== PCAP_MAGIC_NANOSECONDS) throw new Malformed('capture magic', bytes.length);
  const fractionsPerMicrosecond = magic === PCAP_MAGIC_NANOSECONDS ? 1000 : 1;
  // The upper bits of the field say whether frames end in a check sequence.
  const linkType = view.getUint32(20, littleEndian) & 0xffff;
  const frames: CapturedFrame[] = [];
  let offset = PCAP_HEADER_LENGTH;
  while (offset + PCAP_RECORD_HEADER_LENGTH <= bytes.length && frames.length < FRAMES_MAX) {
    const seconds = view.getUint32(offset, littleEndian);
    const fraction = view.getUint32(offset + 4, littleEndian);
    const length = view.getUint32(offset + 8, littleEndian);
    const start = offset + PCAP_RECORD_HEADER_LENGTH;
    if (length > bytes.length - start) break;
    const timestamp = seconds * MICROSECONDS_PER_SECOND + Math.floor(fraction / fractionsPerMicrosecond);
    frames.push({ linkType, timestamp, data: bytes.subarray(start, start + length) });
    offset = start + length;
  }
  return { frames, isTruncated: offset < bytes.length };
}

/** What an interface description block says. */
interface CaptureInterface {
  readonly linkType: number;
  readonly snapLength: number;
  readonly microsecondsPerTick: number;
}

/** A block's body at `[start, end)`, in the byte order of its section. */
interface Block {
  readonly view: DataView;
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
  readonly littleEndian: boolean;
}

function readPcapng(bytes: Uint8Array, view: DataView): Capture {
  const frames: CapturedFrame[] = [];
  let interfaces: CaptureInterface[] = [];
  let littleEndian = false;
  let offset = 0;
  while (offset + BLOCK_OVERHEAD <= bytes.length && frames.length < FRAMES_MAX) {
    const type = view.getUint32(offset);
    if (type === BLOCK.sectionHeader) {
      littleEndian = view.getUint32(offset + 8) !== BYTE_ORDER_MAGIC;
      interfaces = [];
    }
    const length = view.getUint32(offset + 4, littleEndian);
    if (length < BLOCK_OVERHEAD || length % 4 !== 0) throw new Malformed('capture block length', bytes.length - offset);
    if (length > bytes.length - offset) break;
    const block: Block = { view, bytes, start: offset + 8, end: offset + length - 4, littleEndian };
    switch (littleEndian ? swap32(type) : type) {
      case BLOCK.interfaceDescription:
        interfaces.push(readInterface(block));
        break;
      case BLOCK.enhancedPacket:
        frames.push(readEnhancedPacket(block, interfaces));
        break;
      case BLOCK.simplePacket:
        frames.push(readSimplePacket(block, interfaces));
        break;
      case BLOCK.packet:
        frames.push(readObsoletePacket(block, interfaces));
        break;
      default:
    }
    offset += length;
  }
  return { frames, isTruncated: offset < bytes.length };
}

function readInterface(block: Block): CaptureInterface {
  const linkType = uint16(block, 0);
  const snapLength = uint32(block, 4);
  let microsecondsPerTick = 1;
  for (let offset = 8; block.start + offset + 4 <= block.end; ) {
    const code = uint16(block, offset);
    const length = uint16(block, offset + 2);
    if (code === OPTION_END) break;
    if (code === OPTION_TIMESTAMP_RESOLUTION && length === 1) {
      const resolution = slice(block, offset + 4, 1)[0] ?? 0;
      // The upper bit says whether ticks are negative powers of two or of ten.
      const ticksPerSecond = resolution & 0x80 ? 2 ** (resolution & 0x7f) : 10 ** resolution;
      microsecondsPerTick = MICROSECONDS_PER_SECOND / ticksPerSecond;
    }
    offset += 4 + length + (-length & 3);
  }
  return { linkType, snapLength, microsecondsPerTick };
}

function readEnhancedPacket(block: Block, interfaces: readonly CaptureInterface[]): CapturedFrame {
  const captured = interfaceAt(block, interfaces, uint32(block, 0));
  return { ...readTimestamp(block, captured, 4), data: slice(block, 20, uint32(block, 12)) };
}

function readObsoletePacket(block: Block, interfaces: readonly CaptureInterface[]): CapturedFrame {
  const captured = interfaceAt(block, interfaces, uint16(block, 0));
  return { ...readTimestamp(block, captured, 4), data: slice(block, 20, uint32(block, 12)) };
}

/** Holds no timestamp, and no captured length: that follows from the original one and the interface's limit. */
function readSimplePacket(block: Block, interfaces: readonly CaptureInterface[]): CapturedFrame {
  const captured = interfaceAt(block, interfaces, 0);
  const originalLength = uint32(block, 0);
  const length = captured.snapLength === 0 ? originalLength : Math.min(originalLength, captured.snapLength);
  return { linkType: captured.linkType, timestamp: 0, data: slice(block, 4, length) };
}

function readTimestamp(block: Block, captured: CaptureInterface, offset: number): Omit<CapturedFrame, 'data'> {
  const ticks = uint32(block, offset) * 2 ** 32 + uint32(block, offset + 4);
  return { linkType: captured.linkType, timestamp: Math.floor(ticks * captured.microsecondsPerTick) };
}

function interfaceAt(block: Block, interfaces: readonly CaptureInterface[], index: number): CaptureInterface {
  const found = interfaces[index];
  if (found === undefined) throw new Malformed('capture interface', block.end - block.start);
  return found;
}

function uint16(block: Block, offset: number): number {
  if (block.start + offset + 2 > block.end) throw new Malformed('capture block', block.end - block.start);
  return block.view.getUint16(block.start + offset, block.littleEndian);
}

function uint32(block: Block, offset: number): number {
  if (block.start + offset + 4 > block.end) throw new Malformed('capture block', block.end - block.start);
  return block.view.getUint32(block.start + offset, block.littleEndian);
}

function slice(block: Block, offset: number, length: number): Uint8Array {
  const start = block.start + offset;
  if (start + length > block.end) throw new Malformed('captured length', block.end - block.start);
  return block.bytes.subarray(start, start + length);
}

function swap32(value: number): number {
  return ((value << 24) | ((value << 8) & 0xff0000) | ((value >>> 8) & 0xff00) | (value >>> 24)) >>> 0;
}

function writeBlock(writer: ByteWriter, type: number, writeBody: (writer: ByteWriter) => void): void {
  const start = writer.length;
  writer.uint32(type).uint32(0);
  writeBody(writer);
  const length = writer.length + 4 - start;
  writer.patchUint32(start + 4, length);
  writer.uint32(length);
}

// Captures of other projects, against tshark's reading of the same packets.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { sharedFile } from '../../test/shared.ts';
import { readTshark, type TsharkPacket } from '../../test/tshark.ts';
import { decodeIpPacket, decodeUdpDatagram } from './ip-packet.ts';
import { decodeIsakmpHeader, ISAKMP_HEADER_LENGTH, type IsakmpHeader } from './isakmp-header.ts';
import { type DecodedPayload, decodePayloadChain, encodePayloadChain } from './isakmp-payloads.ts';
import { findIpPacket } from './link-layer.ts';
import { readCapture } from './pcap.ts';
import { classifyUdp4500, stripNonEspMarker } from './udp-encapsulation.ts';

interface CaptureEntry {
  readonly file: string;
  readonly tshark_json?: string;
}

const folder = sharedFile('vectors/pcaps');
const skip = folder === undefined ? 'the reference captures are not here' : false;
const entries: readonly CaptureEntry[] =
  folder === undefined ? [] : JSON.parse(readFileSync(join(folder, 'captures.json'), 'utf8'));

/** Messages that we refuse and tshark reads in part, with the field that is wrong: all are malformed on purpose, or no IKEv1 at all. */
const REFUSED: Readonly<Record<string, string>> = {
  // The fuzzer that made these wrote IP lengths of more than it captured.
  'ikev1_id_ipv6_addr_subnet-oobr.pcap#1': 'total length',
  'isakmp-ikev1_n_print-oobr.pcap#1': 'total length',
  'isakmp-ikev1_n_print-oobr.pcap#2': 'total length',
  'isakmp-ikev1_n_print-oobr.pcap#3': 'total length',
  'isakmpv1-attr-oobr.pcap#1': 'total length',
  'isakmp-3948-oobr-2.pcap#1': 'total length',
  'isakmp-rfc3948-oobr.pcap#23': 'total length',
  'isakmp-pointer-loop.pcap#1': 'message length below its header',
};

test('every capture decodes without throwing, message by message as tshark reads it', { skip }, async (context) => {
  for (const entry of entries) {
    await context.test(entry.file, () => {
      const frames = framesOf(entry);
      assert.ok(frames.length > 0);
      const expected =
        entry.tshark_json === undefined ? undefined : readTshark(join(folder ?? '', `${entry.tshark_json}.gz`));
      if (expected !== undefined) assert.equal(expected.length, frames.length, 'as many packets as tshark');
      for (const [index, frame] of frames.entries()) {
        const seen = decodeFrame(frame.linkType, frame.data);
        const packet = expected?.[index];
        if (packet !== undefined) compare(`${basename(entry.file)}#${index + 1}`, seen, packet);
      }
    });
  }
});

test('no packet of a capture, cut at any length or with any octet changed, makes a decoder throw', { skip }, () => {
  const messages = entries
    .flatMap((entry) => framesOf(entry).slice(0, 12))
    .map((frame) => findMessage(frame.linkType, frame.data))
    .filter((message) => message !== undefined);
  assert.ok(messages.length > 100);
  for (const message of messages) {
    for (let length = 0; length < message.length; length++) decodeAnyway(message.subarray(0, length));
    for (let offset = 0; offset < message.length; offset++) {
      const changed = message.slice();
      changed[offset] = (changed[offset] ?? 0) ^ 0xff;
      decodeAnyway(changed);
    }
  }
});

interface Seen {
  readonly header?: IsakmpHeader;
  readonly payloads?: readonly DecodedPayload[];
  readonly fault?: string;
}

function framesOf(entry: CaptureEntry): readonly { linkType: number; data: Uint8Array }[] {
  const file = readFileSync(join(folder ?? '', entry.file));
  const capture = readCapture(entry.file.endsWith('.gz') ? gunzipSync(file) : file);
  assert.ok(capture.ok, entry.file);
  return capture.value.frames;
}

function decodeFrame(linkType: number, frame: Uint8Array): Seen | undefined {
  const octets = findIpPacket(linkType, frame);
  const packet = octets && decodeIpPacket(octets);
  if (packet?.ok === false) return { fault: packet.error.field };
  const message = findMessage(linkType, frame);
  return message && decodeMessage(message);
}

/** The ISAKMP message in a frame, by its UDP ports. */
function findMessage(linkType: number, frame: Uint8Array): Uint8Array | undefined {
  const octets = findIpPacket(linkType, frame);
  const packet = octets && decodeIpPacket(octets);
  if (!packet?.ok || packet.value.protocol !== 17 || packet.value.isFragment) return undefined;
  const datagram = decodeUdpDatagram(packet.value);
  if (!datagram.ok) return undefined;
  const { source, destination, payload } = datagram.value;
  if (source.port === 500 || destination.port === 500) return payload;
  if (source.port !== 4500 && destination.port !== 4500) return undefined;
  return classifyUdp4500(payload) === 'ike' ? stripNonEspMarker(payload) : undefined;
}

function decodeMessage(message: Uint8Array): Seen {
  const header = decodeIsakmpHeader(message);
  if (!header.ok) return { fault: header.error.field };
  if (header.value.majorVersion !== 1 || header.value.flags.encryption) return { header: header.value };
  const payloads = decodePayloadChain(header.value.nextPayload, message.subarray(ISAKMP_HEADER_LENGTH), {
    encrypted: false,
  });
  return payloads.ok
    ? { header: header.value, payloads: payloads.value }
    : { header: header.value, fault: payloads.error.field };
}

function decodeAnyway(message: Uint8Array): void {
  decodeMessage(message);
  const body = message.subarray(Math.min(message.length, ISAKMP_HEADER_LENGTH));
  const payloads = decodePayloadChain(message[16] ?? 0, body, { encrypted: true });
  if (payloads.ok) encodePayloadChain(payloads.value);
}

function compare(name: string, seen: Seen | undefined, packet: TsharkPacket): void {
  if (REFUSED[name] !== undefined || seen?.fault !== undefined) {
    assert.equal(seen?.fault, REFUSED[name], name);
    return;
  }
  assert.equal(seen !== undefined, packet.isIsakmp, `${name}: is ISAKMP`);
  if (seen?.header === undefined) return;
  assert.equal(seen.header.exchangeType, packet.exchangeType, `${name}: exchange type`);
  assert.equal(seen.header.length, packet.length, `${name}: length`);
  assert.equal(seen.header.messageId, packet.messageId, `${name}: message ID`);
  assert.equal((seen.header.majorVersion << 4) | seen.header.minorVersion, packet.version, `${name}: version`);
  if (seen.payloads === undefined) return;
  const { header } = seen;
  const payloads = seen.payloads.map((payload, index, all) => {
    const type = all[index - 1]?.raw[0] ?? header.nextPayload;
    return { type, length: payload.raw.length };
  });
  // Where tshark gave up (it takes the NAT-D payloads of an old draft for something else), what it read so far.
  const comparedCount = packet.isMalformed ? packet.payloads.length : payloads.length;
  assert.deepEqual(payloads.slice(0, comparedCount), packet.payloads, `${name}: payloads`);
  const proposals = seen.payloads.flatMap((payload) => (payload.kind === 'sa' ? payload.proposals : []));
  assert.equal(proposals.length, packet.proposalCount, `${name}: proposals`);
  assert.equal(
    proposals.flatMap((proposal) => proposal.transforms).length,
    packet.transformCount,
    `${name}: transforms`,
  );
}

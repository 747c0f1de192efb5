// The security association payload and what nests in it: proposals, and transforms in those (RFC 2408 §3.4, §3.5, §3.6).

import type { ByteReader } from '../lib/byte-reader.ts';
import type { ByteWriter } from '../lib/byte-writer.ts';
import { invariant } from '../lib/invariant.ts';
import { Malformed } from '../lib/malformed.ts';
import { type Attribute, readAttributes, writeAttributes } from './isakmp-attributes.ts';
import { PAYLOAD_TYPE } from './isakmp-header.ts';

/** The IPsec domain of interpretation (RFC 2407 §4.1). */
export const IPSEC_DOI = 1;

/** The one situation that IKE uses: the SA is for whoever the ID payloads name (RFC 2407 §4.2.1). */
export const SITUATION_IDENTITY_ONLY = 1;

/** Security protocol identifiers (RFC 2407 §4.4.1). */
export const PROTOCOL_ID = { isakmp: 1, ah: 2, esp: 3, ipcomp: 4 } as const;

/** What one peer offers, or the one proposal with one transform that the other chose. */
export interface SaPayload {
  readonly kind: 'sa';
  readonly doi: number;
  readonly situation: number;
  readonly proposals: readonly Proposal[];
  /** What follows the situation, unread, where DOI or situation is one whose form is not IPsec's; else empty. */
  readonly undecoded: Uint8Array;
}

/** Proposals with the same number belong together: all or none (RFC 2408 §4.2). */
export interface Proposal {
  readonly number: number;
  readonly protocolId: number;
  readonly spi: Uint8Array;
  readonly transforms: readonly Transform[];
}

export interface Transform {
  readonly number: number;
  readonly transformId: number;
  readonly attributes: readonly Attribute[];
}

/** Proposals in one SA payload: beyond this the message is refused. */
const PROPOSALS_MAX = 64;

const NESTED_HEADER_LENGTH = 4;

/** Reads an SA payload's body; all octets must belong to it. */
export function readSaPayload(reader: ByteReader): SaPayload {
  const doi = reader.uint32('DOI');
  if (doi !== IPSEC_DOI) return { kind: 'sa', doi, situation: 0, proposals: [], undecoded: reader.rest() };
  const situation = reader.uint32('situation');
  if (situation !== SITUATION_IDENTITY_ONLY) {
    return { kind: 'sa', doi, situation, proposals: [], undecoded: reader.rest() };
  }
  const proposals = readNested(reader, PAYLOAD_TYPE.proposal, PROPOSALS_MAX, 'proposal', readProposal);
  return { kind: 'sa', doi, situation, proposals, undecoded: reader.rest() };
}

export function writeSaPayload(writer: ByteWriter, payload: SaPayload): void {
  writer.uint32(payload.doi);
  if (payload.doi === IPSEC_DOI) writer.uint32(payload.situation);
  writeNested(writer, PAYLOAD_TYPE.proposal, payload.proposals, writeProposal);
  writer.bytes(payload.undecoded);
}

function readProposal(reader: ByteReader): Proposal {
  const number = reader.uint8('proposal number');
  const protocolId = reader.uint8('protocol ID');
  const spiSize = reader.uint8('SPI size');
  const transformCount = reader.uint8('transform count');
  const spi = reader.bytes(spiSize, 'SPI');
  const transforms = readNested(reader, PAYLOAD_TYPE.transform, transformCount, 'transform', readTransform);
  if (transforms.length !== transformCount) throw new Malformed('transform count', reader.remaining);
  return { number, protocolId, spi, transforms };
}

function writeProposal(writer: ByteWriter, proposal: Proposal): void {
  invariant(proposal.transforms.length <= 255, 'a proposal counts its transforms in one octet');
  writer.uint8(proposal.number).uint8(proposal.protocolId);
  writer.uint8(proposal.spi.length).uint8(proposal.transforms.length);
  writer.bytes(proposal.spi);
  writeNested(writer, PAYLOAD_TYPE.transform, proposal.transforms, writeTransform);
}

function readTransform(reader: ByteReader): Transform {
  const number = reader.uint8('transform number');
  const transformId = reader.uint8('transform ID');
  reader.uint16('reserved');
  return { number, transformId, attributes: readAttributes(reader) };
}

function writeTransform(writer: ByteWriter, transform: Transform): void {
  writer.uint8(transform.number).uint8(transform.transformId).uint16(0);
  writeAttributes(writer, transform.attributes);
}

/** Reads a chain of one type that fills `reader` exactly. An empty `reader` is an empty chain. */
function readNested<T>(
  reader: ByteReader,
  type: number,
  countMax: number,
  name: string,
  read: (reader: ByteReader) => T,
): readonly T[] {
  const items: T[] = [];
  for (let next: number = reader.remaining > 0 ? type : PAYLOAD_TYPE.none; next !== PAYLOAD_TYPE.none; ) {
    if (next !== type) throw new Malformed(`${name}: next payload`, reader.remaining);
    if (items.length === countMax) throw new Malformed(`${name} count`, reader.remaining);
    next = reader.uint8(`${name}: next payload`);
    reader.uint8('reserved');
    const length = reader.uint16(`${name} length`);
    // A length below the header's own size would stop the cursor, and so the loop, from advancing.
    if (length < NESTED_HEADER_LENGTH) throw new Malformed(`${name} length`, reader.remaining);
    const body = reader.sub(length - NESTED_HEADER_LENGTH, `${name} length`);
    items.push(read(body));
    body.expectEnd(`${name}: trailing octets`);
  }
  reader.expectEnd(`${name}: octets after the last`);
  return items;
}

function writeNested<T>(
  writer: ByteWriter,
  type: number,
  items: readonly T[],
  write: (writer: ByteWriter, item: T) => void,
): void {
  for (const [index, item] of items.entries()) {
    const start = writer.length;
    writer.uint8(index < items.length - 1 ? type : PAYLOAD_TYPE.none);
    writer.uint8(0).uint16(0);
    write(writer, item);
    writer.patchUint16(start + 2, writer.length - start);
  }
}

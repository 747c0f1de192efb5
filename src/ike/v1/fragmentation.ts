// IKEv1 fragmentation: the vendor extension of Cisco, Microsoft and strongSwan (no RFC). A message too big for the path goes in pieces,
// each an ISAKMP message of its own in the clear, with the same header fields and one Fragment payload.
// Nobody signs a piece, so what may be collected is bounded in pieces, octets, messages and time.

import { BoundedMap } from '../../lib/bounded.ts';
import { concat, equalBytes } from '../../lib/bytes.ts';
import { after, type Instant, milliseconds } from '../../lib/time.ts';
import {
  decodeIsakmpHeader,
  encodeIsakmpHeader,
  ISAKMP_HEADER_LENGTH,
  type IsakmpHeader,
  NO_FLAGS,
  PAYLOAD_TYPE,
} from '../../wire/isakmp-header.ts';
import {
  decodePayloadChain,
  encodePayloadChain,
  type FragmentPayload,
  GENERIC_HEADER_LENGTH,
} from '../../wire/isakmp-payloads.ts';

/** Octets of a piece that are not the message's: ISAKMP header, payload header, fragment ID, number and flags. */
const OVERHEAD = ISAKMP_HEADER_LENGTH + GENERIC_HEADER_LENGTH + 4;
/** With a smaller limit a message would take more pieces than their number has octets for. */
const PIECE_LENGTH_MIN = 256;

const PIECES_MAX = 64;
const OCTETS_MAX = 32_768;
const MESSAGES_MAX = 2;
const PATIENCE = milliseconds(20_000);

export function isFragment(header: IsakmpHeader): boolean {
  return header.nextPayload === PAYLOAD_TYPE.fragment && !header.flags.encryption;
}

/** The pieces of a message, none longer than `lengthMax`; the message itself if it fits. */
export function splitMessage(
  header: IsakmpHeader,
  message: Uint8Array,
  fragmentId: number,
  lengthMax: number,
): readonly Uint8Array[] {
  if (message.length <= lengthMax) return [message];
  const dataLength = Math.max(lengthMax, PIECE_LENGTH_MIN) - OVERHEAD;
  const count = Math.ceil(message.length / dataLength);
  return Array.from({ length: count }, (_, index) => {
    const data = message.subarray(index * dataLength, (index + 1) * dataLength);
    const isLast = index === count - 1;
    const { firstType, bytes } = encodePayloadChain([
      { kind: 'fragment', fragmentId, number: index + 1, isLast, data },
    ]);
    const length = ISAKMP_HEADER_LENGTH + bytes.length;
    return concat(encodeIsakmpHeader({ ...header, flags: NO_FLAGS, nextPayload: firstType, length }), bytes);
  });
}

interface Collection {
  readonly pieces: Map<number, Uint8Array>;
  readonly until: Instant;
  lastNumber: number | undefined;
  octets: number;
}

/** What came of a piece. */
export type ReassemblyResult =
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'complete'; readonly header: IsakmpHeader; readonly message: Uint8Array }
  | { readonly kind: 'refused'; readonly fault: 'malformed' | 'fragments-limit' };

/** Collects the pieces of one ISAKMP SA's messages. */
export class Reassembly {
  readonly #collections = new BoundedMap<number, Collection>(MESSAGES_MAX);

  handleFragment(now: Instant, header: IsakmpHeader, message: Uint8Array): ReassemblyResult {
    const body = message.subarray(ISAKMP_HEADER_LENGTH);
    const payloads = decodePayloadChain(header.nextPayload, body, { encrypted: false });
    const fragment = payloads.ok ? payloads.value[0] : undefined;
    if (fragment?.kind !== 'fragment' || fragment.number === 0) return { kind: 'refused', fault: 'malformed' };
    const collection = this.#collectionOf(now, fragment);
    const isTooMuch = fragment.number > PIECES_MAX || collection.octets + fragment.data.length > OCTETS_MAX;
    if (isTooMuch) {
      this.#collections.delete(fragment.fragmentId);
      return { kind: 'refused', fault: 'fragments-limit' };
    }
    if (!collection.pieces.has(fragment.number)) {
      collection.pieces.set(fragment.number, fragment.data);
      collection.octets += fragment.data.length;
    }
    if (fragment.isLast) collection.lastNumber = fragment.number;
    return this.#complete(header, fragment.fragmentId, collection);
  }

  #collectionOf(now: Instant, fragment: FragmentPayload): Collection {
    for (const [id, collection] of this.#collections) if (now >= collection.until) this.#collections.delete(id);
    const standing = this.#collections.get(fragment.fragmentId);
    if (standing) return standing;
    const begun: Collection = { pieces: new Map(), until: after(now, PATIENCE), lastNumber: undefined, octets: 0 };
    if (this.#collections.isFull) {
      // The oldest goes: its sender has begun anew under another ID.
      const [oldest] = this.#collections.keys();
      if (oldest !== undefined) this.#collections.delete(oldest);
    }
    this.#collections.set(fragment.fragmentId, begun);
    return begun;
  }

  #complete(fragmentHeader: IsakmpHeader, fragmentId: number, collection: Collection): ReassemblyResult {
    const { pieces, lastNumber } = collection;
    if (lastNumber === undefined || pieces.size < lastNumber) return { kind: 'incomplete' };
    const ordered: Uint8Array[] = [];
    for (let number = 1; number <= lastNumber; number++) {
      const piece = pieces.get(number);
      if (piece === undefined) return { kind: 'incomplete' };
      ordered.push(piece);
    }
    this.#collections.delete(fragmentId);
    const message = concat(...ordered);
    const header = decodeIsakmpHeader(message);
    // A message in pieces is for the same SA, and is not itself a piece.
    const belongs =
      header.ok &&
      !isFragment(header.value) &&
      equalBytes(header.value.initiatorCookie, fragmentHeader.initiatorCookie) &&
      equalBytes(header.value.responderCookie, fragmentHeader.responderCookie);
    return belongs ? { kind: 'complete', header: header.value, message } : { kind: 'refused', fault: 'malformed' };
  }
}

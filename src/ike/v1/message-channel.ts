// How the messages of one ISAKMP SA are encrypted, sent, opened and reported (RFC 2408 §3.1; RFC 2409 Appendix B).

import { concat, toHex } from '../../lib/bytes.ts';
import { invariant } from '../../lib/invariant.ts';
import { err, ok, type Result } from '../../lib/result.ts';
import type { UdpPath } from '../../model/address.ts';
import { ENCRYPTION } from '../../model/algorithms.ts';
import type { ExchangeName, IkeMessageEvent, IkePayloadSummary, IkeRole } from '../../model/ike-event.ts';
import {
  decodeIsakmpHeader,
  EXCHANGE_TYPE,
  encodeIsakmpHeader,
  IKEV1_VERSION,
  ISAKMP_HEADER_LENGTH,
  type IsakmpHeader,
  NO_FLAGS,
} from '../../wire/isakmp-header.ts';
import { notation, summarizePayloads } from '../../wire/isakmp-notation.ts';
import {
  type DecodedPayload,
  decodePayloadChain,
  encodePayloadChain,
  type Payload,
} from '../../wire/isakmp-payloads.ts';
import type { IkeEnvironment } from '../environment.ts';
import type { IkeOutbox } from '../outbox.ts';
import { splitMessage } from './fragmentation.ts';
import { type Cookies, nextIv, phase2Iv } from './key-material.ts';
import type { PeerFault } from './peer-fault.ts';
import type { IsakmpProtection } from './phase1.ts';

/** Where a message stands in its exchange. */
export interface MessagePlace {
  readonly exchange: Exclude<ExchangeName, 'unknown'>;
  readonly messageId: number;
  /** From 1; 0 where it has none. */
  readonly number: number;
  /** Who of this exchange sends it. */
  readonly sender: IkeRole;
}

/** A message that may have to be sent again, as the same bytes. */
export interface SentMessage {
  readonly bytes: Uint8Array;
  /** What is told of it, where anyone listens. */
  readonly event: IkeMessageEvent | undefined;
}

/** An opened message. */
export interface OpenedMessage {
  readonly payloads: readonly DecodedPayload[];
  /** For the next message of the exchange; absent if this one was not encrypted. */
  readonly nextIv?: Uint8Array;
  /** What follows the payloads in an encrypted message. */
  readonly padding?: Uint8Array;
}

const EXCHANGE_NUMBERS: Readonly<Record<MessagePlace['exchange'], number>> = {
  main: EXCHANGE_TYPE['identity-protection'],
  aggressive: EXCHANGE_TYPE.aggressive,
  quick: EXCHANGE_TYPE.quick,
  informational: EXCHANGE_TYPE.informational,
  transaction: EXCHANGE_TYPE.transaction,
};

export class MessageChannel {
  readonly #environment: IkeEnvironment;
  readonly gateway: string;
  cookies: Cookies;
  path: UdpPath;
  protection: IsakmpProtection | undefined;
  /** The last block of phase 1, from which later exchanges derive their IVs (RFC 2409 Appendix B). */
  lastPhase1Block: Uint8Array | undefined;
  /** Octets of the largest datagram to send; absent where the peer does not collect fragments. */
  fragmentSize: number | undefined;
  #fragmentId = 0;
  inputOctets = 0;
  inputPackets = 0;
  outputOctets = 0;
  outputPackets = 0;

  constructor(environment: IkeEnvironment, gateway: string, cookies: Cookies, path: UdpPath) {
    this.#environment = environment;
    this.gateway = gateway;
    this.cookies = cookies;
    this.path = path;
  }

  /** IV of the first message of an exchange after phase 1. */
  initialIv(messageId: number): Uint8Array | undefined {
    if (this.protection === undefined || this.lastPhase1Block === undefined) return undefined;
    const { hash, cipher } = this.protection;
    return phase2Iv(this.#environment.crypto, hash, cipher, this.lastPhase1Block, messageId);
  }

  /** Encodes, encrypts if there is an IV, sends and reports a message. */
  send(
    place: MessagePlace,
    payloads: readonly Payload[],
    iv: Uint8Array | undefined,
    effect: string,
    out: IkeOutbox,
  ): { readonly sent: SentMessage; readonly nextIv: Uint8Array | undefined } {
    const { bytes, lengths, nextIv } = this.#encode(place, payloads, iv);
    const describe = (): IkeMessageEvent => {
      const summary = summarizePayloads(payloads, lengths);
      return this.#event(place, 'sent', iv !== undefined, bytes.length, payloads, summary, effect);
    };
    const sent = { bytes, event: out.wantsMessages === false ? undefined : describe() };
    this.#transmit(sent, out);
    if (sent.event) out.report(sent.event);
    return { sent, nextIv };
  }

  /** Sends the same bytes again, over the path as it is now. */
  resend(sent: SentMessage, out: IkeOutbox): void {
    this.#transmit(sent, out);
    if (sent.event) out.report({ ...sent.event, path: this.path, isRepeat: true });
  }

  /** Splits a message into payloads, after decrypting it if it is encrypted. Changes nothing. */
  open(header: IsakmpHeader, message: Uint8Array, iv: Uint8Array | undefined): Result<OpenedMessage, PeerFault> {
    const body = message.subarray(ISAKMP_HEADER_LENGTH);
    if (!header.flags.encryption) {
      const payloads = decodePayloadChain(header.nextPayload, body, { encrypted: false });
      return payloads.ok ? ok({ payloads: payloads.value }) : err('malformed');
    }
    if (this.protection === undefined || iv === undefined) return err('unexpected-message');
    const { cipher, keys } = this.protection;
    const { blockLength } = ENCRYPTION[cipher];
    if (body.length === 0 || body.length % blockLength !== 0) return err('undecodable');
    const plaintext = this.#environment.crypto.decryptCbc(cipher, keys.cipherKey.reveal(), iv, body);
    const payloads = decodePayloadChain(header.nextPayload, plaintext, { encrypted: true });
    if (!payloads.ok) return err('undecodable');
    const length = payloads.value.reduce((sum, { raw }) => sum + raw.length, 0);
    return ok({ payloads: payloads.value, nextIv: nextIv(cipher, body), padding: plaintext.subarray(length) });
  }

  /** Counts a message that was received and acted on, and reports it where anyone listens. */
  reportReceived(
    place: MessagePlace,
    isEncrypted: boolean,
    message: Uint8Array,
    payloads: readonly DecodedPayload[],
    effect: string,
    out: IkeOutbox,
  ): void {
    this.countReceived(message);
    if (out.wantsMessages === false) return;
    const summary = summarizePayloads(payloads);
    out.report(this.#event(place, 'received', isEncrypted, message.length, payloads, summary, effect));
  }

  countReceived(message: Uint8Array): void {
    this.inputPackets++;
    this.inputOctets += message.length;
  }

  #encode(place: MessagePlace, payloads: readonly Payload[], iv: Uint8Array | undefined) {
    const { firstType, bytes, lengths } = encodePayloadChain(payloads);
    const body = iv === undefined ? bytes : this.#encrypt(bytes, iv);
    const header = encodeIsakmpHeader({
      initiatorCookie: this.cookies.initiatorCookie,
      responderCookie: this.cookies.responderCookie,
      ...IKEV1_VERSION,
      nextPayload: firstType,
      exchangeType: EXCHANGE_NUMBERS[place.exchange],
      flags: { ...NO_FLAGS, encryption: iv !== undefined },
      messageId: place.messageId,
      length: ISAKMP_HEADER_LENGTH + body.length,
    });
    const chained =
      iv === undefined || this.protection === undefined ? undefined : nextIv(this.protection.cipher, body);
    return { bytes: concat(header, body), lengths, nextIv: chained };
  }

  #encrypt(plaintext: Uint8Array, iv: Uint8Array): Uint8Array {
    invariant(this.protection !== undefined, 'keys come before encryption');
    const { cipher, keys } = this.protection;
    const { blockLength } = ENCRYPTION[cipher];
    // RFC 2409 Appendix B: zeros up to the next whole block.
    const padded = new Uint8Array(Math.ceil(plaintext.length / blockLength) * blockLength);
    padded.set(plaintext);
    return this.#environment.crypto.encryptCbc(cipher, keys.cipherKey.reveal(), iv, padded);
  }

  #transmit(sent: SentMessage, out: IkeOutbox): void {
    this.outputPackets++;
    this.outputOctets += sent.bytes.length;
    for (const piece of this.#pieces(sent.bytes)) out.transmit(this.path, piece);
  }

  #pieces(message: Uint8Array): readonly Uint8Array[] {
    if (this.fragmentSize === undefined || message.length <= this.fragmentSize) return [message];
    const header = decodeIsakmpHeader(message);
    invariant(header.ok, 'our own header can be read');
    this.#fragmentId = (this.#fragmentId % 0xffff) + 1;
    return splitMessage(header.value, message, this.#fragmentId, this.fragmentSize);
  }

  #event(
    place: MessagePlace,
    direction: 'sent' | 'received',
    isEncrypted: boolean,
    length: number,
    payloads: readonly Payload[],
    summary: readonly IkePayloadSummary[],
    effect: string,
  ): IkeMessageEvent {
    const { exchange, number, sender, messageId } = place;
    return {
      kind: 'message',
      direction,
      path: this.path,
      exchange,
      number,
      initiatorCookie: toHex(this.cookies.initiatorCookie),
      responderCookie: toHex(this.cookies.responderCookie),
      messageId,
      isEncrypted,
      length,
      notation: notation({ exchange, number, sender, isEncrypted }, payloads),
      payloads: summary,
      gateway: this.gateway,
      isRepeat: false,
      effect,
    };
  }
}

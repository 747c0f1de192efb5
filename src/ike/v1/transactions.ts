// Transaction exchanges under an ISAKMP SA: two messages each, one after the other under one message ID, for XAUTH and Mode Config
// (draft-dukes-ike-mode-cfg-02 §3). They carry `remote-access.ts` over the network.

import { BoundedMap } from '../../lib/bounded.ts';
import { randomBelow } from '../../lib/random.ts';
import { err, ok, type Result } from '../../lib/result.ts';
import { after, earliest, type Instant, milliseconds, NEVER } from '../../lib/time.ts';
import type { IpAddress } from '../../model/address.ts';
import type { XauthConfig } from '../../model/gateway-config.ts';
import type { IkeRole } from '../../model/ike-event.ts';
import type { IsakmpHeader } from '../../wire/isakmp-header.ts';
import type { AttributesPayload, DecodedPayload } from '../../wire/isakmp-payloads.ts';
import type { IkeEnvironment } from '../environment.ts';
import type { IkeOutbox } from '../outbox.ts';
import { PATIENT } from '../retransmission.ts';
import { ExchangeRecord } from './exchange-record.ts';
import { openAuthenticated } from './first-message.ts';
import { hmacPrf } from './key-material.ts';
import type { MessageChannel } from './message-channel.ts';
import type { MessageIds } from './message-ids.ts';
import { findPayload, TRANSACTION } from './payload-rules.ts';
import { type PeerFault, type Refusal, refusal } from './peer-fault.ts';
import { otherRole } from './phase1.ts';
import { withHash1 } from './quick-mode-payloads.ts';
import {
  beginRemoteAccess,
  type RemoteAccessContext,
  type RemoteAccessState,
  type RemoteAccessStep,
  receiveAnswer,
  receiveFirst,
} from './remote-access.ts';

/** Exchanges at a time, finished ones that still answer duplicates included. */
const TRANSACTIONS_MAX = 16;
/** From the end of phase 1 until the peer is ready for Quick Mode. */
const PATIENCE = milliseconds(60_000);
const AFTERLIFE = milliseconds(60_000);

/** What the owner of the exchanges must do. */
export type TransactionOutcome =
  | { readonly kind: 'ongoing' }
  | { readonly kind: 'ready' }
  | { readonly kind: 'failed'; readonly refusal: Refusal };

interface Exchange {
  readonly isOurs: boolean;
  readonly record: ExchangeRecord;
  iv: Uint8Array | undefined;
  isOver: boolean;
  endsAt: Instant;
}

export interface TransactionsSetup {
  readonly environment: IkeEnvironment;
  readonly channel: MessageChannel;
  readonly messageIds: MessageIds;
  readonly role: IkeRole;
  readonly xauth: XauthConfig;
  lease(user: string): IpAddress | undefined;
}

export class Transactions {
  readonly #setup: TransactionsSetup;
  readonly #exchanges = new BoundedMap<number, Exchange>(TRANSACTIONS_MAX);
  #state: RemoteAccessState = { step: 'expect-request' };
  #readyBy: Instant = NEVER;

  constructor(setup: TransactionsSetup) {
    this.#setup = setup;
  }

  get isReady(): boolean {
    return this.#state.step === 'ready';
  }

  get user(): string | undefined {
    return this.#state.step === 'ready' ? this.#state.user : undefined;
  }

  get address(): IpAddress | undefined {
    return this.#state.step === 'ready' ? this.#state.address : undefined;
  }

  /** Phase 1 is done. */
  begin(now: Instant, out: IkeOutbox): void {
    this.#readyBy = after(now, PATIENCE);
    this.#apply(now, beginRemoteAccess(this.#context()), undefined, 0, out);
  }

  handleMessage(
    now: Instant,
    header: IsakmpHeader,
    message: Uint8Array,
    out: IkeOutbox,
  ): Result<TransactionOutcome, PeerFault> {
    const exchange = this.#exchanges.get(header.messageId);
    if (exchange === undefined) return this.#handleFirst(now, header, message, out);
    if (exchange.record.isDuplicate(message)) {
      if (exchange.record.sent) this.#setup.channel.resend(exchange.record.sent, out);
      return ok({ kind: 'ongoing' });
    }
    if (!exchange.isOurs || exchange.isOver) return err('unexpected-message');
    const received = this.#open(header, message, exchange.iv);
    if (!received.ok) return received;
    const step = receiveAnswer(this.#state, received.value.payload, this.#context());
    if (!step.ok) return this.#fault(step.error);
    this.#noteReceived(exchange, header.messageId, message, received.value.payloads, step.value.effect, out);
    this.#finish(now, exchange);
    return ok(this.#apply(now, step.value, undefined, 0, out));
  }

  nextTimeout(): Instant {
    let next = this.isReady ? NEVER : this.#readyBy;
    for (const exchange of this.#exchanges.values()) {
      next = earliest(next, exchange.record.nextTimeout(), exchange.endsAt);
    }
    return next;
  }

  handleTimeout(now: Instant, out: IkeOutbox): TransactionOutcome {
    for (const [messageId, exchange] of this.#exchanges) {
      if (now >= exchange.endsAt) this.#exchanges.delete(messageId);
      const action = exchange.record.handleTimeout(now);
      if (action === 'send-again' && exchange.record.sent) this.#setup.channel.resend(exchange.record.sent, out);
      if (action === 'give-up') return this.#timeout();
    }
    return !this.isReady && now >= this.#readyBy ? this.#timeout() : { kind: 'ongoing' };
  }

  #handleFirst(
    now: Instant,
    header: IsakmpHeader,
    message: Uint8Array,
    out: IkeOutbox,
  ): Result<TransactionOutcome, PeerFault> {
    const { channel, messageIds } = this.#setup;
    if (messageIds.has(header.messageId)) return err('replayed-message-id');
    if (this.#exchanges.isFull) return err('too-many-exchanges');
    const received = this.#open(header, message, channel.initialIv(header.messageId));
    if (!received.ok) return received;
    const step = receiveFirst(this.#state, received.value.payload, this.#context());
    if (!step.ok) return this.#fault(step.error);
    messageIds.add(header.messageId);
    const { nextIv: iv, payloads } = received.value;
    const exchange = { isOurs: false, record: new ExchangeRecord(), iv, isOver: false, endsAt: NEVER };
    this.#exchanges.set(header.messageId, exchange);
    this.#noteReceived(exchange, header.messageId, message, payloads, step.value.effect, out);
    return ok(this.#apply(now, step.value, exchange, header.messageId, out));
  }

  #open(header: IsakmpHeader, message: Uint8Array, iv: Uint8Array | undefined) {
    const { environment, channel } = this.#setup;
    const opened = openAuthenticated(environment, channel, header, message, iv, TRANSACTION);
    if (!opened.ok) return opened;
    const payload = findPayload(opened.value.payloads, 'attributes');
    return payload ? ok({ ...opened.value, payload }) : err('unexpected-payloads' as const);
  }

  #apply(
    now: Instant,
    step: RemoteAccessStep,
    answered: Exchange | undefined,
    messageId: number,
    out: IkeOutbox,
  ): TransactionOutcome {
    const wasReady = this.isReady;
    this.#state = step.state;
    if (step.answer && answered) {
      this.#send(now, answered, messageId, step.answer, false, out);
      this.#finish(now, answered);
    }
    if (step.next) this.#start(now, step.next, out);
    if (step.failure) return { kind: 'failed', refusal: step.failure };
    return this.isReady && !wasReady ? { kind: 'ready' } : { kind: 'ongoing' };
  }

  #start(now: Instant, payload: AttributesPayload, out: IkeOutbox): void {
    const { channel, messageIds, environment } = this.#setup;
    const messageId = messageIds.draw(environment.random);
    const iv = channel.initialIv(messageId);
    const exchange = { isOurs: true, record: new ExchangeRecord(), iv, isOver: false, endsAt: NEVER };
    this.#exchanges.set(messageId, exchange);
    this.#send(now, exchange, messageId, payload, true, out);
  }

  #send(
    now: Instant,
    exchange: Exchange,
    messageId: number,
    payload: AttributesPayload,
    isFirst: boolean,
    out: IkeOutbox,
  ): void {
    const { channel, environment, role } = this.#setup;
    const { protection } = channel;
    if (protection === undefined) return;
    const prf = hmacPrf(environment.crypto, protection.hash);
    const payloads = withHash1(prf, protection.keys.skeyidA, messageId, [payload]);
    const place = { exchange: 'transaction', messageId, number: isFirst ? 1 : 2, sender: role } as const;
    const { sent, nextIv } = channel.send(place, payloads, exchange.iv, '', out);
    exchange.iv = nextIv;
    exchange.record.noteSent(now, sent, isFirst ? PATIENT : undefined);
  }

  #noteReceived(
    exchange: Exchange,
    messageId: number,
    message: Uint8Array,
    payloads: readonly DecodedPayload[],
    effect: string,
    out: IkeOutbox,
  ): void {
    exchange.record.noteReceived(message);
    const number = exchange.isOurs ? 2 : 1;
    const place = { exchange: 'transaction', messageId, number, sender: otherRole(this.#setup.role) } as const;
    this.#setup.channel.reportReceived(place, true, message, payloads, effect, out);
  }

  #finish(now: Instant, exchange: Exchange): void {
    exchange.isOver = true;
    exchange.endsAt = after(now, AFTERLIFE);
  }

  #fault(error: Refusal): Result<TransactionOutcome, PeerFault> {
    return error.explanation === '' ? err(error.fault) : ok({ kind: 'failed', refusal: error });
  }

  #timeout(): TransactionOutcome {
    const { xauth } = this.#setup;
    if (this.#state.step === 'expect-configuration' && xauth.role === 'client') {
      // We are let in; a server without addresses to give may say nothing.
      this.#state = { step: 'ready', user: xauth.username };
      return { kind: 'ready' };
    }
    const explanation =
      xauth.role === 'server'
        ? 'the peer did not answer when asked for its user and password'
        : 'the server did not ask for our user and password, or did not answer';
    return { kind: 'failed', refusal: refusal('timed-out', explanation, xauth.origin) };
  }

  #context(): RemoteAccessContext {
    const { xauth, environment, lease } = this.#setup;
    return { config: xauth, lease, drawIdentifier: () => randomBelow(environment.random, 0x10000) };
  }
}

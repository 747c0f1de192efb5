// The exchanges under an established ISAKMP SA: Quick Mode and Informational (RFC 2409 §5.5, §5.7), each with its own message ID and IV.
// A message's life: find its exchange, or check that its ID is new -> decrypt -> payload rules -> HASH -> act.

import { BoundedMap } from '../../lib/bounded.ts';
import { err, ok, type Result } from '../../lib/result.ts';
import { after, earliest, type Instant, instant, milliseconds, NEVER } from '../../lib/time.ts';
import type { ComputeResult } from '../../model/compute-job.ts';
import type { XauthConfig } from '../../model/gateway-config.ts';
import type { PolicyId, Spi } from '../../model/ipsec-sa.ts';
import { EXCHANGE_TYPE, type IsakmpHeader } from '../../wire/isakmp-header.ts';
import { isErrorNotify, NOTIFY_TYPE, notifyName } from '../../wire/isakmp-notify.ts';
import type { DecodedPayload, NotificationPayload, Payload } from '../../wire/isakmp-payloads.ts';
import type { IkeOutbox } from '../outbox.ts';
import { openAuthenticated } from './first-message.ts';
import { ipsecNotification, isakmpNotification, isProvocable, type Notice, readNotices } from './informational.ts';
import type { IsakmpSa } from './isakmp-sa.ts';
import { hmacPrf, type Prf } from './key-material.ts';
import type { MessageChannel, MessagePlace, OpenedMessage } from './message-channel.ts';
import { MessageIds } from './message-ids.ts';
import { findPayload, INFORMATIONAL, type MessageRule, QUICK_MODE_FIRST } from './payload-rules.ts';
import { faultNotify, type PeerFault, type Refusal, refusal } from './peer-fault.ts';
import { otherRole } from './phase1.ts';
import { explainNoUsableProposal, readSpi } from './phase2-proposal.ts';
import { QuickModeExchange, type QuickModeProgress } from './quick-mode-exchange.ts';
import { requestedSelectors, withHash1 } from './quick-mode-payloads.ts';
import type { QuickModeSubject, SaOwner } from './sa-owner.ts';
import { Transactions } from './transactions.ts';

/** Quick Modes at a time under one ISAKMP SA, finished ones that still answer duplicates included. */
const QUICK_MODES_MAX = 1024;
/** A peer is told of exchange types that we do not speak no more often than this. */
const TYPE_REFUSAL_PAUSE = milliseconds(10_000);

export class ProtectedExchanges {
  readonly #sa: IsakmpSa;
  readonly #channel: MessageChannel;
  readonly #owner: SaOwner;
  readonly #quickModes = new BoundedMap<number, QuickModeExchange>(QUICK_MODES_MAX);
  readonly #messageIds = new MessageIds();
  #transactions: Transactions | undefined;
  #typesRefusedFrom = instant(Number.NEGATIVE_INFINITY);

  constructor(sa: IsakmpSa, channel: MessageChannel, owner: SaOwner) {
    this.#sa = sa;
    this.#channel = channel;
    this.#owner = owner;
  }

  /** Quick Modes that have neither agreed nor failed. */
  get openCount(): number {
    let count = 0;
    for (const exchange of this.#quickModes.values()) if (!exchange.isOver) count++;
    return count;
  }

  /** Starts a Quick Mode; `false` if there are too many, or nothing can be offered, which is reported. */
  startQuickMode(now: Instant, subject: QuickModeSubject, out: IkeOutbox): boolean {
    if (this.#quickModes.isFull) return false;
    const unusable = explainNoUsableProposal(subject.vpn, this.#sa.udpEncapsulation);
    if (unusable !== undefined) {
      const { ipsecPolicyOrigin, origin } = subject.vpn;
      this.#refuse(
        'initiator',
        subject,
        refusal('nothing-to-offer', unusable, ipsecPolicyOrigin, origin),
        undefined,
        out,
      );
      return false;
    }
    const messageId = this.#messageIds.draw(this.#owner.environment.random);
    const exchange = this.#newQuickMode(now, 'initiator', messageId, subject);
    this.#quickModes.set(messageId, exchange);
    this.#progress(now, exchange, exchange.start(), out);
    return true;
  }

  /** Drops our own exchange for this policy if its offer is still unanswered and `yields` says so of its SPI. */
  yieldQuickMode(now: Instant, policy: PolicyId, yields: (ownSpi: Spi) => boolean, out: IkeOutbox): void {
    for (const exchange of this.#quickModes.values()) {
      if (!exchange.isUnanswered || exchange.subject.policy !== policy || !yields(exchange.subject.ownSpi)) continue;
      exchange.abandon(now);
      this.#owner.handleQuickModeYielded(now, exchange.subject, out);
    }
  }

  /** Sends an authenticated Informational message with these payloads. */
  sendInformational(payloads: readonly Payload[], effect: string, out: IkeOutbox): void {
    const keys = this.#channel.protection?.keys;
    if (keys === undefined) return;
    const messageId = this.#messageIds.draw(this.#owner.environment.random);
    const place = this.#place('informational', messageId, this.#sa.role);
    const iv = this.#channel.initialIv(messageId);
    this.#channel.send(place, withHash1(this.#prf(), keys.skeyidA, messageId, payloads), iv, effect, out);
  }

  /** A message of an exchange after phase 1; the error says why it was dropped. */
  handleMessage(now: Instant, header: IsakmpHeader, message: Uint8Array, out: IkeOutbox): Result<true, PeerFault> {
    const { exchangeType } = header;
    if (!this.#speaks(exchangeType)) return this.#refuseExchangeType(now, exchangeType, out);
    if (!header.flags.encryption) return err('not-encrypted');
    if (header.messageId === 0) return err('unexpected-message');
    switch (exchangeType) {
      case EXCHANGE_TYPE.quick:
        return this.#handleQuickMode(now, header, message, out);
      case EXCHANGE_TYPE.transaction:
        return this.#handleTransaction(now, header, message, out);
      default:
        return this.#handleInformational(now, header, message, out);
    }
  }

  /** After phase 1 with a dial-in peer: XAUTH and Mode Config, before anything else. */
  beginRemoteAccess(now: Instant, xauth: XauthConfig, out: IkeOutbox): void {
    this.#transactions = new Transactions({
      environment: this.#owner.environment,
      channel: this.#channel,
      messageIds: this.#messageIds,
      role: this.#sa.role,
      xauth,
      lease: (user) => this.#owner.leaseAddress(this.#sa, user),
    });
    this.#transactions.begin(now, out);
  }

  /** The user and address of a dial-in peer, or our own. */
  get remoteAccess(): Pick<Transactions, 'user' | 'address' | 'isReady'> | undefined {
    return this.#transactions;
  }

  handleComputed(now: Instant, messageId: number, result: ComputeResult, out: IkeOutbox): void {
    const exchange = this.#quickModes.get(messageId);
    if (exchange) this.#progress(now, exchange, exchange.handleComputed(result), out);
  }

  nextTimeout(): Instant {
    let next = this.#transactions?.nextTimeout() ?? NEVER;
    for (const exchange of this.#quickModes.values()) next = earliest(next, exchange.nextTimeout());
    return next;
  }

  handleTimeout(now: Instant, out: IkeOutbox): void {
    if (this.#transactions && this.#transactions.nextTimeout() <= now) {
      this.#sa.handleRemoteAccess(now, this.#transactions.handleTimeout(now, out), out);
    }
    for (const exchange of [...this.#quickModes.values()]) {
      if (exchange.nextTimeout() <= now) this.#progress(now, exchange, exchange.handleTimeout(now, out), out);
    }
  }

  /** The ISAKMP SA is going: exchanges that have not agreed are lost. */
  abandonAll(now: Instant, out: IkeOutbox): void {
    for (const exchange of [...this.#quickModes.values()]) {
      if (!exchange.isOver) this.#owner.handleQuickModeFailed(now, this.#sa, exchange.role, exchange.subject, out);
    }
    this.#quickModes.clear();
  }

  #speaks(exchangeType: number): boolean {
    if (exchangeType === EXCHANGE_TYPE.transaction) return this.#transactions !== undefined;
    return exchangeType === EXCHANGE_TYPE.quick || exchangeType === EXCHANGE_TYPE.informational;
  }

  /** Anyone may have written that header: the peer is told inside the SA, now and then, and nothing else follows (RFC 2408 §5.2). */
  #refuseExchangeType(now: Instant, exchangeType: number, out: IkeOutbox): Result<true, PeerFault> {
    if (now >= this.#typesRefusedFrom) {
      this.#typesRefusedFrom = after(now, TYPE_REFUSAL_PAUSE);
      const payload = isakmpNotification(NOTIFY_TYPE['UNSUPPORTED-EXCHANGE-TYPE'], this.#channel.cookies);
      this.sendInformational([payload], `refused exchange type ${exchangeType}`, out);
    }
    return err('unsupported-exchange');
  }

  #handleTransaction(now: Instant, header: IsakmpHeader, message: Uint8Array, out: IkeOutbox): Result<true, PeerFault> {
    if (this.#transactions === undefined) return err('unexpected-message');
    const outcome = this.#transactions.handleMessage(now, header, message, out);
    if (!outcome.ok) return outcome;
    this.#sa.noteAuthenticated(now, out);
    this.#sa.handleRemoteAccess(now, outcome.value, out);
    return ok(true);
  }

  #handleQuickMode(now: Instant, header: IsakmpHeader, message: Uint8Array, out: IkeOutbox): Result<true, PeerFault> {
    const exchange = this.#quickModes.get(header.messageId);
    if (exchange === undefined) return this.#answerQuickMode(now, header, message, out);
    const progress = exchange.handleMessage(now, header, message, out);
    if (progress.kind === 'dropped') return err(progress.fault);
    if (progress.kind !== 'ongoing') this.#sa.noteAuthenticated(now, out);
    this.#progress(now, exchange, progress, out);
    return ok(true);
  }

  #answerQuickMode(now: Instant, header: IsakmpHeader, message: Uint8Array, out: IkeOutbox): Result<true, PeerFault> {
    const opened = this.#openFirst(header, message, QUICK_MODE_FIRST);
    if (!opened.ok) return opened;
    if (this.#quickModes.isFull) return err('too-many-exchanges');
    this.#messageIds.add(header.messageId);
    this.#sa.noteAuthenticated(now, out);
    const { payloads, nextIv } = opened.value;
    const subject = this.#acceptSubject(now, payloads, out);
    if (!subject.ok) {
      this.#reportRefused(header, message, payloads, subject.error, out);
      return ok(true);
    }
    const exchange = this.#newQuickMode(now, 'responder', header.messageId, subject.value);
    const step = exchange.answer(message, payloads, nextIv, out);
    if (!step.ok) {
      this.#reportRefused(header, message, payloads, step.error, out);
      this.#owner.handleQuickModeFailed(now, this.#sa, 'responder', subject.value, out);
      return ok(true);
    }
    this.#quickModes.set(header.messageId, exchange);
    this.#progress(now, exchange, { kind: 'step', step: step.value }, out);
    return ok(true);
  }

  #acceptSubject(now: Instant, payloads: readonly DecodedPayload[], out: IkeOutbox): Result<QuickModeSubject, Refusal> {
    const selectors = requestedSelectors(payloads, this.#channel.path);
    if (!selectors.ok) return selectors;
    const offered = findPayload(payloads, 'sa')?.proposals[0]?.spi;
    return this.#owner.acceptQuickMode(now, this.#sa, selectors.value, offered && readSpi(offered), out);
  }

  #reportRefused(
    header: IsakmpHeader,
    message: Uint8Array,
    payloads: readonly DecodedPayload[],
    error: Refusal,
    out: IkeOutbox,
  ): void {
    const place = { ...this.#place('quick', header.messageId, 'initiator'), number: 1 };
    this.#channel.reportReceived(place, true, message, payloads, `refused: ${error.fault}`, out);
    const offered = findPayload(payloads, 'sa')?.proposals[0]?.spi;
    this.#refuse('responder', undefined, error, offered, out);
  }

  /** Acts on what an exchange has come to: SAs first, then its message, as the data plane's port asks. */
  #progress(now: Instant, exchange: QuickModeExchange, progress: QuickModeProgress, out: IkeOutbox): void {
    const { role, subject, messageId } = exchange;
    switch (progress.kind) {
      case 'step': {
        const { pair, isConfirmed, compute } = progress.step;
        if (pair) this.#owner.handlePairNegotiated(now, this.#sa, role, subject, pair, out);
        if (isConfirmed && !exchange.awaitsConnected) this.#owner.handlePairConfirmed(now, this.#sa, subject, out);
        exchange.commit(now, progress.step, out);
        if (compute) this.#sa.compute(messageId, compute, out);
        return;
      }
      case 'failed':
        exchange.abandon(now);
        this.#quickModes.delete(messageId);
        this.#refuse(role, subject, progress.refusal, undefined, out);
        this.#owner.handleQuickModeFailed(now, this.#sa, role, subject, out);
        // A responder's exchange may have been dropped over there in favour of our own: only an unanswered request says something.
        if (role === 'initiator' && progress.refusal.fault === 'timed-out')
          this.#owner.handleUnanswered(now, this.#sa, out);
        return;
      case 'connected':
        this.#owner.handlePairConfirmed(now, this.#sa, subject, out);
        return;
      case 'over':
        this.#quickModes.delete(messageId);
        return;
      default:
        return;
    }
  }

  /** Tells the operator and, where there is a notification for it, the peer. */
  #refuse(
    role: 'initiator' | 'responder',
    subject: QuickModeSubject | undefined,
    error: Refusal,
    peerSpi: Uint8Array | undefined,
    out: IkeOutbox,
  ): void {
    const { fault, explanation, statements } = error;
    const vpn = subject === undefined ? {} : { vpn: subject.vpn.name };
    const place = { phase: 2, role, gateway: this.#channel.gateway, path: this.#channel.path } as const;
    out.report({ kind: 'negotiation-failed', ...place, ...vpn, reason: fault, explanation, statements, isFinal: true });
    const notifyType = faultNotify(fault);
    if (notifyType === undefined) return;
    const spi = (peerSpi && readSpi(peerSpi)) ?? subject?.ownSpi;
    if (spi === undefined) return;
    this.sendInformational([ipsecNotification(notifyType, 'esp', spi)], `refused: ${fault}`, out);
  }

  #handleInformational(
    now: Instant,
    header: IsakmpHeader,
    message: Uint8Array,
    out: IkeOutbox,
  ): Result<true, PeerFault> {
    const opened = this.#openFirst(header, message, INFORMATIONAL);
    if (!opened.ok) return opened;
    this.#messageIds.add(header.messageId);
    this.#sa.noteAuthenticated(now, out);
    const { payloads } = opened.value;
    const place = this.#place('informational', header.messageId, otherRole(this.#sa.role));
    this.#channel.reportReceived(place, true, message, payloads, '', out);
    for (const notice of readNotices(payloads)) {
      // A Delete of this SA ends the message too: what follows it would act for, and answer under, an SA that is gone.
      if (this.#sa.isDeleted) break;
      this.#handleNotice(now, notice, out);
    }
    return ok(true);
  }

  #handleNotice(now: Instant, notice: Notice, out: IkeOutbox): void {
    const owner = this.#owner;
    switch (notice.kind) {
      case 'delete-ipsec':
        return owner.handlePeerDeletedIpsec(now, this.#sa, notice.protocol, notice.spis, out);
      case 'delete-isakmp':
        return owner.handlePeerDeletedIsakmp(now, this.#sa, notice.cookies, out);
      case 'initial-contact':
        return owner.handleInitialContact(now, this.#sa, out);
      case 'invalid-spi':
        return owner.handleInvalidSpi(now, this.#sa, notice.spi, out);
      case 'are-you-there':
        return this.#sa.acknowledgeProbe(notice.sequence, out);
      case 'i-am-here':
        return this.#sa.handleProbeAcknowledged(now, notice.sequence);
      case 'other':
        return this.#handleOtherNotice(now, notice.payload, out);
    }
  }

  /** An error that the peer has signed ends the Quick Mode that it is about. */
  #handleOtherNotice(now: Instant, payload: NotificationPayload, out: IkeOutbox): void {
    if (payload.notifyType === NOTIFY_TYPE.CONNECTED) return this.#handleConnected(now, payload, out);
    if (!isErrorNotify(payload.notifyType)) return;
    const name = notifyName(payload.notifyType);
    const exchange = isProvocable(payload.notifyType) ? undefined : this.#refusedExchange(payload);
    if (exchange === undefined) {
      const { gateway } = this.#channel;
      out.report({ kind: 'notice', severity: 'warning', gateway, text: `the peer notifies ${name}` });
      return;
    }
    const { vpn } = exchange.subject;
    const explanation = `the peer answers ${name} to our offer for vpn ${vpn.name}, in a message that it has authenticated`;
    const error = refusal('refused-by-peer', explanation, vpn.ipsecPolicyOrigin, vpn.origin);
    this.#progress(now, exchange, { kind: 'failed', refusal: error }, out);
  }

  #handleConnected(now: Instant, payload: NotificationPayload, out: IkeOutbox): void {
    const waiting = [...this.#quickModes.values()].filter((exchange) => exchange.awaitsConnected);
    const spi = readSpi(payload.spi);
    const named =
      waiting.find(({ subject }) => subject.ownSpi === spi) ?? (waiting.length === 1 ? waiting[0] : undefined);
    if (named) this.#progress(now, named, named.handleConnected(), out);
  }

  #refusedExchange(payload: NotificationPayload): QuickModeExchange | undefined {
    const open = [...this.#quickModes.values()].filter((exchange) => exchange.role === 'initiator' && !exchange.isOver);
    const spi = readSpi(payload.spi);
    const named = open.find((exchange) => exchange.subject.ownSpi === spi);
    // Peers differ in whose SPI they name, if any.
    return named ?? (open.length === 1 ? open[0] : undefined);
  }

  /** Decrypts and authenticates the first message of a peer's exchange. */
  #openFirst(
    header: IsakmpHeader,
    message: Uint8Array,
    rule: MessageRule,
  ): Result<OpenedMessage & { readonly nextIv: Uint8Array }, PeerFault> {
    // CONNECTED comes under its Quick Mode's message ID (RFC 2408 §3.1), everything else under a new one.
    const isAwaited = this.#quickModes.get(header.messageId)?.awaitsConnected === true;
    if (this.#messageIds.has(header.messageId) && !isAwaited) return err('replayed-message-id');
    const iv = this.#channel.initialIv(header.messageId);
    return openAuthenticated(this.#owner.environment, this.#channel, header, message, iv, rule);
  }

  #newQuickMode(
    now: Instant,
    role: 'initiator' | 'responder',
    messageId: number,
    subject: QuickModeSubject,
  ): QuickModeExchange {
    return new QuickModeExchange(
      now,
      this.#owner.environment,
      this.#channel,
      role,
      messageId,
      subject,
      this.#sa.udpEncapsulation,
    );
  }

  #place(exchange: MessagePlace['exchange'], messageId: number, sender: 'initiator' | 'responder'): MessagePlace {
    return { exchange, messageId, number: 0, sender };
  }

  #prf(): Prf {
    const hash = this.#channel.protection?.hash ?? 'sha1';
    return hmacPrf(this.#owner.environment.crypto, hash);
  }
}

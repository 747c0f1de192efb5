// Carries one Quick Mode over the network: order, IVs, duplicates, retransmission and failure (RFC 2409 §5.5; RFC 2408 §5.1).

import { invariant } from '../../lib/invariant.ts';
import { err, ok, type Result } from '../../lib/result.ts';
import type { Secret } from '../../lib/secret.ts';
import { after, earliest, type Instant, milliseconds, NEVER } from '../../lib/time.ts';
import type { ComputeResult } from '../../model/compute-job.ts';
import type { Origin } from '../../model/gateway-config.ts';
import type { IkeRole } from '../../model/ike-event.ts';
import type { IsakmpHeader } from '../../wire/isakmp-header.ts';
import type { DecodedPayload } from '../../wire/isakmp-payloads.ts';
import type { IkeEnvironment } from '../environment.ts';
import type { IkeOutbox } from '../outbox.ts';
import { PATIENT } from '../retransmission.ts';
import { ExchangeRecord } from './exchange-record.ts';
import { hmacPrf } from './key-material.ts';
import type { MessageChannel, MessagePlace } from './message-channel.ts';
import { checkPayloads, QUICK_MODE } from './payload-rules.ts';
import { isPeerToBlame, type PeerFault, type Refusal, refusal } from './peer-fault.ts';
import { otherRole } from './phase1.ts';
import type { UdpEncapsulation } from './phase2-proposal.ts';
import {
  answerQuickMode,
  computedQuickMode,
  initiateQuickMode,
  type QuickModeContext,
  type QuickModeState,
  type QuickModeStep,
  receiveQuickMode,
} from './quick-mode.ts';
import type { QuickModeSubject } from './sa-owner.ts';

/** How long a finished exchange answers duplicates of the peer's last message. */
const AFTERLIFE = milliseconds(60_000);
/** A responder whose peer does not confirm gives up by then. */
const RESPONDER_PATIENCE = milliseconds(60_000);

/** How long the initiator waits for CONNECTED where the responder has set the commit bit: nothing protects the bit, so not for ever. */
const CONNECTED_PATIENCE = milliseconds(3000);

/** What a call has led to, in the order in which it must be acted on: first the pair, then the exchange has sent its message. */
export type QuickModeProgress =
  | { readonly kind: 'ongoing' }
  | { readonly kind: 'step'; readonly step: QuickModeStep }
  | { readonly kind: 'dropped'; readonly fault: PeerFault }
  | { readonly kind: 'failed'; readonly refusal: Refusal }
  /** CONNECTED has come, or has been waited for long enough. */
  | { readonly kind: 'connected' }
  | { readonly kind: 'over' };

export class QuickModeExchange {
  readonly role: IkeRole;
  readonly messageId: number;
  readonly subject: QuickModeSubject;
  readonly #environment: IkeEnvironment;
  readonly #channel: MessageChannel;
  readonly #udp: UdpEncapsulation;
  readonly #record = new ExchangeRecord();
  #state: QuickModeState | undefined;
  #privateValue: Secret | undefined;
  #number = 0;
  #iv: Uint8Array | undefined;
  #endsAt: Instant;
  /** The responder has set the commit bit: packets leave once it says CONNECTED, or then (RFC 2408 §3.1). */
  #connectedBy: Instant = NEVER;
  #isOver = false;

  constructor(
    now: Instant,
    environment: IkeEnvironment,
    channel: MessageChannel,
    role: IkeRole,
    messageId: number,
    subject: QuickModeSubject,
    udp: UdpEncapsulation,
  ) {
    this.role = role;
    this.messageId = messageId;
    this.subject = subject;
    this.#environment = environment;
    this.#channel = channel;
    this.#udp = udp;
    this.#endsAt = role === 'responder' ? after(now, RESPONDER_PATIENCE) : NEVER;
  }

  /** The exchange has agreed on a pair, or failed; it stays only to answer duplicates. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Our own offer is out and unanswered. */
  get isUnanswered(): boolean {
    return this.role === 'initiator' && !this.#isOver && this.#number <= 1;
  }

  get step(): string {
    return this.#state?.step ?? 'new';
  }

  /** As initiator: sends message 1, or asks for the computation before it. */
  start(): QuickModeProgress {
    this.#iv = this.#channel.initialIv(this.messageId);
    return { kind: 'step', step: initiateQuickMode(this.#context()) };
  }

  /** As responder: message 1 has been decrypted with `nextIv` left over, and found authentic. */
  answer(
    message: Uint8Array,
    payloads: readonly DecodedPayload[],
    nextIv: Uint8Array,
    out: IkeOutbox,
  ): Result<QuickModeStep, Refusal> {
    const step = answerQuickMode(this.#context(), payloads);
    if (!step.ok) return step;
    this.#iv = nextIv;
    this.#noteReceived(message, payloads, step.value.effect, out);
    return ok(step.value);
  }

  handleMessage(now: Instant, header: IsakmpHeader, message: Uint8Array, out: IkeOutbox): QuickModeProgress {
    if (this.#record.isDuplicate(message)) {
      this.#channel.countReceived(message);
      if (this.#record.sent) this.#channel.resend(this.#record.sent, out);
      return { kind: 'ongoing' };
    }
    const rule = QUICK_MODE[this.#number];
    if (this.#isOver || rule?.from !== otherRole(this.role) || this.#state === undefined) {
      return { kind: 'dropped', fault: 'unexpected-message' };
    }
    const opened = this.#open(header, message);
    if (!opened.ok) return { kind: 'dropped', fault: opened.error };
    const { payloads, nextIv } = opened.value;
    const check = checkPayloads(rule, payloads);
    if (!check.ok) return { kind: 'dropped', fault: 'unexpected-payloads' };
    const step = receiveQuickMode(this.#state, payloads, this.#context());
    if (!step.ok) {
      if (!isPeerToBlame(step.error.fault)) return { kind: 'dropped', fault: step.error.fault };
      return { kind: 'failed', refusal: step.error };
    }
    this.#iv = nextIv;
    this.#noteReceived(message, payloads, step.value.effect, out);
    if (this.role === 'initiator' && header.flags.commit) this.#connectedBy = after(now, CONNECTED_PATIENCE);
    return { kind: 'step', step: step.value };
  }

  /** Our packets must not leave under the new SAs yet. */
  get awaitsConnected(): boolean {
    return this.#connectedBy !== NEVER;
  }

  handleConnected(): QuickModeProgress {
    this.#connectedBy = NEVER;
    return { kind: 'connected' };
  }

  handleComputed(result: ComputeResult): QuickModeProgress {
    if (this.#state === undefined || this.#isOver) return { kind: 'ongoing' };
    const step = computedQuickMode(this.#state, result, this.#context());
    // Once g^xy is there, nothing needs the private value any more.
    if (result.kind === 'invalid-public-value' || result.sharedSecret) {
      this.#privateValue?.wipe();
      this.#privateValue = undefined;
    }
    if (step.ok) return { kind: 'step', step: step.value };
    const explanation = 'the peer sent a public value that is none of its group';
    return { kind: 'failed', refusal: refusal('invalid-public-value', explanation, this.subject.vpn.origin) };
  }

  /** Commits a step, and sends its message: called once the step's SAs are in place. */
  commit(now: Instant, step: QuickModeStep, out: IkeOutbox): void {
    this.#state = step.state;
    if (step.compute) this.#privateValue = step.compute.privateValue;
    if (step.send) {
      this.#number++;
      const { sent, nextIv } = this.#channel.send(this.#place(), step.send, this.#iv, step.sendEffect ?? '', out);
      this.#iv = nextIv;
      // Message 2 is repeated too: if message 3 is lost, nobody else notices (RFC 2408 §5.1).
      this.#record.noteSent(now, sent, step.state.step === 'complete' ? undefined : PATIENT);
    }
    if (step.state.step === 'complete') this.#finish(now);
  }

  /** Ends the exchange without a result. */
  abandon(now: Instant): void {
    this.#finish(now);
  }

  nextTimeout(): Instant {
    return earliest(this.#record.nextTimeout(), this.#endsAt, this.#connectedBy);
  }

  handleTimeout(now: Instant, out: IkeOutbox): QuickModeProgress {
    if (now >= this.#connectedBy) return this.handleConnected();
    const action = this.#record.handleTimeout(now);
    if (action === 'send-again' && this.#record.sent) this.#channel.resend(this.#record.sent, out);
    if (action !== 'give-up' && now < this.#endsAt) return { kind: 'ongoing' };
    if (this.#isOver) return { kind: 'over' };
    return { kind: 'failed', refusal: this.#timeoutRefusal() };
  }

  #noteReceived(message: Uint8Array, payloads: readonly DecodedPayload[], effect: string, out: IkeOutbox): void {
    this.#record.noteReceived(message);
    this.#number++;
    this.#channel.reportReceived(this.#place(), true, message, payloads, effect, out);
  }

  #open(
    header: IsakmpHeader,
    message: Uint8Array,
  ): Result<{ payloads: readonly DecodedPayload[]; nextIv: Uint8Array }, PeerFault> {
    if (!header.flags.encryption) return err('not-encrypted');
    const opened = this.#channel.open(header, message, this.#iv);
    if (!opened.ok) return opened;
    const { payloads, nextIv } = opened.value;
    return nextIv === undefined ? err('not-encrypted') : ok({ payloads, nextIv });
  }

  #finish(now: Instant): void {
    this.#isOver = true;
    this.#record.stopRetransmission();
    // Only message 2 can come again for an answer; a responder that is done has nothing more to say.
    this.#endsAt = this.role === 'initiator' ? after(now, AFTERLIFE) : now;
  }

  #timeoutRefusal(): Refusal {
    const { address, port } = this.#channel.path.remote;
    const { vpn } = this.subject;
    const explanation = `no answer from ${address} port ${port} to message ${this.#number} of quick mode for vpn ${vpn.name}`;
    const origins: readonly Origin[] = [vpn.origin, vpn.ipsecPolicyOrigin];
    return { fault: 'timed-out', explanation, statements: origins };
  }

  #place(): MessagePlace {
    const sender = this.#number === 2 ? 'responder' : 'initiator';
    return { exchange: 'quick', messageId: this.messageId, number: this.#number, sender };
  }

  #context(): QuickModeContext {
    const { protection } = this.#channel;
    invariant(protection !== undefined, 'quick mode runs under an ISAKMP SA');
    const { skeyidD, skeyidA } = protection.keys;
    const { vpn, selectors, ownSpi } = this.subject;
    return {
      environment: this.#environment,
      prf: hmacPrf(this.#environment.crypto, protection.hash),
      skeyidD,
      skeyidA,
      messageId: this.messageId,
      vpn,
      selectors,
      ownSpi,
      udp: this.#udp,
      path: this.#channel.path,
    };
  }
}

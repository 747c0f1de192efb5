// Carries one phase 1 exchange over the network: order, encryption, duplicates, retransmission and failure (RFC 2408 §5.1; RFC 2409 §5).
// What the messages mean is Main Mode's and Aggressive Mode's business.

import { equalBytes } from '../../lib/bytes.ts';
import { ok, type Result } from '../../lib/result.ts';
import type { Secret } from '../../lib/secret.ts';
import { after, earliest, type Instant, milliseconds, NEVER } from '../../lib/time.ts';
import type { UdpPath } from '../../model/address.ts';
import type { ComputeResult } from '../../model/compute-job.ts';
import type { IkeGatewayConfig, Origin } from '../../model/gateway-config.ts';
import type { IkeRole, NatSituation } from '../../model/ike-event.ts';
import type { IsakmpHeader } from '../../wire/isakmp-header.ts';
import { isErrorNotify, notifyName } from '../../wire/isakmp-notify.ts';
import type { DecodedPayload } from '../../wire/isakmp-payloads.ts';
import type { IkeEnvironment } from '../environment.ts';
import type { IkeOutbox } from '../outbox.ts';
import { PATIENT, RELUCTANT } from '../retransmission.ts';
import type { PhaseOneAuthentication } from './authentication.ts';
import { ExchangeRecord } from './exchange-record.ts';
import { isakmpNotification } from './informational.ts';
import type { MessageChannel, MessagePlace } from './message-channel.ts';
import { MessageIds } from './message-ids.ts';
import { isNatOnPath, movedPath, NAT_TRAVERSAL_PORT, NO_NAT } from './nat-traversal.ts';
import { checkPayloads, type MessageRule } from './payload-rules.ts';
import { faultNotify, isPeerToBlame, type PeerFault, type Refusal, refusal } from './peer-fault.ts';
import { type IsakmpTerms, otherRole, type Phase1Context, type Phase1Outcome, type Phase1Step } from './phase1.ts';
import {
  answerPhase1,
  computedPhase1,
  initiatePhase1,
  type Phase1State,
  receivePhase1,
  rulesOf,
} from './phase1-mode.ts';
import { looksWhole } from './unhashed-parts.ts';

/** A responder's exchange that has not ended by then is forgotten; an initiator gives up by itself. */
const RESPONDER_PATIENCE = milliseconds(30_000);

/** How long a finished exchange answers duplicates of the peer's last message. */
const AFTERLIFE = milliseconds(60_000);

/** What a call has led to. */
export type Phase1Progress =
  | { readonly kind: 'ongoing'; readonly compute?: NonNullable<Phase1Step<Phase1State>['compute']> }
  | { readonly kind: 'established'; readonly outcome: Phase1Outcome }
  | { readonly kind: 'dropped'; readonly fault: PeerFault }
  | { readonly kind: 'failed' };

export interface Phase1Setup {
  readonly environment: IkeEnvironment;
  readonly gateway: IkeGatewayConfig;
  readonly authentication: PhaseOneAuthentication;
  readonly role: IkeRole;
  readonly mode: 'main' | 'aggressive';
  readonly channel: MessageChannel;
  readonly isFirstContact: () => boolean;
}

export class Phase1Exchange {
  readonly #setup: Phase1Setup;
  #record = new ExchangeRecord();
  readonly #giveUpAt: Instant;
  /** Established since; what duplicates are answered with is kept until then. */
  #forgetsAt: Instant = NEVER;
  #privateValue: Secret | undefined;
  /** Keys that nothing needs once the exchange is over. */
  #passingKeys: readonly Secret[] = [];
  /** A message that proves the peer but may be damaged where no hash covers it: it is accepted when it comes again. */
  #doubtful: Uint8Array | undefined;
  #state: Phase1State | undefined;
  /** Of the last message in either direction. */
  #number = 0;
  #iv: Uint8Array | undefined;
  #agreement: IsakmpTerms | undefined;
  #nat: NatSituation = NO_NAT;
  #hasReportedFailure = false;
  #isOver = false;

  constructor(now: Instant, setup: Phase1Setup) {
    this.#setup = setup;
    this.#giveUpAt = setup.role === 'responder' ? after(now, RESPONDER_PATIENCE) : NEVER;
  }

  get agreement(): IsakmpTerms | undefined {
    return this.#agreement;
  }

  get nat(): NatSituation {
    return this.#nat;
  }

  /** What the exchange is doing, for `show` and for tests that compare states. */
  get step(): string {
    return this.#state?.state.step ?? 'new';
  }

  /** Sends message 1, or asks for the computation before it. */
  start(now: Instant, out: IkeOutbox): Phase1Progress {
    return this.#apply(now, initiatePhase1(this.#setup.mode, this.#context(this.#setup.channel.path)), out);
  }

  /** Answers message 1, which the endpoint has decoded to find the gateway. */
  answer(
    now: Instant,
    message: Uint8Array,
    payloads: readonly DecodedPayload[],
    out: IkeOutbox,
  ): Result<Phase1Progress, Refusal> {
    const { channel, mode } = this.#setup;
    const step = answerPhase1(mode, this.#context(channel.path), payloads);
    if (!step.ok) return step;
    return ok(this.#accept(now, step.value, message, payloads, false, out));
  }

  handleMessage(
    now: Instant,
    path: UdpPath,
    header: IsakmpHeader,
    message: Uint8Array,
    out: IkeOutbox,
  ): Phase1Progress {
    const { channel } = this.#setup;
    if (this.#record.isDuplicate(message)) {
      channel.countReceived(message);
      if (this.#record.sent) channel.resend(this.#record.sent, out);
      return { kind: 'ongoing' };
    }
    const rule = this.#expectedRule();
    if (rule === undefined || this.#state === undefined) return dropped('unexpected-message');
    if (rule.encrypted === true && !header.flags.encryption) return dropped('not-encrypted');
    if (rule.encrypted === false && header.flags.encryption) return dropped('unexpected-message');
    // Until the peer has proven itself, its exchange stays with the address that began it.
    if (!rule.encrypted && path.remote.address !== channel.path.remote.address) return dropped('unexpected-message');
    const opened = channel.open(header, message, this.#iv);
    if (!opened.ok)
      return this.#refuse(path, opened.error === 'undecodable' ? this.#undecodable() : refusal(opened.error), out);
    const { payloads, nextIv, padding } = opened.value;
    const check = checkPayloads(rule, payloads);
    if (!check.ok)
      return this.#refuse(path, rule.encrypted ? this.#undecodable() : refusal('unexpected-payloads'), out);
    const step = receivePhase1(this.#state, payloads, this.#context(path));
    if (!step.ok) return this.#refuse(path, step.error, out);
    if (padding && !looksWhole(payloads, padding, channel.cookies) && !this.#isRepeated(message))
      return dropped('doubtful');
    channel.path = path;
    if (nextIv !== undefined) this.#iv = nextIv;
    return this.#accept(now, step.value, message, payloads, header.flags.encryption, out);
  }

  /** A notification in the clear, with our cookies: anyone can have sent it, so it is told and changes nothing (RFC 2409 §5.7). */
  handleUnauthenticatedNotice(path: UdpPath, payloads: readonly DecodedPayload[], out: IkeOutbox): void {
    for (const payload of payloads) {
      if (payload.kind !== 'notification' || !isErrorNotify(payload.notifyType) || this.#isOver) continue;
      const name = notifyName(payload.notifyType);
      const explanation = `the peer answers ${name} to message ${this.#number}; nobody has signed this refusal, so the exchange is not ended by it. ${this.#ourSide()}`;
      this.#reportFailure(path, name.toLowerCase(), explanation, this.#statements(), false, out);
    }
  }

  handleComputed(now: Instant, result: ComputeResult, out: IkeOutbox): Phase1Progress {
    if (this.#state === undefined || this.#isOver) return dropped('unexpected-message');
    const { channel } = this.#setup;
    const step = computedPhase1(this.#state, result, this.#context(channel.path));
    // Once g^xy is there, nothing needs the private value any more.
    if (result.kind === 'invalid-public-value' || result.sharedSecret) {
      this.#privateValue?.wipe();
      this.#privateValue = undefined;
    }
    if (step.ok) return this.#apply(now, step.value, out);
    // What came may be forged, but the exchange is spoilt: it is begun anew.
    const { fault, explanation } = step.error;
    const text = explanation === '' ? 'the peer sent a public value that is none of its group' : explanation;
    this.#reportFailure(channel.path, fault, text, this.#statements(), true, out);
    this.#isOver = true;
    return { kind: 'failed' };
  }

  nextTimeout(): Instant {
    return this.#isOver ? this.#forgetsAt : earliest(this.#record.nextTimeout(), this.#giveUpAt);
  }

  handleTimeout(now: Instant, out: IkeOutbox): Phase1Progress {
    if (this.#isOver) {
      if (now < this.#forgetsAt) return { kind: 'ongoing' };
      this.#record = new ExchangeRecord();
      this.#forgetsAt = NEVER;
      return { kind: 'ongoing' };
    }
    const action = this.#record.handleTimeout(now);
    if (action === 'send-again' && this.#record.sent) this.#setup.channel.resend(this.#record.sent, out);
    if (action !== 'give-up' && now < this.#giveUpAt) return { kind: 'ongoing' };
    this.#isOver = true;
    // A stranger who sent one message and went away is no failure worth a line.
    const isStranger = this.#setup.role === 'responder' && this.#setup.channel.protection === undefined;
    if (!isStranger) {
      const { path } = this.#setup.channel;
      this.#reportFailure(path, 'timed-out', this.#timeoutExplanation(), this.#statements(), true, out);
    }
    return { kind: 'failed' };
  }

  /** Overwrites the keys that only the exchange itself needed. */
  wipePassingKeys(): void {
    for (const key of this.#passingKeys) key.wipe();
    this.#passingKeys = [];
  }

  /** A message that its sender repeats, octet for octet, is as its sender wants it. */
  #isRepeated(message: Uint8Array): boolean {
    const isRepeated = this.#doubtful !== undefined && equalBytes(this.#doubtful, message);
    this.#doubtful = isRepeated ? undefined : message;
    return isRepeated;
  }

  #expectedRule(): MessageRule | undefined {
    const { mode, role } = this.#setup;
    if (this.#isOver) return undefined;
    const rule = rulesOf(mode)[this.#number];
    // While a computation runs, the last message is the peer's and the next one is ours.
    return rule?.from === otherRole(role) ? rule : undefined;
  }

  #accept(
    now: Instant,
    step: Phase1Step<Phase1State>,
    message: Uint8Array,
    payloads: readonly DecodedPayload[],
    isEncrypted: boolean,
    out: IkeOutbox,
  ): Phase1Progress {
    const { channel } = this.#setup;
    this.#record.noteReceived(message);
    this.#number++;
    channel.reportReceived(this.#place(), isEncrypted, message, payloads, step.effect, out);
    // The last message of Aggressive Mode may come in the clear (RFC 2409 §5), and no hash covers its notifications.
    const outcome = step.outcome && {
      ...step.outcome,
      hasInitialContact: step.outcome.hasInitialContact && isEncrypted,
    };
    return this.#apply(now, outcome ? { ...step, outcome } : step, out);
  }

  #apply(now: Instant, step: Phase1Step<Phase1State>, out: IkeOutbox): Phase1Progress {
    const { channel, role } = this.#setup;
    this.#state = step.state;
    if (step.compute) this.#privateValue = step.compute.privateValue;
    if (step.agreement) {
      // Not SAi_b, which the exchange's own states hold: this stays as long as the SA.
      this.#agreement = { suite: step.agreement.suite, extensions: step.agreement.extensions };
      channel.fragmentSize = step.agreement.extensions.fragmentation ? this.#setup.gateway.fragmentSize : undefined;
    }
    if (step.nat) this.#nat = step.nat;
    if (step.nat && role === 'initiator' && isNatOnPath(step.nat) && channel.path.local.port !== NAT_TRAVERSAL_PORT) {
      channel.path = movedPath(channel.path);
    }
    if (step.protection) {
      const { keys, cipher, hash, iv } = step.protection;
      const { skeyid, skeyidD, skeyidA, skeyidE, cipherKey } = keys;
      channel.protection = { keys: { skeyidD, skeyidA, cipherKey }, cipher, hash };
      this.#passingKeys = [skeyid, skeyidE];
      this.#iv = iv;
    }
    if (step.send) this.#send(now, step, out);
    if (step.outcome === undefined) return { kind: 'ongoing', ...(step.compute ? { compute: step.compute } : {}) };
    channel.lastPhase1Block = this.#iv;
    this.wipePassingKeys();
    this.#doubtful = undefined;
    this.#isOver = true;
    this.#forgetsAt = after(now, AFTERLIFE);
    return { kind: 'established', outcome: step.outcome };
  }

  #send(now: Instant, step: Phase1Step<Phase1State>, out: IkeOutbox): void {
    const { channel, role, mode } = this.#setup;
    const rule = rulesOf(mode)[this.#number];
    this.#number++;
    const iv = rule?.encrypted ? this.#iv : undefined;
    const { sent, nextIv } = channel.send(this.#place(), step.send ?? [], iv, step.sendEffect ?? '', out);
    if (nextIv !== undefined) this.#iv = nextIv;
    const isLast = step.outcome !== undefined;
    // A responder is silent by itself, lest it be made to send to a stranger; but who else could repeat Aggressive Mode's message 2?
    const policy = role === 'initiator' ? PATIENT : mode === 'aggressive' ? RELUCTANT : undefined;
    this.#record.noteSent(now, sent, isLast ? undefined : policy);
  }

  #refuse(path: UdpPath, error: Refusal, out: IkeOutbox): Phase1Progress {
    const isFinal = isPeerToBlame(error.fault);
    if (error.explanation !== '') {
      if (!this.#hasReportedFailure) this.#notifyPeer(error.fault, out);
      this.#reportFailure(path, error.fault, error.explanation, error.statements, isFinal, out);
    }
    if (!isFinal) return dropped(error.fault);
    this.#isOver = true;
    return { kind: 'failed' };
  }

  #reportFailure(
    path: UdpPath,
    reason: string,
    explanation: string,
    statements: readonly Origin[],
    isFinal: boolean,
    out: IkeOutbox,
  ): void {
    if (this.#hasReportedFailure) return;
    this.#hasReportedFailure = true;
    const { gateway, role } = this.#setup;
    const subject = { phase: 1, role, gateway: gateway.name, path } as const;
    out.report({ kind: 'negotiation-failed', ...subject, reason, explanation, statements, isFinal });
  }

  /** Once an exchange: tells the peer in the clear, as RFC 2409 §5.7 has it before an ISAKMP SA stands. */
  #notifyPeer(fault: PeerFault, out: IkeOutbox): void {
    const notifyType = faultNotify(fault);
    if (notifyType === undefined) return;
    const { channel, role, environment } = this.#setup;
    const messageId = new MessageIds().draw(environment.random);
    const place = { exchange: 'informational', messageId, number: 0, sender: role } as const;
    channel.send(place, [isakmpNotification(notifyType, channel.cookies)], undefined, 'refused the message', out);
  }

  #undecodable(): Refusal {
    // Only the message that proves an identity is the first under the new keys; later ones are forgeries or damage.
    const explanation = `message ${this.#number + 1} could not be decoded: the pre-shared keys probably differ`;
    return refusal('undecodable', this.#setup.role === 'responder' ? explanation : '', ...this.#statements());
  }

  #statements(): readonly Origin[] {
    const { gateway } = this.#setup;
    return [gateway.policy.origin, gateway.origin];
  }

  #ourSide(): string {
    const { gateway, mode } = this.#setup;
    const offers = gateway.policy.proposals
      .map(
        ({ encryption, hash, dhGroup, authenticationMethod }) =>
          `${authenticationMethod} ${encryption} ${hash} ${dhGroup}`,
      )
      .join(', ');
    return `We offered ${offers} in ${mode} mode.`;
  }

  #timeoutExplanation(): string {
    const { channel, role } = this.#setup;
    const { address, port } = channel.path.remote;
    const target = `${address} port ${port}`;
    if (role === 'responder') return `the peer at ${target} began and then fell silent after message ${this.#number}`;
    const hasProven = channel.protection !== undefined;
    if (hasProven) {
      return `no answer from ${target} to message ${this.#number}, our proof of identity: the pre-shared keys probably differ, or the path drops the message`;
    }
    if (this.#number > 1) return `no answer from ${target} to message ${this.#number}`;
    return `no answer from ${target} to message 1: the peer is unreachable, does not speak IKE there, or ignores us. ${this.#ourSide()}`;
  }

  #place(): MessagePlace {
    const { mode } = this.#setup;
    const sender = this.#number % 2 === 1 ? 'initiator' : 'responder';
    return { exchange: mode, messageId: 0, number: this.#number, sender };
  }

  #context(path: UdpPath): Phase1Context {
    const { environment, gateway, authentication, channel, isFirstContact } = this.#setup;
    const { cookies } = channel;
    return { environment, gateway, authentication, cookies, path, isFirstContact: isFirstContact() };
  }
}

function dropped(fault: PeerFault): Phase1Progress {
  return { kind: 'dropped', fault };
}

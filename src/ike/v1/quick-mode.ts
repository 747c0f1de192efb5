// Quick Mode, both roles (RFC 2409 §5.5). Pure: the caller keeps its state if a step fails.
// 1. -->  HASH(1), SA, Ni [, KE], IDci, IDcr    2. <--  HASH(2), SA, Nr [, KE], IDci, IDcr    3. -->  HASH(3)
// With KE the keys have perfect forward secrecy; the initiator then computes its public value first, the responder both values at once.

import { drawPrivateValue } from '../../crypto/diffie-hellman.ts';
import { equalInConstantTime } from '../../lib/bytes.ts';
import { err, ok, type Result } from '../../lib/result.ts';
import { Secret } from '../../lib/secret.ts';
import { type Seconds, seconds } from '../../lib/time.ts';
import type { UdpPath } from '../../model/address.ts';
import type { ComputeResult } from '../../model/compute-job.ts';
import type { VpnConfig } from '../../model/gateway-config.ts';
import type { IkeRole } from '../../model/ike-event.ts';
import type { Spi } from '../../model/ipsec-sa.ts';
import type { SelectorPair } from '../../model/traffic-selector.ts';
import { encodeSelector } from '../../wire/isakmp-identity.ts';
import { type DecodedPayload, encodePayloadChain, type Payload, rawOctetsFrom } from '../../wire/isakmp-payloads.ts';
import type { IkeEnvironment } from '../environment.ts';
import { hash2, hash3, type IpsecKeys, ipsecKeys, type Nonces, type Prf } from './key-material.ts';
import { findPayload } from './payload-rules.ts';
import { type Refusal, refusal } from './peer-fault.ts';
import { type ComputeRequest, drawNonce, isPublicValueLength } from './phase1.ts';
import {
  acceptPhase2,
  answerPhase2,
  type ChosenPhase2,
  choosePhase2,
  describeChosenPhase2,
  offerPhase2,
  type UdpEncapsulation,
} from './phase2-proposal.ts';
import {
  areSelectorsEchoed,
  describeSelectors,
  notifiedLifetimes,
  type OriginalAddresses,
  originalAddresses,
  originalAddressPayloads,
  responderLifetime,
  withHash1,
} from './quick-mode-payloads.ts';

/** What a step of Quick Mode may know besides its state and the message. */
export interface QuickModeContext {
  readonly environment: IkeEnvironment;
  readonly prf: Prf;
  readonly skeyidD: Secret;
  readonly skeyidA: Secret;
  readonly messageId: number;
  readonly vpn: VpnConfig;
  readonly selectors: SelectorPair;
  /** The SPI that we have reserved. */
  readonly ownSpi: Spi;
  readonly udp: UdpEncapsulation;
  readonly path: UdpPath;
}

/** What the exchange agreed on: everything that a pair of IPsec SAs is made from. Holds keys. */
export interface NegotiatedPair {
  readonly chosen: ChosenPhase2;
  readonly ownSpi: Spi;
  readonly selectors: SelectorPair;
  readonly inboundKeys: IpsecKeys;
  readonly outboundKeys: IpsecKeys;
  readonly nonces: Nonces;
  readonly lifetime: Seconds;
  readonly lifetimeKilobytes?: number;
  readonly originalAddresses?: OriginalAddresses;
}

/** Where a Quick Mode exchange stands; each state holds what is known in it. */
export type QuickModeState =
  | { readonly role: 'initiator'; readonly step: 'computing-public-value'; readonly privateValue: Secret }
  | {
      readonly role: 'initiator';
      readonly step: 'expect-answer';
      readonly nonceI: Uint8Array;
      readonly privateValue?: Secret;
    }
  | { readonly role: 'initiator'; readonly step: 'computing-secret'; readonly answer: Answer }
  | { readonly role: 'initiator'; readonly step: 'complete' }
  | { readonly role: 'responder'; readonly step: 'computing-secret'; readonly answer: Answer }
  | { readonly role: 'responder'; readonly step: 'expect-confirmation'; readonly nonces: Nonces }
  | { readonly role: 'responder'; readonly step: 'complete' };

/** What both messages settled. */
interface Answer {
  readonly chosen: ChosenPhase2;
  readonly nonces: Nonces;
  readonly lifetimes: { readonly seconds?: number; readonly kilobytes?: number };
  /** The initiator's IDci and IDcr, which the answer repeats as they came. */
  readonly identifications: readonly Payload[];
  readonly originalAddresses?: OriginalAddresses;
}

/** What follows from a message or a computation; all of it or, on an error, none of it. */
export interface QuickModeStep {
  readonly state: QuickModeState;
  /** What the message did, in one clause. */
  readonly effect: string;
  readonly send?: readonly Payload[];
  /** What the sent message does, in one clause. */
  readonly sendEffect?: string;
  readonly compute?: ComputeRequest;
  /** The SAs to put in place before anything is sent. */
  readonly pair?: NegotiatedPair;
  /** From now on our packets may leave under the pair. */
  readonly isConfirmed?: boolean;
}

/** Starts as initiator: with message 1, or with the computation that comes before it. */
export function initiateQuickMode(context: QuickModeContext): QuickModeStep {
  const { vpn, environment } = context;
  if (vpn.pfsGroup === undefined) return sendOffer(context, undefined, undefined);
  const privateValue = new Secret(drawPrivateValue(vpn.pfsGroup, environment.random));
  return {
    state: { role: 'initiator', step: 'computing-public-value', privateValue },
    effect: '',
    compute: { group: vpn.pfsGroup, privateValue },
  };
}

/** Message 1 as responder, found authentic and matched to a VPN: answered with message 2, after a computation if there is a KE. */
export function answerQuickMode(
  context: QuickModeContext,
  payloads: readonly DecodedPayload[],
): Result<QuickModeStep, Refusal> {
  const { vpn, environment, udp } = context;
  const offer = findPayload(payloads, 'sa');
  const nonce = findPayload(payloads, 'nonce');
  if (offer === undefined || nonce === undefined) return err(refusal('phase2-malformed'));
  const chosen = choosePhase2(vpn, offer, udp);
  if (!chosen.ok) {
    return err(refusal('phase2-no-proposal-chosen', chosen.error, vpn.ipsecPolicyOrigin, vpn.origin));
  }
  const nonces = { nonceI: nonce.data.slice(), nonceR: drawNonce(environment) };
  const original = originalAddresses(payloads, 'responder');
  const answer = {
    chosen: chosen.value,
    nonces,
    lifetimes: {},
    identifications: payloads.filter(({ kind }) => kind === 'identification'),
    ...(original ? { originalAddresses: original } : {}),
  };
  const effect = `asked for SAs that carry ${describeSelectors(context.selectors)}`;
  if (chosen.value.pfsGroup === undefined) return ok({ ...sendAnswer(context, answer, undefined, undefined), effect });
  const keyExchange = findPayload(payloads, 'key-exchange');
  if (keyExchange === undefined || !isPublicValueLength(chosen.value.pfsGroup, keyExchange.data)) {
    return err(refusal('phase2-malformed', 'perfect forward secrecy was offered without a fitting public value'));
  }
  const group = chosen.value.pfsGroup;
  const privateValue = new Secret(drawPrivateValue(group, environment.random));
  return ok({
    state: { role: 'responder', step: 'computing-secret', answer },
    effect,
    compute: { group, privateValue, peerPublicValue: keyExchange.data.slice() },
  });
}

/** Any later message; `payloads` has passed the rule of its position. */
export function receiveQuickMode(
  state: QuickModeState,
  payloads: readonly DecodedPayload[],
  context: QuickModeContext,
): Result<QuickModeStep, Refusal> {
  switch (state.step) {
    case 'expect-answer':
      return acceptAnswer(state, payloads, context);
    case 'expect-confirmation':
      return acceptConfirmation(state, payloads, context);
    default:
      return err(refusal('unexpected-message'));
  }
}

/** The result of the computation that a step asked for. */
export function computedQuickMode(
  state: QuickModeState,
  result: ComputeResult,
  context: QuickModeContext,
): Result<QuickModeStep, Refusal> {
  if (result.kind === 'invalid-public-value') return err(refusal('invalid-public-value'));
  const { publicValue, sharedSecret } = result;
  if (state.step === 'computing-public-value') return ok(sendOffer(context, state.privateValue, publicValue));
  if (state.step !== 'computing-secret' || sharedSecret === undefined) return err(refusal('unexpected-message'));
  const gQmXY = new Secret(sharedSecret);
  const step =
    state.role === 'initiator'
      ? confirm(context, state.answer, gQmXY)
      : sendAnswer(context, state.answer, gQmXY, publicValue);
  gQmXY.wipe();
  return ok(step);
}

function sendOffer(
  context: QuickModeContext,
  privateValue: Secret | undefined,
  publicValue: Uint8Array | undefined,
): QuickModeStep {
  const { environment, prf, skeyidA, messageId, vpn, selectors, ownSpi, udp } = context;
  const nonceI = drawNonce(environment);
  const offer = offerPhase2(vpn, ownSpi, udp);
  const send = withHash1(prf, skeyidA, messageId, [
    offer,
    { kind: 'nonce', data: nonceI },
    ...(publicValue ? [{ kind: 'key-exchange', data: publicValue } as const] : []),
    encodeSelector(selectors.local),
    encodeSelector(selectors.remote),
    ...natOriginalAddresses(context, 'initiator'),
  ]);
  return {
    state: { role: 'initiator', step: 'expect-answer', nonceI, ...(privateValue ? { privateValue } : {}) },
    effect: '',
    send,
    sendEffect: `asked for SAs that carry ${describeSelectors(selectors)}`,
  };
}

function sendAnswer(
  context: QuickModeContext,
  answer: Answer,
  gQmXY: Secret | undefined,
  publicValue: Uint8Array | undefined,
): QuickModeStep {
  const { prf, skeyidA, messageId, ownSpi } = context;
  const { chosen, nonces } = answer;
  const payloads: readonly Payload[] = [
    answerPhase2(chosen, ownSpi),
    { kind: 'nonce', data: nonces.nonceR },
    ...(publicValue ? [{ kind: 'key-exchange', data: publicValue } as const] : []),
    ...answer.identifications,
    ...natOriginalAddresses(context, 'responder'),
    ...(chosen.isShortened ? [responderLifetime(chosen, ownSpi)] : []),
  ];
  const hash = hash2(prf, skeyidA, messageId, nonces.nonceI, encodePayloadChain(payloads).bytes);
  return {
    state: { role: 'responder', step: 'expect-confirmation', nonces },
    effect: '',
    send: [{ kind: 'hash', data: hash }, ...payloads],
    sendEffect: `chose ${describeChosenPhase2(chosen)}; inbound SA ready`,
    pair: derivePair(context, answer, gQmXY),
  };
}

function acceptAnswer(
  state: Extract<QuickModeState, { readonly step: 'expect-answer' }>,
  payloads: readonly DecodedPayload[],
  context: QuickModeContext,
): Result<QuickModeStep, Refusal> {
  const { prf, skeyidA, messageId, vpn, udp } = context;
  const { nonceI, privateValue } = state;
  const hash = payloads[0];
  const answered = findPayload(payloads, 'sa');
  const nonce = findPayload(payloads, 'nonce');
  if (hash?.kind !== 'hash' || answered === undefined || nonce === undefined)
    return err(refusal('unexpected-payloads'));
  const expected = hash2(prf, skeyidA, messageId, nonceI, rawOctetsFrom(payloads, 1));
  if (!equalInConstantTime(hash.data, expected)) return err(refusal('hash-mismatch'));
  const chosen = acceptPhase2(vpn, answered, udp);
  if (!chosen.ok) return err(refusal('phase2-no-proposal-chosen', chosen.error, vpn.ipsecPolicyOrigin, vpn.origin));
  if (!areSelectorsEchoed(payloads, context.selectors)) {
    const explanation = `asked for ${describeSelectors(context.selectors)}, but the peer answered for something else`;
    return err(refusal('selectors-unacceptable', explanation, vpn.origin));
  }
  const original = originalAddresses(payloads, 'initiator');
  const answer = {
    chosen: chosen.value,
    nonces: { nonceI, nonceR: nonce.data.slice() },
    lifetimes: notifiedLifetimes(payloads),
    identifications: [],
    ...(original ? { originalAddresses: original } : {}),
  };
  if (privateValue === undefined || chosen.value.pfsGroup === undefined) return ok(confirm(context, answer, undefined));
  const keyExchange = findPayload(payloads, 'key-exchange');
  if (keyExchange === undefined || !isPublicValueLength(chosen.value.pfsGroup, keyExchange.data)) {
    return err(refusal('phase2-malformed', 'the answer lacks a public value for perfect forward secrecy'));
  }
  return ok({
    state: { role: 'initiator', step: 'computing-secret', answer },
    effect: `chose ${describeChosenPhase2(chosen.value)}`,
    compute: { group: chosen.value.pfsGroup, privateValue, peerPublicValue: keyExchange.data.slice() },
  });
}

function confirm(context: QuickModeContext, answer: Answer, gQmXY: Secret | undefined): QuickModeStep {
  const { prf, skeyidA, messageId } = context;
  return {
    state: { role: 'initiator', step: 'complete' },
    effect: `chose ${describeChosenPhase2(answer.chosen)}`,
    send: [{ kind: 'hash', data: hash3(prf, skeyidA, messageId, answer.nonces) }],
    sendEffect: 'confirmed; IPsec SAs up',
    pair: derivePair(context, answer, gQmXY),
    isConfirmed: true,
  };
}

function acceptConfirmation(
  state: Extract<QuickModeState, { readonly step: 'expect-confirmation' }>,
  payloads: readonly DecodedPayload[],
  context: QuickModeContext,
): Result<QuickModeStep, Refusal> {
  const hash = findPayload(payloads, 'hash');
  const expected = hash3(context.prf, context.skeyidA, context.messageId, state.nonces);
  if (hash === undefined || !equalInConstantTime(hash.data, expected)) return err(refusal('hash-mismatch'));
  return ok({ state: { role: 'responder', step: 'complete' }, effect: 'confirmed; IPsec SAs up', isConfirmed: true });
}

function derivePair(context: QuickModeContext, answer: Answer, gQmXY: Secret | undefined): NegotiatedPair {
  const { chosen, nonces, lifetimes } = answer;
  const { protocol, encryption, integrity } = chosen;
  const keysFor = (spi: Spi): IpsecKeys => {
    const purpose = { protocol, spi, nonces, ...(gQmXY ? { gQmXY } : {}) };
    // AH authenticates only: all of its KEYMAT is the integrity key.
    return ipsecKeys(context.prf, context.skeyidD, purpose, protocol === 'ah' ? 'null' : encryption, integrity);
  };
  const lifetime = seconds(Math.min(chosen.lifetime, lifetimes.seconds ?? chosen.lifetime));
  const kilobytes = Math.min(chosen.lifetimeKilobytes ?? Infinity, lifetimes.kilobytes ?? Infinity);
  return {
    chosen,
    ownSpi: context.ownSpi,
    selectors: context.selectors,
    inboundKeys: keysFor(context.ownSpi),
    outboundKeys: keysFor(chosen.peerSpi),
    nonces,
    lifetime,
    ...(Number.isFinite(kilobytes) ? { lifetimeKilobytes: kilobytes } : {}),
    ...(answer.originalAddresses ? { originalAddresses: answer.originalAddresses } : {}),
  };
}

/** Both ends MUST send them for transport mode in UDP, and SHOULD NOT for tunnel mode (RFC 3947 §5.2). */
function natOriginalAddresses(context: QuickModeContext, ownRole: IkeRole): readonly Payload[] {
  const { vpn, udp, path } = context;
  return vpn.mode === 'transport' && udp !== undefined ? originalAddressPayloads(path, ownRole, udp) : [];
}

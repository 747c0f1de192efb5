// Main Mode, both roles (RFC 2409 §5; with pre-shared keys §5.4). Pure: the caller keeps its state if a step fails.
// 1. -->  SA              the initiator offers             4. <--  KE, Nr   then both derive the keys
// 2. <--  SA              the responder chooses            5. -->  ID, HASH_I (encrypted)
// 3. -->  KE, Ni                                           6. <--  ID, HASH_R (encrypted)

import { drawPrivateValue } from '../../crypto/diffie-hellman.ts';
import { equalBytes } from '../../lib/bytes.ts';
import { err, ok, type Result } from '../../lib/result.ts';
import { Secret } from '../../lib/secret.ts';
import type { ComputeResult } from '../../model/compute-job.ts';
import { formatIdentity } from '../../model/identity.ts';
import { type DecodedPayload, encodePayloadBody, rawBody } from '../../wire/isakmp-payloads.ts';
import { localIdentity, type Transcript } from './authentication.ts';
import { findPayload } from './payload-rules.ts';
import { type Refusal, refusal } from './peer-fault.ts';
import {
  type Agreement,
  answeredVendorIds,
  deriveProtection,
  drawNonce,
  initialContact,
  offeredVendorIds,
  type Phase1Context,
  type Phase1Step,
  readExtensions,
} from './phase1.ts';
import {
  acceptIdentity,
  describeKeyExchange,
  identityPayloads,
  keyExchangePayloads,
  readIdentity,
  readKeyExchange,
} from './phase1-messages.ts';
import { acceptPhase1, choosePhase1, describeChosenPhase1, offerPhase1, saPayload } from './phase1-proposal.ts';

/** Where a Main Mode exchange stands; each state holds what is known in it. */
export type MainModeState =
  | { readonly role: 'initiator'; readonly step: 'expect-sa'; readonly saI: Uint8Array }
  | {
      readonly role: 'initiator';
      readonly step: 'computing-public-value';
      readonly agreement: Agreement;
      readonly privateValue: Secret;
    }
  | {
      readonly role: 'initiator';
      readonly step: 'expect-key-exchange';
      readonly agreement: Agreement;
      readonly privateValue: Secret;
      readonly gXI: Uint8Array;
      readonly nonceI: Uint8Array;
    }
  | {
      readonly role: 'initiator';
      readonly step: 'computing-secret';
      readonly agreement: Agreement;
      readonly gXI: Uint8Array;
      readonly gXR: Uint8Array;
      readonly nonceI: Uint8Array;
      readonly nonceR: Uint8Array;
    }
  | { readonly role: 'responder'; readonly step: 'expect-key-exchange'; readonly agreement: Agreement }
  | {
      readonly role: 'responder';
      readonly step: 'computing-secret';
      readonly agreement: Agreement;
      readonly gXI: Uint8Array;
      readonly nonceI: Uint8Array;
    }
  | { readonly role: 'initiator'; readonly step: 'expect-identity'; readonly transcript: Transcript }
  | { readonly role: 'responder'; readonly step: 'expect-identity'; readonly transcript: Transcript }
  | { readonly role: 'initiator'; readonly step: 'established' }
  | { readonly role: 'responder'; readonly step: 'established' };

type Step = Phase1Step<MainModeState>;
type StateOf<R extends MainModeState['role'], S extends MainModeState['step']> = Extract<
  MainModeState,
  { readonly role: R; readonly step: S }
>;

/** Message 1 as initiator. */
export function initiateMainMode(context: Phase1Context): Step {
  const offer = offerPhase1(context.gateway);
  return {
    state: { role: 'initiator', step: 'expect-sa', saI: encodePayloadBody(offer) },
    effect: '',
    send: [offer, ...offeredVendorIds(context.gateway)],
    sendEffect: `offered ${offer.proposals[0]?.transforms.length ?? 0} proposals`,
  };
}

/** Message 1 as responder, answered with message 2. */
export function answerMainMode(context: Phase1Context, payloads: readonly DecodedPayload[]): Result<Step, Refusal> {
  const { gateway } = context;
  const offer = findPayload(payloads, 'sa');
  if (offer === undefined) return err(refusal('unexpected-payloads'));
  const chosen = choosePhase1(gateway, offer);
  if (!chosen.ok) return err(refusal('no-proposal-chosen', chosen.error, gateway.policy.origin));
  const { suite, proposal } = chosen.value;
  const extensions = readExtensions(gateway, payloads);
  const agreement = { suite, saI: rawBody(offer).slice(), extensions };
  return ok({
    state: { role: 'responder', step: 'expect-key-exchange', agreement },
    effect: 'offered proposals',
    send: [saPayload(proposal), ...answeredVendorIds(extensions)],
    sendEffect: `chose ${describeChosenPhase1(chosen.value)}`,
    agreement,
  });
}

/** Any later message; `payloads` has passed the rule of its position. */
export function receiveMainMode(
  state: MainModeState,
  payloads: readonly DecodedPayload[],
  context: Phase1Context,
): Result<Step, Refusal> {
  switch (state.step) {
    case 'expect-sa':
      return acceptProposal(state, payloads, context);
    case 'expect-key-exchange':
      return state.role === 'initiator'
        ? acceptResponderKey(state, payloads, context)
        : acceptInitiatorKey(state, payloads, context);
    case 'expect-identity':
      return state.role === 'initiator'
        ? acceptResponderIdentity(state, payloads, context)
        : acceptInitiatorIdentity(state, payloads, context);
    default:
      return err(refusal('unexpected-message'));
  }
}

/** The result of the computation that a step asked for. */
export function computedMainMode(
  state: MainModeState,
  result: ComputeResult,
  context: Phase1Context,
): Result<Step, Refusal> {
  if (result.kind === 'invalid-public-value') return err(refusal('invalid-public-value'));
  switch (state.step) {
    case 'computing-public-value':
      return ok(sendInitiatorKey(state, result.publicValue, context));
    case 'computing-secret':
      if (result.sharedSecret === undefined) return err(refusal('invalid-public-value'));
      return ok(
        state.role === 'initiator'
          ? sendInitiatorIdentity(state, new Secret(result.sharedSecret), context)
          : sendResponderKey(state, result.publicValue, new Secret(result.sharedSecret), context),
      );
    default:
      return err(refusal('unexpected-message'));
  }
}

function acceptProposal(
  state: StateOf<'initiator', 'expect-sa'>,
  payloads: readonly DecodedPayload[],
  context: Phase1Context,
): Result<Step, Refusal> {
  const { gateway, environment } = context;
  const answer = findPayload(payloads, 'sa');
  if (answer === undefined) return err(refusal('unexpected-payloads'));
  const chosen = acceptPhase1(gateway, answer);
  if (!chosen.ok) return err(refusal('changed-proposal', chosen.error, gateway.policy.origin));
  const { suite } = chosen.value;
  const agreement = { suite, saI: state.saI, extensions: readExtensions(gateway, payloads) };
  const privateValue = new Secret(drawPrivateValue(suite.dhGroup, environment.random));
  return ok({
    state: { role: 'initiator', step: 'computing-public-value', agreement, privateValue },
    effect: `chose ${describeChosenPhase1(chosen.value)}`,
    compute: { group: suite.dhGroup, privateValue },
    agreement,
  });
}

function sendInitiatorKey(
  state: StateOf<'initiator', 'computing-public-value'>,
  gXI: Uint8Array,
  context: Phase1Context,
): Step {
  const { agreement, privateValue } = state;
  const nonceI = drawNonce(context.environment);
  return {
    state: { role: 'initiator', step: 'expect-key-exchange', agreement, privateValue, gXI, nonceI },
    effect: '',
    send: keyExchangePayloads(agreement, gXI, nonceI, context),
    sendEffect: `public value of ${agreement.suite.dhGroup} and a nonce`,
  };
}

function acceptInitiatorKey(
  state: StateOf<'responder', 'expect-key-exchange'>,
  payloads: readonly DecodedPayload[],
  context: Phase1Context,
): Result<Step, Refusal> {
  const received = readKeyExchange(state.agreement, payloads, context);
  if (!received.ok) return received;
  const { publicValue: gXI, nonce: nonceI, nat, agreement } = received.value;
  const group = agreement.suite.dhGroup;
  const privateValue = new Secret(drawPrivateValue(group, context.environment.random));
  return ok({
    state: { role: 'responder', step: 'computing-secret', agreement, gXI, nonceI },
    effect: describeKeyExchange(group, nat),
    compute: { group, privateValue, peerPublicValue: gXI },
    agreement,
    nat,
  });
}

function sendResponderKey(
  state: StateOf<'responder', 'computing-secret'>,
  gXR: Uint8Array,
  gXY: Secret,
  context: Phase1Context,
): Step {
  const { agreement, gXI, nonceI } = state;
  const nonceR = drawNonce(context.environment);
  const { protection, transcript } = deriveProtection(context, agreement, { nonceI, nonceR }, { gXI, gXR }, gXY);
  return {
    state: { role: 'responder', step: 'expect-identity', transcript },
    effect: '',
    send: keyExchangePayloads(agreement, gXR, nonceR, context),
    sendEffect: `public value of ${agreement.suite.dhGroup} and a nonce; keys derived`,
    protection,
  };
}

function acceptResponderKey(
  state: StateOf<'initiator', 'expect-key-exchange'>,
  payloads: readonly DecodedPayload[],
  context: Phase1Context,
): Result<Step, Refusal> {
  const received = readKeyExchange(state.agreement, payloads, context);
  if (!received.ok) return received;
  const { publicValue: gXR, nonce: nonceR, nat, agreement } = received.value;
  const { gXI, nonceI, privateValue } = state;
  // Message 3 reads like message 4: sent back to us, it must not pass for one.
  if (equalBytes(gXR, gXI)) return err(refusal('unexpected-message'));
  const group = agreement.suite.dhGroup;
  return ok({
    state: { role: 'initiator', step: 'computing-secret', agreement, gXI, gXR, nonceI, nonceR },
    effect: describeKeyExchange(group, nat),
    compute: { group, privateValue, peerPublicValue: gXR },
    agreement,
    nat,
  });
}

function sendInitiatorIdentity(
  state: StateOf<'initiator', 'computing-secret'>,
  gXY: Secret,
  context: Phase1Context,
): Step {
  const { agreement, gXI, gXR, nonceI, nonceR } = state;
  const { protection, transcript } = deriveProtection(context, agreement, { nonceI, nonceR }, { gXI, gXR }, gXY);
  return {
    state: { role: 'initiator', step: 'expect-identity', transcript },
    effect: '',
    send: [...identityPayloads('initiator', transcript, context), ...initialContact(context)],
    sendEffect: `proved to be ${formatIdentity(localIdentity(context.gateway, context.path))}`,
    protection,
  };
}

function acceptInitiatorIdentity(
  state: StateOf<'responder', 'expect-identity'>,
  payloads: readonly DecodedPayload[],
  context: Phase1Context,
): Result<Step, Refusal> {
  const step = acceptSender('initiator', state.transcript, payloads, context);
  if (!step.ok) return step;
  return ok({
    ...step.value,
    state: { role: 'responder', step: 'established' },
    send: [...identityPayloads('responder', state.transcript, context), ...initialContact(context)],
    sendEffect: `proved to be ${formatIdentity(localIdentity(context.gateway, context.path))}; IKE SA up`,
  });
}

function acceptResponderIdentity(
  state: StateOf<'initiator', 'expect-identity'>,
  payloads: readonly DecodedPayload[],
  context: Phase1Context,
): Result<Step, Refusal> {
  const step = acceptSender('responder', state.transcript, payloads, context);
  if (!step.ok) return step;
  const effect = `${step.value.effect}; IKE SA up`;
  return ok({ ...step.value, effect, state: { role: 'initiator', step: 'established' } });
}

/** In Main Mode identification and proof come in one message. */
function acceptSender(
  sender: 'initiator' | 'responder',
  transcript: Transcript,
  payloads: readonly DecodedPayload[],
  context: Phase1Context,
): Result<Omit<Step, 'state'>, Refusal> {
  const identification = readIdentity(payloads);
  return identification.ok
    ? acceptIdentity(sender, transcript, identification.value, payloads, context)
    : identification;
}

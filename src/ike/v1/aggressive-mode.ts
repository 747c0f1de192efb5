// Aggressive Mode, both roles (RFC 2409 §5; with pre-shared keys §5.4). Pure: the caller keeps its state if a step fails.
// 1. -->  SA, KE, Ni, IDii             the group must be guessed, so only proposals with one group are offered
// 2. <--  SA, KE, Nr, IDir, HASH_R     in the clear: whoever asks gets a hash under the pre-shared key, to guess it at leisure
// 3. -->  HASH_I

import { drawPrivateValue } from '../../crypto/diffie-hellman.ts';
import { err, ok, type Result } from '../../lib/result.ts';
import { Secret } from '../../lib/secret.ts';
import type { ComputeResult } from '../../model/compute-job.ts';
import { formatIdentity } from '../../model/identity.ts';
import { encodeIdentity } from '../../wire/isakmp-identity.ts';
import { type DecodedPayload, encodePayloadBody, type Payload, rawBody } from '../../wire/isakmp-payloads.ts';
import type { SaPayload } from '../../wire/isakmp-sa-payload.ts';
import { identityRefusal, isExpectedIdentity, localIdentity, type Transcript } from './authentication.ts';
import { detectNat, NO_NAT, natDiscoveryPayloads } from './nat-traversal.ts';
import { findPayload } from './payload-rules.ts';
import { type Refusal, refusal } from './peer-fault.ts';
import {
  type Agreement,
  answeredVendorIds,
  deriveProtection,
  drawNonce,
  initialContact,
  isPublicValueLength,
  offeredVendorIds,
  type Phase1Context,
  type Phase1Step,
  readExtensions,
} from './phase1.ts';
import {
  acceptIdentity,
  describeKeyExchange,
  identityPayloads,
  type ReceivedIdentity,
  readIdentity,
  readKeyExchange,
} from './phase1-messages.ts';
import {
  acceptPhase1,
  type ChosenPhase1,
  choosePhase1,
  describeChosenPhase1,
  offerPhase1,
  preferredGroup,
  saPayload,
} from './phase1-proposal.ts';

/** Where an Aggressive Mode exchange stands; each state holds what is known in it. */
export type AggressiveModeState =
  | {
      readonly role: 'initiator';
      readonly step: 'computing-public-value';
      readonly offer: SaPayload;
      readonly privateValue: Secret;
    }
  | {
      readonly role: 'initiator';
      readonly step: 'expect-answer';
      readonly saI: Uint8Array;
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
      readonly identification: ReceivedIdentity;
      /** Message 2, whose proof can be checked only once the keys are there. */
      readonly payloads: readonly DecodedPayload[];
    }
  | {
      readonly role: 'responder';
      readonly step: 'computing-secret';
      readonly chosen: ChosenPhase1;
      readonly agreement: Agreement;
      readonly gXI: Uint8Array;
      readonly nonceI: Uint8Array;
      readonly identification: ReceivedIdentity;
    }
  | {
      readonly role: 'responder';
      readonly step: 'expect-proof';
      readonly agreement: Agreement;
      readonly transcript: Transcript;
      readonly identification: ReceivedIdentity;
    }
  | { readonly role: 'initiator'; readonly step: 'established' }
  | { readonly role: 'responder'; readonly step: 'established' };

type Step = Phase1Step<AggressiveModeState>;
type StateOf<R extends AggressiveModeState['role'], S extends AggressiveModeState['step']> = Extract<
  AggressiveModeState,
  { readonly role: R; readonly step: S }
>;

/** As initiator: the computation before message 1. */
export function initiateAggressiveMode(context: Phase1Context): Step {
  const { gateway, environment } = context;
  const group = preferredGroup(gateway) ?? 'group2';
  const offer = offerPhase1(gateway, group);
  const privateValue = new Secret(drawPrivateValue(group, environment.random));
  return {
    state: { role: 'initiator', step: 'computing-public-value', offer, privateValue },
    effect: '',
    compute: { group, privateValue },
  };
}

/** Message 1 as responder: message 2 follows after the computation. */
export function answerAggressiveMode(
  context: Phase1Context,
  payloads: readonly DecodedPayload[],
): Result<Step, Refusal> {
  const { gateway, environment } = context;
  const offer = findPayload(payloads, 'sa');
  const keyExchange = findPayload(payloads, 'key-exchange');
  const nonce = findPayload(payloads, 'nonce');
  const identification = readIdentity(payloads);
  if (offer === undefined || keyExchange === undefined || nonce === undefined) {
    return err(refusal('unexpected-payloads'));
  }
  if (!identification.ok) return identification;
  const { identity, body } = identification.value;
  if (!isExpectedIdentity(gateway, identity)) return err(identityRefusal(gateway, identity));
  const chosen = choosePhase1(gateway, offer);
  if (!chosen.ok) return err(refusal('no-proposal-chosen', chosen.error, gateway.policy.origin));
  const { suite } = chosen.value;
  if (!isPublicValueLength(suite.dhGroup, keyExchange.data)) return err(refusal('invalid-public-value'));
  const agreement = { suite, saI: rawBody(offer).slice(), extensions: readExtensions(gateway, payloads) };
  const privateValue = new Secret(drawPrivateValue(suite.dhGroup, environment.random));
  const gXI = keyExchange.data.slice();
  return ok({
    state: {
      role: 'responder',
      step: 'computing-secret',
      chosen: chosen.value,
      agreement,
      gXI,
      nonceI: nonce.data.slice(),
      identification: { identity, body: body.slice() },
    },
    effect: `offered proposals, as ${formatIdentity(identity)}`,
    compute: { group: suite.dhGroup, privateValue, peerPublicValue: gXI },
    agreement,
  });
}

/** Any later message; `payloads` has passed the rule of its position. */
export function receiveAggressiveMode(
  state: AggressiveModeState,
  payloads: readonly DecodedPayload[],
  context: Phase1Context,
): Result<Step, Refusal> {
  switch (state.step) {
    case 'expect-answer':
      return acceptAnswer(state, payloads, context);
    case 'expect-proof':
      return acceptProof(state, payloads, context);
    default:
      return err(refusal('unexpected-message'));
  }
}

/** The result of the computation that a step asked for. */
export function computedAggressiveMode(
  state: AggressiveModeState,
  result: ComputeResult,
  context: Phase1Context,
): Result<Step, Refusal> {
  if (result.kind === 'invalid-public-value') return err(refusal('invalid-public-value'));
  if (state.step === 'computing-public-value') return ok(sendOffer(state, result.publicValue, context));
  if (state.step !== 'computing-secret' || result.sharedSecret === undefined) {
    return err(refusal('unexpected-message'));
  }
  const gXY = new Secret(result.sharedSecret);
  return state.role === 'initiator'
    ? sendProof(state, gXY, context)
    : ok(sendAnswer(state, result.publicValue, gXY, context));
}

function sendOffer(
  state: StateOf<'initiator', 'computing-public-value'>,
  gXI: Uint8Array,
  context: Phase1Context,
): Step {
  const { offer, privateValue } = state;
  const { environment, gateway, path } = context;
  const nonceI = drawNonce(environment);
  const identity = localIdentity(gateway, path);
  return {
    state: { role: 'initiator', step: 'expect-answer', saI: encodePayloadBody(offer), privateValue, gXI, nonceI },
    effect: '',
    send: [
      offer,
      { kind: 'key-exchange', data: gXI },
      { kind: 'nonce', data: nonceI },
      encodeIdentity(identity),
      ...offeredVendorIds(gateway),
    ],
    sendEffect: `offered ${offer.proposals[0]?.transforms.length ?? 0} proposals, as ${formatIdentity(identity)}`,
  };
}

function sendAnswer(
  state: StateOf<'responder', 'computing-secret'>,
  gXR: Uint8Array,
  gXY: Secret,
  context: Phase1Context,
): Step {
  const { chosen, agreement, gXI, nonceI, identification } = state;
  const nonceR = drawNonce(context.environment);
  const { protection, transcript } = deriveProtection(context, agreement, { nonceI, nonceR }, { gXI, gXR }, gXY);
  return {
    state: { role: 'responder', step: 'expect-proof', agreement, transcript, identification },
    effect: '',
    send: [
      saPayload(chosen.proposal),
      { kind: 'key-exchange', data: gXR },
      { kind: 'nonce', data: nonceR },
      ...identityPayloads('responder', transcript, context),
      ...natDiscovery(agreement, context),
      ...answeredVendorIds(agreement.extensions),
    ],
    sendEffect: `chose ${describeChosenPhase1(chosen)}; keys derived`,
    protection,
  };
}

function acceptAnswer(
  state: StateOf<'initiator', 'expect-answer'>,
  payloads: readonly DecodedPayload[],
  context: Phase1Context,
): Result<Step, Refusal> {
  const { gateway } = context;
  const { saI, gXI, nonceI, privateValue } = state;
  const answer = findPayload(payloads, 'sa');
  const identification = readIdentity(payloads);
  if (answer === undefined) return err(refusal('unexpected-payloads'));
  if (!identification.ok) return identification;
  const chosen = acceptPhase1(gateway, answer);
  if (!chosen.ok) return err(refusal('changed-proposal', chosen.error, gateway.policy.origin));
  const { suite } = chosen.value;
  if (suite.dhGroup !== preferredGroup(gateway)) return err(refusal('changed-proposal'));
  const extensions = readExtensions(gateway, payloads);
  const received = readKeyExchange({ suite, saI, extensions }, payloads, context);
  if (!received.ok) return received;
  const { publicValue: gXR, nonce: nonceR, nat, agreement } = received.value;
  return ok({
    state: {
      role: 'initiator',
      step: 'computing-secret',
      agreement,
      gXI,
      gXR,
      nonceI,
      nonceR,
      identification: identification.value,
      payloads,
    },
    effect: `chose ${describeChosenPhase1(chosen.value)}; ${describeKeyExchange(suite.dhGroup, nat)}`,
    compute: { group: suite.dhGroup, privateValue, peerPublicValue: gXR },
    agreement,
    nat,
  });
}

function sendProof(
  state: StateOf<'initiator', 'computing-secret'>,
  gXY: Secret,
  context: Phase1Context,
): Result<Step, Refusal> {
  const { agreement, gXI, gXR, nonceI, nonceR, identification, payloads } = state;
  const { gateway, path, authentication } = context;
  const { protection, transcript } = deriveProtection(context, agreement, { nonceI, nonceR }, { gXI, gXR }, gXY);
  const accepted = acceptIdentity('responder', transcript, identification, payloads, context);
  if (!accepted.ok) return accepted;
  const idBody = encodePayloadBody(encodeIdentity(localIdentity(gateway, path)));
  const { outcome } = accepted.value;
  return ok({
    state: { role: 'initiator', step: 'established' },
    effect: '',
    send: [
      ...authentication.prove(transcript, 'initiator', idBody),
      ...natDiscovery(agreement, context),
      ...initialContact(context),
    ],
    sendEffect: `${accepted.value.effect}, and proved to be ${formatIdentity(localIdentity(gateway, path))}; IKE SA up`,
    protection,
    // HASH_R covers no notifications, and message 2 was in the clear: anyone can have put INITIAL-CONTACT into it.
    ...(outcome ? { outcome: { ...outcome, hasInitialContact: false } } : {}),
  });
}

function acceptProof(
  state: StateOf<'responder', 'expect-proof'>,
  payloads: readonly DecodedPayload[],
  context: Phase1Context,
): Result<Step, Refusal> {
  const { agreement, transcript, identification } = state;
  const accepted = acceptIdentity('initiator', transcript, identification, payloads, context);
  if (!accepted.ok) return accepted;
  const { environment, cookies, path } = context;
  const { natTraversal } = agreement.extensions;
  const nat = natTraversal ? detectNat(environment.crypto, agreement.suite.hash, cookies, path, payloads) : NO_NAT;
  return ok({
    ...accepted.value,
    state: { role: 'responder', step: 'established' },
    effect: `${accepted.value.effect}; IKE SA up`,
    nat,
  });
}

function natDiscovery(agreement: Agreement, context: Phase1Context): readonly Payload[] {
  const { environment, cookies, path } = context;
  const { natTraversal } = agreement.extensions;
  if (natTraversal === undefined) return [];
  return natDiscoveryPayloads(environment.crypto, agreement.suite.hash, natTraversal, cookies, path);
}

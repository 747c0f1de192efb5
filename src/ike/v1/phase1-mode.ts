import { ok, type Result } from '../../lib/result.ts';
import type { ComputeResult } from '../../model/compute-job.ts';
import { EXCHANGE_TYPE, type IsakmpHeader } from '../../wire/isakmp-header.ts';
import type { DecodedPayload } from '../../wire/isakmp-payloads.ts';
import {
  type AggressiveModeState,
  answerAggressiveMode,
  computedAggressiveMode,
  initiateAggressiveMode,
  receiveAggressiveMode,
} from './aggressive-mode.ts';
import {
  answerMainMode,
  computedMainMode,
  initiateMainMode,
  type MainModeState,
  receiveMainMode,
} from './main-mode.ts';
import { AGGRESSIVE_MODE, MAIN_MODE, type MessageRule } from './payload-rules.ts';
import type { Refusal } from './peer-fault.ts';
import type { Phase1Context, Phase1Step } from './phase1.ts';

export type Phase1Mode = 'main' | 'aggressive';

/** A phase 1 exchange of either mode: this file is the one place that tells them apart. */
export type Phase1State =
  | { readonly mode: 'main'; readonly state: MainModeState }
  | { readonly mode: 'aggressive'; readonly state: AggressiveModeState };

/** The mode that a header's exchange type names (RFC 2409 §5); `undefined` if it is not one of phase 1. */
export function modeOf(header: IsakmpHeader): Phase1Mode | undefined {
  if (header.exchangeType === EXCHANGE_TYPE['identity-protection']) return 'main';
  return header.exchangeType === EXCHANGE_TYPE.aggressive ? 'aggressive' : undefined;
}

export function rulesOf(mode: Phase1Mode): readonly MessageRule[] {
  return mode === 'main' ? MAIN_MODE : AGGRESSIVE_MODE;
}

export function initiatePhase1(mode: Phase1Mode, context: Phase1Context): Phase1Step<Phase1State> {
  return mode === 'main' ? inMain(initiateMainMode(context)) : inAggressive(initiateAggressiveMode(context));
}

export function answerPhase1(
  mode: Phase1Mode,
  context: Phase1Context,
  payloads: readonly DecodedPayload[],
): Result<Phase1Step<Phase1State>, Refusal> {
  return mode === 'main'
    ? mapStep(answerMainMode(context, payloads), inMain)
    : mapStep(answerAggressiveMode(context, payloads), inAggressive);
}

export function receivePhase1(
  current: Phase1State,
  payloads: readonly DecodedPayload[],
  context: Phase1Context,
): Result<Phase1Step<Phase1State>, Refusal> {
  return current.mode === 'main'
    ? mapStep(receiveMainMode(current.state, payloads, context), inMain)
    : mapStep(receiveAggressiveMode(current.state, payloads, context), inAggressive);
}

export function computedPhase1(
  current: Phase1State,
  result: ComputeResult,
  context: Phase1Context,
): Result<Phase1Step<Phase1State>, Refusal> {
  return current.mode === 'main'
    ? mapStep(computedMainMode(current.state, result, context), inMain)
    : mapStep(computedAggressiveMode(current.state, result, context), inAggressive);
}

function inMain(step: Phase1Step<MainModeState>): Phase1Step<Phase1State> {
  return { ...step, state: { mode: 'main', state: step.state } };
}

function inAggressive(step: Phase1Step<AggressiveModeState>): Phase1Step<Phase1State> {
  return { ...step, state: { mode: 'aggressive', state: step.state } };
}

function mapStep<S>(
  step: Result<Phase1Step<S>, Refusal>,
  wrap: (step: Phase1Step<S>) => Phase1Step<Phase1State>,
): Result<Phase1Step<Phase1State>, Refusal> {
  return step.ok ? ok(wrap(step.value)) : step;
}

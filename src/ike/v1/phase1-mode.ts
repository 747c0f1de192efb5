import { ok, type Result } from '../../lib/result.ts';
import type { ComputeResult } from '../../model/compute-job.ts';
import type { DecodedPayload } from '../../wire/isakmp-payloads.ts';
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

/** A phase 1 exchange of either mode: the one place that tells them apart. */
export type Phase1State = { readonly mode: 'main'; readonly state: MainModeState };

export function rulesOf(mode: 'main' | 'aggressive'): readonly MessageRule[] {
  return mode === 'main' ? MAIN_MODE : AGGRESSIVE_MODE;
}

export function initiatePhase1(_mode: 'main' | 'aggressive', context: Phase1Context): Phase1Step<Phase1State> {
  return inMain(initiateMainMode(context));
}

export function answerPhase1(
  _mode: 'main' | 'aggressive',
  context: Phase1Context,
  payloads: readonly DecodedPayload[],
): Result<Phase1Step<Phase1State>, Refusal> {
  return mapStep(answerMainMode(context, payloads), inMain);
}

export function receivePhase1(
  current: Phase1State,
  payloads: readonly DecodedPayload[],
  context: Phase1Context,
): Result<Phase1Step<Phase1State>, Refusal> {
  return mapStep(receiveMainMode(current.state, payloads, context), inMain);
}

export function computedPhase1(
  current: Phase1State,
  result: ComputeResult,
  context: Phase1Context,
): Result<Phase1Step<Phase1State>, Refusal> {
  return mapStep(computedMainMode(current.state, result, context), inMain);
}

function inMain(step: Phase1Step<MainModeState>): Phase1Step<Phase1State> {
  return { ...step, state: { mode: 'main', state: step.state } };
}

function mapStep<S>(
  step: Result<Phase1Step<S>, Refusal>,
  wrap: (step: Phase1Step<S>) => Phase1Step<Phase1State>,
): Result<Phase1Step<Phase1State>, Refusal> {
  return step.ok ? ok(wrap(step.value)) : step;
}

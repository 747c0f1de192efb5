// Handshakes with both sides in this process: no sockets, no threads, no packet engine. What the processor spent on a round is divided
// between the sides as the clock saw them: asking the system for the processor's time at every call would cost more than the call.

import { instant } from '../src/lib/time.ts';
import { type BenchGroup, peerConfigs, responderAddress, responderConfig } from './handshakes-configuration.ts';
import { BareGateway, converse, letTimePass } from './handshakes-gateway.ts';

/** Milliseconds of the processor that one handshake took, on average of a round. */
export interface InProcessRound {
  readonly responder: number;
  readonly initiator: number;
  /** The responder's Diffie-Hellman, which is part of its time. */
  readonly computing: number;
}

/** Long enough for everything of a finished round to be forgotten. */
const BETWEEN_ROUNDS = 200_000;

/** Every peer connects once a round, as new; the SAs are deleted between rounds, outside the measurement. */
export function measureInProcess(group: BenchGroup, peerCount: number, roundCount: number): readonly InProcessRound[] {
  let now = instant(0);
  const responder = new BareGateway(now, responderConfig(responderAddress(0), peerCount, group));
  const configOf = peerConfigs(responderAddress(0), group);
  const rounds: InProcessRound[] = [];
  // One more round than asked for: the first one warms up.
  for (let round = 0; round <= roundCount; round++) {
    const initiators = Array.from({ length: peerCount }, (_, index) => new BareGateway(now, configOf(index)));
    responder.spent = 0;
    responder.computing = 0;
    responder.establishedCount = 0;
    const start = processorTime();
    for (const initiator of initiators) {
      now = instant(now + 1);
      initiator.act(now, (core, out) => core.initiate(now, 'hub', out));
      converse(now, initiator, responder);
    }
    const used = processorTime() - start;
    if (responder.establishedCount !== peerCount)
      throw new Error(`${responder.establishedCount} of ${peerCount} came up`);
    if (round > 0) rounds.push(divide(used / peerCount, responder, initiators));
    for (const initiator of initiators) {
      initiator.act(now, (core, out) => core.shutdown(now, out));
      converse(now, initiator, responder);
    }
    now = letTimePass(now, BETWEEN_ROUNDS, responder);
  }
  return rounds;
}

function divide(used: number, responder: BareGateway, initiators: readonly BareGateway[]): InProcessRound {
  const initiating = initiators.reduce((sum, { spent }) => sum + spent, 0);
  const share = used / (responder.spent + initiating);
  return {
    responder: responder.spent * share,
    initiator: initiating * share,
    computing: responder.computing * share,
  };
}

/** What this process has used so far, in milliseconds. */
function processorTime(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

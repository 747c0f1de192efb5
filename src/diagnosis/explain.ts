// What to do about a negotiation that failed: for each reason, what to change on either side.

import type { NegotiationFailedEvent } from '../model/ike-event.ts';

/** What can be changed, in Junos' words; each may be missing where there is nothing to change on that side. */
interface Advice {
  readonly here?: string;
  readonly peer?: string;
}

const REACHABILITY: Advice = {
  here: 'check that the address of the gateway is right and that UDP 500 and 4500 and protocol 50 pass every firewall',
  peer: 'see whether it received anything from this address, and has a gateway for it',
};
const PRE_SHARED_KEY: Advice = {
  here: 'compare the pre-shared-key of the ike policy with the peer’s, character by character, and that it is the policy of this gateway',
  peer: 'the same; a key pasted with a trailing space or read as hexadecimal is the usual cause',
};
const PHASE1_PROPOSAL: Advice = {
  here: 'add a proposal with the peer’s combination to the ike policy',
  peer: 'add one of ours: authentication method, encryption with key length, hash and dh-group must all agree',
};
const PHASE2_PROPOSAL: Advice = {
  here: 'make the ipsec policy agree: protocol, encryption with key length, authentication, and perfect-forward-secrecy keys',
  peer: 'the same; perfect forward secrecy on one side only is the usual cause',
};
const PEER_SOFTWARE: Advice = {
  peer: 'this is not a matter of configuration: note its software version, and keep a capture',
};
const WRONG_MOMENT: Advice = {
  here: 'nothing, if the next attempt succeeds; otherwise clear the IKE SA on both sides',
  peer: 'the same',
};

/** By reason; each has been looked at from both sides. */
const ADVICE: Readonly<Record<string, Advice>> = {
  'timed-out': REACHABILITY,
  'unknown-peer': {
    here: 'add a gateway with this address, or one for a dynamic peer with its identity',
    peer: 'check the address from which it sends, behind NAT the outer one',
  },
  'unknown-sa': WRONG_MOMENT,
  'authentication-failed': PRE_SHARED_KEY,
  'hash-mismatch': PRE_SHARED_KEY,
  undecodable: PRE_SHARED_KEY,
  doubtful: PEER_SOFTWARE,
  'no-proposal-chosen': PHASE1_PROPOSAL,
  'changed-proposal': PEER_SOFTWARE,
  'phase2-no-proposal-chosen': PHASE2_PROPOSAL,
  'identity-mismatch': {
    here: 'set remote-identity of the gateway to what the peer sends',
    peer: 'set its local-identity to what is expected here; without one it sends its address, behind NAT the inner one',
  },
  'selectors-unacceptable': {
    here: 'make proxy-identity or the traffic-selectors of the vpn the mirror image of the peer’s: local there is remote here',
    peer: 'the same; both prefix lengths and the protocol must agree',
  },
  'nothing-to-offer': {
    here: 'give the policy a proposal that IKE version 1 can name on the wire',
    peer: 'nothing: it has not been asked yet',
  },
  'refused-by-peer': {
    here: 'compare proposals, identities and traffic-selectors with the peer’s: it says only which of them it did not like',
    peer: 'its log says why; the reason there is the better one',
  },
  'xauth-failed': {
    here: 'check user name and password in the access profile',
    peer: 'the same',
  },
  'unsupported-version': {
    here: 'set version of the gateway to what the peer speaks',
    peer: 'set it to IKEv1',
  },
  'unsupported-exchange': {
    here: 'set mode of the ike policy (main or aggressive) to the peer’s',
    peer: 'the same',
  },
  'invalid-public-value': PEER_SOFTWARE,
  malformed: PEER_SOFTWARE,
  'phase2-malformed': PEER_SOFTWARE,
  'nonce-length': PEER_SOFTWARE,
  'unexpected-payloads': PEER_SOFTWARE,
  'unexpected-message': WRONG_MOMENT,
  'not-encrypted': WRONG_MOMENT,
  'replayed-message-id': WRONG_MOMENT,
  'half-open-limit': {
    here: 'raise security ike session half-open if so many peers start at once, and otherwise look for who floods this gateway',
  },
  'too-many-exchanges': {
    here: 'nothing: this side protects itself',
    peer: 'see why it starts so many exchanges at once',
  },
  'fragments-limit': PEER_SOFTWARE,
};

/** A failure for people: what happened, which statements to look at, and what to change on either side; one line each. */
export function explainFailure(event: NegotiationFailedEvent): readonly string[] {
  const { phase, role, reason, explanation, statements } = event;
  const subject = event.vpn ?? event.gateway;
  return [
    `phase ${phase}${subject === undefined ? '' : ` of ${subject}`} failed as ${role}: ${reason}${event.isFinal ? '' : '; it will be tried again'}`,
    ...(explanation === '' ? [] : [explanation]),
    ...statements.map(({ path, line }) => `look at [${path}]${line > 0 ? `, line ${line}` : ''}`),
    ...failureAdvice(event),
  ];
}

/** What to change on either side after a failure; a line each, none where there is nothing to change. */
export function failureAdvice({ reason, phase }: NegotiationFailedEvent): readonly string[] {
  const { here, peer } = adviceFor(reason, phase);
  return [
    ...(here === undefined ? [] : [`to change here: ${here}`]),
    ...(peer === undefined ? [] : [`to change at the peer: ${peer}`]),
  ];
}

/** What to change for a reason; a reason that is not known has the advice for silence in phase 1 and for proposals in phase 2. */
function adviceFor(reason: string, phase: 1 | 2): Advice {
  if (reason === 'no-proposal-chosen' && phase === 2) return PHASE2_PROPOSAL;
  return ADVICE[reason] ?? (phase === 1 ? REACHABILITY : PHASE2_PROPOSAL);
}

import type { Origin } from '../../model/gateway-config.ts';

interface FaultHandling {
  /** The Notify message type to answer with, where there is one (RFC 2408 §3.14.1). */
  readonly notify?: number;
  /** `peer`: only whoever holds the keys can have sent it. `anyone`: it may be forged, so it ends nothing that stands. */
  readonly blame: 'anyone' | 'peer';
}

/** Everything a peer can do wrong. Counted by name. */
export const PEER_FAULTS = {
  malformed: { blame: 'anyone' },
  'unsupported-version': { notify: 5, blame: 'anyone' },
  'unsupported-exchange': { notify: 29, blame: 'anyone' },
  'unknown-sa': { blame: 'anyone' },
  'unknown-peer': { blame: 'anyone' },
  'half-open-limit': { blame: 'anyone' },
  'unexpected-message': { blame: 'anyone' },
  'unexpected-payloads': { blame: 'anyone' },
  'not-encrypted': { blame: 'anyone' },
  doubtful: { blame: 'anyone' },
  undecodable: { notify: 16, blame: 'anyone' },
  'hash-mismatch': { notify: 24, blame: 'anyone' },
  'replayed-message-id': { blame: 'anyone' },
  'no-proposal-chosen': { notify: 14, blame: 'anyone' },
  'changed-proposal': { blame: 'anyone' },
  'invalid-public-value': { notify: 17, blame: 'anyone' },
  'nonce-length': { blame: 'anyone' },
  'identity-mismatch': { notify: 18, blame: 'peer' },
  'selectors-unacceptable': { notify: 18, blame: 'peer' },
  'phase2-no-proposal-chosen': { notify: 14, blame: 'peer' },
  'phase2-malformed': { notify: 16, blame: 'peer' },
  'too-many-exchanges': { blame: 'peer' },
  'xauth-failed': { notify: 24, blame: 'peer' },
  'fragments-limit': { blame: 'anyone' },
  'nothing-to-offer': { blame: 'anyone' },
  'timed-out': { blame: 'anyone' },
  'refused-by-peer': { blame: 'peer' },
} as const satisfies Record<string, FaultHandling>;

export type PeerFault = keyof typeof PEER_FAULTS;

/** A fault, and what to tell the operator of it. */
export interface Refusal {
  readonly fault: PeerFault;
  /** One sentence for people, without secrets; empty where the name says all. */
  readonly explanation: string;
  /** The statements to look at on this side. */
  readonly statements: readonly Origin[];
}

export function refusal(fault: PeerFault, explanation = '', ...statements: readonly Origin[]): Refusal {
  return { fault, explanation, statements };
}

/** Whether only the holder of the keys can have done this. */
export function isPeerToBlame(fault: PeerFault): boolean {
  return PEER_FAULTS[fault].blame === 'peer';
}

export function faultNotify(fault: PeerFault): number | undefined {
  const handling: FaultHandling = PEER_FAULTS[fault];
  return handling.notify;
}

// Which payloads each message must and may hold, as data (RFC 2409 §5; NAT-D and NAT-OA: RFC 3947 §3.2, §5.2).

import { err, ok, type Result } from '../../lib/result.ts';
import type { DecodedPayload } from '../../wire/isakmp-payloads.ts';

type PayloadKind = DecodedPayload['kind'];

export interface MessageRule {
  readonly from: 'initiator' | 'responder';
  /** `either`: peers differ. */
  readonly encrypted: boolean | 'either';
  /** Exactly one of each. */
  readonly required: readonly PayloadKind[];
  /** At most one of each. */
  readonly optional: readonly PayloadKind[];
  /** Any number of each. */
  readonly allowed: readonly PayloadKind[];
}

/** Main Mode, message by message (RFC 2409 §5.4). Index 0 is message 1. */
export const MAIN_MODE: readonly MessageRule[] = [
  { from: 'initiator', encrypted: false, required: ['sa'], optional: [], allowed: ['vendor-id'] },
  { from: 'responder', encrypted: false, required: ['sa'], optional: [], allowed: ['vendor-id', 'notification'] },
  keyExchangeRule('initiator'),
  keyExchangeRule('responder'),
  identityRule('initiator'),
  identityRule('responder'),
];

/** Aggressive Mode (RFC 2409 §5.4). The last message may come encrypted or not: peers differ, and the RFC draws it in the clear. */
export const AGGRESSIVE_MODE: readonly MessageRule[] = [
  {
    from: 'initiator',
    encrypted: false,
    required: ['sa', 'key-exchange', 'nonce', 'identification'],
    optional: [],
    allowed: ['vendor-id', 'certificate-request', 'notification'],
  },
  {
    from: 'responder',
    encrypted: false,
    required: ['sa', 'key-exchange', 'nonce', 'identification', 'hash'],
    optional: [],
    allowed: ['vendor-id', 'nat-discovery', 'certificate-request', 'notification'],
  },
  {
    from: 'initiator',
    encrypted: 'either',
    required: ['hash'],
    optional: [],
    allowed: ['vendor-id', 'nat-discovery', 'notification', 'certificate-request'],
  },
];

/** The first message of Quick Mode, which opens the exchange. */
export const QUICK_MODE_FIRST: MessageRule = quickModeRule('initiator');

/** Quick Mode (RFC 2409 §5.5): HASH comes first, then SA. */
export const QUICK_MODE: readonly MessageRule[] = [
  QUICK_MODE_FIRST,
  quickModeRule('responder'),
  { from: 'initiator', encrypted: true, required: ['hash'], optional: [], allowed: ['notification', 'vendor-id'] },
];

/** An Informational exchange of an established SA (RFC 2409 §5.7). */
export const INFORMATIONAL: MessageRule = {
  from: 'initiator',
  encrypted: true,
  required: ['hash'],
  optional: [],
  allowed: ['notification', 'delete', 'vendor-id'],
};

/** A Transaction: Mode Config and XAUTH (no RFC). */
export const TRANSACTION: MessageRule = {
  from: 'initiator',
  encrypted: true,
  required: ['hash', 'attributes'],
  optional: [],
  allowed: ['notification', 'vendor-id'],
};

/** Checks a message's payloads against its rule; the error names what is missing, doubled, or does not belong. */
export function checkPayloads(rule: MessageRule, payloads: readonly DecodedPayload[]): Result<true, string> {
  for (const kind of rule.required) {
    const count = payloads.filter((payload) => payload.kind === kind).length;
    if (count !== 1) return err(count === 0 ? `no ${kind} payload` : `${count} ${kind} payloads`);
  }
  for (const kind of rule.optional) {
    if (payloads.filter((payload) => payload.kind === kind).length > 1) return err(`more than one ${kind} payload`);
  }
  for (const { kind } of payloads) {
    // RFC 2408 §5.3 would have us refuse them; peers add private ones, and they change nothing that we act on.
    if (kind === 'unknown') continue;
    if (!rule.required.includes(kind) && !rule.optional.includes(kind) && !rule.allowed.includes(kind)) {
      return err(`a ${kind} payload does not belong here`);
    }
  }
  return ok(true);
}

/** The one payload of this kind; a message that passed its rule has it if it is required. */
export function findPayload<K extends PayloadKind>(
  payloads: readonly DecodedPayload[],
  kind: K,
): Extract<DecodedPayload, { kind: K }> | undefined {
  return payloads.find((payload): payload is Extract<DecodedPayload, { kind: K }> => payload.kind === kind);
}

function keyExchangeRule(from: MessageRule['from']): MessageRule {
  return {
    from,
    encrypted: false,
    required: ['key-exchange', 'nonce'],
    optional: [],
    allowed: ['vendor-id', 'nat-discovery', 'certificate-request', 'notification'],
  };
}

function identityRule(from: MessageRule['from']): MessageRule {
  return {
    from,
    encrypted: true,
    required: ['identification', 'hash'],
    optional: [],
    allowed: ['notification', 'vendor-id', 'certificate', 'certificate-request'],
  };
}

function quickModeRule(from: MessageRule['from']): MessageRule {
  return {
    from,
    encrypted: true,
    required: ['hash', 'sa', 'nonce'],
    optional: ['key-exchange'],
    allowed: ['identification', 'nat-original-address', 'notification', 'vendor-id'],
  };
}

// What Main Mode and Aggressive Mode put into their messages alike: key exchange, identity, proof (RFC 2409 §5; RFC 3947 §3.2).

import { err, ok, type Result } from '../../lib/result.ts';
import { formatIdentity, type Identity } from '../../model/identity.ts';
import type { IkeRole, NatSituation } from '../../model/ike-event.ts';
import { decodeIdentity, encodeIdentity } from '../../wire/isakmp-identity.ts';
import { type DecodedPayload, encodePayloadBody, type Payload, rawBody } from '../../wire/isakmp-payloads.ts';
import { authenticatePeer, localIdentity, type Transcript } from './authentication.ts';
import { detectNat, isNatOnPath, NO_NAT, natDiscoveryPayloads } from './nat-traversal.ts';
import { findPayload } from './payload-rules.ts';
import { type Refusal, refusal } from './peer-fault.ts';
import {
  type Agreement,
  hasInitialContact,
  isPublicValueLength,
  type Phase1Context,
  type Phase1Step,
  readExtensions,
} from './phase1.ts';

/** An identification payload: what it says, and the octets that are hashed (ID_b). */
export interface ReceivedIdentity {
  readonly identity: Identity;
  readonly body: Uint8Array;
}

/** The sender's identification. */
export function readIdentity(payloads: readonly DecodedPayload[]): Result<ReceivedIdentity, Refusal> {
  const payload = findPayload(payloads, 'identification');
  if (payload === undefined) return err(refusal('unexpected-payloads'));
  const identity = decodeIdentity(payload);
  if (!identity.ok) return err(refusal('malformed'));
  return ok({ identity: identity.value, body: rawBody(payload) });
}

/** Checks who the peer is, by its identification, which may have come earlier than the proof among `payloads`. */
export function acceptIdentity(
  sender: IkeRole,
  transcript: Transcript,
  identification: ReceivedIdentity,
  payloads: readonly DecodedPayload[],
  context: Phase1Context,
): Result<Omit<Phase1Step<never>, 'state'>, Refusal> {
  const { gateway, authentication, path } = context;
  const { identity, body } = identification;
  const peer = authenticatePeer(authentication, transcript, sender, gateway, identity, body, payloads);
  if (!peer.ok) return peer;
  return ok({
    effect: `authenticated the peer as ${formatIdentity(identity)}`,
    outcome: {
      peer: peer.value,
      localIdentity: localIdentity(gateway, path),
      hasInitialContact: hasInitialContact(payloads),
    },
  });
}

/** Our identification and the proof of it. */
export function identityPayloads(role: IkeRole, transcript: Transcript, context: Phase1Context): readonly Payload[] {
  const identification = encodeIdentity(localIdentity(context.gateway, context.path));
  const proof = context.authentication.prove(transcript, role, encodePayloadBody(identification));
  return [identification, ...proof];
}

/** KE and nonce, and NAT-D where both sides speak it. */
export function keyExchangePayloads(
  agreement: Agreement,
  publicValue: Uint8Array,
  nonce: Uint8Array,
  context: Phase1Context,
): readonly Payload[] {
  const { environment, cookies, path } = context;
  const { suite, extensions } = agreement;
  const natDiscovery = extensions.natTraversal
    ? natDiscoveryPayloads(environment.crypto, suite.hash, extensions.natTraversal, cookies, path)
    : [];
  return [{ kind: 'key-exchange', data: publicValue }, { kind: 'nonce', data: nonce }, ...natDiscovery];
}

export interface ReceivedKeyExchange {
  readonly publicValue: Uint8Array;
  readonly nonce: Uint8Array;
  readonly nat: NatSituation;
  readonly agreement: Agreement;
}

/** The peer's public value and nonce, and what its NAT-D payloads say of the path. */
export function readKeyExchange(
  agreement: Agreement,
  payloads: readonly DecodedPayload[],
  context: Phase1Context,
): Result<ReceivedKeyExchange, Refusal> {
  const { environment, cookies, path, gateway } = context;
  const keyExchange = findPayload(payloads, 'key-exchange');
  const nonce = findPayload(payloads, 'nonce');
  if (keyExchange === undefined || nonce === undefined) return err(refusal('unexpected-payloads'));
  if (!isPublicValueLength(agreement.suite.dhGroup, keyExchange.data)) return err(refusal('invalid-public-value'));
  const { natTraversal } = agreement.extensions;
  const nat = natTraversal ? detectNat(environment.crypto, agreement.suite.hash, cookies, path, payloads) : NO_NAT;
  return ok({
    publicValue: keyExchange.data.slice(),
    nonce: nonce.data.slice(),
    nat,
    // Some peers announce dead peer detection only here.
    agreement: { ...agreement, extensions: readExtensions(gateway, payloads, agreement.extensions) },
  });
}

/** For the ladder. */
export function describeKeyExchange(group: string, nat: NatSituation): string {
  const found = !isNatOnPath(nat)
    ? 'no NAT on the path'
    : [nat.isLocalBehindNat ? 'we are behind NAT' : '', nat.isRemoteBehindNat ? 'the peer is behind NAT' : '']
        .filter((text) => text !== '')
        .join(' and ');
  return `public value of ${group} and a nonce; ${found}`;
}

// How the sides of phase 1 prove who they are (RFC 2409 §5): one object for each method, so that others can stand beside this one.

import { equalInConstantTime } from '../../lib/bytes.ts';
import { err, ok, type Result } from '../../lib/result.ts';
import type { Secret } from '../../lib/secret.ts';
import type { UdpPath } from '../../model/address.ts';
import type { IkeGatewayConfig } from '../../model/gateway-config.ts';
import { formatIdentity, type Identity, identityKey } from '../../model/identity.ts';
import type { IkeRole } from '../../model/ike-event.ts';
import type { DecodedPayload, Payload } from '../../wire/isakmp-payloads.ts';
import {
  type Cookies,
  hashI,
  hashR,
  type Nonces,
  type Prf,
  type PublicValues,
  skeyidFromPresharedKey,
} from './key-material.ts';
import { findPayload } from './payload-rules.ts';
import { type Refusal, refusal } from './peer-fault.ts';

/** What both sides hash to authenticate (RFC 2409 §5). */
export interface Transcript {
  readonly prf: Prf;
  readonly skeyid: Secret;
  readonly publicValues: PublicValues;
  readonly cookies: Cookies;
  /** SAi_b: the body of the initiator's SA payload. */
  readonly saI: Uint8Array;
}

declare const verified: unique symbol;
/** A peer whose proof has been checked and whose identity is one that the gateway expects. Only this file makes one. */
export type AuthenticatedPeer = { readonly identity: Identity; readonly [verified]: true };

/** One authentication method. */
export interface PhaseOneAuthentication {
  skeyid(prf: Prf, nonces: Nonces, gXY: Secret): Secret;
  /** The payloads by which `role` authenticates itself under this identity. */
  prove(transcript: Transcript, role: IkeRole, idBody: Uint8Array): readonly Payload[];
  /** Whether the payloads prove that `role` is who the identity says. */
  isProven(transcript: Transcript, role: IkeRole, idBody: Uint8Array, payloads: readonly DecodedPayload[]): boolean;
}

/** Pre-shared keys: HASH_I and HASH_R under a SKEYID that only holders of the key can make (RFC 2409 §5.4). */
function preSharedKeyAuthentication(presharedKey: Secret): PhaseOneAuthentication {
  return {
    skeyid: (prf, nonces) => skeyidFromPresharedKey(prf, presharedKey, nonces),
    prove: (transcript, role, idBody) => [{ kind: 'hash', data: proofHash(transcript, role, idBody) }],
    isProven: (transcript, role, idBody, payloads) => {
      const received = findPayload(payloads, 'hash');
      return received !== undefined && equalInConstantTime(received.data, proofHash(transcript, role, idBody));
    },
  };
}

/** The method of a gateway; `undefined` if its policy lacks what the method needs. */
export function gatewayAuthentication(gateway: IkeGatewayConfig): PhaseOneAuthentication | undefined {
  return gateway.policy.preSharedKey && preSharedKeyAuthentication(gateway.policy.preSharedKey);
}

/** Checks proof and then identity, so that only someone who holds the key learns that an identity is wrong. */
export function authenticatePeer(
  authentication: PhaseOneAuthentication,
  transcript: Transcript,
  role: IkeRole,
  gateway: IkeGatewayConfig,
  identity: Identity,
  idBody: Uint8Array,
  payloads: readonly DecodedPayload[],
): Result<AuthenticatedPeer, Refusal> {
  if (!authentication.isProven(transcript, role, idBody, payloads)) {
    const explanation = `the hash of ${formatIdentity(identity)} is wrong: the pre-shared keys differ, or the message was tampered with`;
    return err(refusal('hash-mismatch', explanation, gateway.policy.origin));
  }
  if (!isExpectedIdentity(gateway, identity)) return err(identityRefusal(gateway, identity));
  return ok({ identity } as AuthenticatedPeer);
}

/** Who we say we are: `local-identity`, or else our address on this path. */
export function localIdentity(gateway: IkeGatewayConfig, path: UdpPath): Identity {
  return gateway.localIdentity ?? { kind: 'address', address: path.local.address };
}

/** Whether the gateway's peer may call itself this: `remote-identity`, or else one of its configured addresses. */
export function isExpectedIdentity(gateway: IkeGatewayConfig, identity: Identity): boolean {
  if (gateway.acceptsAnyIdentity) return true;
  if (gateway.remoteIdentity) return identityKey(gateway.remoteIdentity) === identityKey(identity);
  return identity.kind === 'address' && gateway.remoteAddresses.includes(identity.address);
}

/** Tells what was expected, and what came. */
export function identityRefusal(gateway: IkeGatewayConfig, identity: Identity): Refusal {
  const explanation = `expected the peer to be ${describeExpected(gateway)}, but it says that it is ${describe(identity)}`;
  return refusal('identity-mismatch', explanation, gateway.origin);
}

function describeExpected(gateway: IkeGatewayConfig): string {
  if (gateway.remoteIdentity) return describe(gateway.remoteIdentity);
  return `address ${gateway.remoteAddresses.join(' or ')} (no remote-identity is configured)`;
}

function describe(identity: Identity): string {
  return `${identity.kind} ${formatIdentity(identity)}`;
}

function proofHash(transcript: Transcript, role: IkeRole, idBody: Uint8Array): Uint8Array {
  const { prf, skeyid, publicValues, cookies, saI } = transcript;
  return (role === 'initiator' ? hashI : hashR)(prf, skeyid, publicValues, cookies, saI, idBody);
}

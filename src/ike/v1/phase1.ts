// What Main Mode and Aggressive Mode share (RFC 2409 §5).

import type { CbcAlgorithm } from '../../crypto/provider.ts';
import { concat } from '../../lib/bytes.ts';
import type { Secret } from '../../lib/secret.ts';
import type { UdpPath } from '../../model/address.ts';
import { DH_GROUPS, type DhGroup, type HashAlgorithm } from '../../model/algorithms.ts';
import type { IkeGatewayConfig } from '../../model/gateway-config.ts';
import type { Identity } from '../../model/identity.ts';
import type { IkeRole, NatSituation } from '../../model/ike-event.ts';
import { NOTIFY_TYPE } from '../../wire/isakmp-notify.ts';
import type { DecodedPayload, Payload } from '../../wire/isakmp-payloads.ts';
import { IPSEC_DOI, PROTOCOL_ID } from '../../wire/isakmp-sa-payload.ts';
import { recognizeVendorId, VENDOR_ID, type VendorIdName } from '../../wire/vendor-ids.ts';
import type { IkeEnvironment } from '../environment.ts';
import type { AuthenticatedPeer, PhaseOneAuthentication, Transcript } from './authentication.ts';
import {
  type Cookies,
  hmacPrf,
  type IsakmpKeys,
  type Nonces,
  type Phase1Keys,
  type PublicValues,
  phase1Iv,
  phase1Keys,
} from './key-material.ts';
import { chooseNatTraversal, NAT_TRAVERSAL_VERSIONS, type NatTraversalVersion } from './nat-traversal.ts';
import type { Phase1Suite } from './phase1-proposal.ts';

/** What a step of phase 1 may know besides its state and the message. */
export interface Phase1Context {
  readonly environment: IkeEnvironment;
  readonly gateway: IkeGatewayConfig;
  readonly authentication: PhaseOneAuthentication;
  readonly cookies: Cookies;
  /** The path of the message that is being handled. */
  readonly path: UdpPath;
  /** We know of no SA with this peer, and say so (INITIAL-CONTACT, RFC 2407 §4.6.3.3). */
  readonly isFirstContact: boolean;
}

/** Extensions that the peer has announced. */
export interface PeerExtensions {
  readonly natTraversal?: NatTraversalVersion;
  readonly deadPeerDetection: boolean;
  readonly fragmentation: boolean;
  readonly xauth: boolean;
}

const NO_EXTENSIONS: PeerExtensions = { deadPeerDetection: false, fragmentation: false, xauth: false };

/** What the first two messages settled for as long as the SA lives. */
export interface IsakmpTerms {
  readonly suite: Phase1Suite;
  readonly extensions: PeerExtensions;
}

/** What the first two messages settled. */
export interface Agreement extends IsakmpTerms {
  /** SAi_b. */
  readonly saI: Uint8Array;
}

/** A Diffie-Hellman computation that a step asks for. */
export interface ComputeRequest {
  readonly group: DhGroup;
  readonly privateValue: Secret;
  readonly peerPublicValue?: Uint8Array;
}

/** What messages are encrypted with, from when it is known. */
export interface IsakmpProtection {
  readonly keys: IsakmpKeys;
  readonly cipher: CbcAlgorithm;
  readonly hash: HashAlgorithm;
}

/** The same with what phase 1 alone needs. */
export interface Phase1Protection extends IsakmpProtection {
  readonly keys: Phase1Keys;
  /** For the first encrypted message of phase 1. */
  readonly iv: Uint8Array;
}

/** How phase 1 ended well. */
export interface Phase1Outcome {
  readonly peer: AuthenticatedPeer;
  readonly localIdentity: Identity;
  /** The peer says that it knows of no SA with us. */
  readonly hasInitialContact: boolean;
}

/** What follows from a message or a computation; all of it or, on an error, none of it. */
export interface Phase1Step<State> {
  readonly state: State;
  /** What the message did, in one clause. */
  readonly effect: string;
  readonly send?: readonly Payload[];
  /** What the sent message does, in one clause. */
  readonly sendEffect?: string;
  readonly compute?: ComputeRequest;
  readonly agreement?: Agreement;
  readonly protection?: Phase1Protection;
  readonly nat?: NatSituation;
  readonly outcome?: Phase1Outcome;
}

/** RFC 2409 §5 allows 8 to 256 octets. */
const NONCE_LENGTH = 32;

export function drawNonce(environment: IkeEnvironment): Uint8Array {
  return environment.random.bytes(NONCE_LENGTH);
}

/** The vendor IDs of a first message: every extension that the configuration lets us speak. */
export function offeredVendorIds(gateway: IkeGatewayConfig): readonly Payload[] {
  const names: readonly VendorIdName[] = [
    ...(gateway.natTraversal ? NAT_TRAVERSAL_VERSIONS : []),
    'dead-peer-detection',
    ...(gateway.fragmentSize === undefined ? [] : (['fragmentation'] as const)),
    ...(gateway.xauth ? (['xauth', 'cisco-unity'] as const) : []),
  ];
  return names.map((name) => ({ kind: 'vendor-id', data: VENDOR_ID[name] }));
}

/** The vendor IDs of the answer: the one version of NAT traversal that was chosen, and what else we speak. */
export function answeredVendorIds(extensions: PeerExtensions): readonly Payload[] {
  const names: readonly VendorIdName[] = [
    ...(extensions.natTraversal ? [extensions.natTraversal] : []),
    ...(extensions.deadPeerDetection ? (['dead-peer-detection'] as const) : []),
    ...(extensions.fragmentation ? (['fragmentation'] as const) : []),
    ...(extensions.xauth ? (['xauth', 'cisco-unity'] as const) : []),
  ];
  return names.map((name) => ({ kind: 'vendor-id', data: VENDOR_ID[name] }));
}

/** What the peer's vendor IDs add to what it announced before; what the configuration switches off stays off. */
export function readExtensions(
  gateway: IkeGatewayConfig,
  payloads: readonly DecodedPayload[],
  known: PeerExtensions = NO_EXTENSIONS,
): PeerExtensions {
  const names = payloads.map((payload) => (payload.kind === 'vendor-id' ? recognizeVendorId(payload.data) : undefined));
  const natTraversal = known.natTraversal ?? (gateway.natTraversal ? chooseNatTraversal(names) : undefined);
  return {
    ...(natTraversal ? { natTraversal } : {}),
    deadPeerDetection: known.deadPeerDetection || names.includes('dead-peer-detection'),
    fragmentation: known.fragmentation || (gateway.fragmentSize !== undefined && names.includes('fragmentation')),
    xauth: known.xauth || names.includes('xauth'),
  };
}

/** Whether a KE payload has the length of the agreed group (RFC 2409 §5). */
export function isPublicValueLength(group: DhGroup, publicValue: Uint8Array): boolean {
  return publicValue.length === DH_GROUPS[group].publicLength;
}

/** Everything that is derived once g^xy is known. `gXY` is wiped. */
export function deriveProtection(
  context: Phase1Context,
  agreement: Agreement,
  nonces: Nonces,
  publicValues: PublicValues,
  gXY: Secret,
): { readonly protection: Phase1Protection; readonly transcript: Transcript } {
  const { environment, authentication, cookies } = context;
  const { encryption: cipher, hash } = agreement.suite;
  const prf = hmacPrf(environment.crypto, hash);
  const skeyid = authentication.skeyid(prf, nonces, gXY);
  const keys = phase1Keys(prf, cipher, skeyid, gXY, cookies);
  gXY.wipe();
  const iv = phase1Iv(environment.crypto, hash, cipher, publicValues);
  const transcript = { prf, skeyid, publicValues, cookies, saI: agreement.saI };
  return { protection: { keys, cipher, hash, iv }, transcript };
}

/** INITIAL-CONTACT, for the first SA with a peer (RFC 2407 §4.6.3.3). */
export function initialContact(context: Phase1Context): readonly Payload[] {
  if (!context.isFirstContact) return [];
  const { initiatorCookie, responderCookie } = context.cookies;
  return [
    {
      kind: 'notification',
      doi: IPSEC_DOI,
      protocolId: PROTOCOL_ID.isakmp,
      spi: concat(initiatorCookie, responderCookie),
      notifyType: NOTIFY_TYPE['INITIAL-CONTACT'],
      data: new Uint8Array(0),
    },
  ];
}

export function hasInitialContact(payloads: readonly DecodedPayload[]): boolean {
  return payloads.some(
    (payload) => payload.kind === 'notification' && payload.notifyType === NOTIFY_TYPE['INITIAL-CONTACT'],
  );
}

export function otherRole(role: IkeRole): IkeRole {
  return role === 'initiator' ? 'responder' : 'initiator';
}

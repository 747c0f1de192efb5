// What the control plane tells its owner: for the log, the ladder, `show`, and diagnosis. No event holds a secret.

import type { UdpPath } from './address.ts';
import type { AuthenticationMethod, DhGroup, EncryptionAlgorithm, HashAlgorithm } from './algorithms.ts';
import type { Origin } from './gateway-config.ts';
import type { IpsecMode, IpsecProtocol, PolicyId, Spi } from './ipsec-sa.ts';
import type { SelectorPair } from './traffic-selector.ts';

export type IkeRole = 'initiator' | 'responder';
export type ExchangeName = 'main' | 'aggressive' | 'quick' | 'informational' | 'transaction' | 'unknown';

/** One IKE message that was sent, or received and understood. */
export interface IkeMessageEvent {
  readonly kind: 'message';
  readonly direction: 'sent' | 'received';
  readonly path: UdpPath;
  readonly exchange: ExchangeName;
  /** Position of the message in its exchange, from 1; 0 where it has none. */
  readonly number: number;
  /** `i` cookie and `r` cookie, 16 hexadecimal digits each. */
  readonly initiatorCookie: string;
  readonly responderCookie: string;
  readonly messageId: number;
  readonly isEncrypted: boolean;
  /** Octets of ISAKMP message, header included. */
  readonly length: number;
  /** In the RFC's notation: `HDR*, HASH(1), SA, Ni, KE, IDci, IDcr`. */
  readonly notation: string;
  readonly payloads: readonly IkePayloadSummary[];
  /** The configured gateway that it belongs to; absent for a stranger. */
  readonly gateway?: string;
  /** The same bytes as before: a retransmission, or the answer to one. */
  readonly isRepeat: boolean;
  /** In one clause, what this message did: `chose aes-256-cbc, sha-256, group14`. */
  readonly effect: string;
}

export interface IkePayloadSummary {
  /** RFC name, such as `SA`, `KE`, `NAT-D`. */
  readonly name: string;
  readonly length: number;
  /** For people; empty where there is nothing to say that is not secret. */
  readonly detail: string;
}

export type IkeEvent =
  | IkeMessageEvent
  | {
      readonly kind: 'ike-sa-established';
      readonly gateway: string;
      readonly ikeSa: IkeSaId;
      readonly role: IkeRole;
      readonly isRekey: boolean;
      readonly path: UdpPath;
      readonly nat: NatSituation;
    }
  | { readonly kind: 'ike-sa-deleted'; readonly gateway: string; readonly ikeSa: IkeSaId; readonly reason: SaEndReason }
  | {
      readonly kind: 'ipsec-sa-established';
      readonly gateway: string;
      readonly vpn: string;
      readonly policy: PolicyId;
      readonly role: IkeRole;
      readonly inboundSpi: Spi;
      readonly outboundSpi: Spi;
      readonly selectors: SelectorPair;
      readonly isRekey: boolean;
    }
  | {
      readonly kind: 'ipsec-sa-deleted';
      readonly gateway: string;
      readonly vpn: string;
      readonly policy: PolicyId;
      readonly inboundSpi: Spi;
      readonly outboundSpi: Spi;
      readonly reason: SaEndReason;
    }
  | NegotiationFailedEvent
  /** A datagram was dropped; only counted, unless `gateway` says that it belongs to a known peer. */
  | { readonly kind: 'message-dropped'; readonly fault: string; readonly path: UdpPath; readonly gateway?: string }
  /** Something worth a line in the log that is none of the above, in plain words. */
  | {
      readonly kind: 'notice';
      readonly severity: 'info' | 'warning';
      readonly gateway?: string;
      readonly text: string;
      readonly origin?: Origin;
    };

export interface NegotiationFailedEvent {
  readonly kind: 'negotiation-failed';
  readonly phase: 1 | 2;
  readonly role: IkeRole;
  readonly gateway?: string;
  readonly vpn?: string;
  readonly path: UdpPath;
  /** A stable word, such as `no-proposal-chosen`, `timed-out`, `authentication-failed`. */
  readonly reason: string;
  /** One sentence for people: what was expected, what came, and how sure we are. Holds no secret. */
  readonly explanation: string;
  /** The statements to look at on this side. */
  readonly statements: readonly Origin[];
  readonly isFinal: boolean;
}

export type SaEndReason =
  | 'expired'
  | 'rekeyed'
  | 'peer-deleted'
  | 'peer-dead'
  | 'peer-restarted'
  | 'replaced'
  | 'cleared'
  | 'configuration-changed'
  | 'shutdown'
  | 'idle'
  | 'failed';

/** The cookie pair in hexadecimal, `iiiiiiiiiiiiiiii:rrrrrrrrrrrrrrrr`. */
export type IkeSaId = string;

export interface NatSituation {
  readonly isLocalBehindNat: boolean;
  readonly isRemoteBehindNat: boolean;
}

/** A phase 1 SA as `show security ike security-associations` prints it. */
export interface IkeSaStatus {
  readonly id: IkeSaId;
  /** Junos' index: a number that stays the same while the SA lives. */
  readonly index: number;
  readonly gateway: string;
  readonly role: IkeRole;
  readonly state: 'up' | 'down';
  readonly mode: 'main' | 'aggressive';
  readonly path: UdpPath;
  readonly initiatorCookie: string;
  readonly responderCookie: string;
  readonly authenticationMethod?: AuthenticationMethod;
  readonly encryption?: EncryptionAlgorithm;
  readonly hash?: HashAlgorithm;
  readonly dhGroup?: DhGroup;
  readonly localIdentity?: string;
  readonly remoteIdentity?: string;
  readonly xauthUser?: string;
  readonly assignedAddress?: string;
  readonly lifetimeRemainingSeconds?: number;
  readonly nat: NatSituation;
  readonly traffic: {
    readonly inputOctets: number;
    readonly outputOctets: number;
    readonly inputPackets: number;
    readonly outputPackets: number;
  };
  readonly ipsecSasCreated: number;
  readonly ipsecSasDeleted: number;
  readonly phase2InProgress: number;
}

/** A pair of IPsec SAs as `show security ipsec security-associations` prints it. */
export interface IpsecSaStatus {
  readonly vpn: string;
  readonly policy: PolicyId;
  readonly trafficSelector?: string;
  readonly gateway: string;
  readonly tunnelInterface?: string;
  readonly inboundSpi: Spi;
  readonly outboundSpi: Spi;
  readonly protocol: IpsecProtocol;
  readonly mode: IpsecMode;
  readonly encryption: EncryptionAlgorithm;
  readonly integrity: string;
  readonly pfsGroup?: DhGroup;
  readonly path: UdpPath;
  readonly isUdpEncapsulated: boolean;
  readonly selectors: SelectorPair;
  readonly hardLifetimeRemainingSeconds: number;
  readonly softLifetimeRemainingSeconds: number;
  readonly lifetimeKilobytes?: number;
  readonly replayWindow: number;
  /** Whether new packets leave under this pair (an older pair only receives). */
  readonly isCurrent: boolean;
}

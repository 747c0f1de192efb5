import type { Result } from '../../lib/result.ts';
import type { Instant } from '../../lib/time.ts';
import type { IpAddress, UdpPath } from '../../model/address.ts';
import type { VpnConfig } from '../../model/gateway-config.ts';
import type { IkeRole, SaEndReason } from '../../model/ike-event.ts';
import type { IpsecProtocol, PolicyId, Spi } from '../../model/ipsec-sa.ts';
import type { SelectorPair } from '../../model/traffic-selector.ts';
import type { IkeEnvironment } from '../environment.ts';
import type { IkeOutbox } from '../outbox.ts';
import type { Tunnel } from '../tunnel.ts';
import type { IsakmpSa } from './isakmp-sa.ts';
import type { Refusal } from './peer-fault.ts';
import type { NegotiatedPair } from './quick-mode.ts';

/** What one Quick Mode is about. */
export interface QuickModeSubject {
  readonly vpn: VpnConfig;
  readonly policy: PolicyId;
  readonly selectors: SelectorPair;
  /** A dial-in client's own tunnel, which counts from its first pair on. */
  readonly clientTunnel?: Tunnel;
  /** Reserved for this exchange. */
  readonly ownSpi: Spi;
  /** When the first message was sent, or came. */
  readonly startedAt: Instant;
}

/** What an ISAKMP SA asks and tells the endpoint that owns it. */
export interface SaOwner {
  readonly environment: IkeEnvironment;
  /** A number for a computation whose result belongs to this SA. */
  registerJob(sa: IsakmpSa, messageId: number): number;
  /** An address of the gateway's pool for this user; `undefined` if there is none left. */
  leaseAddress(sa: IsakmpSa, user: string): IpAddress | undefined;
  isFirstContact(sa: IsakmpSa): boolean;
  handleIsakmpEstablished(now: Instant, sa: IsakmpSa, out: IkeOutbox): void;
  /** Phase 1 has come to nothing; the failure has been reported. */
  handleIsakmpFailed(now: Instant, sa: IsakmpSa, out: IkeOutbox): void;
  handleIsakmpSoftExpiry(now: Instant, sa: IsakmpSa, out: IkeOutbox): void;
  handleIsakmpOver(now: Instant, sa: IsakmpSa, reason: SaEndReason, out: IkeOutbox): void;
  /** Finds the VPN that the peer asks for, and reserves an SPI. */
  acceptQuickMode(
    now: Instant,
    sa: IsakmpSa,
    selectors: SelectorPair,
    /** The first that the peer offers. */
    peerSpi: Spi | undefined,
    out: IkeOutbox,
  ): Result<QuickModeSubject, Refusal>;
  handlePairNegotiated(
    now: Instant,
    sa: IsakmpSa,
    role: IkeRole,
    subject: QuickModeSubject,
    pair: NegotiatedPair,
    out: IkeOutbox,
  ): void;
  handlePairConfirmed(now: Instant, sa: IsakmpSa, subject: QuickModeSubject, out: IkeOutbox): void;
  /** Quick Mode has come to nothing; the failure has been reported. */
  handleQuickModeFailed(now: Instant, sa: IsakmpSa, role: IkeRole, subject: QuickModeSubject, out: IkeOutbox): void;
  /** An exchange under this SA was given up, with no answer. */
  handleUnanswered(now: Instant, sa: IsakmpSa, out: IkeOutbox): void;
  /** Our offer was dropped in favour of the peer's own. */
  handleQuickModeYielded(now: Instant, subject: QuickModeSubject, out: IkeOutbox): void;
  handlePeerDeletedIpsec(
    now: Instant,
    sa: IsakmpSa,
    protocol: IpsecProtocol,
    peerSpis: readonly Spi[],
    out: IkeOutbox,
  ): void;
  handlePeerDeletedIsakmp(now: Instant, sa: IsakmpSa, cookies: readonly Uint8Array[], out: IkeOutbox): void;
  handleInitialContact(now: Instant, sa: IsakmpSa, out: IkeOutbox): void;
  handleInvalidSpi(now: Instant, sa: IsakmpSa, peerSpi: Spi, out: IkeOutbox): void;
  handlePeerDead(now: Instant, sa: IsakmpSa, out: IkeOutbox): void;
  handlePathMoved(sa: IsakmpSa, from: UdpPath, to: UdpPath, out: IkeOutbox): void;
}

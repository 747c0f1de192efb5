// Decides with whom to talk: keeps gateways supplied with ISAKMP SAs, for the tunnels that need them (RFC 2408 §2.4).

import type { Result } from '../lib/result.ts';
import { after, elapsed, type Instant, milliseconds } from '../lib/time.ts';
import { type IpAddress, pathsEqual, type UdpPath } from '../model/address.ts';
import type { GatewayConfig } from '../model/gateway-config.ts';
import type { IkeRole, SaEndReason } from '../model/ike-event.ts';
import type { IpsecProtocol, Spi } from '../model/ipsec-sa.ts';
import type { SelectorPair } from '../model/traffic-selector.ts';
import { AddressLeases } from './address-leases.ts';
import { clientOf } from './dial-in-client.ts';
import type { IkeEnvironment } from './environment.ts';
import { GatewayIndex } from './gateway-index.ts';
import type { IpsecPair } from './ipsec-pair.ts';
import { IpsecTunnels, RETIRE_AFTER } from './ipsec-tunnels.ts';
import { IsakmpSas, isZero } from './isakmp-sas.ts';
import type { IkeOutbox } from './outbox.ts';
import type { Peer } from './peer.ts';
import { PATIENT, patienceOf } from './retransmission.ts';
import type { Tunnel, TunnelOwner } from './tunnel.ts';
import type { IsakmpSa } from './v1/isakmp-sa.ts';
import type { Refusal } from './v1/peer-fault.ts';
import type { NegotiatedPair } from './v1/quick-mode.ts';
import type { QuickModeSubject, SaOwner } from './v1/sa-owner.ts';

/** Before tunnels to a peer that has restarted are brought up again: it may be about to do so itself. */
const REVIVE_AFTER = milliseconds(1000);

/** What the coordinator needs of the endpoint. */
export interface CoordinatorServices {
  readonly environment: IkeEnvironment;
  registerJob(sa: IsakmpSa, messageId: number): number;
  /** Starts phase 1 as initiator; `undefined` if the gateway cannot be reached from here, which has been reported. */
  connect(now: Instant, peer: Peer, out: IkeOutbox): IsakmpSa | undefined;
  /** The timers of these may have changed. */
  touch(item: IsakmpSa | IpsecPair | Tunnel): void;
  forget(item: IsakmpSa | IpsecPair | Tunnel): void;
  handleVerified(sa: IsakmpSa): void;
}

export class Coordinator implements SaOwner, TunnelOwner {
  readonly environment: IkeEnvironment;
  readonly sas = new IsakmpSas();
  readonly tunnels: IpsecTunnels;
  readonly leases = new AddressLeases((gateway, user) => this.#isPresent(gateway, user));
  readonly peers = new Map<string, Peer>();
  config: GatewayConfig = { gateways: [], vpns: [], tunnelInterfaces: [], routes: [] };
  gateways = new GatewayIndex(this.config);
  readonly #services: CoordinatorServices;

  constructor(services: CoordinatorServices) {
    this.environment = services.environment;
    this.#services = services;
    this.tunnels = new IpsecTunnels({
      environment: services.environment,
      currentSa: (gateway, client) => this.peers.get(gateway)?.currentOf(client),
      establishedSas: (gateway) => this.peers.get(gateway)?.established ?? [],
      negotiate: (now, tunnel, out) => this.negotiate(now, tunnel, out),
      touch: (item) => services.touch(item),
      forget: (item) => services.forget(item),
    });
  }

  /** Starts what the tunnel needs next: Quick Mode under a standing ISAKMP SA, or phase 1 first. */
  negotiate(now: Instant, tunnel: Tunnel, out: IkeOutbox): void {
    const peer = this.peers.get(tunnel.vpn.gateway);
    if (peer === undefined || tunnel.activity !== 'idle') return;
    const sa = tunnel.client === undefined ? peer.currentWithoutLease : peer.currentOf(tunnel.client);
    if (sa) {
      this.tunnels.startQuickMode(now, sa, tunnel, out);
      return;
    }
    // A client comes by itself, and while some are there, there is no other peer to call.
    if (tunnel.client !== undefined || peer.current !== undefined) return;
    tunnel.activity = 'waiting';
    this.connect(now, peer, out);
  }

  /** Starts phase 1 unless one of ours is under way. */
  connect(now: Instant, peer: Peer, out: IkeOutbox): void {
    if (peer.initiating) return;
    peer.initiating = this.#services.connect(now, peer, out);
    if (peer.initiating === undefined) this.tunnels.failWaiting(now, peer.gateway.name, true);
  }

  /** Ends an ISAKMP SA; what waits for it fails or waits for the next one. */
  endIsakmp(now: Instant, sa: IsakmpSa, reason: SaEndReason, tellPeer: boolean, out: IkeOutbox): void {
    const client = clientOf(sa);
    if (client !== undefined) this.leases.noteSeen(sa.gateway.name, client);
    this.peers.get(sa.gateway.name)?.delete(sa);
    sa.delete(now, reason, tellPeer, out);
    this.sas.delete(sa);
    this.#services.forget(sa);
  }

  /** The SAs with one peer: the gateway, or one client of it. */
  establishedWith(gateway: string, client: string | undefined): readonly IsakmpSa[] {
    return (this.peers.get(gateway)?.established ?? []).filter((sa) => clientOf(sa) === client);
  }

  registerJob(sa: IsakmpSa, messageId: number): number {
    return this.#services.registerJob(sa, messageId);
  }

  leaseAddress(sa: IsakmpSa, user: string): IpAddress | undefined {
    return this.leases.lease(sa.gateway, user);
  }

  isFirstContact(sa: IsakmpSa): boolean {
    const { name } = sa.gateway;
    const hasNoSa = (this.peers.get(name)?.established.length ?? 0) === 0;
    return hasNoSa && this.tunnels.pairs.ofGateway(name).length === 0;
  }

  handleIsakmpEstablished(now: Instant, sa: IsakmpSa, out: IkeOutbox): void {
    const peer = this.peers.get(sa.gateway.name);
    this.#services.handleVerified(sa);
    if (peer === undefined) return this.endIsakmp(now, sa, 'configuration-changed', true, out);
    const client = clientOf(sa);
    if (client !== undefined) this.#takeOver(now, sa, client, out);
    const isRekey = sa.isRekey || peer.currentOf(client) !== undefined;
    if (peer.initiating === sa) peer.initiating = undefined;
    peer.add(sa);
    const { role, path, nat } = sa;
    out.report({ kind: 'ike-sa-established', gateway: peer.gateway.name, ikeSa: sa.id, role, isRekey, path, nat });
    if (sa.mode === 'aggressive') this.#warnOfAggressiveMode(sa, out);
    if (!isRekey && sa.gateway.deadPeerDetection && !sa.detectsDeadPeer) this.#warnOfNoDetection(sa, out);
    if (sa.outcome?.hasInitialContact) this.handleInitialContact(now, sa, out);
    for (const other of this.establishedWith(peer.gateway.name, client)) {
      if (other === peer.currentOf(client)) continue;
      other.retire(after(now, milliseconds(RETIRE_AFTER[sa.role])));
      this.#services.touch(other);
    }
    this.tunnels.resumeWaiting(now, peer.gateway.name, out);
  }

  handleIsakmpFailed(now: Instant, sa: IsakmpSa, out: IkeOutbox): void {
    const peer = this.peers.get(sa.gateway.name);
    const wasOurs = peer !== undefined && peer.initiating === sa;
    if (sa.role === 'responder') this.#services.handleVerified(sa);
    this.endIsakmp(now, sa, 'failed', false, out);
    if (!wasOurs) return;
    peer.tryNextAddress();
    const wasRefused = !isZero(sa.cookies.responderCookie);
    this.tunnels.failWaiting(now, peer.gateway.name, wasRefused);
  }

  handleIsakmpSoftExpiry(now: Instant, sa: IsakmpSa, out: IkeOutbox): void {
    const peer = this.peers.get(sa.gateway.name);
    if (peer === undefined || peer.current !== sa || !this.tunnels.needsGateway(peer.gateway.name)) return;
    // A dial-in peer comes by itself, and would not know what to do with our asking for its user.
    if (peer.gateway.xauth?.role === 'server') return;
    this.connect(now, peer, out);
  }

  handleIsakmpOver(now: Instant, sa: IsakmpSa, reason: SaEndReason, out: IkeOutbox): void {
    this.endIsakmp(now, sa, reason, true, out);
    this.#keepWatching(now, sa.gateway.name, out);
  }

  acceptQuickMode(
    now: Instant,
    sa: IsakmpSa,
    selectors: SelectorPair,
    peerSpi: Spi | undefined,
    out: IkeOutbox,
  ): Result<QuickModeSubject, Refusal> {
    return this.tunnels.accept(now, sa, selectors, peerSpi, out);
  }

  handlePairNegotiated(
    now: Instant,
    sa: IsakmpSa,
    role: IkeRole,
    subject: QuickModeSubject,
    negotiated: NegotiatedPair,
    out: IkeOutbox,
  ): void {
    this.tunnels.handleNegotiated(now, sa, role, subject, negotiated, out);
  }

  handlePairConfirmed(now: Instant, sa: IsakmpSa, subject: QuickModeSubject, out: IkeOutbox): void {
    this.tunnels.handleConfirmed(now, sa, subject, out);
  }

  handleQuickModeFailed(now: Instant, sa: IsakmpSa, role: IkeRole, subject: QuickModeSubject, out: IkeOutbox): void {
    this.tunnels.handleFailed(now, sa, role, subject, out);
  }

  handleQuickModeYielded(now: Instant, subject: QuickModeSubject, out: IkeOutbox): void {
    this.tunnels.handleYielded(now, subject, out);
  }

  handlePeerDeletedIpsec(
    now: Instant,
    sa: IsakmpSa,
    protocol: IpsecProtocol,
    peerSpis: readonly Spi[],
    out: IkeOutbox,
  ): void {
    this.tunnels.handlePeerDeleted(now, sa, protocol, peerSpis, out);
  }

  handlePeerDeletedIsakmp(now: Instant, sa: IsakmpSa, cookies: readonly Uint8Array[], out: IkeOutbox): void {
    for (const pair of cookies) {
      const found = this.sas.findByCookies(pair.subarray(0, 8), pair.subarray(8));
      // A peer speaks only for its own SAs.
      if (found === undefined || found.gateway.name !== sa.gateway.name || !found.isEstablished) continue;
      if (clientOf(found) !== clientOf(sa)) continue;
      this.endIsakmp(now, found, 'peer-deleted', false, out);
    }
    if (this.tunnels.pairs.ofGateway(sa.gateway.name).length > 0) this.#keepWatching(now, sa.gateway.name, out);
  }

  /** The peer has restarted: what was before this SA began is gone over there (RFC 2407 §4.6.3.3). */
  handleInitialContact(now: Instant, sa: IsakmpSa, out: IkeOutbox): void {
    const { name } = sa.gateway;
    const client = clientOf(sa);
    for (const other of this.establishedWith(name, client)) {
      if (other !== sa && other.establishedAt < sa.createdAt) this.endIsakmp(now, other, 'peer-restarted', false, out);
    }
    const isOlder = (pair: IpsecPair): boolean => pair.client === client && pair.isOlderThan(sa.createdAt);
    // Told all the same: if the claim is mistaken, both sides still agree.
    this.tunnels.endPairs(now, name, isOlder, 'peer-restarted', true, after(now, REVIVE_AFTER), out);
  }

  handleInvalidSpi(now: Instant, sa: IsakmpSa, peerSpi: Spi, out: IkeOutbox): void {
    this.tunnels.handleInvalidSpi(now, sa, peerSpi, out);
  }

  handlePeerDead(now: Instant, sa: IsakmpSa, out: IkeOutbox): void {
    const { name } = sa.gateway;
    const peer = this.peers.get(name);
    const client = clientOf(sa);
    const current = peer?.currentOf(client);
    const isSuperseded = current !== undefined && current !== sa;
    this.endIsakmp(now, sa, 'peer-dead', false, out);
    // Only this SA is gone over there, its Delete lost: a newer one answers for the peer.
    if (isSuperseded) return;
    for (const other of this.establishedWith(name, client)) this.endIsakmp(now, other, 'peer-dead', false, out);
    peer?.tryNextAddress();
    this.tunnels.endPairs(now, name, (pair) => pair.client === client, 'peer-dead', false, now, out);
  }

  /** The peer may have lost this SA alone: then its packets still come, and detection by traffic would be content for ever. */
  handleUnanswered(now: Instant, sa: IsakmpSa, out: IkeOutbox): void {
    if (!sa.isEstablished || elapsed(sa.heardAt, now) < patienceOf(PATIENT)) return;
    this.endIsakmp(now, sa, 'failed', true, out);
    this.#keepWatching(now, sa.gateway.name, out);
  }

  handlePathMoved(sa: IsakmpSa, from: UdpPath, to: UdpPath, out: IkeOutbox): void {
    out.command({ kind: 'move-path', from, to });
    this.tunnels.movePairs(sa.gateway.name, clientOf(sa), to);
    const text = `the peer has moved from ${from.remote.address} port ${from.remote.port} to ${to.remote.address} port ${to.remote.port}`;
    out.report({ kind: 'notice', severity: 'info', gateway: sa.gateway.name, text });
    this.#services.touch(sa);
  }

  /** Without an ISAKMP SA nobody would notice that the peer is dead: a tunnel asks for one, and goes on asking. */
  #keepWatching(now: Instant, gateway: string, out: IkeOutbox): void {
    const peer = this.peers.get(gateway);
    if (peer === undefined || peer.current !== undefined || peer.gateway.deadPeerDetection === undefined) return;
    const watcher = this.tunnels.watcher(gateway);
    if (watcher) this.negotiate(now, watcher, out);
  }

  /** A user has one device at a time: the SAs that it has from elsewhere end, and that device is told. From the same place it is a rekey. */
  #takeOver(now: Instant, sa: IsakmpSa, client: string, out: IkeOutbox): void {
    const { name } = sa.gateway;
    for (const other of this.establishedWith(name, client)) {
      if (pathsEqual(other.path, sa.path)) continue;
      const isElsewhere = (pair: IpsecPair): boolean => pair.client === client && !pathsEqual(pair.path, sa.path);
      this.tunnels.endPairs(now, name, isElsewhere, 'replaced', true, now, out);
      this.endIsakmp(now, other, 'replaced', true, out);
      const text = `user ${client} has logged in from ${sa.path.remote.address} port ${sa.path.remote.port}; the SAs with the same user at ${other.path.remote.address} port ${other.path.remote.port} are ended`;
      out.report({ kind: 'notice', severity: 'info', gateway: name, text });
    }
  }

  #isPresent(gateway: string, user: string): boolean {
    if (this.establishedWith(gateway, user).length > 0) return true;
    return this.tunnels.ofGateway(gateway).some(({ client }) => client === user);
  }

  /** Both sides must have announced it before either may ask (RFC 3706 §5.1). */
  #warnOfNoDetection(sa: IsakmpSa, out: IkeOutbox): void {
    const { name, origin } = sa.gateway;
    const text = `the peer of gateway ${name} does not announce dead peer detection, so it is not asked whether it is there: its tunnels stay until they expire`;
    out.report({ kind: 'notice', severity: 'warning', gateway: name, text, origin });
  }

  #warnOfAggressiveMode(sa: IsakmpSa, out: IkeOutbox): void {
    const { name, policy } = sa.gateway;
    const text = `aggressive mode gives anyone who asks a hash of the pre-shared key of gateway ${name}, to guess the key from offline: use main mode with a fixed address, or IKEv2`;
    out.report({ kind: 'notice', severity: 'warning', gateway: name, text, origin: policy.origin });
  }
}

// Decides what is negotiated, and with whom: keeps tunnels supplied with pairs of IPsec SAs, and gateways with ISAKMP SAs.
// Make before break: a pair or ISAKMP SA is retired only when its successor is in use (RFC 2409 §5.5 leaves the order open).

import { err, ok, type Result } from '../lib/result.ts';
import { after, type Instant, milliseconds } from '../lib/time.ts';
import type { UdpPath } from '../model/address.ts';
import type { GatewayConfig } from '../model/gateway-config.ts';
import type { IkeRole, SaEndReason } from '../model/ike-event.ts';
import type { IpsecProtocol, PolicyId, Spi } from '../model/ipsec-sa.ts';
import { type SelectorPair, selectorsEqual } from '../model/traffic-selector.ts';
import type { IkeEnvironment } from './environment.ts';
import { IpsecPair, type PairTimeouts } from './ipsec-pair.ts';
import { IpsecPairs } from './ipsec-pairs.ts';
import { IsakmpSas } from './isakmp-sas.ts';
import type { IkeOutbox } from './outbox.ts';
import type { Peer } from './peer.ts';
import type { Tunnel, TunnelOwner } from './tunnel.ts';
import { deleteIpsecPayload } from './v1/informational.ts';
import type { IsakmpSa } from './v1/isakmp-sa.ts';
import { type Refusal, refusal } from './v1/peer-fault.ts';
import type { NegotiatedPair } from './v1/quick-mode.ts';
import { describeSelectors } from './v1/quick-mode-payloads.ts';
import type { QuickModeSubject, SaOwner } from './v1/sa-owner.ts';

/** After a rekey: when its initiator deletes the old SA, and when the responder does if the initiator has not. */
const RETIRE_AFTER: Readonly<Record<IkeRole, number>> = { initiator: 5000, responder: 60_000 };
/** Before a tunnel that the peer has deleted is brought up again. */
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

export class Coordinator implements SaOwner, TunnelOwner, PairTimeouts {
  readonly environment: IkeEnvironment;
  readonly sas = new IsakmpSas();
  readonly pairs: IpsecPairs;
  readonly #services: CoordinatorServices;
  readonly peers = new Map<string, Peer>();
  readonly tunnels = new Map<PolicyId, Tunnel>();
  config: GatewayConfig = { gateways: [], vpns: [], tunnelInterfaces: [], routes: [] };

  constructor(services: CoordinatorServices) {
    this.environment = services.environment;
    this.#services = services;
    this.pairs = new IpsecPairs(services.environment.random);
  }

  /** Starts what the tunnel needs next: Quick Mode under a standing ISAKMP SA, or phase 1 first. */
  negotiate(now: Instant, tunnel: Tunnel, out: IkeOutbox): void {
    const peer = this.peers.get(tunnel.vpn.gateway);
    if (peer === undefined || tunnel.activity !== 'idle') return;
    const sa = peer.current;
    if (sa) {
      this.#startQuickMode(now, sa, tunnel, out);
      return;
    }
    tunnel.activity = 'waiting';
    this.connect(now, peer, out);
  }

  /** Starts phase 1 unless one of ours is under way. */
  connect(now: Instant, peer: Peer, out: IkeOutbox): void {
    if (peer.initiating) return;
    peer.initiating = this.#services.connect(now, peer, out);
    if (peer.initiating === undefined) this.#failWaiting(now, peer);
  }

  /** Ends a pair, telling the peer if that makes sense. */
  endPair(now: Instant, pair: IpsecPair, reason: SaEndReason, tellPeer: boolean, out: IkeOutbox): void {
    const sa = this.peers.get(pair.gateway)?.current;
    if (tellPeer) {
      const payload = deleteIpsecPayload(pair.chosen.protocol, [pair.inboundSpi]);
      sa?.exchanges.sendInformational([payload], 'deleted an IPsec SA', out);
    }
    if (sa) sa.ipsecSasDeleted++;
    const hasOther = this.pairs.live(pair.policy).some((other) => other !== pair);
    pair.end(now, hasOther, reason, out);
    this.#services.touch(pair);
    if (!hasOther) {
      this.pairs.delete(pair);
      this.#services.forget(pair);
      return;
    }
    // The rest of the pairs may include one that was to be retired in favour of this one.
    this.#useBest(pair.policy, out);
  }

  /** Ends an ISAKMP SA; what waits for it fails or waits for the next one. */
  endIsakmp(now: Instant, sa: IsakmpSa, reason: SaEndReason, tellPeer: boolean, out: IkeOutbox): void {
    this.peers.get(sa.gateway.name)?.delete(sa);
    sa.delete(now, reason, tellPeer, out);
    this.sas.delete(sa);
    this.#services.forget(sa);
  }

  registerJob(sa: IsakmpSa, messageId: number): number {
    return this.#services.registerJob(sa, messageId);
  }

  isFirstContact(sa: IsakmpSa): boolean {
    const { name } = sa.gateway;
    return (this.peers.get(name)?.established.length ?? 0) === 0 && this.pairs.ofGateway(name).length === 0;
  }

  handleIsakmpEstablished(now: Instant, sa: IsakmpSa, out: IkeOutbox): void {
    const peer = this.peers.get(sa.gateway.name);
    this.#services.handleVerified(sa);
    if (peer === undefined) return this.endIsakmp(now, sa, 'configuration-changed', true, out);
    const isRekey = sa.isRekey || peer.current !== undefined;
    if (peer.initiating === sa) peer.initiating = undefined;
    peer.add(sa);
    const { role, path, nat } = sa;
    out.report({ kind: 'ike-sa-established', gateway: peer.gateway.name, ikeSa: sa.id, role, isRekey, path, nat });
    if (sa.mode === 'aggressive') this.#warnOfAggressiveMode(sa, out);
    if (sa.outcome?.hasInitialContact) this.handleInitialContact(now, sa, out);
    for (const other of peer.established) {
      if (other === peer.current) continue;
      other.retire(after(now, milliseconds(RETIRE_AFTER[sa.role])));
      this.#services.touch(other);
    }
    for (const tunnel of this.tunnels.values()) {
      if (tunnel.vpn.gateway !== peer.gateway.name || tunnel.activity !== 'waiting') continue;
      tunnel.activity = 'idle';
      this.negotiate(now, tunnel, out);
    }
  }

  handleIsakmpFailed(now: Instant, sa: IsakmpSa, out: IkeOutbox): void {
    const peer = this.peers.get(sa.gateway.name);
    const wasOurs = peer !== undefined && peer.initiating === sa;
    if (sa.role === 'responder') this.#services.handleVerified(sa);
    this.endIsakmp(now, sa, 'failed', false, out);
    if (!wasOurs) return;
    peer.tryNextAddress();
    this.#failWaiting(now, peer);
  }

  handleIsakmpSoftExpiry(now: Instant, sa: IsakmpSa, out: IkeOutbox): void {
    const peer = this.peers.get(sa.gateway.name);
    if (peer === undefined || peer.current !== sa || !this.#isNeeded(peer)) return;
    this.connect(now, peer, out);
  }

  handleIsakmpOver(now: Instant, sa: IsakmpSa, reason: SaEndReason, out: IkeOutbox): void {
    this.endIsakmp(now, sa, reason, true, out);
    const peer = this.peers.get(sa.gateway.name);
    // Without an ISAKMP SA nobody would notice that the peer is dead.
    const isWatched = peer?.gateway.deadPeerDetection !== undefined;
    if (peer && peer.current === undefined && isWatched && this.#isNeeded(peer)) this.connect(now, peer, out);
  }

  acceptQuickMode(
    now: Instant,
    sa: IsakmpSa,
    selectors: SelectorPair,
    peerSpi: Spi | undefined,
    out: IkeOutbox,
  ): Result<QuickModeSubject, Refusal> {
    const candidates = [...this.tunnels.values()].filter(({ vpn }) => vpn.gateway === sa.gateway.name);
    const tunnel = candidates.find(({ selectors: own }) => {
      return selectorsEqual(own.local, selectors.local) && selectorsEqual(own.remote, selectors.remote);
    });
    if (tunnel === undefined) {
      const configured = candidates.map((candidate) => `${describeSelectors(candidate.selectors)}`).join('; ');
      const explanation = `the peer asked for SAs that carry ${describeSelectors(selectors)} (local to remote, seen from here); configured: ${configured || 'no vpn for this gateway'}`;
      const origins = candidates.map(({ selector }) => selector.origin);
      return err(
        refusal('selectors-unacceptable', explanation, ...(origins.length > 0 ? origins : [sa.gateway.origin])),
      );
    }
    // If both sides have asked at the same time, the smaller SPI's request is the one that goes on; both sides see the same two.
    this.#yieldOwn(now, tunnel, (ownSpi) => peerSpi !== undefined && peerSpi < ownSpi, out);
    return ok(this.#subject(sa, tunnel, out));
  }

  handlePairNegotiated(
    now: Instant,
    sa: IsakmpSa,
    role: IkeRole,
    subject: QuickModeSubject,
    negotiated: NegotiatedPair,
    out: IkeOutbox,
  ): void {
    const { vpn, policy } = subject;
    const setup = {
      vpn,
      policy,
      trafficSelector: this.tunnels.get(policy)?.selector.name,
      role,
      path: sa.path,
      isUdpEncapsulated: sa.udpEncapsulation !== undefined,
      isRekey: this.pairs.live(policy).length > 0,
    };
    const pair = new IpsecPair(now, setup, negotiated, this.environment.random, this);
    this.pairs.add(pair);
    pair.install(negotiated, out);
  }

  handlePairConfirmed(now: Instant, sa: IsakmpSa, subject: QuickModeSubject, out: IkeOutbox): void {
    const pair = this.pairs.findInbound(subject.ownSpi);
    const tunnel = this.tunnels.get(subject.policy);
    if (pair === undefined || pair.state !== 'offered') return;
    pair.confirm(now);
    sa.ipsecSasCreated++;
    const { inboundSpi, outboundSpi, selectors } = pair;
    const { role, isRekey, policy, vpn } = pair.setup;
    const about = { gateway: vpn.gateway, vpn: vpn.name, policy, role, inboundSpi, outboundSpi, selectors, isRekey };
    out.report({ kind: 'ipsec-sa-established', ...about });
    if (tunnel) {
      if (role === 'responder') this.#yieldOwn(now, tunnel, () => true, out);
      if (role === 'initiator' || tunnel.activity === 'idle') tunnel.handleSuccess();
      this.#services.touch(tunnel);
    }
    const retireAt = after(now, milliseconds(RETIRE_AFTER[role]));
    this.#useBest(policy, out, retireAt);
  }

  handleQuickModeFailed(now: Instant, sa: IsakmpSa, role: IkeRole, subject: QuickModeSubject, out: IkeOutbox): void {
    this.#dropOffered(now, subject, out);
    if (role === 'responder') return;
    const tunnel = this.tunnels.get(subject.policy);
    if (tunnel) this.#failTunnel(now, tunnel);
    this.#services.touch(sa);
  }

  handleQuickModeYielded(now: Instant, subject: QuickModeSubject, out: IkeOutbox): void {
    this.#dropOffered(now, subject, out);
    const tunnel = this.tunnels.get(subject.policy);
    if (tunnel === undefined) return;
    tunnel.activity = 'idle';
    // If the peer's own attempt comes to nothing, ours is made again.
    if (tunnel.isImmediate || this.pairs.live(tunnel.policy).length > 0) tunnel.schedule(after(now, YIELD_PATIENCE));
    this.#services.touch(tunnel);
  }

  handlePeerDeletedIpsec(
    now: Instant,
    sa: IsakmpSa,
    protocol: IpsecProtocol,
    peerSpis: readonly Spi[],
    out: IkeOutbox,
  ): void {
    for (const spi of peerSpis) {
      const pair = this.pairs.findOutbound(sa.gateway.name, spi);
      if (pair === undefined || pair.chosen.protocol !== protocol) continue;
      this.endPair(now, pair, 'peer-deleted', false, out);
      this.revive(pair.policy, after(now, REVIVE_AFTER));
    }
  }

  handlePeerDeletedIsakmp(now: Instant, sa: IsakmpSa, cookies: readonly Uint8Array[], out: IkeOutbox): void {
    for (const pair of cookies) {
      const found = this.sas.findByCookies(pair.subarray(0, 8), pair.subarray(8));
      // A peer speaks only for its own SAs.
      if (found === undefined || found.gateway.name !== sa.gateway.name || !found.isEstablished) continue;
      this.endIsakmp(now, found, 'peer-deleted', false, out);
    }
  }

  /** The peer has restarted: what was before this SA began is gone over there (RFC 2407 §4.6.3.3). */
  handleInitialContact(now: Instant, sa: IsakmpSa, out: IkeOutbox): void {
    const peer = this.peers.get(sa.gateway.name);
    for (const other of peer?.established ?? []) {
      if (other !== sa && other.establishedAt < sa.createdAt) this.endIsakmp(now, other, 'peer-restarted', false, out);
    }
    for (const pair of this.pairs.ofGateway(sa.gateway.name)) {
      if (!pair.isOlderThan(sa.createdAt)) continue;
      // Told all the same: if the claim is mistaken, both sides still agree.
      this.endPair(now, pair, 'peer-restarted', true, out);
      this.revive(pair.policy, after(now, REVIVE_AFTER));
    }
  }

  handleInvalidSpi(now: Instant, sa: IsakmpSa, peerSpi: Spi, out: IkeOutbox): void {
    const pair = this.pairs.findOutbound(sa.gateway.name, peerSpi);
    if (pair === undefined || pair.state !== 'live') return;
    this.endPair(now, pair, 'peer-deleted', true, out);
    this.revive(pair.policy, now);
  }

  handlePeerDead(now: Instant, sa: IsakmpSa, out: IkeOutbox): void {
    const peer = this.peers.get(sa.gateway.name);
    for (const other of peer?.established ?? []) this.endIsakmp(now, other, 'peer-dead', false, out);
    peer?.tryNextAddress();
    for (const pair of this.pairs.ofGateway(sa.gateway.name)) {
      this.endPair(now, pair, 'peer-dead', false, out);
      this.revive(pair.policy, now);
    }
  }

  handlePathMoved(sa: IsakmpSa, from: UdpPath, to: UdpPath, out: IkeOutbox): void {
    out.command({ kind: 'move-path', from, to });
    this.movePairs(sa.gateway.name, to);
    const text = `the peer has moved from ${from.remote.address} port ${from.remote.port} to ${to.remote.address} port ${to.remote.port}`;
    out.report({ kind: 'notice', severity: 'info', gateway: sa.gateway.name, text });
    this.#services.touch(sa);
  }

  movePairs(gateway: string, to: UdpPath): void {
    for (const pair of this.pairs.ofGateway(gateway)) pair.moveTo(to);
  }

  handlePairSoftExpiry(now: Instant, pair: IpsecPair, out: IkeOutbox): void {
    const tunnel = this.tunnels.get(pair.policy);
    if (tunnel === undefined || tunnel.vpn.establishTunnels === 'responder-only-no-rekey') return;
    if (this.pairs.current(pair.policy) !== pair) return;
    this.negotiate(now, tunnel, out);
    this.#services.touch(tunnel);
  }

  handlePairOver(now: Instant, pair: IpsecPair, reason: SaEndReason, out: IkeOutbox): void {
    this.endPair(now, pair, reason, pair.state === 'live', out);
    if (reason === 'expired') this.revive(pair.policy, now);
  }

  handlePairGone(pair: IpsecPair, out: IkeOutbox): void {
    pair.removeInbound(out);
    this.pairs.delete(pair);
    this.#services.forget(pair);
  }

  /** Brings a lost tunnel up again if it is to be up always. */
  revive(policy: PolicyId, at: Instant): void {
    const tunnel = this.tunnels.get(policy);
    if (tunnel === undefined || !tunnel.isImmediate || this.pairs.live(policy).length > 0) return;
    tunnel.schedule(at);
    this.#services.touch(tunnel);
  }

  #warnOfAggressiveMode(sa: IsakmpSa, out: IkeOutbox): void {
    const { name, policy } = sa.gateway;
    const text = `aggressive mode gives anyone who asks a hash of the pre-shared key of gateway ${name}, to guess the key from offline: use main mode with a fixed address, or IKEv2`;
    out.report({ kind: 'notice', severity: 'warning', gateway: name, text, origin: policy.origin });
  }

  #startQuickMode(now: Instant, sa: IsakmpSa, tunnel: Tunnel, out: IkeOutbox): void {
    tunnel.activity = 'negotiating';
    const subject = this.#subject(sa, tunnel, out);
    if (!sa.exchanges.startQuickMode(now, subject, out)) {
      this.#dropOffered(now, subject, out);
      this.#failTunnel(now, tunnel);
    }
    this.#services.touch(sa);
    this.#services.touch(tunnel);
  }

  #subject(sa: IsakmpSa, tunnel: Tunnel, out: IkeOutbox): QuickModeSubject {
    const { vpn, policy, selectors } = tunnel;
    const ownSpi = this.pairs.reserveSpi();
    const protocol = vpn.proposals[0]?.protocol ?? 'esp';
    out.command({ kind: 'reserve-spi', spi: ownSpi, protocol, localAddress: sa.path.local.address });
    return { vpn, policy, selectors, ownSpi };
  }

  /** An exchange has failed: its pair, if it came so far, and its SPI go. */
  #dropOffered(now: Instant, subject: QuickModeSubject, out: IkeOutbox): void {
    const pair = this.pairs.findInbound(subject.ownSpi);
    if (pair) {
      pair.end(now, false, 'failed', out);
      this.pairs.delete(pair);
      this.#services.forget(pair);
      return;
    }
    this.pairs.release(subject.ownSpi);
    out.command({ kind: 'remove', direction: 'inbound', spi: subject.ownSpi });
  }

  /** Sends on the preferred pair of the policy; the others are kept for receiving until `retireAt`. */
  #useBest(policy: PolicyId, out: IkeOutbox, retireAt?: Instant): void {
    const best = this.pairs.current(policy);
    if (best === undefined) return;
    best.unretire();
    best.use(out);
    this.#services.touch(best);
    for (const pair of this.pairs.live(policy)) {
      if (pair === best || retireAt === undefined) continue;
      pair.retire(retireAt);
      this.#services.touch(pair);
    }
  }

  #yieldOwn(now: Instant, tunnel: Tunnel, yields: (ownSpi: Spi) => boolean, out: IkeOutbox): void {
    if (tunnel.activity !== 'negotiating') return;
    for (const sa of this.peers.get(tunnel.vpn.gateway)?.established ?? []) {
      sa.exchanges.yieldQuickMode(now, tunnel.policy, yields, out);
      this.#services.touch(sa);
    }
  }

  #failWaiting(now: Instant, peer: Peer): void {
    for (const tunnel of this.tunnels.values()) {
      if (tunnel.vpn.gateway === peer.gateway.name && tunnel.activity === 'waiting') this.#failTunnel(now, tunnel);
    }
  }

  #failTunnel(now: Instant, tunnel: Tunnel): void {
    const hasPair = this.pairs.live(tunnel.policy).length > 0;
    tunnel.handleFailure(now, tunnel.isImmediate || hasPair);
    this.#services.touch(tunnel);
  }

  #isNeeded(peer: Peer): boolean {
    const { name } = peer.gateway;
    const hasImmediate = [...this.tunnels.values()].some(({ vpn, isImmediate }) => vpn.gateway === name && isImmediate);
    return hasImmediate || this.pairs.ofGateway(name).length > 0;
  }
}

/** How long the peer's own simultaneous attempt may take before ours is made again. */
const YIELD_PATIENCE = milliseconds(20_000);

// Keeps tunnels supplied with pairs of IPsec SAs. Make before break: a pair is retired only when its successor is in use
// (RFC 2409 §5.5 leaves the order open), and of two pairs that both sides started at once, both sides keep the same one.

import { err, ok, type Result } from '../lib/result.ts';
import { after, type Instant, milliseconds } from '../lib/time.ts';
import type { UdpPath } from '../model/address.ts';
import type { IkeRole, SaEndReason } from '../model/ike-event.ts';
import type { IpsecProtocol, PolicyId, Spi } from '../model/ipsec-sa.ts';
import { type SelectorPair, selectorContains, selectorFromAddress, selectorsEqual } from '../model/traffic-selector.ts';
import { clientOf, leasedAddress } from './dial-in-client.ts';
import type { IkeEnvironment } from './environment.ts';
import { IpsecPair, type PairTimeouts } from './ipsec-pair.ts';
import { IpsecPairs } from './ipsec-pairs.ts';
import type { IkeOutbox } from './outbox.ts';
import { Tunnel } from './tunnel.ts';
import { deleteIpsecPayload } from './v1/informational.ts';
import type { IsakmpSa } from './v1/isakmp-sa.ts';
import { type Refusal, refusal } from './v1/peer-fault.ts';
import type { NegotiatedPair } from './v1/quick-mode.ts';
import { describeSelectors } from './v1/quick-mode-payloads.ts';
import type { QuickModeSubject } from './v1/sa-owner.ts';

/** After a rekey: when its initiator deletes the old SA, and when the responder does if the initiator has not. */
export const RETIRE_AFTER: Readonly<Record<IkeRole, number>> = { initiator: 5000, responder: 60_000 };
/** Before a tunnel that the peer has deleted is brought up again. */
const REVIVE_AFTER = milliseconds(1000);
/** How long the peer's own simultaneous attempt may take before ours is made again. */
const YIELD_PATIENCE = milliseconds(20_000);

/** What tunnels need of their owner. */
export interface IpsecTunnelsServices {
  readonly environment: IkeEnvironment;
  /** The ISAKMP SA under which the gateway, or this client of it, is talked to now. */
  currentSa(gateway: string, client: string | undefined): IsakmpSa | undefined;
  establishedSas(gateway: string): readonly IsakmpSa[];
  negotiate(now: Instant, tunnel: Tunnel, out: IkeOutbox): void;
  touch(item: IsakmpSa | IpsecPair | Tunnel): void;
  forget(item: IsakmpSa | IpsecPair | Tunnel): void;
}

export class IpsecTunnels implements PairTimeouts {
  readonly pairs: IpsecPairs;
  readonly #services: IpsecTunnelsServices;
  readonly #byPolicy = new Map<PolicyId, Tunnel>();
  readonly #byGateway = new Map<string, Tunnel[]>();

  constructor(services: IpsecTunnelsServices) {
    this.#services = services;
    this.pairs = new IpsecPairs(services.environment.random);
  }

  get(policy: PolicyId): Tunnel | undefined {
    return this.#byPolicy.get(policy);
  }

  all(): readonly Tunnel[] {
    return [...this.#byPolicy.values()];
  }

  ofGateway(gateway: string): readonly Tunnel[] {
    return this.#byGateway.get(gateway) ?? [];
  }

  /** Takes these in the place of all there were. */
  replace(tunnels: readonly Tunnel[]): void {
    this.#byPolicy.clear();
    this.#byGateway.clear();
    for (const tunnel of tunnels) this.#add(tunnel);
  }

  /** Whether the gateway has, or is to have, SAs: its ISAKMP SA must be kept. */
  needsGateway(gateway: string): boolean {
    return this.pairs.ofGateway(gateway).length > 0 || this.ofGateway(gateway).some(({ isImmediate }) => isImmediate);
  }

  startQuickMode(now: Instant, sa: IsakmpSa, tunnel: Tunnel, out: IkeOutbox): void {
    tunnel.activity = 'negotiating';
    const subject = this.#reserve(now, sa, tunnel, out);
    if (!sa.exchanges.startQuickMode(now, subject, out)) {
      this.#dropOffered(now, subject, out);
      this.#fail(now, tunnel);
    }
    this.#services.touch(sa);
    this.#services.touch(tunnel);
  }

  /** The peer asks for an SA: finds whose selectors are exactly these, as Junos' proxy identities must match. */
  accept(
    now: Instant,
    sa: IsakmpSa,
    selectors: SelectorPair,
    peerSpi: Spi | undefined,
    out: IkeOutbox,
  ): Result<QuickModeSubject, Refusal> {
    const candidates = this.ofGateway(sa.gateway.name).filter(({ client }) => client === undefined);
    const configured = candidates.find(({ selectors: own }) => isWanted(sa, own, selectors));
    if (configured === undefined) {
      const known = candidates.map((candidate) => `${describeSelectors(candidate.selectors)}`).join('; ');
      const explanation = `the peer asked for SAs that carry ${describeSelectors(selectors)} (local to remote, seen from here); configured: ${known || 'no vpn for this gateway'}`;
      const origins = candidates.map(({ selector }) => selector.origin);
      return err(
        refusal('selectors-unacceptable', explanation, ...(origins.length > 0 ? origins : [sa.gateway.origin])),
      );
    }
    const local = selectorContains(configured.selectors.local, selectors.local)
      ? selectors.local
      : configured.selectors.local;
    const tunnel = this.#tunnelOf(sa, configured, { local, remote: selectors.remote });
    // If both sides have asked at the same time, the smaller SPI's request is the one that goes on; both sides see the same two.
    this.#yieldOwn(now, tunnel, (ownSpi) => peerSpi !== undefined && peerSpi < ownSpi, out);
    return ok({ ...this.#reserve(now, sa, tunnel, out), selectors: { local, remote: selectors.remote } });
  }

  /** Both messages are there: the SAs go into the data plane. */
  handleNegotiated(
    now: Instant,
    sa: IsakmpSa,
    role: IkeRole,
    subject: QuickModeSubject,
    negotiated: NegotiatedPair,
    out: IkeOutbox,
  ): void {
    const { vpn, policy, startedAt, clientTunnel } = subject;
    if (clientTunnel) this.#admitClient(clientTunnel, out);
    const setup = {
      startedAt,
      vpn,
      policy,
      trafficSelector: this.get(policy)?.selector.name,
      client: clientOf(sa),
      role,
      path: sa.path,
      isUdpEncapsulated: sa.udpEncapsulation !== undefined,
      isRekey: this.pairs.live(policy).length > 0,
    };
    const pair = new IpsecPair(now, setup, negotiated, this.#services.environment.random, this);
    this.pairs.add(pair);
    pair.install(negotiated, out);
  }

  /** The peer has the SAs too: packets leave under them. */
  handleConfirmed(now: Instant, sa: IsakmpSa, subject: QuickModeSubject, out: IkeOutbox): void {
    const pair = this.pairs.findInbound(subject.ownSpi);
    const tunnel = this.get(subject.policy);
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
    this.#useBest(policy, out, after(now, milliseconds(RETIRE_AFTER[role])));
  }

  handleFailed(now: Instant, sa: IsakmpSa, role: IkeRole, subject: QuickModeSubject, out: IkeOutbox): void {
    this.#dropOffered(now, subject, out);
    const tunnel = this.get(subject.policy);
    // What the peer did not finish is for us to do, if the tunnel is to be up always.
    if (role === 'responder') this.revive(subject.policy, after(now, REVIVE_AFTER));
    else if (tunnel) this.#fail(now, tunnel);
    this.#services.touch(sa);
  }

  handleYielded(now: Instant, subject: QuickModeSubject, out: IkeOutbox): void {
    this.#dropOffered(now, subject, out);
    const tunnel = this.get(subject.policy);
    if (tunnel === undefined) return;
    tunnel.activity = 'idle';
    // If the peer's own attempt comes to nothing, ours is made again.
    if (tunnel.isImmediate || this.pairs.live(tunnel.policy).length > 0) tunnel.schedule(after(now, YIELD_PATIENCE));
    this.#services.touch(tunnel);
  }

  /** A tunnel that wants its gateway watched: it has a pair, or is to have one, and may ask for it. */
  watcher(gateway: string): Tunnel | undefined {
    return this.ofGateway(gateway).find(
      ({ vpn, policy, isImmediate, client }) =>
        client === undefined &&
        !vpn.establishTunnels.startsWith('responder-only') &&
        (isImmediate || this.pairs.live(policy).length > 0),
    );
  }

  /** There is no ISAKMP SA for those that wait for one: the peer has refused it, or was silent. */
  failWaiting(now: Instant, gateway: string, wasRefused: boolean): void {
    for (const tunnel of this.ofGateway(gateway))
      if (tunnel.activity === 'waiting') this.#fail(now, tunnel, wasRefused);
  }

  /** There is one now. */
  resumeWaiting(now: Instant, gateway: string, out: IkeOutbox): void {
    for (const tunnel of this.ofGateway(gateway)) {
      if (tunnel.activity !== 'waiting') continue;
      tunnel.activity = 'idle';
      this.#services.negotiate(now, tunnel, out);
    }
  }

  /** Ends a pair, telling the peer if that makes sense. */
  endPair(now: Instant, pair: IpsecPair, reason: SaEndReason, tellPeer: boolean, out: IkeOutbox): void {
    const sa = this.#services.currentSa(pair.gateway, pair.client);
    if (tellPeer) {
      const payload = deleteIpsecPayload(pair.chosen.protocol, [pair.inboundSpi]);
      sa?.exchanges.sendInformational([payload], 'deleted an IPsec SA', out);
    }
    if (sa) sa.ipsecSasDeleted++;
    const hasOther = this.pairs.live(pair.policy).some((other) => other !== pair);
    pair.end(now, hasOther, reason, out);
    this.#services.touch(pair);
    if (!hasOther) return this.#deletePair(pair, out);
    // The rest of the pairs may include one that was to be retired in favour of this one.
    this.#useBest(pair.policy, out);
  }

  /** Ends all pairs of a gateway that `concerns` names, and brings up again at `revivesAt` what is to be up always. */
  endPairs(
    now: Instant,
    gateway: string,
    concerns: (pair: IpsecPair) => boolean,
    reason: SaEndReason,
    tellPeer: boolean,
    revivesAt: Instant,
    out: IkeOutbox,
  ): void {
    for (const pair of this.pairs.ofGateway(gateway)) {
      if (!concerns(pair)) continue;
      this.endPair(now, pair, reason, tellPeer, out);
      this.revive(pair.policy, revivesAt);
    }
  }

  handlePeerDeleted(
    now: Instant,
    sa: IsakmpSa,
    protocol: IpsecProtocol,
    peerSpis: readonly Spi[],
    out: IkeOutbox,
  ): void {
    for (const spi of peerSpis) {
      const pair = this.pairs.findOutbound(sa.gateway.name, clientOf(sa), spi);
      if (pair === undefined || pair.chosen.protocol !== protocol) continue;
      this.endPair(now, pair, 'peer-deleted', false, out);
      this.revive(pair.policy, after(now, REVIVE_AFTER));
    }
  }

  /** The peer does not know the SPI under which we send: the pair is of no use, and the peer may have forgotten only half of it. */
  handleInvalidSpi(now: Instant, sa: IsakmpSa, peerSpi: Spi, out: IkeOutbox): void {
    const pair = this.pairs.findOutbound(sa.gateway.name, clientOf(sa), peerSpi);
    if (pair === undefined || pair.state !== 'live') return;
    this.endPair(now, pair, 'peer-deleted', true, out);
    this.revive(pair.policy, now);
  }

  movePairs(gateway: string, client: string | undefined, to: UdpPath): void {
    for (const pair of this.pairs.ofGateway(gateway)) if (pair.client === client) pair.moveTo(to);
  }

  handlePairSoftExpiry(now: Instant, pair: IpsecPair, out: IkeOutbox): void {
    const tunnel = this.get(pair.policy);
    if (tunnel === undefined || tunnel.vpn.establishTunnels === 'responder-only-no-rekey') return;
    if (this.pairs.current(pair.policy) !== pair) return;
    this.#services.negotiate(now, tunnel, out);
    this.#services.touch(tunnel);
  }

  handlePairOver(now: Instant, pair: IpsecPair, reason: SaEndReason, out: IkeOutbox): void {
    this.endPair(now, pair, reason, pair.state === 'live', out);
    if (reason === 'expired') this.revive(pair.policy, now);
  }

  handlePairGone(pair: IpsecPair, out: IkeOutbox): void {
    pair.removeInbound(out);
    this.#deletePair(pair, out);
  }

  /** Brings a lost tunnel up again if it is to be up always. */
  revive(policy: PolicyId, at: Instant): void {
    const tunnel = this.get(policy);
    if (tunnel === undefined || !tunnel.isImmediate || this.pairs.live(policy).length > 0) return;
    tunnel.schedule(at);
    this.#services.touch(tunnel);
  }

  #reserve(now: Instant, sa: IsakmpSa, tunnel: Tunnel, out: IkeOutbox): QuickModeSubject {
    const { vpn, policy, selectors } = tunnel;
    const { acceptsSpi } = this.#services.environment;
    const ownSpi = this.pairs.reserveSpi((spi) => acceptsSpi?.(vpn, spi) ?? true);
    const protocol = vpn.proposals[0]?.protocol ?? 'esp';
    out.command({ kind: 'reserve-spi', spi: ownSpi, protocol, localAddress: sa.path.local.address });
    const clientTunnel = tunnel.client === undefined ? {} : { clientTunnel: tunnel };
    return { vpn, policy, selectors: ownSelectors(sa, selectors), ...clientTunnel, ownSpi, startedAt: now };
  }

  #add(tunnel: Tunnel): void {
    this.#byPolicy.set(tunnel.policy, tunnel);
    const siblings = this.#byGateway.get(tunnel.vpn.gateway) ?? [];
    siblings.push(tunnel);
    this.#byGateway.set(tunnel.vpn.gateway, siblings);
  }

  #delete(tunnel: Tunnel): void {
    this.#byPolicy.delete(tunnel.policy);
    const siblings = this.ofGateway(tunnel.vpn.gateway).filter((other) => other !== tunnel);
    this.#byGateway.set(tunnel.vpn.gateway, siblings);
    this.#services.forget(tunnel);
  }

  /** The configured tunnel, or, for a client that we have given an address, its own: standing or new. */
  #tunnelOf(sa: IsakmpSa, configured: Tunnel, agreed: SelectorPair): Tunnel {
    const address = leasedAddress(sa);
    if (address === undefined || !selectorsEqual(agreed.remote, selectorFromAddress(address))) return configured;
    const { vpn, selector } = configured;
    const tunnel = new Tunnel(vpn, { ...selector, ...agreed }, this.#services, clientOf(sa));
    const standing = this.get(tunnel.policy);
    return standing?.vpn === vpn ? standing : tunnel;
  }

  /** The client's first pair: from now on its packets are told from those of others. */
  #admitClient(tunnel: Tunnel, out: IkeOutbox): void {
    const { policy: id, template, selectors, vpn } = tunnel;
    const standing = this.get(id);
    if (standing?.vpn === vpn) return;
    if (standing) this.#delete(standing);
    this.#add(tunnel);
    out.command({ kind: 'put-client-policy', id, template, remote: selectors.remote });
  }

  /** Forgets the pair, and with its last one the client. */
  #deletePair(pair: IpsecPair, out: IkeOutbox): void {
    this.pairs.delete(pair);
    this.#services.forget(pair);
    const tunnel = this.get(pair.policy);
    if (tunnel?.client === undefined || this.pairs.hasAny(pair.policy)) return;
    this.#delete(tunnel);
    out.command({ kind: 'delete-client-policy', id: tunnel.policy });
  }

  /** An exchange has failed: its pair, if it came so far, and its SPI go. */
  #dropOffered(now: Instant, subject: QuickModeSubject, out: IkeOutbox): void {
    const pair = this.pairs.findInbound(subject.ownSpi);
    if (pair) {
      pair.end(now, false, 'failed', out);
      return this.#deletePair(pair, out);
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
    for (const sa of this.#services.establishedSas(tunnel.vpn.gateway)) {
      sa.exchanges.yieldQuickMode(now, tunnel.policy, yields, out);
      this.#services.touch(sa);
    }
  }

  #fail(now: Instant, tunnel: Tunnel, wasRefused = true): void {
    const hasPair = this.pairs.live(tunnel.policy).length > 0;
    tunnel.handleFailure(now, tunnel.isImmediate || hasPair, wasRefused);
    this.#services.touch(tunnel);
  }
}

/**
 * The configured selectors, exactly. A dial-in peer asks for its own address, and for a part of what it may reach or, as vpnc does,
 * for everything: then the SA carries what is configured, whatever the peer believes.
 */
function isWanted(sa: IsakmpSa, own: SelectorPair, asked: SelectorPair): boolean {
  const address = leasedAddress(sa);
  if (address !== undefined && selectorsEqual(asked.remote, selectorFromAddress(address))) {
    return selectorContains(own.local, asked.local) || selectorContains(asked.local, own.local);
  }
  return selectorsEqual(own.local, asked.local) && selectorsEqual(own.remote, asked.remote);
}

/** What we ask for: with an address from the server, our side is that address. */
function ownSelectors(sa: IsakmpSa, configured: SelectorPair): SelectorPair {
  const address = sa.gateway.xauth?.role === 'client' ? sa.exchanges.remoteAccess?.address : undefined;
  return address === undefined ? configured : { ...configured, local: selectorFromAddress(address) };
}

// What the data plane tells IKE, and what follows from it.

import { BoundedMap } from '../lib/bounded.ts';
import { after, type Instant, milliseconds } from '../lib/time.ts';
import type { DataPlaneEvent } from '../model/data-plane.ts';
import { formatSpi, type PolicyId, type Spi } from '../model/ipsec-sa.ts';
import { NOTIFY_TYPE } from '../wire/isakmp-notify.ts';
import type { Coordinator } from './coordinator.ts';
import type { IpsecPair } from './ipsec-pair.ts';
import type { IkeOutbox } from './outbox.ts';
import { ipsecNotification } from './v1/informational.ts';
import type { IsakmpSa } from './v1/isakmp-sa.ts';

/** A peer is told of the same unknown SPI not more often than this. */
const BAD_SPI_PAUSE = milliseconds(10_000);
const BAD_SPIS_MAX = 256;

export class DataPlaneEvents {
  readonly #coordinator: Coordinator;
  readonly #touch: (item: IsakmpSa | IpsecPair) => void;
  /** Unknown SPIs that peers have been told of: how often, and when the next time may be. */
  readonly #badSpis = new BoundedMap<string, { readonly count: number; readonly notBefore: Instant }>(BAD_SPIS_MAX);

  constructor(coordinator: Coordinator, touch: (item: IsakmpSa | IpsecPair) => void) {
    this.#coordinator = coordinator;
    this.#touch = touch;
  }

  handle(now: Instant, event: DataPlaneEvent, out: IkeOutbox): void {
    switch (event.kind) {
      case 'acquire':
        return this.#acquire(now, event.policy, out);
      case 'soft-expired':
        return this.#findPair(event)?.expireSoftly(now, out);
      case 'hard-expired':
        return this.#handleHardExpiry(now, event, out);
      case 'inbound-traffic':
      case 'outbound-traffic':
        return this.#noteTraffic(now, event.policy, event.kind);
      case 'path-moved':
        return this.#handlePathMoved(event, out);
      case 'unknown-spi':
        return this.#handleUnknownSpi(now, event, out);
      case 'refused':
        return this.#handleRefused(now, event, out);
    }
  }

  #acquire(now: Instant, policy: PolicyId, out: IkeOutbox): void {
    const tunnel = this.#coordinator.tunnels.get(policy);
    // A client without SAs is about to go, or to ask for new ones itself.
    if (tunnel === undefined || tunnel.client !== undefined || tunnel.isResting(now)) return;
    if (tunnel.vpn.establishTunnels.startsWith('responder-only')) return;
    if (this.#coordinator.tunnels.pairs.live(policy).length === 0) this.#coordinator.negotiate(now, tunnel, out);
  }

  #findPair(event: { direction: 'inbound' | 'outbound'; spi: Spi; policy: PolicyId }): IpsecPair | undefined {
    const { pairs } = this.#coordinator.tunnels;
    if (event.direction === 'inbound') return pairs.findInbound(event.spi);
    return pairs.live(event.policy).find((pair) => pair.outboundSpi === event.spi);
  }

  #handleHardExpiry(
    now: Instant,
    event: Extract<DataPlaneEvent, { readonly kind: 'hard-expired' }>,
    out: IkeOutbox,
  ): void {
    const pair = this.#findPair(event);
    if (pair?.state === 'live') this.#coordinator.tunnels.handlePairOver(now, pair, 'expired', out);
  }

  #noteTraffic(now: Instant, policy: PolicyId, kind: 'inbound-traffic' | 'outbound-traffic'): void {
    const tunnel = this.#coordinator.tunnels.get(policy);
    const peer = tunnel && this.#coordinator.peers.get(tunnel.vpn.gateway);
    const sa = tunnel?.client === undefined ? peer?.current : peer?.currentOf(tunnel.client);
    sa?.noteTraffic(now, kind === 'inbound-traffic' ? 'inbound' : 'outbound');
    if (sa) this.#touch(sa);
    for (const pair of this.#coordinator.tunnels.pairs.live(policy)) {
      pair.noteTraffic(now);
      this.#touch(pair);
    }
  }

  /** The data plane only tells; whether the SAs follow is decided here, where it is known whether a NAT may move the peer. */
  #handlePathMoved(event: Extract<DataPlaneEvent, { readonly kind: 'path-moved' }>, out: IkeOutbox): void {
    const pair = this.#coordinator.tunnels.pairs.findInbound(event.spi);
    if (pair === undefined) return;
    const established = this.#coordinator.establishedWith(pair.gateway, pair.client);
    if (established.length > 0 && !established.some((sa) => sa.nat.isRemoteBehindNat)) return;
    out.command({ kind: 'move-path', from: event.from, to: event.to });
    for (const sa of established) sa.moveTo(event.to);
    this.#coordinator.tunnels.movePairs(pair.gateway, pair.client, event.to);
  }

  /** Tells a peer that it sends under an SPI that we do not have (Junos `respond-bad-spi`), inside the ISAKMP SA that we share. */
  #handleUnknownSpi(
    now: Instant,
    event: Extract<DataPlaneEvent, { readonly kind: 'unknown-spi' }>,
    out: IkeOutbox,
  ): void {
    const { respondBadSpi } = this.#coordinator.config;
    if (respondBadSpi === undefined) return;
    const key = `${event.remoteAddress} ${event.spi}`;
    const told = this.#badSpis.get(key) ?? { count: 0, notBefore: now };
    if (told.count >= respondBadSpi || now < told.notBefore) return;
    const sa = this.#establishedWith(event);
    if (sa === undefined) return;
    if (!this.#badSpis.set(key, { count: told.count + 1, notBefore: after(now, BAD_SPI_PAUSE) })) {
      // Full: forget everything rather than stay silent for ever.
      this.#badSpis.clear();
    }
    const payload = ipsecNotification(NOTIFY_TYPE['INVALID-SPI'], event.protocol, event.spi);
    sa.exchanges.sendInformational([payload], `told of unknown SPI ${formatSpi(event.spi)}`, out);
  }

  #establishedWith(event: Extract<DataPlaneEvent, { readonly kind: 'unknown-spi' }>): IsakmpSa | undefined {
    for (const peer of this.#coordinator.peers.values()) {
      const { current } = peer;
      if (current === undefined || current.path.remote.address !== event.remoteAddress) continue;
      // Behind one NAT there may be several peers, told apart by port.
      if (event.udp === undefined || current.path.remote.port === event.udp.remote.port) return current;
    }
    return undefined;
  }

  #handleRefused(now: Instant, event: Extract<DataPlaneEvent, { readonly kind: 'refused' }>, out: IkeOutbox): void {
    const text = `the data plane refused ${event.command}: ${event.reason}`;
    const pair = event.spi === undefined ? undefined : this.#coordinator.tunnels.pairs.findInbound(event.spi);
    const gateway = pair === undefined ? {} : { gateway: pair.gateway };
    out.report({ kind: 'notice', severity: 'warning', ...gateway, text });
    if (pair && pair.state !== 'ended') this.#coordinator.tunnels.endPair(now, pair, 'failed', true, out);
  }
}

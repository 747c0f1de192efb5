// A pair of IPsec SAs, one for each direction, from offer to removal (RFC 4301 §4.1; RFC 2409 §5.5).
// Keys pass through here on their way to the data plane and are not kept.

import type { RandomSource } from '../lib/random.ts';
import { after, earliest, elapsed, type Instant, milliseconds, NEVER, seconds, toMilliseconds } from '../lib/time.ts';
import type { UdpPath } from '../model/address.ts';
import type { VpnConfig } from '../model/gateway-config.ts';
import type { IkeRole, IpsecSaStatus, SaEndReason } from '../model/ike-event.ts';
import type { IpsecSa, PolicyId, SaLifetime, Spi } from '../model/ipsec-sa.ts';
import type { SelectorPair } from '../model/traffic-selector.ts';
import type { IkeOutbox } from './outbox.ts';
import { rekeyMargin } from './rekey-margin.ts';
import type { ChosenPhase2 } from './v1/phase2-proposal.ts';
import type { NegotiatedPair } from './v1/quick-mode.ts';

/**
 * Rekeying begins when this share of the lifetime is left, drawn anew for each pair (in thousandths): whoever initiated the pair
 * goes first, so that both sides seldom start at once; the other is there in case that fails.
 */
const REKEY_MARGIN = { initiator: { least: 120, most: 200 }, responder: { least: 40, most: 80 } } as const;
/** The inbound SA of a pair that has ended stays this long for packets that are under way. */
const INBOUND_LINGER = milliseconds(10_000);

export interface IpsecPairSetup {
  readonly vpn: VpnConfig;
  readonly policy: PolicyId;
  readonly trafficSelector: string | undefined;
  /** The user, where the gateway has several peers (`clientOf`). */
  readonly client: string | undefined;
  readonly role: IkeRole;
  /** When the first message of its exchange was sent, or came. */
  readonly startedAt: Instant;
  readonly path: UdpPath;
  readonly isUdpEncapsulated: boolean;
  readonly isRekey: boolean;
}

/** `offered`: inbound ready, not confirmed; `live`: agreed; `ended`: only its inbound SA lingers. */
export type PairState = 'offered' | 'live' | 'ended';

export class IpsecPair {
  readonly setup: IpsecPairSetup;
  readonly inboundSpi: Spi;
  readonly outboundSpi: Spi;
  readonly selectors: SelectorPair;
  readonly chosen: ChosenPhase2;
  readonly #nonceI: Uint8Array;
  readonly #lifetimeKilobytes: number | undefined;
  readonly #onTimeout: PairTimeouts;
  #path: UdpPath;
  #state: PairState = 'offered';
  #confirmedAt: Instant = NEVER;
  #softExpiresAt: Instant;
  #hardExpiresAt: Instant;
  /** When a newer pair has taken over: when to delete this one. */
  #retiresAt: Instant = NEVER;
  #lingersUntil: Instant = NEVER;
  #lastTrafficAt: Instant;

  constructor(
    now: Instant,
    setup: IpsecPairSetup,
    negotiated: NegotiatedPair,
    random: RandomSource,
    onTimeout: PairTimeouts,
  ) {
    this.setup = setup;
    this.inboundSpi = negotiated.ownSpi;
    this.outboundSpi = negotiated.chosen.peerSpi;
    this.selectors = negotiated.selectors;
    this.chosen = negotiated.chosen;
    this.#nonceI = negotiated.nonces.nonceI;
    this.#lifetimeKilobytes = negotiated.lifetimeKilobytes;
    this.#onTimeout = onTimeout;
    this.#path = setup.path;
    const lifetime = toMilliseconds(negotiated.lifetime);
    this.#hardExpiresAt = after(now, lifetime);
    const margin = rekeyMargin(REKEY_MARGIN[setup.role], setup.role, lifetime, random);
    this.#softExpiresAt = after(now, milliseconds(lifetime - margin));
    this.#lastTrafficAt = now;
  }

  get policy(): PolicyId {
    return this.setup.policy;
  }

  get vpn(): VpnConfig {
    return this.setup.vpn;
  }

  get gateway(): string {
    return this.setup.vpn.gateway;
  }

  get client(): string | undefined {
    return this.setup.client;
  }

  get state(): PairState {
    return this.#state;
  }

  get path(): UdpPath {
    return this.#path;
  }

  /** Puts both SAs into the data plane; nothing leaves under them yet. */
  install(negotiated: NegotiatedPair, out: IkeOutbox): void {
    out.command({ kind: 'add-inbound', sa: this.#describe('inbound', negotiated) });
    out.command({ kind: 'add-outbound', sa: this.#describe('outbound', negotiated) });
  }

  confirm(now: Instant): void {
    this.#state = 'live';
    this.#confirmedAt = now;
  }

  /** From now on packets of the policy leave under this pair. */
  use(out: IkeOutbox): void {
    out.command({ kind: 'use-outbound', policy: this.policy, spi: this.outboundSpi });
  }

  isOlderThan(at: Instant): boolean {
    return this.#confirmedAt < at;
  }

  /** A newer pair has taken over. */
  retire(at: Instant): void {
    this.#retiresAt = earliest(this.#retiresAt, at);
    this.#softExpiresAt = NEVER;
  }

  /** This pair is in use again, or still. */
  unretire(): void {
    this.#retiresAt = NEVER;
  }

  noteTraffic(now: Instant): void {
    this.#lastTrafficAt = now;
  }

  /** The peer is reached elsewhere now. */
  moveTo(path: UdpPath): void {
    if (this.setup.isUdpEncapsulated) this.#path = path;
  }

  /** Ends the pair; with `lingers` its inbound SA stays a while for packets under way. */
  end(now: Instant, lingers: boolean, reason: SaEndReason, out: IkeOutbox): void {
    if (this.#state === 'ended') return;
    const wasLive = this.#state === 'live';
    this.#state = 'ended';
    const remoteAddress = this.#path.remote.address;
    out.command({ kind: 'remove', direction: 'outbound', spi: this.outboundSpi, remoteAddress });
    this.#lingersUntil = lingers ? after(now, INBOUND_LINGER) : now;
    if (!lingers) this.removeInbound(out);
    if (!wasLive) return;
    const { vpn, policy } = this.setup;
    const spis = { inboundSpi: this.inboundSpi, outboundSpi: this.outboundSpi };
    out.report({ kind: 'ipsec-sa-deleted', gateway: vpn.gateway, vpn: vpn.name, policy, ...spis, reason });
  }

  removeInbound(out: IkeOutbox): void {
    this.#lingersUntil = NEVER;
    out.command({ kind: 'remove', direction: 'inbound', spi: this.inboundSpi });
  }

  nextTimeout(): Instant {
    if (this.#state === 'ended') return this.#lingersUntil;
    // Until it is confirmed, the exchange watches over it.
    if (this.#state === 'offered') return NEVER;
    return earliest(this.#softExpiresAt, this.#hardExpiresAt, this.#retiresAt, this.#idleAt());
  }

  handleTimeout(now: Instant, out: IkeOutbox): void {
    if (this.#state === 'ended') {
      if (now >= this.#lingersUntil) this.#onTimeout.handlePairGone(this, out);
      return;
    }
    if (now >= this.#hardExpiresAt) return this.#onTimeout.handlePairOver(now, this, 'expired', out);
    if (now >= this.#retiresAt) return this.#onTimeout.handlePairOver(now, this, 'rekeyed', out);
    if (now >= this.#idleAt()) return this.#onTimeout.handlePairOver(now, this, 'idle', out);
    if (now >= this.#softExpiresAt) this.expireSoftly(now, out);
  }

  /** Asks for a successor, once. */
  expireSoftly(now: Instant, out: IkeOutbox): void {
    if (this.#softExpiresAt === NEVER || this.#state !== 'live') return;
    this.#softExpiresAt = NEVER;
    this.#onTimeout.handlePairSoftExpiry(now, this, out);
  }

  /**
   * Whether this pair is preferred to `other`: the newer one is. If each side began one before the other's was there, which is newer may
   * look different over there, so the nonces decide, which both sides see alike.
   */
  isPreferredTo(other: IpsecPair): boolean {
    const overlaps = this.setup.startedAt <= other.#confirmedAt && other.setup.startedAt <= this.#confirmedAt;
    if (overlaps && this.setup.role !== other.setup.role) {
      const order = compareOctets(this.#nonceI, other.#nonceI);
      if (order !== 0) return order > 0;
    }
    return this.#confirmedAt >= other.#confirmedAt;
  }

  status(now: Instant, isCurrent: boolean): IpsecSaStatus {
    const { chosen } = this;
    const { vpn, policy, trafficSelector, isUdpEncapsulated } = this.setup;
    const remaining = (at: Instant): number => (at === NEVER ? 0 : Math.max(0, Math.ceil(elapsed(now, at) / 1000)));
    return {
      vpn: vpn.name,
      policy,
      gateway: vpn.gateway,
      ...(trafficSelector === undefined ? {} : { trafficSelector }),
      ...(vpn.bindInterface === undefined ? {} : { tunnelInterface: vpn.bindInterface }),
      inboundSpi: this.inboundSpi,
      outboundSpi: this.outboundSpi,
      protocol: chosen.protocol,
      mode: vpn.mode,
      encryption: chosen.encryption,
      integrity: chosen.integrity,
      ...(chosen.pfsGroup === undefined ? {} : { pfsGroup: chosen.pfsGroup }),
      path: this.#path,
      isUdpEncapsulated,
      selectors: this.selectors,
      hardLifetimeRemainingSeconds: remaining(this.#hardExpiresAt),
      softLifetimeRemainingSeconds: remaining(this.#softExpiresAt),
      ...(this.#lifetimeKilobytes === undefined ? {} : { lifetimeKilobytes: this.#lifetimeKilobytes }),
      replayWindow: vpn.antiReplayWindow,
      isCurrent,
    };
  }

  #idleAt(): Instant {
    const { idleTime } = this.setup.vpn;
    return idleTime === undefined ? NEVER : after(this.#lastTrafficAt, toMilliseconds(idleTime));
  }

  #describe(direction: 'inbound' | 'outbound', negotiated: NegotiatedPair): IpsecSa {
    const { vpn, policy, isUdpEncapsulated } = this.setup;
    const { protocol, encryption, integrity, extendedSequenceNumbers } = this.chosen;
    const keys = direction === 'inbound' ? negotiated.inboundKeys : negotiated.outboundKeys;
    const { originalAddresses } = negotiated;
    const isTranslated = vpn.mode === 'transport' && isUdpEncapsulated && originalAddresses !== undefined;
    return {
      direction,
      protocol,
      spi: direction === 'inbound' ? this.inboundSpi : this.outboundSpi,
      mode: vpn.mode,
      policy,
      localAddress: this.#path.local.address,
      remoteAddress: this.#path.remote.address,
      ...(isUdpEncapsulated ? { udp: this.#path } : {}),
      encryption: protocol === 'ah' ? 'null' : encryption,
      encryptionKey: keys.encryptionKey,
      integrity,
      integrityKey: keys.integrityKey,
      selectors: this.selectors,
      extendedSequenceNumbers,
      replayWindow: vpn.antiReplayWindow,
      lifetime: this.#dataPlaneLifetime(negotiated),
      ...(isTranslated ? { originalAddresses } : {}),
    };
  }

  /** Time is watched here, where its jitter is; the data plane counts octets, and ends what IKE forgets. */
  #dataPlaneLifetime(negotiated: NegotiatedPair): SaLifetime {
    const hardSeconds = seconds(negotiated.lifetime);
    const { lifetimeKilobytes: hardKilobytes } = negotiated;
    if (hardKilobytes === undefined) return { hardSeconds };
    return { hardSeconds, hardKilobytes, softKilobytes: Math.floor(hardKilobytes * SOFT_KILOBYTES_SHARE) };
  }
}

const SOFT_KILOBYTES_SHARE = 0.85;

/** What a pair's timers lead to. */
export interface PairTimeouts {
  handlePairSoftExpiry(now: Instant, pair: IpsecPair, out: IkeOutbox): void;
  handlePairOver(now: Instant, pair: IpsecPair, reason: SaEndReason, out: IkeOutbox): void;
  /** The inbound SA has lingered long enough. */
  handlePairGone(pair: IpsecPair, out: IkeOutbox): void;
}

function compareOctets(a: Uint8Array, b: Uint8Array): number {
  for (let index = 0; index < Math.min(a.length, b.length); index++) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

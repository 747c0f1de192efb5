// One ISAKMP SA: its phase 1, its lifetime, its liveness and its path (RFC 2408 §2.4; RFC 2409 §5; RFC 3947 §4).
// Until a message is authenticated, nothing but the half-open exchange that it belongs to may change.

import { toHex } from '../../lib/bytes.ts';
import { invariant } from '../../lib/invariant.ts';
import { randomBelow } from '../../lib/random.ts';
import { err, ok, type Result } from '../../lib/result.ts';
import { after, earliest, type Instant, instant, milliseconds, NEVER, toMilliseconds } from '../../lib/time.ts';
import { type IpAddress, pathsEqual, type UdpPath } from '../../model/address.ts';
import type { ComputeResult } from '../../model/compute-job.ts';
import type { IkeGatewayConfig } from '../../model/gateway-config.ts';
import type { IkeRole, IkeSaId, IkeSaStatus, NatSituation, SaEndReason } from '../../model/ike-event.ts';
import { EXCHANGE_TYPE, ISAKMP_HEADER_LENGTH, type IsakmpHeader } from '../../wire/isakmp-header.ts';
import { type DecodedPayload, decodePayloadChain } from '../../wire/isakmp-payloads.ts';
import type { IkeOutbox } from '../outbox.ts';
import type { PhaseOneAuthentication } from './authentication.ts';
import { DeadPeerDetection } from './dead-peer-detection.ts';
import { isFragment, Reassembly } from './fragmentation.ts';
import { deleteIsakmpPayload, liveliness } from './informational.ts';
import { IsakmpLifetime } from './isakmp-lifetime.ts';
import { describeIsakmpSa } from './isakmp-sa-status.ts';
import { type Cookies, wipeIsakmpKeys } from './key-material.ts';
import { MessageChannel } from './message-channel.ts';
import { NAT_TRAVERSAL_PORT } from './nat-traversal.ts';
import type { PeerFault, Refusal } from './peer-fault.ts';
import type { ComputeRequest, Phase1Outcome } from './phase1.ts';
import { Phase1Exchange, type Phase1Progress } from './phase1-exchange.ts';
import { modeOf } from './phase1-mode.ts';
import type { UdpEncapsulation } from './phase2-proposal.ts';
import { ProtectedExchanges } from './protected-exchanges.ts';
import type { SaOwner } from './sa-owner.ts';
import type { TransactionOutcome } from './transactions.ts';

export interface IsakmpSaSetup {
  readonly owner: SaOwner;
  readonly gateway: IkeGatewayConfig;
  readonly authentication: PhaseOneAuthentication;
  readonly role: IkeRole;
  readonly mode: 'main' | 'aggressive';
  readonly cookies: Cookies;
  readonly path: UdpPath;
  /** Junos' number for `show`. */
  readonly index: number;
  /** Takes the place of an older one with the same peer. */
  readonly isRekey: boolean;
}

/** For so long after a packet of an IPsec SA its path is sure: they carry an order, while an IKE message may have been held back. */
const TRAFFIC_IS_FRESH = milliseconds(2000);

export class IsakmpSa {
  readonly role: IkeRole;
  readonly mode: 'main' | 'aggressive';
  readonly index: number;
  readonly isRekey: boolean;
  readonly gateway: IkeGatewayConfig;
  readonly createdAt: Instant;
  /** The peer's address when phase 1 began. */
  readonly firstAddress: IpAddress;
  readonly exchanges: ProtectedExchanges;
  readonly #owner: SaOwner;
  readonly #channel: MessageChannel;
  readonly #phase1: Phase1Exchange;
  #reassembly: Reassembly | undefined;
  #outcome: Phase1Outcome | undefined;
  #establishedAt: Instant = NEVER;
  #lifetime: IsakmpLifetime | undefined;
  #keepaliveAt: Instant = NEVER;
  #liveness: DeadPeerDetection | undefined;
  #isDeleted = false;
  /** The path of the message being handled, until it is authenticated. */
  #candidatePath: UdpPath | undefined;
  #heardAt: Instant = NEVER;
  #pathIsSureUntil = instant(Number.NEGATIVE_INFINITY);
  ipsecSasCreated = 0;
  ipsecSasDeleted = 0;

  constructor(now: Instant, setup: IsakmpSaSetup) {
    const { owner, gateway, authentication, role, mode, cookies, path } = setup;
    this.#owner = owner;
    this.gateway = gateway;
    this.role = role;
    this.mode = mode;
    this.index = setup.index;
    this.isRekey = setup.isRekey;
    this.createdAt = now;
    this.firstAddress = path.remote.address;
    this.#channel = new MessageChannel(owner.environment, gateway.name, cookies, path);
    const isFirstContact = () => owner.isFirstContact(this);
    const [{ environment }, channel] = [owner, this.#channel];
    const phase1 = { environment, gateway, authentication, role, mode, channel, isFirstContact };
    this.#phase1 = new Phase1Exchange(now, phase1);
    this.exchanges = new ProtectedExchanges(this, channel, owner);
  }

  get id(): IkeSaId {
    return `${toHex(this.cookies.initiatorCookie)}:${toHex(this.cookies.responderCookie)}`;
  }

  get cookies(): Cookies {
    return this.#channel.cookies;
  }

  get path(): UdpPath {
    return this.#channel.path;
  }

  get nat(): NatSituation {
    return this.#phase1.nat;
  }

  /** Phase 1 is done, and XAUTH too where it is asked for. */
  get isEstablished(): boolean {
    return this.#isAuthenticated && (this.gateway.xauth === undefined || this.exchanges.remoteAccess?.isReady === true);
  }

  get #isAuthenticated(): boolean {
    return this.#outcome !== undefined && !this.#isDeleted;
  }

  get isDeleted(): boolean {
    return this.#isDeleted;
  }

  get establishedAt(): Instant {
    return this.#establishedAt;
  }

  /** When the peer last proved that it has this SA; packets of IPsec SAs do not prove that. */
  get heardAt(): Instant {
    return this.#heardAt;
  }

  /** Whether a dead peer will be noticed: it is asked only if the configuration says so and it has announced that it answers. */
  get detectsDeadPeer(): boolean {
    return this.#liveness !== undefined;
  }

  /** Where phase 1 stands. */
  get step(): string {
    return this.#phase1.step;
  }

  get outcome(): Phase1Outcome | undefined {
    return this.#outcome;
  }

  /**
   * Whether, and by whose numbers, IPsec goes through UDP: if IKE has moved to port 4500, as the initiator must once it sees a NAT
   * (RFC 3947 §4). Not by what we see of it: nothing protects NAT-D, so one altered octet could make the ends disagree for good.
   */
  get udpEncapsulation(): UdpEncapsulation {
    const hasMoved = this.path.local.port === NAT_TRAVERSAL_PORT;
    return hasMoved ? this.#phase1.agreement?.extensions.natTraversal : undefined;
  }

  start(now: Instant, out: IkeOutbox): void {
    this.#advance(now, this.#phase1.start(now, out), out);
  }

  answer(
    now: Instant,
    message: Uint8Array,
    payloads: readonly DecodedPayload[],
    out: IkeOutbox,
  ): Result<true, Refusal> {
    const progress = this.#phase1.answer(now, message, payloads, out);
    if (!progress.ok) return progress;
    this.#advance(now, progress.value, out);
    return ok(true);
  }

  /** The responder's cookie has come with its first answer, and that answer was acceptable or not yet looked at. */
  adoptResponderCookie(responderCookie: Uint8Array): void {
    this.#channel.cookies = { ...this.cookies, responderCookie };
  }

  handleMessage(
    now: Instant,
    path: UdpPath,
    header: IsakmpHeader,
    message: Uint8Array,
    out: IkeOutbox,
  ): Result<true, PeerFault> {
    if (isFragment(header)) return this.#handleFragment(now, path, header, message, out);
    const { exchangeType, flags } = header;
    if (modeOf(header) !== undefined) return this.#handlePhase1(now, path, header, message, out);
    const isClearNotice = exchangeType === EXCHANGE_TYPE.informational && !flags.encryption;
    if (isClearNotice) return this.#handleClearNotice(path, header, message, out);
    if (!this.#isAuthenticated) return err('unexpected-message');
    if (!this.isEstablished && exchangeType === EXCHANGE_TYPE.quick) return err('unexpected-message');
    this.#candidatePath = path;
    const handled = this.exchanges.handleMessage(now, header, message, out);
    this.#candidatePath = undefined;
    return handled;
  }

  handleComputed(now: Instant, messageId: number, result: ComputeResult, out: IkeOutbox): void {
    if (this.#isDeleted) return;
    if (messageId === 0) this.#advance(now, this.#phase1.handleComputed(now, result, out), out);
    else this.exchanges.handleComputed(now, messageId, result, out);
  }

  /** Hands a computation out; its result comes back with the exchange's message ID. */
  compute(messageId: number, request: ComputeRequest, out: IkeOutbox): void {
    const { group, privateValue, peerPublicValue } = request;
    out.compute({
      id: this.#owner.registerJob(this, messageId),
      kind: 'diffie-hellman',
      group,
      privateValue: privateValue.reveal(),
      ...(peerPublicValue ? { peerPublicValue } : {}),
    });
  }

  /** A message of this SA has been authenticated: the peer lives, and is where it came from if a NAT may move it (RFC 3947 §4). */
  noteAuthenticated(now: Instant, out: IkeOutbox): void {
    this.#heardAt = now;
    this.#liveness?.handleIkeMessage(now);
    const to = this.#candidatePath;
    const from = this.#channel.path;
    if (to === undefined || pathsEqual(from, to) || !this.nat.isRemoteBehindNat || now < this.#pathIsSureUntil) return;
    this.#channel.path = to;
    this.#owner.handlePathMoved(this, from, to, out);
  }

  /** The data plane has seen authenticated traffic of this SA's peer on a new path. */
  moveTo(path: UdpPath): void {
    if (this.nat.isRemoteBehindNat) this.#channel.path = path;
  }

  /** A newer SA with the same peer has taken over: this one is deleted by then. */
  retire(at: Instant): void {
    this.#lifetime?.retire(at);
  }

  noteTraffic(now: Instant, direction: 'inbound' | 'outbound'): void {
    if (direction === 'inbound') this.#pathIsSureUntil = after(now, TRAFFIC_IS_FRESH);
    if (direction === 'inbound') this.#liveness?.handleInboundTraffic(now);
    else this.#liveness?.handleOutboundTraffic(now);
  }

  acknowledgeProbe(sequence: number, out: IkeOutbox): void {
    const payload = liveliness('R-U-THERE-ACK', this.cookies, sequence);
    this.exchanges.sendInformational([payload], 'said that we are here', out);
  }

  handleProbeAcknowledged(now: Instant, sequence: number): void {
    this.#liveness?.handleAcknowledgement(now, sequence);
  }

  /** Ends the SA, telling the peer unless it knows; its exchanges fail, its IPsec SAs live on. */
  delete(now: Instant, reason: SaEndReason, tellPeer: boolean, out: IkeOutbox): void {
    if (this.#isDeleted) return;
    const wasEstablished = this.isEstablished;
    if (wasEstablished && tellPeer) {
      this.exchanges.sendInformational([deleteIsakmpPayload(this.cookies)], 'deleted the IKE SA', out);
    }
    this.#isDeleted = true;
    this.exchanges.abandonAll(now, out);
    this.#phase1.wipePassingKeys();
    if (this.#channel.protection) wipeIsakmpKeys(this.#channel.protection.keys);
    if (wasEstablished) out.report({ kind: 'ike-sa-deleted', gateway: this.gateway.name, ikeSa: this.id, reason });
  }

  nextTimeout(): Instant {
    if (this.#isDeleted) return NEVER;
    if (!this.#isAuthenticated) return this.#phase1.nextTimeout();
    return earliest(
      this.#phase1.nextTimeout(),
      this.#lifetime?.nextTimeout() ?? NEVER,
      this.#keepaliveAt,
      this.#liveness?.nextTimeout() ?? NEVER,
      this.exchanges.nextTimeout(),
    );
  }

  handleTimeout(now: Instant, out: IkeOutbox): void {
    if (this.#isDeleted) return;
    this.#advance(now, this.#phase1.handleTimeout(now, out), out);
    if (!this.#isAuthenticated) return;
    this.exchanges.handleTimeout(now, out);
    if (this.#isDeleted) return;
    if (now >= this.#keepaliveAt) {
      this.#keepaliveAt = after(now, toMilliseconds(this.gateway.natKeepalive));
      out.transmitKeepalive(this.path);
    }
    this.#checkLiveness(now, out);
    if (this.#isDeleted) return;
    const action = this.#lifetime?.handleTimeout(now);
    if (action === 'rekey') this.#owner.handleIsakmpSoftExpiry(now, this, out);
    if (action === 'expired') this.#owner.handleIsakmpOver(now, this, 'expired', out);
    if (action === 'retired') this.#owner.handleIsakmpOver(now, this, 'rekeyed', out);
  }

  status(now: Instant): IkeSaStatus {
    return describeIsakmpSa(this, this.#channel, this.#phase1.agreement, this.#lifetime?.remaining(now));
  }

  #handlePhase1(
    now: Instant,
    path: UdpPath,
    header: IsakmpHeader,
    message: Uint8Array,
    out: IkeOutbox,
  ): Result<true, PeerFault> {
    if (header.messageId !== 0 || modeOf(header) !== this.mode) return err('unexpected-message');
    const progress = this.#phase1.handleMessage(now, path, header, message, out);
    if (progress.kind === 'dropped') return err(progress.fault);
    this.#advance(now, progress, out);
    return ok(true);
  }

  #handleFragment(
    now: Instant,
    path: UdpPath,
    fragmentHeader: IsakmpHeader,
    fragment: Uint8Array,
    out: IkeOutbox,
  ): Result<true, PeerFault> {
    if (this.gateway.fragmentSize === undefined) return err('unexpected-payloads');
    this.#reassembly ??= new Reassembly();
    const result = this.#reassembly.handleFragment(now, fragmentHeader, fragment);
    if (result.kind === 'refused') return err(result.fault);
    if (result.kind === 'incomplete') return ok(true);
    return this.handleMessage(now, path, result.header, result.message, out);
  }

  #handleClearNotice(
    path: UdpPath,
    header: IsakmpHeader,
    message: Uint8Array,
    out: IkeOutbox,
  ): Result<true, PeerFault> {
    // Under an established SA only encrypted notices count (RFC 2409 §5.7).
    if (this.#isAuthenticated) return err('not-encrypted');
    const body = message.subarray(ISAKMP_HEADER_LENGTH);
    const payloads = decodePayloadChain(header.nextPayload, body, { encrypted: false });
    if (!payloads.ok) return err('malformed');
    this.#phase1.handleUnauthenticatedNotice(path, payloads.value, out);
    return ok(true);
  }

  #advance(now: Instant, progress: Phase1Progress, out: IkeOutbox): void {
    switch (progress.kind) {
      case 'ongoing':
        if (progress.compute) this.compute(0, progress.compute, out);
        return;
      case 'established':
        this.#establish(now, progress.outcome, out);
        return;
      case 'failed':
        this.#owner.handleIsakmpFailed(now, this, out);
        return;
      default:
        return;
    }
  }

  #establish(now: Instant, outcome: Phase1Outcome, out: IkeOutbox): void {
    this.#outcome = outcome;
    this.#establishedAt = now;
    this.#heardAt = now;
    const { random } = this.#owner.environment;
    const { agreement } = this.#phase1;
    invariant(agreement !== undefined, 'an established SA has a suite');
    this.#lifetime = new IsakmpLifetime(now, toMilliseconds(agreement.suite.lifetime), this.role, random);
    if (this.nat.isLocalBehindNat) this.#keepaliveAt = after(now, toMilliseconds(this.gateway.natKeepalive));
    const { deadPeerDetection } = this.gateway;
    if (deadPeerDetection && agreement.extensions.deadPeerDetection) {
      this.#liveness = new DeadPeerDetection(now, deadPeerDetection, randomBelow(random, 2 ** 31));
    }
    // A dial-in peer must name its user first: until then this SA carries nothing else.
    if (this.gateway.xauth) this.exchanges.beginRemoteAccess(now, this.gateway.xauth, out);
    else this.#owner.handleIsakmpEstablished(now, this, out);
  }

  /** What XAUTH and Mode Config have come to. */
  handleRemoteAccess(now: Instant, outcome: TransactionOutcome, out: IkeOutbox): void {
    if (outcome.kind === 'ready') this.#owner.handleIsakmpEstablished(now, this, out);
    if (outcome.kind !== 'failed') return;
    const { fault, explanation, statements } = outcome.refusal;
    const about = { phase: 1, role: this.role, gateway: this.gateway.name, path: this.path } as const;
    out.report({ kind: 'negotiation-failed', ...about, reason: fault, explanation, statements, isFinal: true });
    this.exchanges.sendInformational([deleteIsakmpPayload(this.cookies)], 'deleted the IKE SA', out);
    this.#owner.handleIsakmpFailed(now, this, out);
  }

  #checkLiveness(now: Instant, out: IkeOutbox): void {
    const action = this.#liveness?.handleTimeout(now);
    if (action?.kind === 'probe') {
      const payload = liveliness('R-U-THERE', this.cookies, action.sequence);
      this.exchanges.sendInformational([payload], 'asked whether the peer is there', out);
    }
    if (action?.kind === 'dead') this.#owner.handlePeerDead(now, this, out);
    if (action?.kind === 'lost') this.#owner.handleUnanswered(now, this, out);
  }
}

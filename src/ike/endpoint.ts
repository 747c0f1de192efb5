// IKE's face: messages, time, results and configuration in; messages, commands, computations and events out.
// A message's life here: clear header -> SA by cookie pair -> that SA; or, if it begins an exchange, admission and a new SA.

import { err, ok, type Result } from '../lib/result.ts';
import type { Instant } from '../lib/time.ts';
import type { IpAddress, UdpPath } from '../model/address.ts';
import type { ComputeResult } from '../model/compute-job.ts';
import type { DataPlaneEvent } from '../model/data-plane.ts';
import type { GatewayConfig } from '../model/gateway-config.ts';
import type { IkeSaStatus, IpsecSaStatus } from '../model/ike-event.ts';
import type { Spi } from '../model/ipsec-sa.ts';
import { decodeIsakmpHeader, type IsakmpHeader } from '../wire/isakmp-header.ts';
import { Agenda } from './agenda.ts';
import { Coordinator } from './coordinator.ts';
import { DataPlaneEvents } from './data-plane-events.ts';
import type { IkeEnvironment } from './environment.ts';
import { Initiations } from './initiations.ts';
import type { IpsecPair } from './ipsec-pair.ts';
import { isZero, noCookie } from './isakmp-sas.ts';
import type { IkeOutbox } from './outbox.ts';
import { reconfigure } from './reconfiguration.ts';
import type { Tunnel } from './tunnel.ts';
import type { IsakmpSa } from './v1/isakmp-sa.ts';
import type { PeerFault } from './v1/peer-fault.ts';

export type { IkeEnvironment } from './environment.ts';

type Timed = IsakmpSa | IpsecPair | Tunnel;

/** IKE for one gateway: everything but the clock, the network and long computations. */
export class IkeEndpoint {
  readonly #coordinator: Coordinator;
  readonly #initiations: Initiations;
  readonly #dataPlaneEvents: DataPlaneEvents;
  readonly #agenda = new Agenda<Timed>();
  readonly #touched = new Set<Timed>();
  /** Computations that are out: whose they are. As many as there are exchanges, which are bounded. */
  readonly #jobs = new Map<number, { readonly sa: IsakmpSa; readonly messageId: number }>();
  #nextJobId = 1;

  constructor(environment: IkeEnvironment) {
    this.#coordinator = new Coordinator({
      environment,
      registerJob: (sa, messageId) => {
        this.#jobs.set(this.#nextJobId, { sa, messageId });
        return this.#nextJobId++;
      },
      connect: (now, peer, out) => {
        const sa = this.#initiations.connect(now, peer, out);
        if (sa) this.#touched.add(sa);
        return sa;
      },
      touch: (item) => this.#touched.add(item),
      forget: (item) => {
        this.#touched.delete(item);
        this.#agenda.delete(item);
      },
      handleVerified: (sa) => this.#initiations.handleVerified(sa),
    });
    this.#initiations = new Initiations(this.#coordinator);
    this.#dataPlaneEvents = new DataPlaneEvents(this.#coordinator, (item) => this.#touched.add(item));
  }

  /** Takes a new configuration; SAs whose gateway or VPN is gone or changed are ended, with a Delete. */
  applyConfig(now: Instant, config: GatewayConfig, out: IkeOutbox): void {
    this.#initiations.admission.configure(config.halfOpenMax);
    const { added, removed } = reconfigure(now, this.#coordinator, config, out);
    for (const tunnel of added) this.#touched.add(tunnel);
    for (const tunnel of removed) {
      this.#touched.delete(tunnel);
      this.#agenda.delete(tunnel);
    }
    this.#reschedule();
  }

  /** An ISAKMP message, without the non-ESP marker. The bytes stay the caller's. */
  handleMessage(now: Instant, path: UdpPath, message: Uint8Array, out: IkeOutbox): void {
    // What is kept for comparing duplicates must not change with the caller's buffer.
    const handled = this.#route(now, path, message.slice(), out);
    if (!handled.ok) out.report({ kind: 'message-dropped', fault: handled.error, path });
    this.#reschedule();
  }

  handleComputed(now: Instant, jobId: number, result: ComputeResult, out: IkeOutbox): void {
    const job = this.#jobs.get(jobId);
    this.#jobs.delete(jobId);
    if (job === undefined) return;
    job.sa.handleComputed(now, job.messageId, result, out);
    this.#touchSa(job.sa);
    this.#reschedule();
  }

  handleTimeout(now: Instant, out: IkeOutbox): void {
    // Whatever is due is handled once; what it asks for anew waits for the next call, so that nothing can spin here.
    const due: Timed[] = [];
    for (let item = this.#agenda.takeDue(now); item !== undefined; item = this.#agenda.takeDue(now)) due.push(item);
    for (const item of due) {
      this.#touched.add(item);
      item.handleTimeout(now, out);
    }
    this.#reschedule();
  }

  /** When `handleTimeout` wants to be called next. */
  nextTimeout(): Instant {
    return this.#agenda.nextTimeout();
  }

  handleDataPlaneEvent(now: Instant, event: DataPlaneEvent, out: IkeOutbox): void {
    this.#dataPlaneEvents.handle(now, event, out);
    this.#reschedule();
  }

  /** Negotiates what the VPN lacks, at once. Like the `clear` commands an operator's word, and so one pass over everything will do. */
  initiate(now: Instant, vpn: string, out: IkeOutbox): void {
    for (const tunnel of this.#coordinator.tunnels.all()) {
      if (tunnel.vpn.name !== vpn || this.#coordinator.tunnels.pairs.live(tunnel.policy).length > 0) continue;
      tunnel.forgetFailures();
      this.#coordinator.negotiate(now, tunnel, out);
      this.#touched.add(tunnel);
    }
    this.#reschedule();
  }

  /** Ends ISAKMP SAs and tells their peers; says how many. Without a filter, all. */
  clearIke(now: Instant, filter: { index?: number; remoteAddress?: IpAddress }, out: IkeOutbox): number {
    const cleared = [...this.#coordinator.sas].filter(
      (sa) =>
        (filter.index === undefined || sa.index === filter.index) &&
        (filter.remoteAddress === undefined || sa.path.remote.address === filter.remoteAddress),
    );
    for (const sa of cleared) {
      const wasOurAttempt = this.#coordinator.peers.get(sa.gateway.name)?.initiating === sa;
      this.#initiations.handleVerified(sa);
      if (wasOurAttempt) this.#coordinator.handleIsakmpFailed(now, sa, out);
      else this.#coordinator.handleIsakmpOver(now, sa, 'cleared', out);
    }
    this.#reschedule();
    return cleared.length;
  }

  /** Ends pairs of IPsec SAs and tells their peers; says how many. Tunnels that are to be up always come up again. */
  clearIpsec(now: Instant, filter: { spi?: Spi; vpn?: string }, out: IkeOutbox): number {
    const cleared = this.#coordinator.tunnels.pairs
      .all()
      .filter(
        (pair) =>
          pair.state === 'live' &&
          (filter.spi === undefined || pair.inboundSpi === filter.spi || pair.outboundSpi === filter.spi) &&
          (filter.vpn === undefined || pair.vpn.name === filter.vpn),
      );
    for (const pair of cleared) this.#coordinator.tunnels.endPair(now, pair, 'cleared', true, out);
    for (const pair of cleared) this.#coordinator.tunnels.revive(pair.policy, now);
    this.#reschedule();
    return cleared.length;
  }

  /** Deletes everything, telling the peers; nothing is negotiated afterwards. */
  shutdown(now: Instant, out: IkeOutbox): void {
    for (const tunnel of this.#coordinator.tunnels.all()) this.#agenda.delete(tunnel);
    for (const pair of this.#coordinator.tunnels.pairs.all()) {
      if (pair.state === 'ended') this.#coordinator.tunnels.handlePairGone(pair, out);
      else this.#coordinator.tunnels.endPair(now, pair, 'shutdown', pair.state === 'live', out);
    }
    for (const pair of this.#coordinator.tunnels.pairs.all()) this.#coordinator.tunnels.handlePairGone(pair, out);
    for (const sa of [...this.#coordinator.sas]) this.#coordinator.endIsakmp(now, sa, 'shutdown', true, out);
    this.#coordinator.tunnels.replace([]);
    this.#coordinator.peers.clear();
    this.#touched.clear();
    this.#jobs.clear();
  }

  ikeSas(now: Instant): readonly IkeSaStatus[] {
    return [...this.#coordinator.sas].map((sa) => sa.status(now));
  }

  ipsecSas(now: Instant): readonly IpsecSaStatus[] {
    const { pairs } = this.#coordinator.tunnels;
    return pairs
      .all()
      .filter((pair) => pair.state === 'live')
      .map((pair) => pair.status(now, pairs.current(pair.policy) === pair));
  }

  #route(now: Instant, path: UdpPath, message: Uint8Array, out: IkeOutbox): Result<true, PeerFault> {
    const decoded = decodeIsakmpHeader(message);
    if (!decoded.ok) return err('malformed');
    const header = decoded.value;
    if (header.majorVersion !== 1 || header.minorVersion !== 0) return err('unsupported-version');
    if (isZero(header.initiatorCookie)) return err('malformed');
    const standing = this.#coordinator.sas.find(header);
    if (standing) {
      this.#touchSa(standing);
      return standing.handleMessage(now, path, header, message, out);
    }
    if (isZero(header.responderCookie)) return this.#routeFirst(now, path, header, message, out);
    return this.#routeFirstAnswer(now, path, header, message, out);
  }

  /** A message that begins an exchange, or did before. */
  #routeFirst(
    now: Instant,
    path: UdpPath,
    header: IsakmpHeader,
    message: Uint8Array,
    out: IkeOutbox,
  ): Result<true, PeerFault> {
    const begun = this.#coordinator.sas.findBegun(path.remote.address, header.initiatorCookie);
    if (begun) {
      this.#touchSa(begun);
      return begun.handleMessage(now, path, header, message, out);
    }
    // Our own first message, come back to us.
    if (this.#coordinator.sas.findUnanswered(header.initiatorCookie)) return err('unexpected-message');
    const answered = this.#initiations.answer(now, path, header, message, out);
    if (!answered.ok) return answered;
    if (answered.value) this.#touchSa(answered.value);
    return ok(true);
  }

  /** The first answer to our own first message brings the responder's cookie; a message that is refused leaves none behind. */
  #routeFirstAnswer(
    now: Instant,
    path: UdpPath,
    header: IsakmpHeader,
    message: Uint8Array,
    out: IkeOutbox,
  ): Result<true, PeerFault> {
    const sa = this.#coordinator.sas.findUnanswered(header.initiatorCookie);
    if (sa === undefined) return err('unknown-sa');
    const stepBefore = sa.step;
    sa.adoptResponderCookie(header.responderCookie);
    const handled = sa.handleMessage(now, path, header, message, out);
    if (sa.isDeleted) return handled;
    if (sa.step !== stepBefore) this.#coordinator.sas.promote(sa);
    else sa.adoptResponderCookie(noCookie());
    this.#touchSa(sa);
    return handled;
  }

  #touchSa(sa: IsakmpSa): void {
    if (!sa.isDeleted) this.#touched.add(sa);
  }

  #reschedule(): void {
    for (const item of this.#touched) this.#agenda.set(item, item.nextTimeout());
    this.#touched.clear();
  }
}

// The core's face: datagrams, time and configuration go in; datagrams, data-plane commands, computations and events come out. It
// does no I/O and waits for nothing. The life of an IKE datagram: told apart by the local port it came to -> IKE's endpoint ->
// effects through the outbox, with the non-ESP marker in front on port 4500 (RFC 3948 §2.2).

import { IkeEndpoint } from '../ike/endpoint.ts';
import type { IkeEnvironment } from '../ike/environment.ts';
import type { IkeOutbox, SaCommand } from '../ike/outbox.ts';
import type { Instant } from '../lib/time.ts';
import type { IpAddress, UdpPath } from '../model/address.ts';
import type { ComputeJob, ComputeResult } from '../model/compute-job.ts';
import type { DataPlaneCommand, DataPlaneEvent } from '../model/data-plane.ts';
import type { GatewayConfig } from '../model/gateway-config.ts';
import type { IkeEvent, IkeSaStatus, IpsecSaStatus } from '../model/ike-event.ts';
import type { Spi } from '../model/ipsec-sa.ts';
import { addNonEspMarker, classifyUdp4500, natKeepalive, stripNonEspMarker } from '../wire/udp-encapsulation.ts';
import { ClientPolicies } from './client-policies.ts';
import { type GatewayCounters, GatewayCounting } from './counters.ts';
import type { GatewayOutbox } from './outbox.ts';
import { type PolicyTable, reconcilePolicies } from './reconcile.ts';
import { type TunnelEvent, TunnelEvents } from './tunnel-events.ts';

/** IKE's own port (RFC 2408 §2.5.1): no marker, nothing but IKE. */
const IKE_PORT = 500;
/** The port that IKE moves to when there is a NAT, and shares with ESP (RFC 3948 §2). */
export const NAT_TRAVERSAL_PORT = 4500;

/** One IPsec gateway: everything but the clock, the network and the packets. */
export class Gateway {
  readonly #ike: IkeEndpoint;
  readonly #counting = new GatewayCounting();
  readonly #tunnelEvents = new TunnelEvents();
  readonly #clientPolicies = new ClientPolicies();
  #policies: PolicyTable = new Map();
  #config: GatewayConfig = { gateways: [], vpns: [], tunnelInterfaces: [], routes: [] };

  constructor(environment: IkeEnvironment) {
    this.#ike = new IkeEndpoint(environment);
  }

  /** The configuration in force. */
  get config(): GatewayConfig {
    return this.#config;
  }

  /** Takes over a whole new configuration. Cannot fail: what is wrong with a configuration is found before it gets here. */
  applyConfig(now: Instant, config: GatewayConfig, out: GatewayOutbox): void {
    const changes = reconcilePolicies(this.#policies, config);
    this.#policies = changes.table;
    this.#config = config;
    this.#tunnelEvents.applyConfig(now, config);
    // Policies come before the SAs that serve them, and go after them.
    for (const policy of changes.puts) out.command({ kind: 'put-policy', policy });
    for (const policy of this.#clientPolicies.reconcile(changes.table)) out.command({ kind: 'put-policy', policy });
    this.#ike.applyConfig(now, config, this.#outbox(now, out));
    for (const id of changes.deletes) out.command({ kind: 'delete-policy', id });
  }

  /**
   * A UDP payload as it was received. What it is depends on the local port. The bytes stay the caller's and are not changed.
   * ESP does not belong here, since the packet engine owns that traffic; it is counted and dropped.
   */
  handleDatagram(now: Instant, path: UdpPath, datagram: Uint8Array, out: GatewayOutbox): void {
    this.#counting.datagramsReceived++;
    this.#counting.octetsReceived += datagram.length;
    if (path.local.port === IKE_PORT) this.#ike.handleMessage(now, path, datagram, this.#outbox(now, out));
    else if (path.local.port === NAT_TRAVERSAL_PORT) this.#handleUdp4500(now, path, datagram, out);
    else this.#counting.countDrop('unknown-port');
  }

  handleComputed(now: Instant, jobId: number, result: ComputeResult, out: GatewayOutbox): void {
    this.#ike.handleComputed(now, jobId, result, this.#outbox(now, out));
  }

  handleDataPlaneEvent(now: Instant, event: DataPlaneEvent, out: GatewayOutbox): void {
    this.#ike.handleDataPlaneEvent(now, event, this.#outbox(now, out));
  }

  handleTimeout(now: Instant, out: GatewayOutbox): void {
    this.#ike.handleTimeout(now, this.#outbox(now, out));
  }

  /** When `handleTimeout` wants to be called next; not later than now if something is due already. */
  nextTimeout(): Instant {
    return this.#ike.nextTimeout();
  }

  /** Negotiates every selector of a VPN that has no SA yet; nothing for a VPN that is not configured. */
  initiate(now: Instant, vpn: string, out: GatewayOutbox): void {
    this.#ike.initiate(now, vpn, this.#outbox(now, out));
  }

  /** Ends the IKE SAs that match, and tells the peers; says how many. An empty filter matches all. */
  clearIke(now: Instant, filter: { index?: number; remoteAddress?: IpAddress }, out: GatewayOutbox): number {
    return this.#ike.clearIke(now, filter, this.#outbox(now, out));
  }

  /** Ends the IPsec SA pairs that match, and tells the peers; says how many. An empty filter matches all. */
  clearIpsec(now: Instant, filter: { spi?: Spi; vpn?: string }, out: GatewayOutbox): number {
    return this.#ike.clearIpsec(now, filter, this.#outbox(now, out));
  }

  /** Ends everything, with a Delete for each SA. */
  shutdown(now: Instant, out: GatewayOutbox): void {
    this.#ike.shutdown(now, this.#outbox(now, out));
  }

  ikeSas(now: Instant): readonly IkeSaStatus[] {
    return this.#ike.ikeSas(now);
  }

  ipsecSas(now: Instant): readonly IpsecSaStatus[] {
    return this.#ike.ipsecSas(now);
  }

  /** What happened to a VPN of late, newest first. */
  tunnelEvents(vpn: string): readonly TunnelEvent[] {
    return this.#tunnelEvents.of(vpn);
  }

  counters(): GatewayCounters {
    return this.#counting.snapshot();
  }

  #handleUdp4500(now: Instant, path: UdpPath, datagram: Uint8Array, out: GatewayOutbox): void {
    switch (classifyUdp4500(datagram)) {
      case 'ike':
        this.#ike.handleMessage(now, path, stripNonEspMarker(datagram), this.#outbox(now, out));
        break;
      case 'keepalive':
        this.#counting.keepalivesReceived++;
        break;
      case 'esp':
        this.#counting.countDrop('esp-outside-data-plane');
        break;
      case 'malformed':
        this.#counting.countDrop('malformed-udp-encapsulation');
        break;
    }
  }

  /** What the data plane is told of what IKE says; `undefined` if that is nothing. */
  #dataPlaneCommand(command: SaCommand): DataPlaneCommand | undefined {
    if (command.kind === 'put-client-policy') {
      const policy = this.#clientPolicies.put(command, this.#policies);
      return policy && { kind: 'put-policy', policy };
    }
    if (command.kind !== 'delete-client-policy') return command;
    return this.#clientPolicies.delete(command.id) ? { kind: 'delete-policy', id: command.id } : undefined;
  }

  #outbox(now: Instant, out: GatewayOutbox): IkeOutbox {
    return new Funnel(now, out, this.#counting, this.#tunnelEvents, (command) => this.#dataPlaneCommand(command));
  }
}

/** IKE's effects on their way out: framed for their port, counted, and remembered. */
class Funnel implements IkeOutbox {
  readonly #now: Instant;
  readonly #out: GatewayOutbox;
  readonly #counting: GatewayCounting;
  readonly #tunnelEvents: TunnelEvents;
  readonly #translate: (command: SaCommand) => DataPlaneCommand | undefined;

  constructor(
    now: Instant,
    out: GatewayOutbox,
    counting: GatewayCounting,
    tunnelEvents: TunnelEvents,
    translate: (command: SaCommand) => DataPlaneCommand | undefined,
  ) {
    this.#now = now;
    this.#out = out;
    this.#counting = counting;
    this.#tunnelEvents = tunnelEvents;
    this.#translate = translate;
  }

  get wantsMessages(): boolean {
    return this.#out.wantsMessages ?? true;
  }

  transmit(path: UdpPath, message: Uint8Array): void {
    this.#send(path, path.local.port === NAT_TRAVERSAL_PORT ? addNonEspMarker(message) : message);
  }

  transmitKeepalive(path: UdpPath): void {
    this.#counting.keepalivesSent++;
    this.#send(path, natKeepalive());
  }

  compute(job: ComputeJob): void {
    this.#out.compute(job);
  }

  command(command: SaCommand): void {
    const translated = this.#translate(command);
    if (translated) this.#out.command(translated);
  }

  report(event: IkeEvent): void {
    this.#counting.handleEvent(event);
    this.#tunnelEvents.handleEvent(this.#now, event);
    this.#out.report(event);
  }

  #send(path: UdpPath, datagram: Uint8Array): void {
    this.#counting.datagramsSent++;
    this.#counting.octetsSent += datagram.length;
    this.#out.transmit(path, datagram);
  }
}

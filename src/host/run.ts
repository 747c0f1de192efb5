// The gateway as a running program: the core, the packet engine, the tunnel devices and the routes, in this process' network namespace.
// The life of a run: privileges and ports are checked (sockets opened) -> routes that drop -> TUN devices -> routes into them -> the core is
// given the configuration. It ends in the opposite order, after the peers have been told; the routes that drop stay.

import { availableParallelism } from 'node:os';
import { nodeCrypto, systemRandom } from '../crypto/node-provider.ts';
import { Gateway } from '../gateway/gateway.ts';
import type { GatewayOutbox } from '../gateway/outbox.ts';
import type { Instant } from '../lib/time.ts';
import type { UdpPath } from '../model/address.ts';
import type { ComputeJob } from '../model/compute-job.ts';
import type { DataPlaneCommand, SaCounters } from '../model/data-plane.ts';
import type { GatewayConfig } from '../model/gateway-config.ts';
import type { IkeEvent, IpsecSaStatus } from '../model/ike-event.ts';
import {
  type AssignedAddress,
  assignedAddresses,
  concernsAddresses,
  describeAssignment,
} from './assigned-addresses.ts';
import { ComputePool } from './compute-pool.ts';
import { assignEngines, defaultEngineCount } from './engine-assignment.ts';
import type { EngineHandlers } from './engine-client.ts';
import { Alarm, monotonicNow } from './event-loop.ts';
import { type InterfaceMap, resolveLocalAddresses } from './external-interface.ts';
import { whyNoForeignFunctions } from './foreign-functions.ts';
import { resolvePeerNames } from './host-names.ts';
import { HostNetwork, removeDropRoutes } from './host-network.ts';
import { HostUdpSockets, openRawSockets } from './host-sockets.ts';
import { hostWarnings } from './host-warnings.ts';
import { libc } from './libc.ts';
import { type LogLevel, type LogRecord, logRecordOf } from './log.ts';
import { planNetwork } from './network-plan.ts';
import { NetworkSettings } from './network-settings.ts';
import type { EngineCounters, EngineRawSocket } from './packet-engine/messages.ts';
import { PacketEngines } from './packet-engines.ts';

export interface HostOptions {
  readonly config: GatewayConfig;
  /** Junos logical interface to Linux interface, where the configured address does not tell. */
  readonly interfaceMap?: InterfaceMap;
  /** How many threads carry packets; absent: as suits the processors that this process may use. */
  readonly engines?: number;
  /** Every event of the core, in order. */
  onEvent(event: IkeEvent): void;
  log(record: LogRecord): void;
  /** Whether `log` wants to hear of each message, a dozen in every handshake. */
  readonly logsMessages: boolean;
  /** The packet engine or a computing thread has died; the process should stop. */
  onFailure?(error: unknown): void;
}

/** The totals, and what each pair of IPsec SAs has carried. */
export interface HostCounters {
  readonly counters: EngineCounters;
  /** The totals of each packet engine. */
  readonly engines: readonly EngineCounters[];
  readonly sas: readonly {
    readonly sa: IpsecSaStatus;
    readonly inbound?: SaCounters | undefined;
    readonly outbound?: SaCounters | undefined;
  }[];
}

export interface RunningGateway {
  readonly gateway: Gateway;
  /** Takes a new configuration while running; SAs that still fit stay up. Rejects, with nothing changed, if the host cannot serve it. */
  applyConfig(config: GatewayConfig): Promise<void>;
  /** Calls into the core from outside (clear, initiate), with the time and the outbox that it needs. */
  act<T>(action: (now: Instant, out: GatewayOutbox) => T): T;
  counters(): HostCounters;
  /** Tells the peers, then removes devices, addresses, routes and sockets. The routes that drop stay: `removeHostDropRoutes` removes them. */
  stop(): Promise<void>;
}

const COMPUTE_THREADS = 1;

/** Starts the gateway; rejects with an Error that says what is missing, having cleaned up, if the host does not let it. */
export async function startHost(options: HostOptions): Promise<RunningGateway> {
  const obstacle = whyNoForeignFunctions();
  if (obstacle !== undefined) throw new Error(obstacle);
  const host = new Host(options);
  try {
    await host.applyConfig(options.config);
    return host;
  } catch (error) {
    await host.abandon();
    throw error;
  }
}

/** Removes what a stopped or crashed gateway has left to keep its traffic from leaving in clear; returns how many routes that were. */
export function removeHostDropRoutes(): number {
  const settings = new NetworkSettings();
  try {
    return removeDropRoutes(settings);
  } finally {
    settings.close();
  }
}

class Host implements RunningGateway, GatewayOutbox {
  readonly gateway = new Gateway({
    crypto: nodeCrypto,
    random: systemRandom,
    // An inbound SA lives where the outbound ones of its device do: they answer for each other, and a peer's packets keep their order.
    acceptsSpi: ({ bindInterface }, spi) => this.#engines.isOfTunnel(spi, bindInterface),
  });
  readonly #options: HostOptions;
  readonly #settings = new NetworkSettings();
  readonly #network = new HostNetwork(this.#settings, 'tcp-and-udp');
  readonly #udpSockets: HostUdpSockets;
  readonly #rawSockets: readonly EngineRawSocket[];
  readonly #engines: PacketEngines;
  readonly #pool: ComputePool;
  readonly #alarm = new Alarm(() => this.act((now, out) => this.gateway.handleTimeout(now, out)));
  #assigned: readonly AssignedAddress[] = [];
  #addressesMayDiffer = false;
  #isStopping = false;

  constructor(options: HostOptions) {
    this.#options = options;
    const engines = options.engines ?? defaultEngineCount(availableParallelism());
    this.#udpSockets = new HostUdpSockets(engines, (path, datagram) => this.#handleDatagram(path, datagram));
    this.#rawSockets = openRawSockets(engines);
    const handlers: EngineHandlers = {
      handleDatagram: (path, datagram) => this.#handleDatagram(path, datagram),
      handleEvent: (event) => this.act((now, out) => this.gateway.handleDataPlaneEvent(now, event, out)),
      handleNotice: (text) => this.#log('info', 'engine-notice', text),
      handleFailure: (error) => this.#handleFailure(error),
    };
    this.#engines = new PacketEngines(this.#rawSockets, handlers, { engines });
    this.#pool = new ComputePool(
      COMPUTE_THREADS,
      (jobId, result) => this.act((now, out) => this.gateway.handleComputed(now, jobId, result, out)),
      (error) => this.#handleFailure(error),
    );
  }

  get wantsMessages(): boolean {
    return this.#options.logsMessages;
  }

  async applyConfig(wanted: GatewayConfig): Promise<void> {
    const named = await resolvePeerNames(wanted);
    for (const fault of named.faults) this.#log('warning', 'peer-name-unknown', fault);
    const interfaces = this.#settings.interfaces();
    const { config, faults } = resolveLocalAddresses(named.config, interfaces, this.#options.interfaceMap ?? {});
    if (faults.length > 0) throw new Error(faults.map((fault) => fault.message).join('\n'));
    const plan = planNetwork(config);
    for (const warning of hostWarnings(config, plan, interfaces)) this.#log('warning', 'host-setting', warning);

    const sockets = this.#udpSockets.apply(config);
    const tunnels = this.#network.apply(plan);
    for (const socket of sockets.opened) this.#engines.addUdpSocket(socket);
    const engines = assignEngines(config, this.#engines.tunnels, this.#engines.count);
    for (const tunnel of tunnels.opened) this.#engines.addTunnel(tunnel, engines.get(tunnel.name));
    this.act((now, out) => this.gateway.applyConfig(now, config, out));
    for (const tunnel of tunnels.withdrawn) this.#engines.removeTunnel(tunnel.name);
    for (const socket of sockets.unused) this.#engines.removeUdpSocket(socket.descriptor);
    await this.#engines.settle();
    for (const tunnel of tunnels.withdrawn) this.#network.release(tunnel);
    this.#udpSockets.release(sockets.unused);
    this.#log(
      'info',
      'configuration-applied',
      `${config.vpns.length} vpns through ${plan.tunnels.length} tunnel interfaces`,
    );
  }

  act<T>(action: (now: Instant, out: GatewayOutbox) => T): T {
    const result = action(monotonicNow(), this);
    this.#alarm.set(this.gateway.nextTimeout());
    if (this.#addressesMayDiffer) this.#assignAddresses();
    return result;
  }

  counters(): HostCounters {
    const sas = this.gateway.ipsecSas(monotonicNow()).map((sa) => {
      const { inboundSpi, outboundSpi, path } = sa;
      const inbound = this.#engines.saCounters({ direction: 'inbound', spi: inboundSpi });
      const remoteAddress = path.remote.address;
      const outbound = this.#engines.saCounters({ direction: 'outbound', spi: outboundSpi, remoteAddress });
      return { sa, inbound, outbound };
    });
    return { counters: this.#engines.counters(), engines: this.#engines.countersOfEach(), sas };
  }

  async stop(): Promise<void> {
    if (this.#isStopping) return;
    this.#isStopping = true;
    this.act((now, out) => this.gateway.shutdown(now, out));
    // An engine that has died sends nothing more; the rest is still to be taken down.
    await this.#engines.settle().catch((error: unknown) => this.#handleFailure(error));
    await this.abandon();
    const routes = this.#network.ownRouteCount();
    const text =
      'stopped: tunnel interfaces, addresses, routes and sockets are removed; ' +
      `${routes} routes that drop stay, so that nothing leaves in clear (sallyport cleanup removes them)`;
    this.#log('info', 'stopped', text);
    this.#settings.close();
  }

  /** Takes everything down without telling the peers. */
  async abandon(): Promise<void> {
    this.#alarm.clear();
    await this.#engines.stop();
    await this.#pool.close();
    this.#network.removeTunnels();
    this.#udpSockets.releaseAll();
    for (const socket of this.#rawSockets) libc.close(socket.descriptor);
  }

  /** What follows a command leaves behind it, through the engine: an SA must be in place before the peer hears of it. */
  transmit(path: UdpPath, datagram: Uint8Array): void {
    if (this.#engines.isIdle && this.#udpSockets.transmit(path, datagram)) return;
    this.#engines.transmit(path, datagram);
  }

  command(command: DataPlaneCommand): void {
    this.#engines.command(command);
  }

  compute(job: ComputeJob): void {
    this.#pool.submit(job);
  }

  report(event: IkeEvent): void {
    if ((event.kind === 'message' || event.kind === 'message-dropped') && !this.#options.logsMessages) return;
    if (concernsAddresses(event)) this.#addressesMayDiffer = true;
    const record = logRecordOf(event);
    if (record) this.#options.log(record);
    // After its line, so that what the observer has to add follows it.
    this.#options.onEvent(event);
  }

  #handleDatagram(path: UdpPath, datagram: Uint8Array): void {
    this.act((now, out) => this.gateway.handleDatagram(now, path, datagram, out));
  }

  /** Only after the core is done: it must not be asked while it acts. */
  #assignAddresses(): void {
    this.#addressesMayDiffer = false;
    const { config } = this.gateway;
    if (this.#assigned.length === 0 && !config.gateways.some(({ xauth }) => xauth?.role === 'client')) return;
    const now = monotonicNow();
    const before = this.#assigned;
    this.#assigned = assignedAddresses(config, before, this.gateway.ikeSas(now), this.gateway.ipsecSas(now));
    const changes = describeAssignment(before, this.#assigned);
    if (changes.length === 0) return;
    try {
      this.#network.assign(this.#assigned);
      for (const text of changes) this.#log('info', 'address-assigned', text);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#log('warning', 'address-assigned', `the address that a server has given us cannot be set: ${reason}`);
    }
  }

  #handleFailure(error: unknown): void {
    this.#log(
      'error',
      'engine-failed',
      `a worker thread died: ${error instanceof Error ? error.message : String(error)}`,
    );
    this.#options.onFailure?.(error);
  }

  #log(level: LogLevel, event: string, message: string): void {
    this.#options.log({ level, topic: 'host', event, message, fields: {} });
  }
}

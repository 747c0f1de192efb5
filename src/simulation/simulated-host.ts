// One gateway machine: the same `Gateway` and `DataPlane` that ship, driven by the scheduler as the real host drives them by the
// operating system. Between control plane and data plane, and to and from the computing threads, messages take time as they do there.

import type { CryptoProvider, PacketCryptoProvider } from '../crypto/provider.ts';
import { Gateway, NAT_TRAVERSAL_PORT } from '../gateway/gateway.ts';
import type { GatewayOutbox } from '../gateway/outbox.ts';
import { DataPlane } from '../ipsec/data-plane.ts';
import type { DataPlaneOutbox } from '../ipsec/outbox.ts';
import { invariant } from '../lib/invariant.ts';
import { type Instant, instant, milliseconds } from '../lib/time.ts';
import type { IpAddress } from '../model/address.ts';
import type { ComputeJob, ComputeResult } from '../model/compute-job.ts';
import type { DataPlaneCommand } from '../model/data-plane.ts';
import type { GatewayConfig } from '../model/gateway-config.ts';
import type { IkeEvent } from '../model/ike-event.ts';
import { classifyUdp4500 } from '../wire/udp-encapsulation.ts';
import type { Chance } from './chance.ts';
import type { Fabric, FabricPort } from './fabric.ts';
import type { Scheduler } from './scheduler.ts';

/** The cryptography that the driver lends to the simulation. */
export interface SimulationCrypto {
  readonly crypto: CryptoProvider;
  readonly packetCrypto: PacketCryptoProvider;
  compute(job: ComputeJob): ComputeResult;
}

/** A clock that is off, and runs fast or slow: local time = offset + rate x virtual time. */
export interface ClockError {
  readonly offset: number;
  readonly rate: number;
}

/** Sees what a host does; calls nothing back. */
export interface HostObserver {
  /** Whether it listens to `message` events. */
  readonly wantsMessages: boolean;
  command(host: string, command: DataPlaneCommand): void;
  event(host: string, event: IkeEvent): void;
  /** An inner packet that came out of a tunnel. The octets are valid during the call only. */
  deliver(host: string, tunnelInterface: string | undefined, packet: Uint8Array): void;
  start(host: string): void;
}

export interface SimulatedHostOptions {
  readonly name: string;
  readonly address: IpAddress;
  readonly clock: ClockError;
  readonly crypto: SimulationCrypto;
  readonly chance: Chance;
  readonly observer: HostObserver;
}

/** Calls of `handleTimeout` at one moment after which we say that a timer stands still. */
const TIMEOUTS_AT_ONCE_MAX = 1000;
/** How long a message between the control thread and another thread takes at most, in milliseconds. */
const THREAD_DELAY_MAX = 3;
/** How long a computation takes at most, in milliseconds. */
const COMPUTATION_MAX = 40;

/** A machine that can be switched off and on. */
export class SimulatedHost implements FabricPort {
  readonly name: string;
  readonly address: IpAddress;
  readonly #options: SimulatedHostOptions;
  readonly #scheduler: Scheduler;
  readonly #fabric: Fabric;
  #running: Running | undefined;

  constructor(options: SimulatedHostOptions, scheduler: Scheduler, fabric: Fabric) {
    this.name = options.name;
    this.address = options.address;
    this.#options = options;
    this.#scheduler = scheduler;
    this.#fabric = fabric;
    fabric.attach(options.address, this);
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  /** The host's own idea of the time. */
  get localNow(): Instant {
    return localTime(this.#options.clock, this.#scheduler.now);
  }

  /** The gateway, while the host runs. */
  get gateway(): Gateway | undefined {
    return this.#running?.gateway;
  }

  get dataPlane(): DataPlane | undefined {
    return this.#running?.dataPlane;
  }

  /** Starts with nothing remembered but the configuration. */
  start(config: GatewayConfig): void {
    invariant(this.#running === undefined, 'a host starts once');
    this.#options.observer.start(this.name);
    this.#running = new Running(this.#options, this.#scheduler, this.#fabric);
    this.commit(config);
  }

  /** Power off: nobody is told, everything is forgotten. */
  crash(): void {
    this.#running?.switchOff();
    this.#running = undefined;
  }

  /** An orderly end: the peers are told. */
  stop(): void {
    this.#running?.gateway.shutdown(this.localNow, this.#running);
    this.crash();
  }

  commit(config: GatewayConfig): void {
    this.command((gateway, now, out) => gateway.applyConfig(now, config, out));
  }

  /** An operator's command, such as `clear` or `initiate`; nothing if the host is off. */
  command(action: (gateway: Gateway, now: Instant, out: GatewayOutbox) => void): void {
    const running = this.#running;
    if (running === undefined) return;
    action(running.gateway, this.localNow, running);
    running.rearm();
  }

  /** A packet from the LAN that was routed into a tunnel interface. */
  sendInner(tunnelInterface: string | undefined, packet: Uint8Array): void {
    this.#running?.sendInner(tunnelInterface, packet);
  }

  receiveUdp(path: Parameters<FabricPort['receiveUdp']>[0], payload: Uint8Array): void {
    this.#running?.receiveUdp(path, payload);
  }

  receiveIp(packet: Uint8Array): void {
    this.#running?.receiveIp(packet);
  }
}

/** A host from one start to its end. */
class Running implements GatewayOutbox {
  readonly gateway: Gateway;
  readonly dataPlane: DataPlane;
  readonly #options: SimulatedHostOptions;
  readonly #scheduler: Scheduler;
  readonly #fabric: Fabric;
  readonly #dataPlaneOut: DataPlaneOutbox;
  readonly #controlAlarm: Alarm;
  readonly #dataAlarm: Alarm;
  #isOn = true;

  constructor(options: SimulatedHostOptions, scheduler: Scheduler, fabric: Fabric) {
    this.#options = options;
    this.#scheduler = scheduler;
    this.#fabric = fabric;
    const { crypto, packetCrypto } = options.crypto;
    this.gateway = new Gateway({ crypto, random: options.chance.fork('gateway').random });
    this.dataPlane = new DataPlane({ crypto: packetCrypto, random: options.chance.fork('data plane').random });
    this.#dataPlaneOut = this.#makeDataPlaneOutbox();
    this.#controlAlarm = new Alarm(
      scheduler,
      options.clock,
      () => this.gateway.nextTimeout(),
      (now) => this.gateway.handleTimeout(now, this),
      () => this.#isOn,
    );
    this.#dataAlarm = new Alarm(
      scheduler,
      options.clock,
      () => this.dataPlane.nextTimeout(),
      (now) => this.dataPlane.handleTimeout(now, this.#dataPlaneOut),
      () => this.#isOn,
    );
  }

  switchOff(): void {
    this.#isOn = false;
  }

  rearm(): void {
    this.#controlAlarm.rearm();
    this.#dataAlarm.rearm();
  }

  sendInner(tunnelInterface: string | undefined, packet: Uint8Array): void {
    this.dataPlane.handleInnerPacket(this.#now, tunnelInterface, packet, 0, packet.length, this.#dataPlaneOut);
    this.rearm();
  }

  receiveUdp(path: Parameters<FabricPort['receiveUdp']>[0], payload: Uint8Array): void {
    const isEsp = path.local.port === NAT_TRAVERSAL_PORT && classifyUdp4500(payload) === 'esp';
    if (isEsp) this.dataPlane.handleUdpPacket(this.#now, path, payload, this.#dataPlaneOut);
    else this.gateway.handleDatagram(this.#now, path, payload, this);
    this.rearm();
  }

  receiveIp(packet: Uint8Array): void {
    this.dataPlane.handleIpPacket(this.#now, packet, this.#dataPlaneOut);
    this.rearm();
  }

  transmit(path: Parameters<GatewayOutbox['transmit']>[0], datagram: Uint8Array): void {
    this.#fabric.send({ kind: 'udp', source: path.local, destination: path.remote, octets: datagram.slice() });
  }

  command(command: DataPlaneCommand): void {
    this.#options.observer.command(this.#options.name, command);
    this.dataPlane.handleCommand(this.#now, command, this.#dataPlaneOut);
  }

  compute(job: ComputeJob): void {
    const result = this.#options.crypto.compute(job);
    this.#later(this.#options.chance.integer(1, COMPUTATION_MAX), () => {
      this.gateway.handleComputed(this.#now, job.id, result, this);
    });
  }

  get wantsMessages(): boolean {
    return this.#options.observer.wantsMessages;
  }

  report(event: IkeEvent): void {
    this.#options.observer.event(this.#options.name, event);
  }

  get #now(): Instant {
    return localTime(this.#options.clock, this.#scheduler.now);
  }

  #makeDataPlaneOutbox(): DataPlaneOutbox {
    const { name, observer, chance } = this.#options;
    return {
      deliver: (tunnelInterface, buffer, start, end) =>
        observer.deliver(name, tunnelInterface, buffer.subarray(start, end)),
      transmitUdp: (path, buffer, start, end) =>
        this.#fabric.send({
          kind: 'udp',
          source: path.local,
          destination: path.remote,
          octets: buffer.slice(start, end),
        }),
      transmitIp: (local, remote, buffer, start, end) =>
        this.#fabric.send({ kind: 'ip', source: local, destination: remote, octets: buffer.slice(start, end) }),
      event: (event) =>
        this.#later(chance.integer(0, THREAD_DELAY_MAX), () => {
          this.gateway.handleDataPlaneEvent(this.#now, event, this);
        }),
    };
  }

  #later(delay: number, action: () => void): void {
    this.#scheduler.in(milliseconds(delay), () => {
      if (!this.#isOn) return;
      action();
      this.rearm();
    });
  }
}

/** Calls a plane's `handleTimeout` when its `nextTimeout` says so. */
class Alarm {
  readonly #scheduler: Scheduler;
  readonly #clock: ClockError;
  readonly #nextTimeout: () => Instant;
  readonly #handleTimeout: (now: Instant) => void;
  readonly #isOn: () => boolean;
  #armedAt = Number.POSITIVE_INFINITY;
  #firedAt = -1;
  #firedCount = 0;

  constructor(
    scheduler: Scheduler,
    clock: ClockError,
    nextTimeout: () => Instant,
    handleTimeout: (now: Instant) => void,
    isOn: () => boolean,
  ) {
    this.#scheduler = scheduler;
    this.#clock = clock;
    this.#nextTimeout = nextTimeout;
    this.#handleTimeout = handleTimeout;
    this.#isOn = isOn;
  }

  /** Asks again when something is due. An alarm set for too early only asks once more. */
  rearm(): void {
    const due = Math.max(this.#scheduler.now, virtualTime(this.#clock, this.#nextTimeout()));
    if (due >= this.#armedAt || due === Number.POSITIVE_INFINITY) return;
    this.#armedAt = due;
    this.#scheduler.at(instant(due), () => this.#fire(due));
  }

  #fire(armedAt: number): void {
    if (!this.#isOn() || armedAt !== this.#armedAt) return;
    this.#armedAt = Number.POSITIVE_INFINITY;
    const now = localTime(this.#clock, this.#scheduler.now);
    if (this.#nextTimeout() <= now) {
      this.#countFiring();
      this.#handleTimeout(now);
    }
    this.rearm();
  }

  #countFiring(): void {
    if (this.#firedAt !== this.#scheduler.now) {
      this.#firedAt = this.#scheduler.now;
      this.#firedCount = 0;
    }
    invariant(++this.#firedCount <= TIMEOUTS_AT_ONCE_MAX, 'nextTimeout moves on once handleTimeout has run');
  }
}

function localTime(clock: ClockError, virtual: Instant): Instant {
  return instant(clock.offset + clock.rate * virtual);
}

/** The first whole millisecond of virtual time at which the local clock has reached `local`. */
function virtualTime(clock: ClockError, local: Instant): number {
  const virtual = Math.ceil((local - clock.offset) / clock.rate);
  return localTime(clock, instant(virtual)) >= local ? virtual : virtual + 1;
}

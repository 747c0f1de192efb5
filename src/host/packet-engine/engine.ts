// One thread that carries packets. Each turn of its loop:
//  1. waits for descriptors, up to the next timeout of the data plane
//  2. lets each readable one have a batch: control messages, then UDP and raw sockets, then TUN devices, in the kernel's order
//  3. sends what the batch has made, and runs the data plane's timeouts
// Level-triggered epoll and bounded batches make it fair: no source, IKE's datagrams among them, waits for another's flood to end.

import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { systemRandom } from '../../crypto/node-provider.ts';
import { DataPlane } from '../../ipsec/data-plane.ts';
import type { DataPlaneOutbox } from '../../ipsec/outbox.ts';
import { unreachable } from '../../lib/invariant.ts';
import { type Instant, instant, NEVER } from '../../lib/time.ts';
import type { IpAddress, UdpPath } from '../../model/address.ts';
import type { DataPlaneEvent } from '../../model/data-plane.ts';
import { libc, NativeMemory } from '../libc.ts';
import { POLICY_INTERFACE } from '../network-plan.ts';
import { Arena } from './arena.ts';
import { EngineTally } from './engine-counters.ts';
import type { CountedSa, EngineReport, EngineRequest, EngineSettings } from './messages.ts';
import { createPacketCrypto } from './openssl-packet-crypto.ts';
import { Poller, type Readable } from './poller.ts';
import { RawReceiver, RawSender } from './raw-socket.ts';
import { TunnelPort } from './tunnel-port.ts';
import { UdpPort } from './udp-port.ts';

const ARENA_LENGTH = 16 * 1024 * 1024;

/** Carries packets between TUN devices and sockets through one data plane. */
export class PacketEngine implements DataPlaneOutbox, Readable {
  readonly descriptor: number;
  readonly #port: MessagePort;
  readonly #arena = new Arena(ARENA_LENGTH);
  readonly #tally = new EngineTally();
  readonly #poller = new Poller();
  readonly #dataPlane = new DataPlane({ crypto: createPacketCrypto(this.#arena), random: systemRandom });
  readonly #tunnels = new Map<string, TunnelPort>();
  readonly #udpPorts = new Map<string, UdpPort>();
  readonly #rawSender: RawSender;
  readonly #wakeCount = NativeMemory.allocate(128);
  #isRunning = true;

  constructor(settings: EngineSettings, port: MessagePort) {
    this.#port = port;
    this.descriptor = settings.wakeDescriptor;
    this.#rawSender = new RawSender(this.#arena, this.#tally, settings.rawSockets);
    this.#poller.add(this);
    for (const socket of settings.rawSockets)
      if (socket.protocol !== 'send')
        this.#poller.add(
          new RawReceiver(this.#arena, this.#tally, socket, (now, packet) =>
            this.#dataPlane.handleIpPacket(now, packet, this),
          ),
        );
  }

  /** Returns once `stop` has been asked for. */
  run(): void {
    this.#handleRequests(this.#now());
    while (this.#isRunning) {
      const count = this.#poller.wait(this.#timeout());
      const now = this.#now();
      for (let index = 0; index < count; index++) this.#poller.source(index)?.handleReadable(now);
      if (now >= this.#dataPlane.nextTimeout()) this.#dataPlane.handleTimeout(now, this);
    }
    this.#poller.close();
    this.#report({ kind: 'stopped' });
  }

  /** The control thread has written to the eventfd: there are messages. */
  handleReadable(now: Instant): void {
    libc.read(this.descriptor, this.#wakeCount.address, 8);
    this.#handleRequests(now);
  }

  deliver(tunnelInterface: string | undefined, packet: Uint8Array): void {
    const tunnel = this.#tunnels.get(tunnelInterface ?? POLICY_INTERFACE);
    if (tunnel) tunnel.write(packet);
    else this.#tally.count('tunnel-missing');
  }

  transmitUdp(path: UdpPath, payload: Uint8Array): void {
    const port = this.#udpPorts.get(portKey(path.local.address, path.local.port));
    if (port) port.transmit(path, payload);
    else this.#tally.count('socket-missing');
  }

  transmitIp(_local: IpAddress, remote: IpAddress, packet: Uint8Array): void {
    this.#rawSender.transmit(remote, packet);
  }

  event(event: DataPlaneEvent): void {
    this.#report({ kind: 'event', event });
  }

  #handleRequests(now: Instant): void {
    for (;;) {
      const received: { message: EngineRequest } | undefined = receiveMessageOnPort(this.#port);
      if (!received) return;
      this.#handleRequest(now, received.message);
    }
  }

  #handleRequest(now: Instant, request: EngineRequest): void {
    switch (request.kind) {
      case 'command':
        return this.#dataPlane.handleCommand(now, request.command, this);
      case 'transmit':
        return this.transmitUdp(request.path, request.datagram);
      case 'add-tunnel': {
        const { name } = request.tunnel;
        const source = name === POLICY_INTERFACE ? undefined : name;
        const tunnel = new TunnelPort(this.#arena, this.#tally, request.tunnel, (at, buffer, start, end) =>
          this.#dataPlane.handleInnerPacket(at, source, buffer, start, end, this),
        );
        this.#tunnels.set(name, tunnel);
        return this.#poller.add(tunnel);
      }
      case 'remove-tunnel': {
        const tunnel = this.#tunnels.get(request.name);
        if (tunnel) this.#poller.remove(tunnel.descriptor);
        this.#tunnels.delete(request.name);
        return;
      }
      case 'add-udp-socket': {
        const port = new UdpPort(this.#arena, this.#tally, request.socket, {
          handleIke: (path, datagram) => this.#report({ kind: 'datagram', path, datagram }, [datagram.buffer]),
          handleEsp: (at, path, payload) => this.#dataPlane.handleUdpPacket(at, path, payload, this),
        });
        this.#udpPorts.set(portKey(request.socket.address, request.socket.port), port);
        return this.#poller.add(port);
      }
      case 'remove-udp-socket':
        this.#poller.remove(request.descriptor);
        for (const [key, port] of this.#udpPorts)
          if (port.descriptor === request.descriptor) this.#udpPorts.delete(key);
        return;
      case 'count':
        return this.#reportCounters(request.id, request.spis);
      case 'settle':
        return this.#report({ kind: 'settled', id: request.id });
      case 'stop':
        this.#isRunning = false;
        return;
      default:
        return unreachable(request);
    }
  }

  #reportCounters(id: number, spis: readonly CountedSa[]): void {
    this.#report({
      kind: 'counters',
      id,
      counters: { dataPlane: { ...this.#dataPlane.counters() }, engine: this.#tally.snapshot() },
      sas: spis.map(({ direction, spi, remoteAddress }) => this.#dataPlane.saCounters(direction, spi, remoteAddress)),
    });
  }

  #report(report: EngineReport, transfer: readonly ArrayBuffer[] = []): void {
    this.#port.postMessage(report, [...transfer]);
  }

  #timeout(): number {
    const due = this.#dataPlane.nextTimeout();
    if (due === NEVER) return -1;
    return Math.max(0, Math.min(Math.ceil(due - this.#now()), TIMEOUT_MAX));
  }

  #now(): Instant {
    return instant(performance.now());
  }
}

// epoll_wait takes an int of milliseconds; waking once a day is no burden.
const TIMEOUT_MAX = 86_400_000;

function portKey(address: IpAddress, port: number): string {
  return `${address} ${port}`;
}

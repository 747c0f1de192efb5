import type { DataPlaneOutbox } from '../../ipsec/outbox.ts';
import type { OuterFields } from '../../ipsec/outer-header.ts';
import type { IpAddress, UdpEndpoint, UdpPath } from '../../model/address.ts';
import type { DataPlaneEvent } from '../../model/data-plane.ts';
import { POLICY_INTERFACE } from '../network-plan.ts';
import type { Arena } from './arena.ts';
import type { EngineTally } from './engine-counters.ts';
import { OutboundArea } from './outbound-area.ts';
import type { RawTargets } from './raw-socket.ts';
import type { SendBatch, SendTarget } from './send-batch.ts';
import type { TunnelTarget, TunnelWriter } from './tunnel-writer.ts';

const COPIES_LENGTH = 256 * 1024;

/** Where the datagrams of a path go. */
export interface UdpTargets {
  readonly descriptor: number;
  target(path: UdpPath, dontFragment: boolean): SendTarget;
  /** The path to the peer whose `sockaddr` lies at `offset` in the arena. */
  pathFrom(offset: number): UdpPath | undefined;
}

/** What an outbox collects into. */
interface Batches {
  readonly send: SendBatch;
  readonly writer: TunnelWriter;
  readonly raw: RawTargets;
}

/** Takes what the data plane makes, and collects it for the sockets and devices that it belongs to, until `send`. */
export class EngineOutbox implements DataPlaneOutbox {
  readonly #arena: Arena;
  readonly #tally: EngineTally;
  readonly #batches: Batches;
  readonly #handleEvent: (event: DataPlaneEvent) => void;
  readonly #copies: OutboundArea;
  readonly #tunnels = new Map<string, TunnelTarget>();
  readonly #udpPorts = new Map<string, UdpTargets>();
  #portOfPath = new WeakMap<UdpPath, UdpTargets>();
  // Packets come in runs of one tunnel and one path.
  #lastPath: UdpPath | undefined;
  #lastPort: UdpTargets | undefined;
  #lastTunnelName: string | undefined;
  #lastTunnel: TunnelTarget | undefined;

  constructor(arena: Arena, tally: EngineTally, batches: Batches, handleEvent: (event: DataPlaneEvent) => void) {
    this.#arena = arena;
    this.#tally = tally;
    this.#batches = batches;
    this.#handleEvent = handleEvent;
    this.#copies = new OutboundArea(arena, COPIES_LENGTH);
  }

  addTunnel(name: string, tunnel: TunnelTarget): void {
    this.#lastTunnelName = undefined;
    this.#tunnels.set(name, tunnel);
  }

  /** Returns the tunnel that is gone. */
  removeTunnel(name: string): TunnelTarget | undefined {
    const tunnel = this.#tunnels.get(name);
    this.#lastTunnelName = undefined;
    this.#tunnels.delete(name);
    return tunnel;
  }

  addUdpPort(address: IpAddress, port: number, targets: UdpTargets): void {
    this.#forgetPaths();
    this.#udpPorts.set(portKey(address, port), targets);
  }

  removeUdpPort(descriptor: number): void {
    this.#forgetPaths();
    for (const [key, port] of this.#udpPorts) if (port.descriptor === descriptor) this.#udpPorts.delete(key);
  }

  /** The path from a socket of ours to the peer whose `sockaddr` lies at `remoteOffset` in the arena; `undefined` without such a socket. */
  pathFrom(local: UdpEndpoint, remoteOffset: number): UdpPath | undefined {
    return this.#udpPorts.get(portKey(local.address, local.port))?.pathFrom(remoteOffset);
  }

  deliver(tunnelInterface: string | undefined, buffer: Uint8Array, start: number, end: number): void {
    const tunnel = this.#tunnel(tunnelInterface ?? POLICY_INTERFACE);
    if (!tunnel) return this.#tally.count('tunnel-missing');
    const offset = this.#place(buffer, start, end);
    this.#batches.writer.add(tunnel, offset, offset + (end - start));
  }

  transmitUdp(
    path: UdpPath,
    buffer: Uint8Array,
    start: number,
    end: number,
    { trafficClass, dontFragment }: OuterFields,
  ): void {
    const port = this.#udpPort(path);
    if (!port) return this.#tally.count('socket-missing');
    const offset = this.#place(buffer, start, end);
    // One batch for both sockets: what leaves under one SA must leave in order, or a peer with a window of 64 drops the rest as replays.
    this.#batches.send.add(port.target(path, dontFragment), offset, end - start, trafficClass);
  }

  transmitIp(_local: IpAddress, remote: IpAddress, buffer: Uint8Array, start: number, end: number): void {
    const target = this.#batches.raw.get(remote);
    if (target) this.#batches.send.add(target, this.#place(buffer, start, end), end - start, 0);
    else this.#tally.count('socket-missing');
  }

  event(event: DataPlaneEvent): void {
    this.#handleEvent(event);
  }

  /** Sends and writes everything collected; then its octets are their owner's again. */
  send(): void {
    this.#batches.send.flush();
    this.#batches.writer.flush();
    this.#copies.reset();
  }

  /** Where the octets lie in the arena; what lies elsewhere is copied there, for the batch keeps it until it is sent. */
  #place(buffer: Uint8Array, start: number, end: number): number {
    if (buffer === this.#arena.memory.bytes) return start;
    if (this.#arena.holds(buffer)) return buffer.byteOffset + start;
    if (!this.#copies.hasRoom(end - start, 1)) this.send();
    return this.#copies.copy(buffer.subarray(start, end));
  }

  #tunnel(name: string): TunnelTarget | undefined {
    if (name === this.#lastTunnelName) return this.#lastTunnel;
    this.#lastTunnelName = name;
    this.#lastTunnel = this.#tunnels.get(name);
    return this.#lastTunnel;
  }

  #udpPort(path: UdpPath): UdpTargets | undefined {
    if (path === this.#lastPath) return this.#lastPort;
    this.#lastPath = path;
    let port = this.#portOfPath.get(path);
    if (!port) {
      port = this.#udpPorts.get(portKey(path.local.address, path.local.port));
      if (port) this.#portOfPath.set(path, port);
    }
    this.#lastPort = port;
    return port;
  }

  #forgetPaths(): void {
    this.#lastPath = undefined;
    this.#portOfPath = new WeakMap();
  }
}

function portKey(address: IpAddress, port: number): string {
  return `${address} ${port}`;
}

import { invariant } from '../lib/invariant.ts';
import type { AddressFamily, IpAddress, UdpEndpoint, UdpPath } from '../model/address.ts';
import type { GatewayConfig } from '../model/gateway-config.ts';
import { type DatagramHandler, IkeBuffers, IkeSocket } from './ike-socket.ts';
import { libc } from './libc.ts';
import type { EngineRawSocket, EngineUdpSocket } from './packet-engine/messages.ts';
import { attachSpiFilter } from './socket-filters.ts';
import {
  openIcmpErrorSocket,
  openNatTraversalSockets,
  openRawReceiveSocket,
  openRawSendSocket,
  openUdpSocket,
} from './sockets.ts';

const IKE_PORT = 500;
const NAT_TRAVERSAL_PORT = 4500;

/** The raw sockets for ESP and AH, and for what ICMP says of them, one of each for every engine; IPv6's are left out where the kernel has no IPv6. */
export function openRawSockets(engines = 1): readonly EngineRawSocket[] {
  const sockets = rawSocketsOf(4, engines);
  try {
    return [...sockets, ...rawSocketsOf(6, engines)];
  } catch {
    return sockets;
  }
}

/** The sockets of one local address: those that IKE has to itself, and what the engines are told of. */
export interface LocalSockets {
  readonly ike: readonly { readonly local: UdpEndpoint; readonly descriptor: number }[];
  readonly engine: readonly EngineUdpSocket[];
}

/** Throws an Error, having opened nothing, if a port is taken. Where the kernel cannot tell IKE from ESP, all of port 4500 is the first engine's. */
export function openLocalSockets(address: IpAddress, engines = 1): LocalSockets {
  const [port500, port4500] = [IKE_PORT, NAT_TRAVERSAL_PORT].map((port) => ({ address, port }));
  invariant(port500 !== undefined && port4500 !== undefined, 'IKE has two ports');
  const descriptor = openUdpSocket(port500);
  try {
    const { esp, ike, unfragmented } = openNatTraversalSockets(port4500, engines);
    const second = unfragmented === undefined ? {} : { unfragmentedDescriptor: unfragmented };
    // Where the kernel cannot tell what is for whom there is one socket for all: they send through it, the first receives for them.
    const forEsp = esp.map((own, engine) => ({
      ...{ ...port4500, descriptor: own, isForSendingOnly: false, ...second },
      ...(ike === undefined ? {} : { engine }),
    }));
    return {
      ike: [{ local: port500, descriptor }, ...(ike === undefined ? [] : [{ local: port4500, descriptor: ike }])],
      engine: [{ ...port500, descriptor, isForSendingOnly: true }, ...forEsp],
    };
  } catch (error) {
    libc.close(descriptor);
    throw error;
  }
}

interface OpenSockets extends LocalSockets {
  readonly readers: readonly IkeSocket[];
}

/** The UDP sockets of all local addresses in use. */
export class HostUdpSockets {
  readonly #sockets = new Map<IpAddress, OpenSockets>();
  readonly #buffers = new IkeBuffers();
  readonly #engines: number;
  readonly #handleDatagram: DatagramHandler;

  /** `handleDatagram` is given what comes to IKE's own sockets. */
  constructor(engines: number, handleDatagram: DatagramHandler) {
    this.#engines = engines;
    this.#handleDatagram = handleDatagram;
  }

  /** Opens what is missing and names the engine's sockets that are new or no longer used; throws an Error, having opened nothing, if a port is taken. */
  apply(config: GatewayConfig): {
    readonly opened: readonly EngineUdpSocket[];
    readonly unused: readonly EngineUdpSocket[];
  } {
    const wanted = new Set(config.gateways.flatMap(({ localAddress }) => localAddress ?? []));
    const opened = new Map<IpAddress, LocalSockets>();
    try {
      for (const address of wanted)
        if (!this.#sockets.has(address)) opened.set(address, openLocalSockets(address, this.#engines));
    } catch (error) {
      for (const sockets of opened.values()) close(sockets);
      throw error;
    }
    for (const [address, sockets] of opened) {
      const readers = sockets.ike.map(
        ({ local, descriptor }) => new IkeSocket(local, descriptor, this.#buffers, this.#handleDatagram),
      );
      this.#sockets.set(address, { ...sockets, readers });
    }
    const unused = [...this.#sockets].filter(([address]) => !wanted.has(address)).map(([, { engine }]) => engine);
    return { opened: [...opened.values()].flatMap(({ engine }) => engine), unused: unused.flat() };
  }

  /** Sends from the socket that IKE has at the path's local end; `false` if it has none of its own there. */
  transmit({ local, remote }: UdpPath, datagram: Uint8Array): boolean {
    const sockets = this.#sockets.get(local.address)?.readers;
    const socket = sockets?.find((candidate) => candidate.local.port === local.port);
    socket?.send(remote, datagram);
    return socket !== undefined;
  }

  /** Closes all sockets of the addresses whose engine sockets these are; the engine has let go of them. */
  release(unused: readonly EngineUdpSocket[]): void {
    for (const address of new Set(unused.map((socket) => socket.address))) {
      const sockets = this.#sockets.get(address);
      if (sockets === undefined) continue;
      for (const reader of sockets.readers) reader.stop();
      close(sockets);
      this.#sockets.delete(address);
    }
  }

  releaseAll(): void {
    this.release([...this.#sockets.values()].flatMap(({ engine }) => engine));
  }
}

function close({ ike, engine }: LocalSockets): void {
  const ofEngine = engine.flatMap(({ descriptor, unfragmentedDescriptor }) => [
    descriptor,
    unfragmentedDescriptor ?? [],
  ]);
  // A socket that both use is closed once.
  for (const descriptor of new Set([...ike.map(({ descriptor }) => descriptor), ...ofEngine.flat()]))
    libc.close(descriptor);
}

function rawSocketsOf(family: AddressFamily, engines: number): readonly EngineRawSocket[] {
  const sockets: EngineRawSocket[] = [];
  for (let engine = 0; engine < engines; engine++)
    sockets.push(
      { family, protocol: 50, descriptor: openSpiSocket(family, 50, engine, engines), engine },
      { family, protocol: 51, descriptor: openSpiSocket(family, 51, engine, engines), engine },
      // Whom an error concerns, only the engine knows that has the SA.
      { family, protocol: family === 4 ? 1 : 58, descriptor: openIcmpErrorSocket(family), engine },
    );
  return [...sockets, { family, protocol: 'send', descriptor: openRawSendSocket(family) }];
}

/** Receives packets of the SAs that are this engine's. */
function openSpiSocket(family: AddressFamily, protocol: 50 | 51, engine: number, engines: number): number {
  const descriptor = openRawReceiveSocket(family, protocol);
  try {
    if (engines > 1) attachSpiFilter(descriptor, family, SPI_OFFSETS[protocol], engine, engines);
    return descriptor;
  } catch (error) {
    libc.close(descriptor);
    throw error;
  }
}

// RFC 4303 §2, RFC 4302 §2.
const SPI_OFFSETS = { 50: 0, 51: 4 } as const;

import type { AddressFamily, IpAddress } from '../model/address.ts';
import type { GatewayConfig } from '../model/gateway-config.ts';
import { libc } from './libc.ts';
import type { EngineRawSocket, EngineUdpSocket } from './packet-engine/messages.ts';
import {
  openIcmpErrorSocket,
  openNatTraversalSockets,
  openRawReceiveSocket,
  openRawSendSocket,
  openUdpSocket,
} from './sockets.ts';

const IKE_PORT = 500;
const NAT_TRAVERSAL_PORT = 4500;

/** The raw sockets for ESP and AH, and for what ICMP says of them; IPv6's are left out where the kernel has no IPv6. */
export function openRawSockets(): readonly EngineRawSocket[] {
  const sockets = rawSocketsOf(4);
  try {
    return [...sockets, ...rawSocketsOf(6)];
  } catch {
    return sockets;
  }
}

/** The sockets of IKE at one local address: port 500, and port 4500, where ESP and IKE have a socket each, and so has what leaves with DF. */
export function openIkeSockets(address: IpAddress): readonly EngineUdpSocket[] {
  const descriptor = openUdpSocket({ address, port: IKE_PORT });
  try {
    const port = NAT_TRAVERSAL_PORT;
    const { esp, ike, unfragmented } = openNatTraversalSockets({ address, port });
    const sockets = [
      { address, port: IKE_PORT, descriptor, isForReceivingOnly: false },
      {
        ...{ address, port, descriptor: esp, isForReceivingOnly: false },
        ...(unfragmented !== undefined && { unfragmentedDescriptor: unfragmented }),
      },
    ];
    return ike === undefined ? sockets : [...sockets, { address, port, descriptor: ike, isForReceivingOnly: true }];
  } catch (error) {
    libc.close(descriptor);
    throw error;
  }
}

/** The UDP sockets of IKE, for each local address in use. */
export class HostUdpSockets {
  readonly #sockets = new Map<IpAddress, readonly EngineUdpSocket[]>();

  /** Opens what is missing and names what is no longer used; throws an Error, having opened nothing, if a port is taken. */
  apply(config: GatewayConfig): {
    readonly opened: readonly EngineUdpSocket[];
    readonly unused: readonly EngineUdpSocket[];
  } {
    const wanted = new Set(config.gateways.flatMap(({ localAddress }) => localAddress ?? []));
    const opened: EngineUdpSocket[] = [];
    try {
      for (const address of wanted) {
        if (this.#sockets.has(address)) continue;
        opened.push(...openIkeSockets(address));
      }
    } catch (error) {
      for (const socket of opened) close(socket);
      throw error;
    }
    for (const socket of opened)
      this.#sockets.set(socket.address, [...(this.#sockets.get(socket.address) ?? []), socket]);
    const unused = [...this.#sockets].filter(([address]) => !wanted.has(address)).flatMap(([, sockets]) => sockets);
    return { opened, unused };
  }

  /** Closes sockets that the engine has let go of. */
  release(sockets: readonly EngineUdpSocket[]): void {
    for (const socket of sockets) {
      close(socket);
      this.#sockets.delete(socket.address);
    }
  }

  releaseAll(): void {
    this.release([...this.#sockets.values()].flat());
  }
}

function close({ descriptor, unfragmentedDescriptor }: EngineUdpSocket): void {
  libc.close(descriptor);
  if (unfragmentedDescriptor !== undefined) libc.close(unfragmentedDescriptor);
}

function rawSocketsOf(family: AddressFamily): readonly EngineRawSocket[] {
  return [
    { family, protocol: 50, descriptor: openRawReceiveSocket(family, 50) },
    { family, protocol: 51, descriptor: openRawReceiveSocket(family, 51) },
    { family, protocol: family === 4 ? 1 : 58, descriptor: openIcmpErrorSocket(family) },
    { family, protocol: 'send', descriptor: openRawSendSocket(family) },
  ];
}

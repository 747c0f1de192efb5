// Sees every packet on every interface of a namespace, and puts packets on one, past all of the host's own IP: packet(7).

import { check, libc, NativeMemory, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK } from '../../../src/host/libc.ts';

const AF_PACKET = 17;
const ETH_P_ALL = 0x0003;
const ETH_P_IP = 0x0800;
const ETH_P_IPV6 = 0x86dd;
const SIOCGIFINDEX = 0x8933;
const PACKET_HOST = 0;
const PACKET_OUTGOING = 4;
/** `struct sockaddr_ll`: family, protocol, index, and further back what the packet was to the host. */
const NAME_LENGTH = 20;
const PROTOCOL_AT = 2;
const INDEX_AT = 4;
const KIND_AT = 10;
const LENGTH_AT = 32;
const REQUEST_AT = 64;
const PACKET_LENGTH_MAX = 65_600;

export interface TappedPacket {
  readonly interface: string;
  readonly isOutgoing: boolean;
  readonly packet: Uint8Array;
}

export class LinkTap {
  readonly #descriptor = check(
    libc.socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, swapped(ETH_P_ALL)),
    'socket',
    'packet socket',
  );
  readonly #scratch = NativeMemory.allocate(128);
  readonly #packet = NativeMemory.allocate(PACKET_LENGTH_MAX);
  readonly #names = new Map<number, string>();
  readonly #indexes = new Map<string, number>();

  /** Is made in the namespace that the interfaces are in. */
  constructor(interfaces: readonly string[]) {
    for (const name of interfaces) {
      const { bytes, view, address } = this.#scratch;
      bytes.fill(0, REQUEST_AT).set(Buffer.from(name), REQUEST_AT);
      check(libc.ioctl(this.#descriptor, SIOCGIFINDEX, address + REQUEST_AT), 'SIOCGIFINDEX', name);
      const index = view.getInt32(REQUEST_AT + 16, true);
      this.#names.set(index, name);
      this.#indexes.set(name, index);
    }
  }

  /** What has passed, in order, or `undefined`. */
  next(): TappedPacket | undefined {
    const { view, address } = this.#scratch;
    for (;;) {
      view.setUint32(LENGTH_AT, NAME_LENGTH, true);
      const { address: to, bytes } = this.#packet;
      const length = libc.recvfrom(this.#descriptor, to, PACKET_LENGTH_MAX, 0, address, address + LENGTH_AT);
      if (length < 0) return undefined;
      const kind = view.getUint8(KIND_AT);
      const protocol = view.getUint16(PROTOCOL_AT);
      const name = this.#names.get(view.getInt32(INDEX_AT, true));
      const isIp = protocol === ETH_P_IP || protocol === ETH_P_IPV6;
      if (name !== undefined && isIp && (kind === PACKET_HOST || kind === PACKET_OUTGOING))
        return { interface: name, isOutgoing: kind === PACKET_OUTGOING, packet: bytes.slice(0, length) };
    }
  }

  /** Sends a packet out by this interface, as if the host had routed it there. */
  send(name: string, packet: Uint8Array): void {
    const { bytes, view, address } = this.#scratch;
    bytes.fill(0, 0, NAME_LENGTH);
    view.setUint16(0, AF_PACKET, true);
    view.setUint16(PROTOCOL_AT, (packet[0] ?? 0) >>> 4 === 4 ? ETH_P_IP : ETH_P_IPV6);
    view.setInt32(INDEX_AT, this.#indexes.get(name) ?? 0, true);
    this.#packet.bytes.set(packet);
    check(
      libc.sendto(this.#descriptor, this.#packet.address, packet.length, 0, address, NAME_LENGTH),
      'sendto',
      `packet on ${name}`,
    );
  }

  close(): void {
    libc.close(this.#descriptor);
  }
}

/** In the order of the network, as a number of this machine. */
function swapped(value: number): number {
  return ((value & 0xff) << 8) | (value >>> 8);
}

// Our side as a whole: the packet engine in its worker, with its raw and UDP sockets, its TUN devices and OpenSSL, in a network namespace of its
// own with a cable to the kernel's. The host behind us is a packet socket, which puts packets on the TUN devices and sees what comes out.

import { writeFileSync } from 'node:fs';
import { openLocalSockets, openRawSockets } from '../../../src/host/host-sockets.ts';
import { check, libc, NativeMemory } from '../../../src/host/libc.ts';
import { POLICY_INTERFACE } from '../../../src/host/network-plan.ts';
import { PacketEngines } from '../../../src/host/packet-engines.ts';
import { socketAddress } from '../../../src/host/socket-address.ts';
import { openRawSendSocket } from '../../../src/host/sockets.ts';
import { openTunnelDevice } from '../../../src/host/tunnel-device.ts';
import type { DataPlaneCounters } from '../../../src/ipsec/counters.ts';
import { Flow, PROTOCOL_ICMPV6, PROTOCOL_UDP } from '../../../src/ipsec/flow.ts';
import type { DataPlaneCommand } from '../../../src/model/data-plane.ts';
import { destinationOf, GuestGateway, isIpsec } from './guest-gateway.ts';
import { WIRE } from './kernel-side.ts';
import type { KeyedCase } from './keyed-case.ts';
import { LinkTap } from './link-tap.ts';
import { OtherNamespace } from './other-namespace.ts';

const NAMESPACE = 'us';
/** Longer than anything that is sent, so that the host leaves it whole. */
const TUNNEL_MTU = 9000;
const PACKET_LENGTH_MAX = 65_535;
const NEIGHBOR_DISCOVERY = { first: 133, last: 137 };

export class EngineGateway extends GuestGateway {
  readonly #namespace = new OtherNamespace(NAMESPACE, WIRE);
  readonly #engine: PacketEngines;
  readonly #tap: LinkTap;
  readonly #toKernel: number;
  /** Of the kernel's own namespace: for packets that are to come from there. */
  readonly #fromKernel = openRawSendSocket(4);
  readonly #packet = NativeMemory.allocate(PACKET_LENGTH_MAX);

  constructor(cases: readonly KeyedCase[]) {
    super(cases);
    const names = [...new Set(cases.map(interfaceOf))];
    const tunnels = this.#namespace.within(() => {
      // The host has nothing to say of its own in the tunnels, and takes nothing that comes out of them.
      writeFileSync('/proc/sys/net/ipv6/conf/default/disable_ipv6', '1');
      writeFileSync('/proc/sys/net/ipv4/conf/default/rp_filter', '1');
      return names.map((name) => openTunnelDevice(name, 'tcp-and-udp'));
    });
    this.#namespace.configure([
      `link set ${WIRE} up`,
      ...names.map((name) => `link set ${name} mtu ${TUNNEL_MTU} up`),
      ...cases.map(({ ourOuter, outer }) =>
        outer === 4 ? `address add ${ourOuter}/32 dev ${WIRE}` : `address add ${ourOuter}/128 dev ${WIRE} nodad`,
      ),
      `route add 192.0.2.0/24 dev ${WIRE}`,
      `route add 2001:db8::/64 dev ${WIRE}`,
    ]);
    const opened = this.#namespace.within(() => ({
      raw: openRawSockets(),
      udp: cases.filter(({ isInUdp }) => isInUdp).flatMap(({ ourOuter }) => openLocalSockets(ourOuter).engine),
      tap: new LinkTap([WIRE, ...names]),
      toKernel: openRawSendSocket(4),
    }));
    this.#tap = opened.tap;
    this.#toKernel = opened.toKernel;
    this.#engine = new PacketEngines(opened.raw, {
      handleDatagram: (_path, datagram) => this.unexpected.push(datagram),
      handleEvent: (event) => {
        if (event.kind === 'refused') this.refusals.push(event);
      },
      handleNotice: (text) => console.error(text),
      handleFailure: (error) => {
        throw error;
      },
    });
    for (const tunnel of tunnels) this.#engine.addTunnel(tunnel);
    for (const socket of opened.udp) this.#engine.addUdpSocket(socket);
    for (const keyed of cases) for (const command of keyed.commands()) this.#engine.command(command);
  }

  sendInner(keyed: KeyedCase, packet: Uint8Array): void {
    this.#tap.send(interfaceOf(keyed), packet);
  }

  transmit(packet: Uint8Array): void {
    this.#send(this.#toKernel, packet);
  }

  receive(packet: Uint8Array): void {
    this.#send(this.#fromKernel, packet);
  }

  command(command: DataPlaneCommand): void {
    this.#engine.command(command);
  }

  async counters(): Promise<DataPlaneCounters> {
    await this.#engine.settle();
    return this.#engine.counters().dataPlane;
  }

  async stop(): Promise<void> {
    await this.#engine.stop();
    this.#tap.close();
    this.#namespace.remove();
  }

  protected carryOne(): boolean {
    const tapped = this.#tap.next();
    if (!tapped) return false;
    const { packet, isOutgoing } = tapped;
    if (tapped.interface !== WIRE) {
      if (!isOutgoing) this.handleInnerPacket(packet);
      return true;
    }
    const flow = new Flow();
    if (!flow.read(packet, 0, packet.length)) return true;
    if (isOutgoing) this.#noteSent(packet, flow);
    else this.#noteReceived(packet, flow);
    return true;
  }

  #noteSent(packet: Uint8Array, flow: Flow): void {
    if (isIpsec(flow.protocol)) this.sent.push(packet);
  }

  #noteReceived(packet: Uint8Array, flow: Flow): void {
    const keyed = this.cases.get(destinationOf(packet, flow));
    const type = packet[flow.upperOffset] ?? 0;
    const isNeighborDiscovery =
      flow.protocol === PROTOCOL_ICMPV6 && type >= NEIGHBOR_DISCOVERY.first && type <= NEIGHBOR_DISCOVERY.last;
    if (!keyed || isNeighborDiscovery) return;
    const isProtected = keyed.isInUdp ? flow.protocol === PROTOCOL_UDP : isIpsec(flow.protocol);
    if (isProtected || flow.isFragment) this.received.push(packet);
    else this.unexpected.push(packet);
  }

  #send(descriptor: number, packet: Uint8Array): void {
    const name = socketAddress({ address: destinationOf(packet, readFlow(packet)), port: 0 });
    const { bytes, address } = this.#packet;
    bytes.set(name);
    bytes.set(packet, NAME_ROOM);
    const length = libc.sendto(descriptor, address + NAME_ROOM, packet.length, 0, address, name.length);
    check(length, 'sendto', 'a whole packet');
  }
}

const NAME_ROOM = 64;

function readFlow(packet: Uint8Array): Flow {
  const flow = new Flow();
  flow.read(packet, 0, packet.length);
  return flow;
}

/** Of policies without one, the device that the engine keeps for all of them. */
function interfaceOf(keyed: KeyedCase): string {
  return keyed.tunnelInterface ?? POLICY_INTERFACE;
}

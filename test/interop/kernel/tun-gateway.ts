// Our side without the host: the product's data plane, with Node's cryptography, between the wire to the kernel and a host behind us.

import { nodePacketCrypto } from '../../../src/crypto/node-packet-provider.ts';
import { monotonicNow } from '../../../src/host/event-loop.ts';
import { check, libc, NativeMemory } from '../../../src/host/libc.ts';
import { openTunnelDevice } from '../../../src/host/tunnel-device.ts';
import { Counters, type DataPlaneCounters } from '../../../src/ipsec/counters.ts';
import { DataPlane } from '../../../src/ipsec/data-plane.ts';
import { Flow, PROTOCOL_UDP } from '../../../src/ipsec/flow.ts';
import { fragmentIpv4, fragmentIpv6 } from '../../../src/ipsec/fragmentation.ts';
import { Outbound } from '../../../src/ipsec/outbound.ts';
import type { DataPlaneOutbox } from '../../../src/ipsec/outbox.ts';
import { Reassembly } from '../../../src/ipsec/reassembly.ts';
import { OutboundSa } from '../../../src/ipsec/security-association.ts';
import { SecurityPolicyDatabase } from '../../../src/ipsec/security-policy-database.ts';
import { createTransform } from '../../../src/ipsec/transform.ts';
import { SeededRandom } from '../../../src/lib/random.ts';
import type { IpAddress, UdpPath } from '../../../src/model/address.ts';
import type { DataPlaneCommand, DataPlaneEvent } from '../../../src/model/data-plane.ts';
import { destinationOf, GuestGateway, isIpsec } from './guest-gateway.ts';
import { udpPacket } from './inner-packets.ts';
import { WIRE } from './kernel-side.ts';
import type { KeyedCase } from './keyed-case.ts';

const PACKET_LENGTH_MAX = 65_535;
const WIRE_MTU = 1500;

/** A gateway of ours with a TUN device as its wire. */
export class TunGateway extends GuestGateway implements DataPlaneOutbox {
  readonly #plane = new DataPlane({ crypto: nodePacketCrypto, random: new SeededRandom(1) });
  readonly #descriptor = openTunnelDevice(WIRE, 'none').descriptor;
  readonly #packet = NativeMemory.allocate(PACKET_LENGTH_MAX);
  /** The senders of SAs that do not begin with sequence number 1, which no command can say. */
  readonly #resumed = new Map<KeyedCase, Outbound>();
  /** Of datagrams that carry ESP. */
  readonly #outerReassembly = new Reassembly(() => {});
  readonly #delivered: Uint8Array[] = [];
  #identification = 1;

  constructor(cases: readonly KeyedCase[]) {
    super(cases);
    for (const keyed of cases) {
      for (const command of keyed.commands()) this.#plane.handleCommand(monotonicNow(), command, this);
      if (keyed.ourSequence > 0) this.#resumed.set(keyed, resumedOutbound(keyed));
    }
  }

  sendInner(keyed: KeyedCase, packet: Uint8Array): void {
    const { tunnelInterface } = keyed;
    const resumed = this.#resumed.get(keyed);
    if (resumed) resumed.handlePacket(monotonicNow(), tunnelInterface, packet, 0, packet.length, this);
    else this.#plane.handleInnerPacket(monotonicNow(), tunnelInterface, packet, 0, packet.length, this);
  }

  transmit(packet: Uint8Array): void {
    this.sent.push(packet.slice());
    this.#packet.bytes.set(packet);
    check(libc.write(this.#descriptor, this.#packet.address, packet.length), 'write', WIRE);
  }

  receive(packet: Uint8Array): void {
    this.#plane.handleIpPacket(monotonicNow(), packet.slice(), this);
  }

  command(command: DataPlaneCommand): void {
    this.#plane.handleCommand(monotonicNow(), command, this);
  }

  counters(): Promise<DataPlaneCounters> {
    return Promise.resolve(this.#plane.counters());
  }

  stop(): Promise<void> {
    libc.close(this.#descriptor);
    return Promise.resolve();
  }

  transmitIp(_local: IpAddress, _remote: IpAddress, buffer: Uint8Array, start: number, end: number): void {
    this.transmit(buffer.subarray(start, end));
  }

  /** What the host's UDP socket does in the product. */
  transmitUdp(path: UdpPath, buffer: Uint8Array, start: number, finish: number): void {
    const ports = { source: path.local.port, destination: path.remote.port };
    const packet = udpPacket(path.local.address, path.remote.address, ports, buffer.subarray(start, finish));
    this.#identification += 1;
    if (packet.length <= WIRE_MTU) {
      this.transmit(packet);
      return;
    }
    const pieces = new Uint8Array(WIRE_MTU);
    const emit = (end: number): void => this.transmit(pieces.subarray(0, end));
    if ((packet[0] ?? 0) >>> 4 === 4) {
      packet.set([this.#identification >> 8, this.#identification & 0xff], 4);
      fragmentIpv4(packet, 0, packet.length, WIRE_MTU, pieces, 0, emit);
    } else {
      const span = { start: 0, end: packet.length, protectOffset: 40, nextHeaderOffset: 6 };
      fragmentIpv6(packet, span, WIRE_MTU, this.#identification, pieces, emit);
    }
  }

  deliver(_tunnelInterface: string | undefined, buffer: Uint8Array, start: number, end: number): void {
    this.#delivered.push(buffer.slice(start, end));
  }

  event(event: DataPlaneEvent): void {
    if (event.kind === 'refused') this.refusals.push(event);
  }

  protected carryOne(): boolean {
    this.#plane.handleTimeout(monotonicNow(), this);
    const length = libc.read(this.#descriptor, this.#packet.address, PACKET_LENGTH_MAX);
    if (length <= 0) return false;
    this.#handleWirePacket(this.#packet.bytes.slice(0, length));
    for (const packet of this.#delivered.splice(0)) this.handleInnerPacket(packet);
    return true;
  }

  #handleWirePacket(packet: Uint8Array): void {
    const flow = new Flow();
    if (!flow.read(packet, 0, packet.length)) return;
    const keyed = this.cases.get(destinationOf(packet, flow));
    // The kernel looks for IPv6 routers and multicast listeners too.
    if (!keyed) return;
    this.received.push(packet.slice());
    if (!keyed.isInUdp) {
      if (isIpsec(flow.protocol) || flow.isFragment) this.#plane.handleIpPacket(monotonicNow(), packet, this);
      else this.unexpected.push(packet);
      return;
    }
    const whole = flow.isFragment ? this.#outerReassembly.add(monotonicNow(), packet, flow) : packet;
    if (!whole || !flow.read(whole, 0, whole.length)) return;
    if (flow.protocol !== PROTOCOL_UDP || flow.destinationPort !== keyed.udpPath.local.port)
      this.unexpected.push(whole);
    else
      this.#plane.handleUdpPacket(monotonicNow(), keyed.udpPath, whole.subarray(flow.upperOffset + 8, flow.end), this);
  }
}

function resumedOutbound(keyed: KeyedCase): Outbound {
  const policies = new SecurityPolicyDatabase();
  for (const command of keyed.commands()) if (command.kind === 'put-policy') policies.put(command.policy);
  const [description] = keyed.sas('outbound');
  const transform = description && createTransform(nodePacketCrypto, description);
  const entry = description && policies.get(description.policy);
  if (!transform?.ok || !entry) throw new Error(`${keyed.title}: no SA`);
  entry.outbound = new OutboundSa(monotonicNow(), description, transform.value);
  entry.outbound.resumeAfter(keyed.ourSequence);
  return new Outbound(policies, new Counters(), nodePacketCrypto, new SeededRandom(2));
}

// Our side: the product's data plane between the wire to the kernel and a host behind us that answers UDP and sends echo requests.

import { setTimeout as delay } from 'node:timers/promises';
import { nodePacketCrypto } from '../../../src/crypto/node-packet-provider.ts';
import { monotonicNow } from '../../../src/host/event-loop.ts';
import { check, libc, NativeMemory } from '../../../src/host/libc.ts';
import { openTunnelDevice } from '../../../src/host/tunnel-device.ts';
import { Counters } from '../../../src/ipsec/counters.ts';
import { DataPlane } from '../../../src/ipsec/data-plane.ts';
import { Flow, PROTOCOL_AH, PROTOCOL_ESP, PROTOCOL_UDP } from '../../../src/ipsec/flow.ts';
import { fragmentIpv4, fragmentIpv6 } from '../../../src/ipsec/fragmentation.ts';
import { Outbound } from '../../../src/ipsec/outbound.ts';
import type { DataPlaneOutbox } from '../../../src/ipsec/outbox.ts';
import { Reassembly } from '../../../src/ipsec/reassembly.ts';
import { OutboundSa } from '../../../src/ipsec/security-association.ts';
import { SecurityPolicyDatabase } from '../../../src/ipsec/security-policy-database.ts';
import { createTransform } from '../../../src/ipsec/transform.ts';
import { SeededRandom } from '../../../src/lib/random.ts';
import { addressFromOctets, type IpAddress, type UdpPath } from '../../../src/model/address.ts';
import type { DataPlaneEvent } from '../../../src/model/data-plane.ts';
import { type Echo, echoUdp, readEchoReply, udpPacket } from './inner-packets.ts';
import { WIRE } from './kernel-side.ts';
import type { KeyedCase } from './keyed-case.ts';

const PACKET_LENGTH_MAX = 65_535;
const WIRE_MTU = 1500;
/** Milliseconds. Emulated, on a busy machine, and now and then a module to load. */
const PATIENCE = 10_000;

/** A gateway of ours with the TUN device as its wire. */
export class TunGateway implements DataPlaneOutbox {
  readonly plane = new DataPlane({ crypto: nodePacketCrypto, random: new SeededRandom(1) });
  readonly echoReplies: Echo[] = [];
  /** Everything put on the wire since it was emptied last. */
  readonly sent: Uint8Array[] = [];
  /** Everything from the wire that was protected, likewise. */
  readonly received: Uint8Array[] = [];
  /** What came to our addresses without protection, and what came out of the tunnels and was not asked for. */
  readonly unexpected: Uint8Array[] = [];
  readonly refusals: DataPlaneEvent[] = [];
  readonly #descriptor = openTunnelDevice(WIRE, 'none').descriptor;
  readonly #packet = NativeMemory.allocate(PACKET_LENGTH_MAX);
  readonly #cases = new Map<IpAddress, KeyedCase>();
  /** The senders of SAs that do not begin with sequence number 1, which no command can say. */
  readonly #resumed = new Map<KeyedCase, Outbound>();
  /** Of datagrams that carry ESP, and of what comes out of the tunnels. */
  readonly #outerReassembly = new Reassembly(() => {});
  readonly #innerReassembly = new Reassembly(() => {});
  readonly #delivered: Uint8Array[] = [];
  #identification = 1;

  add(keyed: KeyedCase): void {
    for (const command of keyed.commands()) this.plane.handleCommand(monotonicNow(), command, this);
    if (keyed.sequence > 0) this.#resumed.set(keyed, resumedOutbound(keyed));
    this.#cases.set(keyed.ourInner, keyed);
    this.#cases.set(keyed.ourOuter, keyed);
  }

  /** The host behind us sends a packet. */
  sendInner(keyed: KeyedCase, packet: Uint8Array): void {
    const { tunnelInterface } = keyed;
    const resumed = this.#resumed.get(keyed);
    if (resumed) resumed.handlePacket(monotonicNow(), tunnelInterface, packet, 0, packet.length, this);
    else this.plane.handleInnerPacket(monotonicNow(), tunnelInterface, packet, 0, packet.length, this);
  }

  /** Carries everything to and fro until `isDone`; throws, naming `what`, if that takes too long. */
  async carryUntil(what: string, isDone: () => boolean): Promise<void> {
    const deadline = monotonicNow() + PATIENCE;
    while (!this.#carry(isDone)) {
      if (monotonicNow() > deadline) throw new Error(`${what}: nothing came of it in ${PATIENCE / 1000} s`);
      await delay(1);
    }
  }

  /** Carries everything for so many milliseconds, for what is not to happen. */
  async carryFor(milliseconds: number): Promise<void> {
    const end = monotonicNow() + milliseconds;
    while (!this.#carry(() => monotonicNow() > end)) await delay(1);
  }

  /** Puts a whole IP packet on the wire to the kernel. */
  transmit(packet: Uint8Array): void {
    this.sent.push(packet.slice());
    this.#packet.bytes.set(packet);
    check(libc.write(this.#descriptor, this.#packet.address, packet.length), 'write', WIRE);
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

  #carry(isDone: () => boolean): boolean {
    for (;;) {
      if (isDone()) return true;
      const length = libc.read(this.#descriptor, this.#packet.address, PACKET_LENGTH_MAX);
      if (length <= 0) return false;
      this.#handleWirePacket(this.#packet.bytes.slice(0, length));
      for (const packet of this.#delivered.splice(0)) this.#handleInnerPacket(packet);
    }
  }

  #handleWirePacket(packet: Uint8Array): void {
    const flow = new Flow();
    if (!flow.read(packet, 0, packet.length)) return;
    const keyed = this.#cases.get(destinationOf(packet, flow));
    // The kernel looks for IPv6 routers and multicast listeners too.
    if (!keyed) return;
    this.received.push(packet.slice());
    if (!keyed.isInUdp) {
      if (isIpsec(flow.protocol) || flow.isFragment) this.plane.handleIpPacket(monotonicNow(), packet, this);
      else this.unexpected.push(packet);
      return;
    }
    const whole = flow.isFragment ? this.#outerReassembly.add(monotonicNow(), packet, flow) : packet;
    if (!whole || !flow.read(whole, 0, whole.length)) return;
    if (flow.protocol !== PROTOCOL_UDP || flow.destinationPort !== keyed.udpPath.local.port)
      this.unexpected.push(whole);
    else
      this.plane.handleUdpPacket(monotonicNow(), keyed.udpPath, whole.subarray(flow.upperOffset + 8, flow.end), this);
  }

  #handleInnerPacket(packet: Uint8Array): void {
    const flow = new Flow();
    flow.read(packet, 0, packet.length);
    const whole = flow.isFragment ? this.#innerReassembly.add(monotonicNow(), packet, flow) : packet;
    if (!whole) return;
    // Each case has addresses of its own: what the kernel was asked goes back where the question came from.
    const keyed = this.#cases.get(destinationOf(whole, flow));
    const reply = readEchoReply(whole);
    const answer = echoUdp(whole);
    if (reply) this.echoReplies.push(reply);
    else if (keyed && answer) this.sendInner(keyed, answer);
    else this.unexpected.push(whole);
  }
}

function destinationOf(packet: Uint8Array, flow: Flow): IpAddress {
  return addressFromOctets(flow.family === 4 ? packet.subarray(16, 20) : packet.subarray(24, 40));
}

function isIpsec(protocol: number): boolean {
  return protocol === PROTOCOL_ESP || protocol === PROTOCOL_AH;
}

function resumedOutbound(keyed: KeyedCase): Outbound {
  const policies = new SecurityPolicyDatabase();
  for (const command of keyed.commands()) if (command.kind === 'put-policy') policies.put(command.policy);
  const [description] = keyed.sas('outbound');
  const transform = description && createTransform(nodePacketCrypto, description);
  const entry = description && policies.get(description.policy);
  if (!transform?.ok || !entry) throw new Error(`${keyed.title}: no SA`);
  entry.outbound = new OutboundSa(monotonicNow(), description, transform.value);
  entry.outbound.resumeAfter(keyed.sequence);
  return new Outbound(policies, new Counters(), new SeededRandom(2));
}

// What the tests in the guest ask of our side of the wire, whether it is the plain data plane or the whole packet engine.

import { setTimeout as delay } from 'node:timers/promises';
import { monotonicNow } from '../../../src/host/event-loop.ts';
import type { DataPlaneCounters } from '../../../src/ipsec/counters.ts';
import { Flow, PROTOCOL_AH, PROTOCOL_ESP } from '../../../src/ipsec/flow.ts';
import { Reassembly } from '../../../src/ipsec/reassembly.ts';
import { addressFromOctets, type IpAddress } from '../../../src/model/address.ts';
import type { DataPlaneCommand, DataPlaneEvent } from '../../../src/model/data-plane.ts';
import { type Echo, echoUdp, readEchoReply } from './inner-packets.ts';
import type { KeyedCase } from './keyed-case.ts';

/** Milliseconds. Emulated, on a busy machine, and now and then a module to load. */
const PATIENCE = 10_000;

/** A gateway of ours, with a host behind it that answers UDP and takes echo replies. */
export abstract class GuestGateway {
  readonly echoReplies: Echo[] = [];
  /** Everything put on the wire since it was emptied last. */
  readonly sent: Uint8Array[] = [];
  /** Everything from the wire that was protected, likewise. */
  readonly received: Uint8Array[] = [];
  /** What came to our addresses without protection, and what came out of the tunnels and was not asked for. */
  readonly unexpected: Uint8Array[] = [];
  readonly refusals: DataPlaneEvent[] = [];
  protected readonly cases = new Map<IpAddress, KeyedCase>();
  readonly #reassembly = new Reassembly(() => {});

  constructor(cases: readonly KeyedCase[]) {
    for (const keyed of cases) {
      this.cases.set(keyed.ourInner, keyed);
      this.cases.set(keyed.ourOuter, keyed);
    }
  }

  /** The host behind us sends a packet. */
  abstract sendInner(keyed: KeyedCase, packet: Uint8Array): void;
  /** Puts a whole IP packet on the wire to the kernel. */
  abstract transmit(packet: Uint8Array): void;
  /** Puts a whole IP packet on the wire to us. */
  abstract receive(packet: Uint8Array): void;
  /** Tells our data plane something. */
  abstract command(command: DataPlaneCommand): void;
  abstract counters(): Promise<DataPlaneCounters>;
  abstract stop(): Promise<void>;
  /** Carries one packet to or fro; `false` if there is none. */
  protected abstract carryOne(): boolean;

  /** Carries everything to and fro until `isDone`; throws, naming `what`, if that takes too long. */
  async carryUntil(what: string, isDone: () => boolean | Promise<boolean>): Promise<void> {
    const deadline = monotonicNow() + PATIENCE;
    while (!(await isDone())) {
      if (this.carryOne()) continue;
      if (monotonicNow() > deadline) throw new Error(`${what}: nothing came of it in ${PATIENCE / 1000} s`);
      await delay(1);
    }
  }

  /** Carries everything for so many milliseconds, for what is not to happen. */
  async carryFor(milliseconds: number): Promise<void> {
    const end = monotonicNow() + milliseconds;
    while (monotonicNow() < end) if (!this.carryOne()) await delay(1);
  }

  /** Forgets what has passed so far. */
  forget(): void {
    while (this.carryOne());
    this.sent.length = this.received.length = 0;
  }

  /** A packet out of a tunnel reaches the host behind us. */
  protected handleInnerPacket(packet: Uint8Array): void {
    const flow = new Flow();
    flow.read(packet, 0, packet.length);
    const whole = flow.isFragment ? this.#reassembly.add(monotonicNow(), packet, flow) : packet;
    if (!whole) return;
    // Each case has addresses of its own: what the kernel was asked goes back where the question came from.
    const keyed = this.cases.get(destinationOf(whole, flow));
    const reply = readEchoReply(whole);
    const answer = echoUdp(whole);
    if (reply) this.echoReplies.push(reply);
    else if (keyed && answer) this.sendInner(keyed, answer);
    else this.unexpected.push(whole);
  }
}

export function destinationOf(packet: Uint8Array, flow: Flow): IpAddress {
  return addressFromOctets(flow.family === 4 ? packet.subarray(16, 20) : packet.subarray(24, 40));
}

export function isIpsec(protocol: number): boolean {
  return protocol === PROTOCOL_AH || protocol === PROTOCOL_ESP;
}

// Two gateways on one bench, driven message by message: the test says in RFC 2409's notation which message it expects next, and
// whether it arrives. Nothing happens between two lines of a test: no message travels, no timer runs.

import assert from 'node:assert/strict';
import { computeDiffieHellman } from '../../src/crypto/diffie-hellman.ts';
import { nodePacketCrypto } from '../../src/crypto/node-packet-provider.ts';
import { nodeCrypto } from '../../src/crypto/node-provider.ts';
import type { CryptoProvider } from '../../src/crypto/provider.ts';
import { Gateway } from '../../src/gateway/gateway.ts';
import type { GatewayOutbox } from '../../src/gateway/outbox.ts';
import { DataPlane } from '../../src/ipsec/data-plane.ts';
import type { DataPlaneOutbox } from '../../src/ipsec/outbox.ts';
import { SeededRandom } from '../../src/lib/random.ts';
import { after, earliest, type Instant, instant, milliseconds, NEVER, seconds } from '../../src/lib/time.ts';
import type { IpAddress, UdpPath } from '../../src/model/address.ts';
import type { ComputeJob, ComputeResult } from '../../src/model/compute-job.ts';
import type { DataPlaneCommand, DataPlaneEvent } from '../../src/model/data-plane.ts';
import type { GatewayConfig } from '../../src/model/gateway-config.ts';
import type { IkeEvent, IkeMessageEvent } from '../../src/model/ike-event.ts';
import { type Office, type OfficeParameters, officeAddresses, officeConfig } from '../../src/simulation/two-offices.ts';

export type BenchOptions = Partial<OfficeParameters> & {
  readonly seed?: number;
  /** IKE's cryptography on both sides; Node's unless a test needs one that it can see through. */
  readonly crypto?: CryptoProvider;
  /** What is too long for the control thread; Diffie-Hellman as it is unless a test needs many. */
  readonly computation?: (job: ComputeJob) => ComputeResult;
  /** Changes the configuration of one end, to make the two disagree. */
  readonly changeInitiator?: (config: GatewayConfig) => GatewayConfig;
  readonly changeResponder?: (config: GatewayConfig) => GatewayConfig;
};

/** A datagram between its two ends. */
export interface InFlight {
  readonly from: Side;
  readonly path: UdpPath;
  readonly datagram: Uint8Array;
  /** `HDR, SA, VID`; `keepalive` for one. */
  notation: string;
}

const PLAIN: OfficeParameters = {
  mode: 'main',
  encryption: 'aes-256-cbc',
  hash: 'sha-256',
  dhGroup: 'group19',
  protocol: 'esp',
  ipsecEncryption: 'aes-128-gcm',
  ipsecIntegrity: 'none',
  ikeLifetime: seconds(28_800),
  ipsecLifetime: seconds(3600),
  deadPeerDetection: { mode: 'optimized', interval: seconds(10), threshold: 3 },
  establishMain: 'on-traffic',
  establishBranch: 'on-traffic',
  isBranchBehindNat: false,
  selectorCount: 1,
};
/** Where time starts: not at zero, so that nothing takes zero for "never". */
const START = instant(1_000_000);

/** The main office is the initiator, the branch the responder. Same seed, same bytes. */
export function twoGateways(options: BenchOptions = {}): TwoGateways {
  return new TwoGateways(options);
}

/** One gateway of the two, and all that it has put out. */
export class Side implements GatewayOutbox {
  readonly office: Office;
  readonly gateway: Gateway;
  readonly address: IpAddress;
  readonly events: IkeEvent[] = [];
  readonly commands: DataPlaneCommand[] = [];
  readonly jobs: ComputeJob[] = [];
  readonly dataPlane: DataPlane;
  /** What the data plane has told and the gateway has not heard yet. */
  readonly dataPlaneEvents: DataPlaneEvent[] = [];
  readonly #clock: () => Instant;
  readonly #queue: InFlight[];
  // A message's event and its datagram leave in the same call, but which is first is the gateway's business.
  readonly #unnamed: InFlight[] = [];
  readonly #names: string[] = [];
  // No inner packets travel on the bench: the simulation is for that.
  readonly #dataPlaneOut: DataPlaneOutbox = {
    deliver: () => undefined,
    transmitUdp: () => undefined,
    transmitIp: () => undefined,
    event: (event) => this.dataPlaneEvents.push(event),
  };

  constructor(office: Office, seed: number, crypto: CryptoProvider, clock: () => Instant, queue: InFlight[]) {
    this.office = office;
    this.#clock = clock;
    this.dataPlane = new DataPlane({ crypto: nodePacketCrypto, random: new SeededRandom(seed + 1000) });
    this.address = officeAddresses(office, { isBranchBehindNat: false }).gateway;
    this.#queue = queue;
    this.gateway = new Gateway({ crypto, random: new SeededRandom(seed) });
  }

  transmit(path: UdpPath, datagram: Uint8Array): void {
    const entry: InFlight = { from: this, path, datagram: datagram.slice(), notation: '' };
    this.#queue.push(entry);
    if (datagram.length === 1) {
      entry.notation = 'keepalive';
      return;
    }
    this.#unnamed.push(entry);
    this.#pair();
  }

  command(command: DataPlaneCommand): void {
    this.commands.push(command);
    this.dataPlane.handleCommand(this.#clock(), command, this.#dataPlaneOut);
  }

  /** Runs whichever timers are due. */
  handleTimeout(): void {
    const now = this.#clock();
    if (this.gateway.nextTimeout() <= now) this.gateway.handleTimeout(now, this);
    if (this.dataPlane.nextTimeout() <= now) this.dataPlane.handleTimeout(now, this.#dataPlaneOut);
  }

  nextTimeout(): Instant {
    return earliest(this.gateway.nextTimeout(), this.dataPlane.nextTimeout());
  }

  compute(job: ComputeJob): void {
    this.jobs.push(job);
  }

  report(event: IkeEvent): void {
    this.events.push(event);
    if (event.kind !== 'message' || event.direction !== 'sent') return;
    this.#names.push(event.notation);
    this.#pair();
  }

  /** A datagram that left without a word about it gets no name from the next one. */
  endCall(): void {
    this.#unnamed.length = 0;
    this.#names.length = 0;
  }

  /** Messages that this side understood, in notation. */
  received(): readonly IkeMessageEvent[] {
    return this.events.filter((event) => event.kind === 'message').filter((event) => event.direction === 'received');
  }

  eventsOf<K extends IkeEvent['kind']>(kind: K): readonly Extract<IkeEvent, { readonly kind: K }>[] {
    return this.events.filter((event): event is Extract<IkeEvent, { readonly kind: K }> => event.kind === kind);
  }

  /** Faults of dropped messages, in order. */
  drops(): readonly string[] {
    return this.eventsOf('message-dropped').map((event) => event.fault);
  }

  #pair(): void {
    while (this.#unnamed.length > 0 && this.#names.length > 0) {
      const entry = this.#unnamed.shift();
      const name = this.#names.shift();
      if (entry && name !== undefined) entry.notation = name;
    }
  }
}

/** The bench. */
export class TwoGateways {
  readonly initiator: Side;
  readonly responder: Side;
  /** What was sent and has neither arrived nor been lost, oldest first. */
  readonly inFlight: InFlight[] = [];
  readonly #computation: (job: ComputeJob) => ComputeResult;
  #now = START;

  constructor(options: BenchOptions) {
    const { seed = 1, crypto = nodeCrypto, computation = computeDiffieHellman, ...others } = options;
    const { changeInitiator = same, changeResponder = same, ...offices } = others;
    this.#computation = computation;
    const parameters: OfficeParameters = { ...PLAIN, ...offices };
    this.initiator = new Side('main', seed, crypto, () => this.#now, this.inFlight);
    this.responder = new Side('branch', seed + 1, crypto, () => this.#now, this.inFlight);
    this.configure(this.initiator, changeInitiator(officeConfig('main', parameters)));
    this.configure(this.responder, changeResponder(officeConfig('branch', parameters)));
  }

  get now(): Instant {
    return this.#now;
  }

  configure(side: Side, config: GatewayConfig): void {
    side.gateway.applyConfig(this.#now, config, side);
    this.compute();
  }

  initiate(side: Side = this.initiator): void {
    side.gateway.initiate(this.#now, side === this.initiator ? 'to-branch' : 'to-main', side);
    this.compute();
  }

  dataPlane(side: Side, event: DataPlaneEvent): void {
    side.gateway.handleDataPlaneEvent(this.#now, event, side);
    this.compute();
  }

  /** The oldest datagram in flight is this one; it arrives. */
  expect(line: string): InFlight {
    const entry = this.#take(line);
    this.deliver(entry);
    return entry;
  }

  /** The oldest datagram in flight is this one; it is lost. */
  drop(line: string): InFlight {
    return this.#take(line);
  }

  /** Hands a datagram to the other side, again or changed if the test wants. */
  deliver(entry: InFlight, datagram: Uint8Array = entry.datagram): void {
    const to = entry.from === this.initiator ? this.responder : this.initiator;
    this.inject(to, { local: entry.path.remote, remote: entry.path.local }, datagram);
  }

  /** Hands any octets to a side. */
  inject(to: Side, path: UdpPath, datagram: Uint8Array): void {
    to.gateway.handleDatagram(this.#now, path, datagram.slice(), to);
    this.compute();
  }

  /** Lets everything in flight arrive, and what that causes, until nothing is. */
  settle(): void {
    for (let count = 0; this.inFlight.length > 0; count++) {
      assert.ok(count < 1000, 'the two gateways do not stop talking');
      const entry = this.inFlight.shift();
      if (entry) this.deliver(entry);
    }
  }

  /** Lets time pass, such as `4s` or `500ms`: timers run, nothing arrives. */
  advance(duration: string): void {
    const end = after(this.#now, parseDuration(duration));
    for (let count = 0; ; count++) {
      assert.ok(count < 10_000, 'a timer stands still');
      const due = earliest(this.initiator.nextTimeout(), this.responder.nextTimeout());
      if (due === NEVER || due > end) break;
      if (due > this.#now) this.#now = due;
      for (const side of [this.initiator, this.responder]) side.handleTimeout();
      this.compute();
    }
    this.#now = end;
  }

  /** Nothing is in flight. */
  expectSilence(): void {
    assert.deepEqual(this.inFlight.map(describe), []);
  }

  /** Both sides have one IKE SA and one IPsec SA pair in use, and each sends to what the other receives on. */
  expectEstablished(): void {
    const pairs = [this.initiator, this.responder].map((side) => {
      const up = side.gateway.ikeSas(this.#now).filter((sa) => sa.state === 'up');
      assert.equal(up.length, 1, `IKE SAs of the ${side.office} office`);
      const current = side.gateway.ipsecSas(this.#now).filter((pair) => pair.isCurrent);
      assert.equal(current.length, 1, `IPsec SA pairs of the ${side.office} office`);
      return current[0];
    });
    assert.equal(pairs[0]?.outboundSpi, pairs[1]?.inboundSpi);
    assert.equal(pairs[1]?.outboundSpi, pairs[0]?.inboundSpi);
  }

  /** Runs every computation that was asked for, and tells the gateways what their data planes have to say. */
  compute(): void {
    for (const side of [this.initiator, this.responder]) {
      for (let event = side.dataPlaneEvents.shift(); event; event = side.dataPlaneEvents.shift()) {
        side.gateway.handleDataPlaneEvent(this.#now, event, side);
      }
      side.endCall();
      for (let job = side.jobs.shift(); job; job = side.jobs.shift()) {
        side.gateway.handleComputed(this.#now, job.id, this.#computation(job), side);
      }
    }
  }

  #take(line: string): InFlight {
    const entry = this.inFlight.shift();
    assert.ok(entry, `nothing is in flight, expected ${line}`);
    assert.equal(describe(entry), line);
    return entry;
  }
}

/** The six messages of Main Mode with a pre-shared key (RFC 2409 §5.4, RFC 3947 §3.2). */
export const MAIN_MODE_LADDER: readonly string[] = [
  '-->  HDR, SA, VID',
  '<--  HDR, SA, VID',
  '-->  HDR, KE, Ni, NAT-D, NAT-D',
  '<--  HDR, KE, Nr, NAT-D, NAT-D',
  '-->  HDR*, IDii, HASH_I, N(INITIAL-CONTACT)',
  '<--  HDR*, IDir, HASH_R, N(INITIAL-CONTACT)',
];

/** The three messages of Aggressive Mode with a pre-shared key (RFC 2409 §5.4, RFC 3947 §3.2). */
export const AGGRESSIVE_MODE_LADDER: readonly string[] = [
  '-->  HDR, SA, KE, Ni, IDii, VID',
  '<--  HDR, SA, KE, Nr, IDir, HASH_R, NAT-D, NAT-D, VID',
  '-->  HDR*, HASH_I, NAT-D, NAT-D, N(INITIAL-CONTACT)',
];

/** The three messages of Quick Mode without perfect forward secrecy (RFC 2409 §5.5). */
export const QUICK_MODE_LADDER: readonly string[] = [
  '-->  HDR*, HASH(1), SA, Ni, IDci, IDcr',
  '<--  HDR*, HASH(2), SA, Nr, IDci, IDcr',
  '-->  HDR*, HASH(3)',
];

/** `-->  HDR, SA, VID` for a message of the initiator, `<--` for one of the responder. */
function describe(entry: InFlight): string {
  return `${entry.from.office === 'main' ? '-->' : '<--'}  ${entry.notation}`;
}

function parseDuration(text: string) {
  const match = /^(\d+)(ms|s)$/.exec(text);
  assert.ok(match, `${text} is a duration`);
  return milliseconds(Number(match[1]) * (match[2] === 's' ? 1000 : 1));
}

function same(config: GatewayConfig): GatewayConfig {
  return config;
}

// Two IKE endpoints back to back on a clock of their own, for tests: scripts in the RFC's notation, with loss, duplicates and forgery.

import assert from 'node:assert/strict';
import { computeDiffieHellman } from '../../crypto/diffie-hellman.ts';
import { nodeCrypto } from '../../crypto/node-provider.ts';
import { SeededRandom } from '../../lib/random.ts';
import { Secret } from '../../lib/secret.ts';
import { after, type Instant, instant, milliseconds, seconds } from '../../lib/time.ts';
import { address, parsePrefix, type UdpPath } from '../../model/address.ts';
import type { ComputeJob } from '../../model/compute-job.ts';
import type {
  GatewayConfig,
  IkeGatewayConfig,
  IkeProposalConfig,
  IpsecProposalConfig,
  VpnConfig,
} from '../../model/gateway-config.ts';
import type { IkeEvent, IkeMessageEvent } from '../../model/ike-event.ts';
import { selectorFromPrefix, type TrafficSelector } from '../../model/traffic-selector.ts';
import { IkeEndpoint } from '../endpoint.ts';
import type { IkeOutbox, SaCommand } from '../outbox.ts';

const ORIGIN = { path: 'test', line: 0 };

/** What a test says differently from an ordinary tunnel between two offices. */
export interface SideOptions {
  readonly gateway?: Partial<IkeGatewayConfig>;
  readonly policy?: Partial<IkeGatewayConfig['policy']>;
  readonly ikeProposal?: Partial<IkeProposalConfig>;
  readonly ipsecProposal?: Partial<IpsecProposalConfig>;
  readonly vpn?: Partial<VpnConfig>;
  readonly config?: Partial<GatewayConfig>;
}

export interface PairOptions {
  readonly seed?: number;
  readonly both?: SideOptions;
  readonly initiator?: SideOptions;
  readonly responder?: SideOptions;
  /** Addresses and ports as the other side sees them. */
  readonly nat?: { readonly initiatorSeenAs: string };
}

/** One message on its way. */
export interface Flight {
  readonly from: 'initiator' | 'responder';
  readonly path: UdpPath;
  readonly bytes: Uint8Array;
  readonly event: IkeMessageEvent | undefined;
}

export class TestSide {
  readonly name: 'initiator' | 'responder';
  readonly endpoint: IkeEndpoint;
  readonly events: IkeEvent[] = [];
  readonly commands: SaCommand[] = [];
  readonly jobs: ComputeJob[] = [];
  readonly keepalives: UdpPath[] = [];
  readonly #lab: TestPair;

  constructor(lab: TestPair, name: 'initiator' | 'responder', seed: number) {
    this.#lab = lab;
    this.name = name;
    this.endpoint = new IkeEndpoint({ crypto: nodeCrypto, random: new SeededRandom(seed) });
  }

  readonly out: IkeOutbox = {
    transmit: (path, bytes) => {
      this.#lab.flights.push({ from: this.name, path, bytes, event: undefined });
    },
    transmitKeepalive: (path) => {
      this.keepalives.push(path);
    },
    compute: (job) => {
      this.jobs.push({ ...job, privateValue: job.privateValue.slice() });
    },
    command: (command) => {
      this.commands.push(command);
    },
    report: (event) => {
      this.events.push(event);
      const last = this.#lab.flights.at(-1);
      if (event.kind !== 'message' || event.direction !== 'sent' || last?.from !== this.name) return;
      this.#lab.flights[this.#lab.flights.length - 1] = { ...last, event };
    },
  };

  initiate(): void {
    this.endpoint.initiate(this.#lab.now, 'office', this.out);
    this.#lab.settle();
  }

  ofKind<K extends IkeEvent['kind']>(kind: K): readonly Extract<IkeEvent, { kind: K }>[] {
    return this.events.filter((event): event is Extract<IkeEvent, { kind: K }> => event.kind === kind);
  }

  /** The state that a peer can see or change, for comparing before and after. */
  snapshot(): string {
    const { now } = this.#lab;
    const ike = this.endpoint.ikeSas(now).map((sa) => ({ ...sa, traffic: undefined }));
    return JSON.stringify({ ike, ipsec: this.endpoint.ipsecSas(now), commands: this.commands.length });
  }
}

export class TestPair {
  now: Instant = instant(1_000_000);
  readonly flights: Flight[] = [];
  /** Everything that has arrived. */
  readonly delivered: Flight[] = [];
  initiator: TestSide;
  responder: TestSide;
  readonly #options: PairOptions;

  constructor(options: PairOptions = {}) {
    this.#options = options;
    const seed = options.seed ?? 1;
    this.initiator = new TestSide(this, 'initiator', seed * 2);
    this.responder = new TestSide(this, 'responder', seed * 2 + 1);
    this.configure();
  }

  configure(): void {
    const { both = {}, initiator = {}, responder = {} } = this.#options;
    this.initiator.endpoint.applyConfig(this.now, officeConfig('initiator', both, initiator), this.initiator.out);
    this.responder.endpoint.applyConfig(this.now, officeConfig('responder', both, responder), this.responder.out);
  }

  /** One side gets a changed configuration. */
  reconfigure(name: Flight['from'], change: SideOptions): void {
    const side = this.side(name);
    const { both = {} } = this.#options;
    side.endpoint.applyConfig(this.now, officeConfig(name, both, this.#options[name] ?? {}, change), side.out);
  }

  /** One side loses all its memory, and begins again with the same configuration. */
  restart(name: Flight['from']): this {
    const side = new TestSide(this, name, (this.#options.seed ?? 1) + 1000);
    if (name === 'initiator') this.initiator = side;
    else this.responder = side;
    this.reconfigure(name, {});
    return this;
  }

  side(name: Flight['from']): TestSide {
    return name === 'initiator' ? this.initiator : this.responder;
  }

  /** Runs the computations that are out, until none is left. */
  settle(): void {
    for (const side of [this.initiator, this.responder]) {
      for (let job = side.jobs.shift(); job !== undefined; job = side.jobs.shift()) {
        side.endpoint.handleComputed(this.now, job.id, computeDiffieHellman(job), side.out);
      }
    }
  }

  /** Takes the next message, which must be this one, and delivers it. */
  expect(script: string): Flight {
    const flight = this.take(script);
    this.deliver(flight);
    return flight;
  }

  /** Takes the next message, which must be this one, and loses it. */
  drop(script: string): Flight {
    return this.take(script);
  }

  take(script: string): Flight {
    const flight = this.flights.shift();
    assert.ok(flight, `expected ${script}, but nothing was sent`);
    assert.equal(describeFlight(flight), normalize(script));
    return flight;
  }

  expectSilence(): void {
    assert.deepEqual(this.flights.map(describeFlight), []);
  }

  deliver(flight: Flight, bytes: Uint8Array = flight.bytes): void {
    this.delivered.push(flight);
    const target = this.side(flight.from === 'initiator' ? 'responder' : 'initiator');
    target.endpoint.handleMessage(this.now, this.#translate(flight), bytes, target.out);
    this.settle();
  }

  /** Delivers everything until nobody has anything to say. */
  run(): void {
    for (let count = 0; this.flights.length > 0; count++) {
      assert.ok(count < 1000, 'the exchange comes to an end');
      const flight = this.flights.shift();
      if (flight) this.deliver(flight);
    }
  }

  /** Delivers so many messages, if there are. */
  runSome(count: number): void {
    for (const flight of this.flights.splice(0, count)) this.deliver(flight);
  }

  /** Moves the clock, timer by timer; messages pile up in `flights` unless `delivers`. */
  advance(duration: string, delivers = false): void {
    const end = after(this.now, milliseconds(parseDuration(duration)));
    for (let count = 0; ; count++) {
      assert.ok(count < 100_000, 'timers do not spin');
      const next = Math.min(this.initiator.endpoint.nextTimeout(), this.responder.endpoint.nextTimeout());
      if (next > end) break;
      this.now = instant(Math.max(next, this.now));
      for (const side of [this.initiator, this.responder]) {
        if (side.endpoint.nextTimeout() <= this.now) side.endpoint.handleTimeout(this.now, side.out);
      }
      this.settle();
      if (delivers) this.run();
    }
    this.now = end;
  }

  establish(): void {
    this.initiator.initiate();
    this.run();
    this.expectEstablished();
  }

  expectEstablished(): void {
    for (const side of [this.initiator, this.responder]) {
      const up = side.endpoint.ikeSas(this.now).filter(({ state }) => state === 'up');
      assert.ok(up.length > 0, `${side.name} has an IKE SA: ${JSON.stringify(side.ofKind('negotiation-failed'))}`);
      assert.ok(side.endpoint.ipsecSas(this.now).length > 0, `${side.name} has IPsec SAs`);
    }
    this.expectSameKeys();
  }

  /** What one side sends under, the other receives under, with the same keys. */
  expectSameKeys(): void {
    for (const [sender, receiver] of [
      [this.initiator, this.responder],
      [this.responder, this.initiator],
    ] as const) {
      const current = sender.endpoint.ipsecSas(this.now).find(({ isCurrent }) => isCurrent);
      assert.ok(current, `${sender.name} has a current pair`);
      const outbound = findAdded(sender.commands, 'add-outbound', current.outboundSpi);
      const inbound = findAdded(receiver.commands, 'add-inbound', current.outboundSpi);
      assert.ok(outbound && inbound, 'both sides have installed the SA');
      assert.deepEqual(inbound.encryptionKey, outbound.encryptionKey);
      assert.deepEqual(inbound.integrityKey, outbound.integrityKey);
      assert.deepEqual(inbound.selectors, { local: outbound.selectors.remote, remote: outbound.selectors.local });
    }
  }

  /** The path as the receiver sees it. */
  #translate(flight: Flight): UdpPath {
    const seenAs = this.#options.nat?.initiatorSeenAs;
    const { local, remote } = flight.path;
    if (seenAs === undefined) return { local: remote, remote: local };
    const inside = { address: INITIATOR, port: remote.port < 10_000 ? remote.port : remote.port - 10_000 };
    return flight.from === 'initiator'
      ? { local: remote, remote: { address: address(seenAs), port: local.port + 10_000 } }
      : { local: inside, remote: local };
  }
}

const INITIATOR = address('192.0.2.1');
const RESPONDER = address('198.51.100.1');

/** The configuration of one of two offices with one route-based tunnel between them. */
export function officeConfig(name: 'initiator' | 'responder', ...options: readonly SideOptions[]): GatewayConfig {
  const isInitiator = name === 'initiator';
  const pick = <K extends keyof SideOptions>(key: K): SideOptions[K] =>
    Object.assign({}, ...options.map((o) => o[key]));
  const ikeProposal: IkeProposalConfig = {
    name: 'p1',
    origin: ORIGIN,
    authenticationMethod: 'pre-shared-keys',
    encryption: 'aes-128-cbc',
    hash: 'sha-256',
    dhGroup: 'group19',
    lifetime: seconds(28_800),
    ...pick('ikeProposal'),
  };
  const ipsecProposal: IpsecProposalConfig = {
    name: 'p2',
    origin: ORIGIN,
    protocol: 'esp',
    encryption: 'aes-128-cbc',
    integrity: 'hmac-sha-256-128',
    lifetime: seconds(3600),
    extendedSequenceNumbers: false,
    ...pick('ipsecProposal'),
  };
  const gateway: IkeGatewayConfig = {
    name: 'peer',
    origin: { path: 'security ike gateway peer', line: 1 },
    version: 'v1-only',
    policy: {
      name: 'ike-policy',
      origin: { path: 'security ike policy ike-policy', line: 2 },
      mode: 'main',
      proposals: [ikeProposal],
      preSharedKey: new Secret(new TextEncoder().encode('correct horse')),
      ...pick('policy'),
    },
    remoteAddresses: [isInitiator ? RESPONDER : INITIATOR],
    remoteHostNames: [],
    isDynamic: false,
    externalInterface: 'ge-0/0/0.0',
    localAddress: isInitiator ? INITIATOR : RESPONDER,
    acceptsAnyIdentity: false,
    natTraversal: true,
    natKeepalive: seconds(20),
    ...pick('gateway'),
  };
  const [own, other] = [selector('10.1.0.0/16'), selector('10.2.0.0/16')];
  const vpn: VpnConfig = {
    name: 'office',
    origin: { path: 'security ipsec vpn office', line: 3 },
    gateway: 'peer',
    bindInterface: 'st0.0',
    proposals: [ipsecProposal],
    ipsecPolicyOrigin: { path: 'security ipsec policy ipsec-policy', line: 4 },
    selectors: [{ origin: ORIGIN, local: isInitiator ? own : other, remote: isInitiator ? other : own }],
    establishTunnels: 'on-traffic',
    mode: 'tunnel',
    dfBit: 'clear',
    copyOuterDscp: false,
    antiReplayWindow: 64,
    installInterval: seconds(0),
    ...pick('vpn'),
  };
  return { gateways: [gateway], vpns: [vpn], tunnelInterfaces: [], routes: [], ...pick('config') };
}

export function selector(prefix: string): TrafficSelector {
  const parsed = parsePrefix(prefix);
  assert.ok(parsed, prefix);
  return selectorFromPrefix(parsed);
}

export function describeFlight(flight: Flight): string {
  const arrow = flight.from === 'initiator' ? '-->' : '<--';
  return `${arrow} ${flight.event?.notation ?? 'unreported'}`;
}

function normalize(script: string): string {
  return script.replace(/\s+/g, ' ').trim();
}

function parseDuration(text: string): number {
  const match = /^(\d+)(ms|s|min|h)$/.exec(text);
  assert.ok(match, text);
  const unit = { ms: 1, s: 1000, min: 60_000, h: 3_600_000 }[match[2] ?? ''];
  return Number(match[1]) * (unit ?? 1);
}

function findAdded(commands: readonly SaCommand[], kind: 'add-inbound' | 'add-outbound', spi: number) {
  for (const command of commands) if (command.kind === kind && command.sa.spi === spi) return command.sa;
  return undefined;
}

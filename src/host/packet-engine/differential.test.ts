// The engine against the plain data plane with Node's cryptography: the same random traffic goes through both, and everything that comes out
// of either, packets and counters, must be the same. fast-check prints the seed of a failure and the smallest situation that still has it.
// SALLYPORT_DIFFERENTIAL_RUNS=2000 makes it long, SALLYPORT_DIFFERENTIAL_SEED=… runs one seed again.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { DataPlane } from '../../ipsec/data-plane.ts';
import {
  EAST6,
  innerPacket,
  newPlane,
  policy,
  RecordingOutbox,
  reversed,
  saPair,
  selectors,
  WEST6,
} from '../../ipsec/two-planes.fixture.ts';
import { SeededRandom } from '../../lib/random.ts';
import { type Instant, instant } from '../../lib/time.ts';
import type { IntegrityAlgorithm } from '../../model/algorithms.ts';
import { encryptionTraits, integrityTraits } from '../../model/algorithms.ts';
import type { SecurityPolicy } from '../../model/data-plane.ts';
import { type IpsecSa, policyId, spi } from '../../model/ipsec-sa.ts';
import { classifyUdp4500 } from '../../wire/udp-encapsulation.ts';
import { namespaceTestSkip } from '../test-namespace.fixture.ts';
import type { TunnelOffload } from '../tunnel-device.ts';
import { type BenchOutput, EngineBench, TUNNELS } from './engine-bench.fixture.ts';
import { describeLoss, FlowMaker } from './flow-maker.fixture.ts';
import type { EngineFeature } from './messages.ts';
import { plainFrame, randomSuperPacket, type TunnelFrame } from './naive-offload.fixture.ts';
import { disturb, oddPacket } from './odd-packets.fixture.ts';
import { isIpv4Fragment, isIpv6, isIpv6Fragment, knownLength, withoutIdentification } from './outer-packets.fixture.ts';
import { enterOwnNamespace, ipv6PacketAround, sign, spiBehindExtensions } from './raw-ipv6.fixture.ts';
import { SUITES, type Suite } from './suites.fixture.ts';

const RUNS = Number(process.env['SALLYPORT_DIFFERENTIAL_RUNS'] ?? 24);
const SEED = process.env['SALLYPORT_DIFFERENTIAL_SEED'];
const STEPS = 10;
/** Octets that one step puts in at most, for nothing may be lost in a buffer. */
const STEP_LENGTH_MAX = 100_000;
const PACKET_OVERHEAD = 600;
const IPV6_LENGTH = 40;
const SPI_FIRST = 0x1000;

/** Those of AH, as node:crypto calls them. */
const HASHES = new Map<IntegrityAlgorithm, string>([
  ['hmac-sha-256-128', 'sha256'],
  ['hmac-sha-512', 'sha512'],
]);

/** One SA each way, of one family inside, bound to one tunnel. */
interface SaChoice {
  readonly suite: Suite;
  /** AH is never in UDP. */
  readonly way: 'udp' | 'raw' | 'raw IPv6';
  readonly isExtended: boolean;
}

interface Situation {
  /** For each tunnel IPv4, then IPv6. */
  readonly sas: readonly SaChoice[];
  readonly offload: TunnelOffload;
  readonly without: readonly EngineFeature[];
  readonly policy: Pick<SecurityPolicy, 'dfBit' | 'copyOuterDscp' | 'mtu' | 'tcpMss' | 'tfcPadding'>;
  readonly seed: number;
}

const FEATURES: readonly EngineFeature[] = [
  'udp-segmentation',
  'udp-receive-offload',
  'udp-traffic-class',
  'vectors',
  'io-ring',
  'machine-code',
  'openssl',
];

const anyPolicy = fc.record(
  {
    dfBit: fc.constantFrom('clear' as const, 'set' as const, 'copy' as const),
    copyOuterDscp: fc.boolean(),
    mtu: fc.constantFrom(9000, 1400),
    tcpMss: fc.constantFrom(536, 1350),
    tfcPadding: fc.constantFrom(300, 1400, 9000),
  },
  { requiredKeys: ['dfBit', 'copyOuterDscp'] },
);

function anySituation(...ways: readonly SaChoice['way'][]): fc.Arbitrary<Situation> {
  const suite = fc.constantFrom(...SUITES);
  const sa = fc.record({ suite, way: fc.constantFrom(...ways), isExtended: fc.boolean() });
  return fc.record({
    sas: fc.array(sa, { minLength: 2 * TUNNELS.length, maxLength: 2 * TUNNELS.length }),
    offload: fc.constantFrom('none' as const, 'tcp' as const, 'tcp-and-udp' as const, 'tcp-and-udp' as const),
    without: fc.subarray([...FEATURES]).map((features) => (features.length > 3 ? [] : features)),
    policy: anyPolicy,
    seed: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  });
}

test('the engine does to every packet what the plain data plane does, and counts the same', () =>
  compare(anySituation('udp', 'raw'), RUNS));

test('three engines do so together, and count the same', () => compare(anySituation('udp', 'raw'), RUNS, 3));

test('the engine does the same to ESP and AH over IPv6, whose headers the kernel takes apart', {
  skip: namespaceTestSkip(),
}, async () => {
  enterOwnNamespace(WEST6);
  await compare(anySituation('raw IPv6', 'raw IPv6', 'raw', 'udp'), Math.ceil(RUNS / 2));
});

async function compare(situations: fc.Arbitrary<Situation>, numRuns: number, engines = 1): Promise<void> {
  await fc.assert(
    fc.asyncProperty(situations, async (situation) => {
      const comparison = new Comparison(situation, engines);
      try {
        for (let step = 0; step < STEPS; step++) await comparison.step();
        await comparison.finish();
      } finally {
        await comparison.stop();
      }
    }),
    { numRuns, endOnFailure: true, includeErrorInReport: true, ...(SEED === undefined ? {} : { seed: Number(SEED) }) },
  );
}

/** An engine and a plain data plane with the same SAs, and a plain peer that protects what they are to open. */
class Comparison {
  readonly #situation: Situation;
  readonly #random: SeededRandom;
  readonly #flows: FlowMaker;
  readonly #bench: EngineBench;
  readonly #plain: DataPlane = newPlane(1);
  readonly #peer: DataPlane = newPlane(2);
  /** Two more, who open what the engine and the plain data plane have sent. */
  readonly #openers = [newPlane(3), newPlane(4)];
  readonly #old: Uint8Array[][] = [[], [], [], [], [], [], [], []];
  readonly #isAnyRandom: boolean;
  readonly #engines: number;

  constructor(situation: Situation, engines: number) {
    this.#engines = engines;
    this.#situation = situation;
    this.#random = new SeededRandom(situation.seed);
    this.#flows = new FlowMaker(this.#random);
    const isIpv6 = situation.sas.some(({ way }) => way === 'raw IPv6');
    this.#bench = new EngineBench({ ...situation, engines, ...(isIpv6 ? { rawIpv6: WEST6 } : {}) });
    // An IV, or an ICV about an identification that was drawn.
    this.#isAnyRandom = situation.sas.some(
      ({ suite: [protocol, encryption] }) => protocol === 'ah' || encryptionTraits(encryption).blockLength > 1,
    );
    for (const [index, choice] of situation.sas.entries()) this.#establish(index, choice);
  }

  /** A batch of packets one way or the other. */
  async step(): Promise<void> {
    const tunnel = this.#below(TUNNELS.length);
    if (this.#random.fraction() < 0.5) await this.#sendOut(tunnel);
    else await this.#bringIn(tunnel);
  }

  async finish(): Promise<void> {
    await this.#bench.settle();
    const { dataPlane } = this.#bench.counters();
    assert.deepEqual(dataPlane, this.#plain.counters());
    assert.deepEqual(
      this.#bench.events.filter(({ kind }) => kind === 'refused'),
      [],
    );
  }

  stop(): Promise<void> {
    return this.#bench.stop();
  }

  async #sendOut(tunnel: number): Promise<void> {
    const { offload } = this.#situation;
    const frames = this.#frames();
    const out = new RecordingOutbox();
    for (const piece of frames.flatMap(({ pieces }) => pieces))
      this.#plain.handleInnerPacket(now(), TUNNELS[tunnel], piece.slice(), 0, piece.length, out);
    const written = offload === 'none' ? frames.flatMap(({ pieces }) => pieces) : frames.map(({ octets }) => octets);
    await this.#bench.writeTunnel(tunnel, written);
    await this.#compare(out);
  }

  async #bringIn(tunnel: number): Promise<void> {
    const made = new RecordingOutbox();
    for (const piece of this.#frames().flatMap(({ pieces }) => pieces))
      this.#peer.handleInnerPacket(now(), TUNNELS[tunnel], piece.slice(), 0, piece.length, made);
    const out = new RecordingOutbox();
    const path = this.#bench.path(tunnel);
    const datagrams = disturb(
      this.#random,
      made.udp.map(({ payload }) => payload),
      this.#old[tunnel] ?? [],
    ).filter(({ length }) => length > 0);
    const trafficClass = this.#below(3) === 0 ? this.#below(256) : 0;
    const seen = this.#situation.without.includes('udp-traffic-class') ? undefined : trafficClass;
    for (const datagram of datagrams)
      if (classifyUdp4500(datagram) === 'esp') this.#plain.handleUdpPacket(now(), path, datagram.slice(), out, seen);
    this.#bench.sendUdp(tunnel, datagrams, trafficClass);
    const packets = disturb(
      this.#random,
      made.ip.filter((packet) => !isIpv6(packet)),
      this.#old[2 + tunnel] ?? [],
    );
    for (const protocol of [50, 51] as const) {
      // A raw socket is given what its protocol's number is in the header.
      const own = packets.filter(
        (packet) =>
          ((packet[9] ?? 0) === 51 ? 51 : 50) === protocol && (this.#engines === 1 || !isIpv4Fragment(packet)),
      );
      for (const packet of own) this.#plain.handleIpPacket(now(), packet.slice(), out);
      await this.#bench.writeRaw(protocol, own);
      // The order of packets of one socket is certain, that of two sockets is not.
      await this.#compareAndForget(out);
    }
    for (const protocol of [50, 51] as const) {
      const own = this.#disturbIpv6(protocol, made.ip, tunnel);
      for (const packet of own) this.#plain.handleIpPacket(now(), packet.slice(), out);
      this.#bench.sendRawIpv6(own);
      await this.#compareAndForget(out);
    }
  }

  /** What is damaged is behind the IPv6 header: the kernel itself looks at that, and would not deliver any other. */
  #disturbIpv6(protocol: 50 | 51, packets: readonly Uint8Array[], tunnel: number): readonly Uint8Array[] {
    const whole = packets.filter((packet) => isIpv6(packet) && !isIpv6Fragment(packet) && packet[6] === protocol);
    const old = this.#old[(protocol === 50 ? 4 : 6) + tunnel] ?? [];
    return disturb(
      this.#random,
      whole.map((packet) => packet.slice(IPV6_LENGTH)),
      old,
    ).map((payload) => this.#signed(ipv6PacketAround(this.#random, protocol, EAST6, WEST6, payload)));
  }

  /** What extension headers have come before is right again, damaged or not. */
  #signed(packet: Uint8Array): Uint8Array {
    for (const [index, { suite, isExtended }] of this.#situation.sas.entries()) {
      const [protocol, encryption, integrity] = suite;
      const hash = HASHES.get(integrity);
      const { icvLength } = integrityTraits(integrity);
      if (protocol !== 'ah' || hash === undefined) continue;
      // The peer's outbound SA.
      if (spiBehindExtensions(packet, icvLength) !== SPI_FIRST + 2 * index + 1) continue;
      sign(packet, hash, saPair(encryption, integrity).outbound.integrityKey, icvLength, isExtended);
    }
    return packet;
  }

  async #compareAndForget(out: RecordingOutbox): Promise<void> {
    await this.#compare(out);
    out.delivered.length = out.udp.length = out.ip.length = 0;
  }

  async #compare(expected: RecordingOutbox): Promise<void> {
    const actual = await this.#bench.take();
    for (const [index, name] of TUNNELS.entries()) {
      const delivered = expected.delivered.filter(({ tunnelInterface }) => tunnelInterface === name);
      const lost = describeLoss(
        delivered.map(({ packet }) => packet),
        actual.tunnels[index] ?? [],
      );
      assert.equal(lost, '', name);
      const remote = this.#bench.path(index).remote.port;
      const sent = expected.udp.filter(({ path }) => path.remote.port === remote).map(({ payload }) => payload);
      this.#compareSent(`UDP to peer ${index}`, sent, actual.udp[index] ?? []);
    }
    const [ipv4, ipv6] = [false, true].map((wanted) => expected.ip.filter((packet) => isIpv6(packet) === wanted));
    this.#compareSent('raw', ipv4 ?? [], actual.raw);
    this.#compareSent('raw', ipv6 ?? [], actual.rawIpv6);
    this.#compareOpened(expected, actual);
  }

  /** Octet for octet where nothing is drawn at random; else lengths, headers, SPIs and sequence numbers. */
  #compareSent(what: string, expected: readonly Uint8Array[], actual: readonly Uint8Array[]): void {
    assert.equal(actual.length, expected.length, `${what}: packets`);
    for (const [index, packet] of expected.entries()) {
      const other = actual[index] ?? new Uint8Array(0);
      assert.equal(other.length, packet.length, `${what}: length of packet ${index}`);
      const end = this.#isAnyRandom ? knownLength(what === 'raw', packet) : packet.length;
      const [a, b] = [packet, other].map((each) => withoutIdentification(what === 'raw', each.slice(0, end)));
      assert.deepEqual(b, a, `${what}: packet ${index}`);
    }
  }

  #compareOpened(expected: RecordingOutbox, actual: BenchOutput): void {
    const [first, second] = [new RecordingOutbox(), new RecordingOutbox()];
    for (const [index] of TUNNELS.entries()) {
      const path = this.#bench.path(index);
      for (const { payload } of expected.udp.filter((each) => each.path.remote.port === path.remote.port))
        this.#openers[0]?.handleUdpPacket(now(), reversed(path), payload, first);
      for (const payload of actual.udp[index] ?? [])
        this.#openers[1]?.handleUdpPacket(now(), reversed(path), payload, second);
    }
    const inOrder = [...expected.ip.filter((packet) => !isIpv6(packet)), ...expected.ip.filter(isIpv6)];
    for (const packet of inOrder) this.#openers[0]?.handleIpPacket(now(), packet, first);
    for (const packet of [...actual.raw, ...actual.rawIpv6]) this.#openers[1]?.handleIpPacket(now(), packet, second);
    assert.equal(second.delivered.length, first.delivered.length);
    for (const [index, { packet, tunnelInterface }] of first.delivered.entries()) {
      assert.equal(second.delivered[index]?.tunnelInterface, tunnelInterface);
      assert.ok(
        Buffer.from(packet).equals(second.delivered[index]?.packet ?? new Uint8Array(0)),
        `opened packet ${index}`,
      );
    }
  }

  /** What a host sends into a tunnel in one go, up to what no buffer loses. */
  #frames(): readonly TunnelFrame[] {
    const { offload } = this.#situation;
    const frames: TunnelFrame[] = [];
    let room = STEP_LENGTH_MAX;
    const add = (frame: TunnelFrame) => {
      for (const { length } of frame.pieces) room -= length + PACKET_OVERHEAD;
      if (room >= 0) frames.push(frame);
    };
    while (room > 0) {
      const kind = this.#random.fraction();
      if (kind < 0.3) {
        // Its own turn needs room for all of it.
        const length = Math.min(65_535, Math.max(100, Math.floor(room / 3)));
        add(randomSuperPacket(this.#random, offload !== 'tcp', length));
      } else if (kind < 0.6) for (const packet of this.#flows.batch(1 + this.#below(40))) add(plainFrame(packet));
      else if (kind < 0.9) add(plainFrame(oddPacket(this.#random, 65_535)));
      else if (kind < 0.95) add(plainFrame(innerPacket({ length: 60 + this.#below(1300) })));
      else break;
    }
    return frames;
  }

  #establish(index: number, { suite, way, isExtended }: SaChoice): void {
    const [protocol, encryption, integrity] = suite;
    const tunnel = index >> 1;
    const [inner, name] = [index % 2 === 0 ? '10.0.0.0/8' : '2001:db8::/32', TUNNELS[tunnel]];
    const path = this.#bench.path(tunnel);
    const id = policyId(`${name} ${inner}`);
    const common = {
      protocol,
      policy: id,
      ...(way === 'udp' && protocol === 'esp' ? { udp: path } : {}),
      ...(way === 'raw IPv6' ? { localAddress: WEST6, remoteAddress: EAST6 } : {}),
      selectors: selectors(inner, inner),
      extendedSequenceNumbers: isExtended,
    };
    const spiOf = (number: number) => spi((SPI_FIRST + number) * this.#engines + (tunnel % this.#engines));
    const out = saPair(encryption, integrity, { ...common, spi: spiOf(2 * index) });
    const back = saPair(encryption, integrity, { ...common, spi: spiOf(1 + 2 * index) });
    const common2 = policy({
      id,
      order: index,
      selectors: common.selectors,
      tunnelInterface: name ?? '',
      ...this.#situation.policy,
    });
    const ours = [this.#plain, this.#bench];
    for (const plane of [this.#plain, this.#peer, ...this.#openers, this.#bench]) {
      const isOurs = ours.some((each) => each === plane);
      // The peer's SAs are the same ones turned round.
      const [outbound, inbound] = isOurs
        ? [out.outbound, turned(back.outbound, 'inbound')]
        : [turned(back.inbound, 'outbound'), out.inbound];
      for (const command of [
        { kind: 'put-policy', policy: common2 },
        { kind: 'add-outbound', sa: outbound },
        { kind: 'add-inbound', sa: inbound },
        { kind: 'use-outbound', policy: id, spi: outbound.spi },
      ] as const)
        if (plane instanceof EngineBench) plane.command(command);
        else plane.handleCommand(now(), command, new RecordingOutbox());
    }
  }

  #below(limit: number): number {
    return Math.floor(this.#random.fraction() * limit);
  }
}

function turned(sa: IpsecSa, direction: 'inbound' | 'outbound'): IpsecSa {
  return { ...sa, direction };
}

function now(): Instant {
  return instant(performance.now());
}

// A gateway without IKE, for tests and benchmarks: the engine of the product with SAs keyed by hand, in the namespace it is started in.
// Its one argument is a KeyedGatewaySettings as JSON. It prints `ready` and goes when its standard input ends. Lines there are commands, each
// answered by one line: `count` (counters, as JSON; from then on the control thread's delay is watched), and for a generation of keys `receive N`, `send N` and `forget N`, as a rekey does.

import { monitorEventLoopDelay } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import { SeededRandom } from '../../lib/random.ts';
import { address } from '../../model/address.ts';
import {
  type EncryptionAlgorithm,
  encryptionTraits,
  type IntegrityAlgorithm,
  integrityTraits,
} from '../../model/algorithms.ts';
import { type DfBit, type IpsecSa, policyId, spi } from '../../model/ipsec-sa.ts';
import { selectorFromPrefix, type TrafficSelector } from '../../model/traffic-selector.ts';
import { monotonicNow } from '../event-loop.ts';
import { HostNetwork } from '../host-network.ts';
import { openLocalSockets, openRawSockets } from '../host-sockets.ts';
import { IkeBuffers, IkeSocket } from '../ike-socket.ts';
import { POLICY_INTERFACE, planNetwork } from '../network-plan.ts';
import { NetworkSettings } from '../network-settings.ts';
import { PacketEngines } from '../packet-engines.ts';
import { networkConfig, prefix, tunnel } from '../test-namespace.fixture.ts';
import type { TunnelOffload } from '../tunnel-device.ts';
import type { EngineFeature } from './messages.ts';

export interface KeyedTunnel {
  readonly name: string;
  readonly addresses: readonly string[];
  /** Prefixes behind the peer. */
  readonly routes: readonly string[];
}

/** A policy of the device `policy-vpn`. */
export interface UnprotectedPolicy {
  readonly order: number;
  readonly action: 'discard' | 'bypass';
  /** Prefixes. */
  readonly local: string;
  readonly remote: string;
}

export interface KeyedGatewaySettings {
  /** 0 and 1 are the two ends of each tunnel. */
  readonly side: 0 | 1;
  readonly local: string;
  readonly remote: string;
  readonly encapsulation: 'udp' | 'raw';
  readonly encryption: EncryptionAlgorithm;
  readonly integrity: IntegrityAlgorithm;
  readonly extendedSequenceNumbers: boolean;
  /** Absent: `clear`. */
  readonly dfBit?: DfBit;
  readonly copyOuterDscp?: boolean;
  /** `policy-vpn` is the device of policies without a tunnel interface. */
  readonly tunnels: readonly KeyedTunnel[];
  /** Looked at after the first tunnel's policy, or, with a negative order, before it. */
  readonly unprotected?: readonly UnprotectedPolicy[];
  readonly offload: TunnelOffload;
  readonly without: readonly EngineFeature[];
  /** The same at both ends; absent: one. */
  readonly engines?: number;
}

const SPI_FIRST = 0x1000;
const GENERATION_STEP = 0x10000;
// Reordering in the tests reaches further than Junos' default of 64.
const REPLAY_WINDOW = 1024;
/** Milliseconds. */
const DELAY_RESOLUTION = 5;

const settings: KeyedGatewaySettings = JSON.parse(process.argv[2] ?? '{}');
const network = new HostNetwork(new NetworkSettings(), settings.offload);
const { engines = 1 } = settings;
const rawSockets = openRawSockets(engines);
const engine = new PacketEngines(
  rawSockets,
  {
    handleDatagram: (path, datagram) => console.error('datagram', JSON.stringify(path), datagram.length),
    handleEvent: (event) => {
      if (!event.kind.endsWith('-traffic')) console.error('event', JSON.stringify(event));
    },
    handleNotice: (text) => console.error('notice', text),
    handleFailure: (error) => {
      console.error('engine failed', error);
      process.exit(1);
    },
  },
  { engines, without: settings.without },
);
const local = address(settings.local);
const sockets = openLocalSockets(local, engines);
for (const socket of sockets.engine) engine.addUdpSocket(socket);
let ikeCount = 0;
const buffers = new IkeBuffers();
const readers = sockets.ike.map((socket) => new IkeSocket(socket.local, socket.descriptor, buffers, () => ikeCount++));
const plan = planNetwork(
  networkConfig(
    settings.tunnels.map(({ name, addresses }) => tunnel(name, ...addresses)),
    settings.tunnels.flatMap(({ name, routes }) => routes.map((route) => `${route} ${name}`)),
  ),
);
const startedAt = monotonicNow();
for (const device of network.apply(plan).opened) {
  const index = settings.tunnels.findIndex(({ name }) => name === device.name);
  engine.addTunnel(device, index % engines);
}
for (const [index, { name }] of settings.tunnels.entries()) keyTunnel(index, name);
for (const [index, { local, remote, ...policy }] of (settings.unprotected ?? []).entries()) {
  const selectors = { local: selectorFromPrefix(prefix(local)), remote: selectorFromPrefix(prefix(remote)) };
  const common = { dfBit: 'clear', copyOuterDscp: false } as const;
  engine.command({
    kind: 'put-policy',
    policy: { id: policyId(`unprotected-${index}`), selectors, ...policy, ...common },
  });
}
await engine.settle();
console.error(`${settings.tunnels.length} tunnels in ${Math.round(monotonicNow() - startedAt)} ms`);
console.log('ready');

// How late the control thread is, in nanoseconds, and what was waited for included. Watching wakes it, so it is watched only once asked for.
const delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION });
const lines = createInterface({ input: process.stdin });
lines.on('line', async (line) => {
  const [command = '', generation = '0'] = line.split(' ');
  if (command === 'count') {
    await engine.settle();
    const controlDelay = { mean: delay.mean / 1e6 - DELAY_RESOLUTION, highest: delay.max / 1e6 - DELAY_RESOLUTION };
    console.log(
      JSON.stringify({ counters: engine.counters(), engines: engine.countersOfEach(), ikeCount, controlDelay }),
    );
    delay.reset();
    delay.enable();
    return;
  }
  for (const [index, { name }] of settings.tunnels.entries()) rekeyTunnel(command, index, name, Number(generation));
  await engine.settle();
  console.log('done');
});
lines.on('close', async () => {
  for (const reader of readers) reader.stop();
  await engine.stop();
  network.removeTunnels();
  process.exit(0);
});

function keyTunnel(index: number, name: string): void {
  const selector = selectorOf(index);
  engine.command({
    kind: 'put-policy',
    policy: {
      id: policyId(name),
      order: index,
      action: 'protect',
      selectors: { local: selector, remote: selector },
      ...(name === POLICY_INTERFACE ? {} : { tunnelInterface: name }),
      dfBit: settings.dfBit ?? 'clear',
      copyOuterDscp: settings.copyOuterDscp ?? false,
    },
  });
  rekeyTunnel('receive', index, name, 0);
  rekeyTunnel('send', index, name, 0);
}

function selectorOf(index: number): TrafficSelector {
  const isIpv6 = settings.tunnels[index]?.addresses.some((text) => text.includes(':')) ?? false;
  return selectorFromPrefix(prefix(isIpv6 ? '::/0' : '0.0.0.0/0'));
}

function rekeyTunnel(command: string, index: number, name: string, generation: number): void {
  const policy = policyId(name);
  const remoteAddress = address(settings.remote);
  const first = SPI_FIRST + GENERATION_STEP * generation + 2 * index;
  // Of the engine that reads the tunnel's device.
  const spiOf = (side: number) => spi((first + side) * engines + (index % engines));
  const outbound = spiOf(settings.side);
  const inbound = spiOf(1 - settings.side);
  const selector = selectorOf(index);
  const udp = { local: { address: local, port: 4500 }, remote: { address: remoteAddress, port: 4500 } };
  const common = {
    protocol: 'esp' as const,
    mode: 'tunnel' as const,
    policy,
    localAddress: local,
    remoteAddress,
    ...(settings.encapsulation === 'udp' ? { udp } : {}),
    encryption: settings.encryption,
    integrity: settings.integrity,
    selectors: { local: selector, remote: selector },
    extendedSequenceNumbers: settings.extendedSequenceNumbers,
    replayWindow: REPLAY_WINDOW,
    lifetime: {},
  };
  switch (command) {
    case 'receive':
      return engine.command({
        kind: 'add-inbound',
        sa: { ...common, direction: 'inbound', spi: inbound, ...keysOf(inbound) },
      });
    case 'send':
      engine.command({
        kind: 'add-outbound',
        sa: { ...common, direction: 'outbound', spi: outbound, ...keysOf(outbound) },
      });
      return engine.command({ kind: 'use-outbound', policy, spi: outbound });
    case 'forget':
      engine.command({ kind: 'remove', direction: 'outbound', spi: outbound, remoteAddress });
      return engine.command({ kind: 'remove', direction: 'inbound', spi: inbound });
    default:
      throw new Error(`unknown command ${command}`);
  }
}

/** Both ends draw the same keys from the SPI. */
function keysOf(seed: number): Pick<IpsecSa, 'encryptionKey' | 'integrityKey'> {
  const random = new SeededRandom(seed);
  const { keyLength, saltLength } = encryptionTraits(settings.encryption);
  return {
    encryptionKey: random.bytes(keyLength + saltLength),
    integrityKey: random.bytes(integrityTraits(settings.integrity).keyLength),
  };
}

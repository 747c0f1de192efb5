// A gateway without IKE, for tests and benchmarks: the engine of the product with SAs keyed by hand, in the namespace it is started in.
// Its one argument is a KeyedGatewaySettings as JSON. It prints `ready`, answers each line on its standard input with its counters as one
// line of JSON, and goes when its input ends.

import { createInterface } from 'node:readline';
import { SeededRandom } from '../../lib/random.ts';
import { address } from '../../model/address.ts';
import {
  type EncryptionAlgorithm,
  encryptionTraits,
  type IntegrityAlgorithm,
  integrityTraits,
} from '../../model/algorithms.ts';
import { type IpsecSa, policyId, spi } from '../../model/ipsec-sa.ts';
import { selectorFromPrefix } from '../../model/traffic-selector.ts';
import { EngineClient } from '../engine-client.ts';
import { monotonicNow } from '../event-loop.ts';
import { HostNetwork } from '../host-network.ts';
import { openIkeSockets, openRawSockets } from '../host-sockets.ts';
import { planNetwork } from '../network-plan.ts';
import { NetworkSettings } from '../network-settings.ts';
import { networkConfig, prefix, tunnel } from '../test-namespace.fixture.ts';
import type { TunnelOffload } from '../tunnel-device.ts';
import type { EngineFeature } from './messages.ts';

export interface KeyedTunnel {
  readonly name: string;
  readonly addresses: readonly string[];
  /** Prefixes behind the peer. */
  readonly routes: readonly string[];
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
  readonly tunnels: readonly KeyedTunnel[];
  readonly offload: TunnelOffload;
  readonly without: readonly EngineFeature[];
}

const SPI_FIRST = 0x1000;
const REPLAY_WINDOW = 64;

const settings: KeyedGatewaySettings = JSON.parse(process.argv[2] ?? '{}');
const network = new HostNetwork(new NetworkSettings(), settings.offload);
const rawSockets = openRawSockets();
const engine = new EngineClient(
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
  settings.without,
);
const local = address(settings.local);
for (const socket of openIkeSockets(local)) engine.addUdpSocket(socket);
const plan = planNetwork(
  networkConfig(
    settings.tunnels.map(({ name, addresses }) => tunnel(name, ...addresses)),
    settings.tunnels.flatMap(({ name, routes }) => routes.map((route) => `${route} ${name}`)),
  ),
);
const startedAt = monotonicNow();
for (const device of network.apply(plan).opened) engine.addTunnel(device);
for (const [index, { name }] of settings.tunnels.entries()) keyTunnel(index, name);
await engine.settle();
console.error(`${settings.tunnels.length} tunnels in ${Math.round(monotonicNow() - startedAt)} ms`);
console.log('ready');

const lines = createInterface({ input: process.stdin });
lines.on('line', async () => console.log(JSON.stringify(await engine.count([]))));
lines.on('close', async () => {
  await engine.stop();
  network.removeTunnels();
  process.exit(0);
});

function keyTunnel(index: number, name: string): void {
  const policy = policyId(name);
  const everything = selectorFromPrefix(prefix('0.0.0.0/0'));
  const everything6 = selectorFromPrefix(prefix('::/0'));
  engine.command({
    kind: 'put-policy',
    policy: {
      id: policy,
      order: index,
      action: 'protect',
      selectors: { local: everything, remote: everything },
      tunnelInterface: name,
      dfBit: 'clear',
      copyOuterDscp: false,
    },
  });
  const isIpv6 = settings.tunnels[index]?.addresses.some((text) => text.includes(':')) ?? false;
  const selector = isIpv6 ? everything6 : everything;
  const outbound = spi(SPI_FIRST + 2 * index + settings.side);
  const inbound = spi(SPI_FIRST + 2 * index + 1 - settings.side);
  const udp = {
    local: { address: local, port: 4500 },
    remote: { address: address(settings.remote), port: 4500 },
  };
  const common = {
    protocol: 'esp' as const,
    mode: 'tunnel' as const,
    policy,
    localAddress: local,
    remoteAddress: address(settings.remote),
    ...(settings.encapsulation === 'udp' ? { udp } : {}),
    encryption: settings.encryption,
    integrity: settings.integrity,
    selectors: { local: selector, remote: selector },
    extendedSequenceNumbers: settings.extendedSequenceNumbers,
    replayWindow: REPLAY_WINDOW,
    lifetime: {},
  };
  if (isIpv6)
    engine.command({
      kind: 'put-policy',
      policy: {
        id: policy,
        order: index,
        action: 'protect',
        selectors: { local: everything6, remote: everything6 },
        tunnelInterface: name,
        dfBit: 'clear',
        copyOuterDscp: false,
      },
    });
  engine.command({ kind: 'add-inbound', sa: { ...common, direction: 'inbound', spi: inbound, ...keysOf(inbound) } });
  engine.command({
    kind: 'add-outbound',
    sa: { ...common, direction: 'outbound', spi: outbound, ...keysOf(outbound) },
  });
  engine.command({ kind: 'use-outbound', policy, spi: outbound });
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

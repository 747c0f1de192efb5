// Run by allocation.test.ts: an engine in this very thread, and a second thread that feeds it. What comes out of its first TUN device goes
// to itself by UDP and into its second: each packet is protected and opened once. The heap must be large enough that nothing is collected
// meanwhile (--min-semi-space-size); then what it grows by is what was allocated. The argument is an AllocationSettings as JSON; prints an
// AllocationReport as JSON.

import { fileURLToPath } from 'node:url';
import { isMainThread, MessageChannel, type MessagePort, Worker, workerData } from 'node:worker_threads';
import { SA_COUNTER_CELLS } from '../../ipsec/counters.ts';
import { innerPacket, policy, saPair, selectors } from '../../ipsec/two-planes.fixture.ts';
import { invariant } from '../../lib/invariant.ts';
import { SeededRandom } from '../../lib/random.ts';
import { address } from '../../model/address.ts';
import type { EncryptionAlgorithm, IntegrityAlgorithm } from '../../model/algorithms.ts';
import { policyId } from '../../model/ipsec-sa.ts';
import { check, EFD_NONBLOCK, libc, NativeMemory } from '../libc.ts';
import { PacketEngine } from './engine.ts';
import { socketPair, udpSocket } from './engine-bench.fixture.ts';
import { allocateCounterMemory, readCounters, sharedCells } from './engine-counters.ts';
import type { EngineReport, EngineRequest } from './messages.ts';
import { randomSuperPacket } from './naive-offload.fixture.ts';

export interface AllocationSettings {
  readonly encryption: EncryptionAlgorithm;
  readonly integrity: IntegrityAlgorithm;
  /** What is read from the TUN device: packets by themselves, or super-packets. */
  readonly traffic: 'packets' | 'super-packets';
  readonly warmUp: number;
  readonly packets: number;
}

export interface AllocationReport {
  /** Packets that were protected, and opened again, while it was measured. */
  readonly packets: number;
  /** Of heap, for each of them both ways. */
  readonly octetsPerPacket: number;
}

interface Feeder {
  readonly settings: AllocationSettings;
  readonly from: number;
  readonly to: number;
  readonly wake: number;
  readonly port: MessagePort;
}

const IN_FLIGHT_MAX = 16;
const PACKET_LENGTH = 1400;

if (isMainThread) runEngine(JSON.parse(process.argv[2] ?? '{}'));
else feed(workerData);

function runEngine(settings: AllocationSettings): void {
  const { port1, port2 } = new MessageChannel();
  const wake = check(libc.eventfd(0, EFD_NONBLOCK), 'eventfd', 'bench');
  const [out, back, udp] = [socketPair(), socketPair(), udpSocket()];
  const local = address('127.0.0.1');
  const path = { local: { address: local, port: 4500 }, remote: { address: local, port: udp.port } };
  const [any, id] = [selectors('0.0.0.0/0', '0.0.0.0/0'), policyId('out')];
  const { outbound } = saPair(settings.encryption, settings.integrity, { udp: path, selectors: any, policy: id });
  const inbound = { ...outbound, direction: 'inbound', policy: policyId('back'), replayWindow: 1024 } as const;
  const send = (requests: readonly EngineRequest[]) => port2.postMessage(requests);
  const tunnel = { offload: 'tcp-and-udp' } as const;
  const socket = { address: local, port: 4500, descriptor: udp.descriptor };
  send([
    { kind: 'add-tunnel', tunnel: { ...tunnel, name: 'st0.0', descriptor: out.near }, isForWritingOnly: false },
    { kind: 'add-tunnel', tunnel: { ...tunnel, name: 'st0.1', descriptor: back.near }, isForWritingOnly: false },
    { kind: 'add-udp-socket', socket: { ...socket, isForSendingOnly: false } },
    { kind: 'command', command: { kind: 'put-policy', policy: policy({ id, selectors: any }) } },
    {
      kind: 'command',
      command: {
        kind: 'put-policy',
        policy: policy({ id: inbound.policy, order: 2, selectors: any, tunnelInterface: 'st0.1' }),
      },
    },
    { kind: 'command', command: { kind: 'add-outbound', sa: outbound }, cells: sharedCells(SA_COUNTER_CELLS) },
    { kind: 'command', command: { kind: 'add-inbound', sa: inbound }, cells: sharedCells(SA_COUNTER_CELLS) },
    { kind: 'command', command: { kind: 'use-outbound', policy: id, spi: outbound.spi } },
  ]);
  const counters = allocateCounterMemory();
  const samples: { readonly heap: number; readonly opened: number }[] = [];
  // Reports come out here at once: this thread has no turns of its event loop while the engine runs.
  port1.postMessage = (reports: readonly EngineReport[]) => {
    for (const report of reports)
      if (report.kind === 'settled')
        samples.push({
          heap: process.memoryUsage().heapUsed,
          opened: readCounters([counters]).dataPlane.espDecryptedPackets,
        });
  };
  const data: Feeder = { settings, from: out.far, to: back.far, wake, port: port2 };
  new Worker(fileURLToPath(import.meta.url), { workerData: data, transferList: [port2], execArgv: [] }).unref();
  const progress = new Int32Array(new SharedArrayBuffer(4));
  const common = { engine: 0, handOver: { receive: -1, send: [] }, rawSockets: [], without: [] };
  new PacketEngine({ ...common, wakeDescriptor: wake, counters, progress }, port1).run();
  const [before, after] = samples;
  invariant(before !== undefined && after !== undefined, 'the engine was asked twice');
  const packets = after.opened - before.opened;
  const report: AllocationReport = { packets, octetsPerPacket: (after.heap - before.heap) / packets };
  console.log(JSON.stringify(report));
  process.exit(0);
}

/** Writes packets, never more than a few before as many have come back, and takes what comes out. */
function feed({ settings, from, to, wake, port }: Feeder): void {
  const one = NativeMemory.allocate(128);
  one.view.setUint32(0, 1, true);
  const ask = (request: EngineRequest) => {
    port.postMessage([request]);
    libc.write(wake, one.address, 8);
  };
  const frame = frameOf(settings.traffic);
  const memory = NativeMemory.allocate(2 * 70_000);
  memory.bytes.set(frame.octets);
  const turn = (count: number) => {
    for (let sent = 0; sent < count; ) {
      for (let index = 0; index < IN_FLIGHT_MAX; index++) {
        while (libc.write(from, memory.address, frame.octets.length) < 0);
        sent += frame.count;
      }
      // Everything that these became, joined as it may be; the last of it may still be on its way.
      for (let left = IN_FLIGHT_MAX * frame.octets.length; left > frame.octets.length; ) {
        const length = libc.read(to, memory.address + 70_000, 70_000);
        if (length > 0) left -= length;
      }
    }
  };
  turn(settings.warmUp);
  ask({ kind: 'settle', id: 1 });
  turn(settings.packets);
  ask({ kind: 'settle', id: 2 });
  ask({ kind: 'stop' });
}

function frameOf(traffic: AllocationSettings['traffic']): { readonly octets: Uint8Array; readonly count: number } {
  if (traffic === 'packets') {
    const packet = innerPacket({ length: PACKET_LENGTH });
    const octets = new Uint8Array(10 + packet.length);
    octets.set(packet, 10);
    return { octets, count: 1 };
  }
  const random = new SeededRandom(5);
  for (;;) {
    const { octets, pieces } = randomSuperPacket(random, false, 65_535);
    const isLong = pieces.length > 30 && (pieces[0]?.length ?? 0) > 1000 && (pieces[0]?.[0] ?? 0) === 0x45;
    if (isLong) return { octets, count: pieces.length };
  }
}

// The packet loop without I/O: how long the data plane takes to protect and to open one packet, for each transform and size, and how far
// that is from OpenSSL alone on the same processor. `node dist/bench/packet-loop.js [--runs N]`.

import { spawnSync } from 'node:child_process';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { systemRandom } from '../src/crypto/node-provider.ts';
import { Arena } from '../src/host/packet-engine/arena.ts';
import { createPacketCrypto } from '../src/host/packet-engine/openssl-packet-crypto.ts';
import { DataPlane } from '../src/ipsec/data-plane.ts';
import type { DataPlaneOutbox } from '../src/ipsec/outbox.ts';
import { type Instant, instant } from '../src/lib/time.ts';
import { address, parsePrefix, type UdpPath } from '../src/model/address.ts';
import {
  type EncryptionAlgorithm,
  encryptionTraits,
  type IntegrityAlgorithm,
  integrityTraits,
} from '../src/model/algorithms.ts';
import { type IpsecSa, policyId, spi } from '../src/model/ipsec-sa.ts';
import { selectorFromPrefix } from '../src/model/traffic-selector.ts';
import { spreadOf } from './measure.ts';
import { type Goal, spreadText, submit, verdict } from './report.ts';

const LARGEST = 1400;
const SIZES = [64, 512, LARGEST];
/** The goal for AES-256-GCM at 1,400 octets. */
const SHARE_GOAL = 0.7;
const TRANSFORMS: readonly (readonly [EncryptionAlgorithm, IntegrityAlgorithm])[] = [
  ['aes-256-gcm', 'none'],
  ['aes-128-gcm', 'none'],
  ['chacha20-poly1305', 'none'],
  ['aes-256-cbc', 'hmac-sha-256-128'],
  ['null', 'hmac-sha-256-128'],
];
const { values } = parseArgs({ options: { runs: { type: 'string' }, seconds: { type: 'string' } } });
const RUNS = Number(values.runs ?? 5);
/** The first is for the compiler. */
const ROUNDS = 4;
const PACKETS_PER_ROUND = 20_000;
const SLOTS = 32;
const EXPECTED = 16;
const SLOT_LENGTH = 2048;
const HEADROOM = 256;

const path: UdpPath = {
  local: { address: address('192.0.2.1'), port: 4500 },
  remote: { address: address('192.0.2.2'), port: 4500 },
};
const back: UdpPath = { local: path.remote, remote: path.local };

/** Keeps the last packet's place; counts nothing else. */
class Sink implements DataPlaneOutbox {
  start = 0;
  end = 0;
  delivered = 0;

  deliver(): void {
    this.delivered++;
  }
  transmitUdp(_path: UdpPath, _buffer: Uint8Array, start: number, end: number): void {
    this.start = start;
    this.end = end;
  }
  transmitIp(): void {}
  event(): void {}
}

const core = pinToOneCore();
const found = TRANSFORMS.map(([encryption, integrity]) => measureTransform(encryption, integrity));
const [first] = found;
submit({
  title: 'The packet loop without I/O',
  tables: [
    {
      columns: ['nanoseconds a packet; Gbit/s', ...SIZES.flatMap((size) => [`${size}, protect`, `${size}, open`])],
      rows: found.map(({ name, protect, open }) => [
        name,
        ...SIZES.flatMap((size) => [cell(protect.get(size), size), cell(open.get(size), size)]),
      ]),
    },
  ],
  goals: found.flatMap(({ name, shares }) =>
    (['protect', 'open'] as const).flatMap((way) =>
      goal(`${name}, ${way}, 1400 octets, beside openssl speed -aead`, name === first?.name, shares[way]),
    ),
  ),
  notes: [
    `${RUNS} runs, each beside \`openssl speed -aead -bytes 1400\`${core === undefined ? '' : `, both on processor ${core}`}.`,
  ],
});

interface Found {
  readonly name: string;
  /** Nanoseconds a packet in each run, by size. */
  readonly protect: ReadonlyMap<number, readonly number[]>;
  readonly open: ReadonlyMap<number, readonly number[]>;
  /** Of what OpenSSL reaches in the same run; empty where it cannot be asked. */
  readonly shares: { readonly protect: readonly number[]; readonly open: readonly number[] };
}

function measureTransform(encryption: EncryptionAlgorithm, integrity: IntegrityAlgorithm): Found {
  const name = `${encryption}${integrity === 'none' ? '' : ` ${integrity}`}`;
  const times = { protect: new Map<number, number[]>(), open: new Map<number, number[]>() };
  const shares = { protect: [] as number[], open: [] as number[] };
  for (let run = 0; run < RUNS; run++) {
    for (const size of SIZES) {
      const now = measure(encryption, integrity, size);
      for (const way of ['protect', 'open'] as const) times[way].set(size, [...(times[way].get(size) ?? []), now[way]]);
    }
    const alone = openSslNanoseconds(encryption);
    if (alone === undefined) continue;
    for (const way of ['protect', 'open'] as const)
      shares[way].push(alone / (times[way].get(LARGEST)?.at(-1) ?? Number.NaN));
  }
  console.log(`${name}: done`);
  return { name, ...times, shares };
}

function cell(nanoseconds: readonly number[] | undefined, size: number): string {
  if (!nanoseconds) return '';
  const spread = spreadOf(nanoseconds);
  return `${spreadText(spread, 0)}; ${((size * 8) / spread.median).toFixed(2)}`;
}

function goal(what: string, isGoal: boolean, shares: readonly number[]): readonly Goal[] {
  if (shares.length === 0) return [];
  const spread = spreadOf(shares);
  const found = spreadText(spread, 2);
  return [
    isGoal
      ? { what, found, wanted: String(SHARE_GOAL), verdict: verdict(spread.median >= SHARE_GOAL) }
      : { what, found, wanted: '' },
  ];
}

/** What OpenSSL needs to encrypt a packet of 1,400 octets and nothing else; `undefined` for other than combined ciphers. */
function openSslNanoseconds(encryption: EncryptionAlgorithm): number | undefined {
  if (encryptionTraits(encryption).icvLength === 0) return undefined;
  const options = ['speed', '-seconds', '1', '-bytes', String(LARGEST), '-aead', '-evp', encryption];
  const { stdout } = spawnSync('openssl', options, { encoding: 'utf8' });
  const kilobytes = Number(/([\d.]+)k\s*$/m.exec(stdout ?? '')?.[1]);
  return kilobytes > 0 ? (LARGEST * 1e6) / kilobytes : undefined;
}

/** All threads of this process, and what it starts, on the last processor; which that is, or `undefined` if it cannot be done. */
function pinToOneCore(): number | undefined {
  const last = cpus().length - 1;
  const done = spawnSync('taskset', ['-a', '-p', '-c', String(last), String(process.pid)], { encoding: 'utf8' });
  return done.status === 0 ? last : undefined;
}

function measure(
  encryption: EncryptionAlgorithm,
  integrity: IntegrityAlgorithm,
  size: number,
): { readonly protect: number; readonly open: number } {
  const arena = new Arena(4 * 1024 * 1024);
  const crypto = createPacketCrypto(arena);
  const plane = new DataPlane({ crypto, random: systemRandom });
  const sink = new Sink();
  install(plane, encryption, integrity, sink);
  const { bytes } = arena.memory;
  const base = arena.reserve(SLOTS * SLOT_LENGTH);
  const protect: number[] = [];
  const open: number[] = [];
  const starts = new Uint32Array(SLOTS);
  const ends = new Uint32Array(SLOTS);
  for (let round = 0; round < ROUNDS; round++) {
    let protecting = 0;
    let opening = 0;
    for (let count = 0; count < PACKETS_PER_ROUND; count += SLOTS) {
      for (let slot = 0; slot < SLOTS; slot++) writePacket(bytes, base + slot * SLOT_LENGTH + HEADROOM, size);
      const now = clock();
      for (let slot = 0; slot < SLOTS; slot++) {
        const start = base + slot * SLOT_LENGTH + HEADROOM;
        plane.handleInnerPacket(now, 'st0.0', bytes, start, start + size, sink);
        starts[slot] = sink.start;
        ends[slot] = sink.end;
      }
      // As the engine does before it sends.
      crypto.finish?.();
      const middle = clock();
      // As the engine does with what it has received.
      for (let first = 0; first < SLOTS; first += EXPECTED) {
        for (let slot = first; slot < first + EXPECTED; slot++)
          plane.expectUdpPacket(bytes, starts[slot] ?? 0, ends[slot] ?? 0);
        for (let slot = first; slot < first + EXPECTED; slot++)
          plane.handleUdpPacket(middle, back, bytes, sink, undefined, starts[slot], ends[slot]);
        plane.forgetExpected();
      }
      protecting += middle - now;
      opening += clock() - middle;
    }
    if (round === 0) continue;
    protect.push((protecting * 1e6) / PACKETS_PER_ROUND);
    open.push((opening * 1e6) / PACKETS_PER_ROUND);
  }
  if (sink.delivered < ROUNDS * PACKETS_PER_ROUND) throw new Error(`only ${sink.delivered} packets came through`);
  return { protect: spreadOf(protect).median, open: spreadOf(open).median };
}

function install(
  plane: DataPlane,
  encryption: EncryptionAlgorithm,
  integrity: IntegrityAlgorithm,
  sink: DataPlaneOutbox,
): void {
  const everything = parsePrefix('0.0.0.0/0');
  if (!everything) throw new Error('unreachable');
  const selector = selectorFromPrefix(everything);
  const { keyLength, saltLength } = encryptionTraits(encryption);
  const policy = policyId('bench');
  const sa: Omit<IpsecSa, 'direction' | 'udp'> = {
    protocol: 'esp',
    spi: spi(0x1000),
    mode: 'tunnel',
    policy,
    localAddress: path.local.address,
    remoteAddress: path.remote.address,
    encryption,
    encryptionKey: new Uint8Array(keyLength + saltLength).fill(7),
    integrity,
    integrityKey: new Uint8Array(integrityTraits(integrity).keyLength).fill(9),
    selectors: { local: selector, remote: selector },
    extendedSequenceNumbers: false,
    replayWindow: 64,
    lifetime: {},
  };
  plane.handleCommand(
    clock(),
    {
      kind: 'put-policy',
      policy: {
        id: policy,
        order: 0,
        action: 'protect',
        selectors: sa.selectors,
        tunnelInterface: 'st0.0',
        dfBit: 'clear',
        copyOuterDscp: false,
      },
    },
    sink,
  );
  plane.handleCommand(clock(), { kind: 'add-inbound', sa: { ...sa, direction: 'inbound', udp: back } }, sink);
  plane.handleCommand(clock(), { kind: 'add-outbound', sa: { ...sa, direction: 'outbound', udp: path } }, sink);
  plane.handleCommand(clock(), { kind: 'use-outbound', policy, spi: sa.spi }, sink);
}

/** A TCP packet of this many octets from 10.1.0.1 to 10.2.0.1; checksums are nobody's business here. */
function writePacket(bytes: Uint8Array, start: number, size: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset + start, size);
  view.setUint32(0, 0x45000000 + size);
  view.setUint32(4, 0x00004000);
  view.setUint32(8, 0x40060000);
  view.setUint32(12, 0x0a010001);
  view.setUint32(16, 0x0a020001);
  view.setUint32(20, 0x04d20050);
  view.setUint32(32, 0x50100400);
}

function clock(): Instant {
  return instant(performance.now());
}

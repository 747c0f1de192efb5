// Runs inside the kernel guest: the whole packet engine, with its raw sockets and TUN devices, keyed by hand, and the kernel's own ESP with
// the same keys, over IP protocol 50. Every form of packet is in hand-keyed.guest.ts.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Namespaces } from '../../../lab/namespaces.ts';
import { joinedNamespaces, KeyedGateway, OUTER } from '../../../src/host/packet-engine/keyed-pair.fixture.ts';
import type { EncryptionAlgorithm, IntegrityAlgorithm } from '../../../src/model/algorithms.ts';
import { algorithmWords } from './kernel-words.ts';
import { keysOf } from './keyed-case.ts';

const OUR_INNER = '10.255.0.1';
const THEIR_INNER = '10.2.0.1';
/** The fixture numbers its first tunnel's SPIs so; ours is side 0. */
const OUR_OUTBOUND_SPI = 0x1000;
const OUR_INBOUND_SPI = 0x1001;

interface Suite {
  readonly name: string;
  readonly encryption: EncryptionAlgorithm;
  readonly integrity: IntegrityAlgorithm;
  readonly esn: boolean;
  /** The outer packets' addresses, ours and the kernel's. */
  readonly outer: { readonly a: string; readonly b: string };
}

const SUITES: readonly Suite[] = [
  {
    name: 'AES-256-GCM with extended sequence numbers over IPv4',
    encryption: 'aes-256-gcm',
    integrity: 'none',
    esn: true,
    outer: { a: OUTER.a, b: OUTER.b },
  },
  {
    name: 'AES-256-CBC with HMAC-SHA2-256-128 over IPv6',
    encryption: 'aes-256-cbc',
    integrity: 'hmac-sha-256-128',
    esn: false,
    outer: { a: OUTER.a6, b: OUTER.b6 },
  },
];

for (const suite of SUITES)
  test(`RFC 4303: the packet engine's ${suite.name} is what the Linux kernel understands, both ways`, async (context) => {
    const namespaces = prepare(context, suite);
    const gateway = await KeyedGateway.start(namespaces, 'a', {
      side: 0,
      local: suite.outer.a,
      remote: suite.outer.b,
      encapsulation: 'raw',
      encryption: suite.encryption,
      integrity: suite.integrity,
      extendedSequenceNumbers: suite.esn,
      tunnels: [{ name: 'st0.0', addresses: [`${OUR_INNER}/30`], routes: ['10.2.0.0/24'] }],
      offload: 'tcp-and-udp',
      without: [],
    });
    context.after(() => gateway.stop());
    pingThrough(namespaces, 'a', THEIR_INNER, 8);
    // Nearly the whole MTU, and then some.
    pingThrough(namespaces, 'a', THEIR_INNER, 1300);
    pingThrough(namespaces, 'b', OUR_INNER, 3000);
    transferThrough(namespaces);
    assert.deepEqual(kernelErrors(namespaces), []);
  });

/** Emulated, a program that is not node starts ten times faster. */
function pingThrough(namespaces: Namespaces, from: string, to: string, size: number): void {
  // Until three replies are back: emulated, one may take longer than ping would wait by itself.
  const args = ['-c', '3', '-w', '30', '-i', '0.1', '-s', `${size}`, to];
  const { status, stdout } = namespaces.run(from, 'ping', args);
  assert.equal(status, 0, `${stdout}\n${kernelState(namespaces)}`);
}

/** TCP both ways. */
function transferThrough(namespaces: Namespaces): void {
  namespaces.run('b', 'iperf3', ['--server', '--one-off', '--daemon']);
  const args = ['--client', THEIR_INNER, '--bidir', '--bytes', '300K', '--connect-timeout', '10000'];
  const { status, stdout, stderr } = namespaces.run('a', 'iperf3', args);
  assert.equal(status, 0, `${stdout}${stderr}\n${kernelState(namespaces)}`);
}

function prepare(context: TestContext, suite: Suite): Namespaces {
  const namespaces = joinedNamespaces('kernel');
  context.after(() => namespaces.remove());
  namespaces.ip('b', 'address', 'add', `${THEIR_INNER}/32`, 'dev', 'lo');
  namespaces.ip('b', 'route', 'add', `${OUR_INNER}/32`, 'via', OUTER.a, 'src', THEIR_INNER);
  addState(namespaces, suite, suite.outer.a, suite.outer.b, OUR_OUTBOUND_SPI);
  addState(namespaces, suite, suite.outer.b, suite.outer.a, OUR_INBOUND_SPI);
  for (const [direction, from, to] of [
    ['in', 'a', 'b'],
    ['out', 'b', 'a'],
  ] as const) {
    const [source, destination] = from === 'a' ? [OUR_INNER, THEIR_INNER] : [THEIR_INNER, OUR_INNER];
    const ends = ['src', suite.outer[from], 'dst', suite.outer[to]];
    const template = ['tmpl', ...ends, 'proto', 'esp', 'reqid', '1', 'mode', 'tunnel'];
    namespaces.ip('b', 'xfrm', 'policy', 'add', 'src', source, 'dst', destination, 'dir', direction, ...template);
  }
  return namespaces;
}

function addState(namespaces: Namespaces, suite: Suite, source: string, destination: string, spi: number): void {
  const { encryption, integrity } = suite;
  const keys = keysOf(spi, encryption, integrity);
  const flags = [...(suite.esn ? ['esn'] : []), ...(source.includes(':') ? ['af-unspec'] : [])];
  namespaces.ip(
    'b',
    ...['xfrm', 'state', 'add', 'src', source, 'dst', destination, 'proto', 'esp', 'spi', `0x${spi.toString(16)}`],
    ...['reqid', '1', 'mode', 'tunnel', 'replay-window', '32', ...(flags.length > 0 ? ['flag', ...flags] : [])],
    ...algorithmWords({ protocol: 'esp', encryption, integrity, ...keys })
      .trim()
      .split(' '),
  );
}

/** The kernel's error counters that are not zero. */
function kernelErrors(namespaces: Namespaces): readonly string[] {
  const { stdout } = namespaces.run('b', 'cat', ['/proc/net/xfrm_stat']);
  return stdout.split('\n').filter((line) => line !== '' && !/\s0$/.test(line));
}

function kernelState(namespaces: Namespaces): string {
  return `${namespaces.ip('b', '-s', 'xfrm', 'state')}\n${kernelErrors(namespaces).join('\n')}`;
}

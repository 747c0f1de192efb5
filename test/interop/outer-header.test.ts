// What the header around UDP says and is told, on the wire, with tshark as the judge (RFC 4301 §5.1.2, RFC 6040).

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Namespaces } from '../../lab/namespaces.ts';
import type { KeyedGatewaySettings } from '../../src/host/packet-engine/keyed-gateway.fixture.ts';
import { joinedNamespaces, KeyedGateway, OUTER } from '../../src/host/packet-engine/keyed-pair.fixture.ts';
import { namespaceTestSkip } from '../../src/host/test-namespace.fixture.ts';

const INNER = ['10.9.0.1', '10.9.0.2'] as const;
const hasTshark = spawnSync('tshark', ['--version'], { stdio: 'ignore' }).status === 0;
const options = { skip: namespaceTestSkip() || (hasTshark ? false : 'tshark is not installed'), timeout: 60_000 };
let count = 0;

for (const dfBit of ['copy', 'set', 'clear'] as const)
  test(
    `RFC 4301 §5.1.2.1: df-bit ${dfBit} shows on the UDP that carries ESP, and so do DSCP and ECN`,
    options,
    async (context) => {
      const { namespaces } = await pair(context, 4, { dfBit });
      const frames = await Capture.start(namespaces, 'b', 'wire', ['udp.length', 'ip.dsfield', 'ip.flags.df']);
      await ping(namespaces, 100, '-Q', '0xb8', '-M', 'do');
      await ping(namespaces, 200, '-Q', '0x2a', '-M', 'dont');
      await ping(namespaces, 300, '-M', 'do');
      const [first, second, third] = await frames.take(3);
      const df = (inner: '1' | '0') => ({ copy: inner, set: '1', clear: '0' })[dfBit];
      assert.deepEqual(
        [first?.slice(1), second?.slice(1)],
        [
          ['0xb8', df('1')],
          ['0x2a', df('0')],
        ],
      );
      assert.deepEqual(third?.slice(1), ['0x00', df('1')], 'none is none');
    },
  );

test('RFC 4301 §5.1.2.2: DSCP and ECN show on the UDP over IPv6 that carries ESP', options, async (context) => {
  const { namespaces } = await pair(context, 6, {});
  const frames = await Capture.start(namespaces, 'b', 'wire', ['udp.length', 'ipv6.tclass']);
  await ping(namespaces, 100, '-Q', '0xb8');
  await ping(namespaces, 200);
  const [first, second] = await frames.take(2);
  assert.deepEqual([first?.[1], second?.[1]].map(Number), [0xb8, 0]);
});

test('packets of one length and different DSCP are not joined into one message', options, async (context) => {
  const { namespaces, b } = await pair(context, 4, {});
  const frames = await Capture.start(namespaces, 'b', 'wire', ['udp.length', 'ip.dsfield']);
  const before = (await b.counters()).counters.dataPlane.espDecryptedPackets;
  const program = fileURLToPath(new URL('./marked-burst.fixture.js', import.meta.url));
  const burst = namespaces.run('a', process.execPath, [program, ...INNER, '64', '28', '00']);
  assert.equal(burst.status, 0, burst.stderr);
  const seen = await frames.take(64);
  assert.equal(seen.filter(([, octet]) => octet === '0x28').length, 32);
  assert.equal(seen.filter(([, octet]) => octet === '0x00').length, 32);
  // Runs are: each is one message for as many packets as its kernel takes.
  const run = namespaces.run('a', process.execPath, [program, ...INNER, '64', 'b8']);
  assert.equal(run.status, 0, run.stderr);
  const [first] = await frames.take(1);
  assert.equal(first?.[1], '0xb8');
  assert.equal((await b.counters()).counters.dataPlane.espDecryptedPackets - before, 128);
});

for (const family of [4, 6] as const)
  test(
    `RFC 6040 §4.2: congestion marked on UDP over IPv${family} on its way reaches the inner packet, or drops it`,
    options,
    async (context) => {
      const { namespaces, b } = await pair(context, family, { copyOuterDscp: true });
      const header = family === 4 ? 'ip' : 'ip6';
      const frames = await Capture.start(namespaces, 'b', 'st0.0', ['icmp.type', 'ip.dsfield']);
      const rules = `table inet way {
  chain in {
    type filter hook prerouting priority -300
    udp dport 4500 ${header} ecn set ce
    udp dport 4500 ${header} dscp set af11
  }
}
`;
      const done = namespaces.run('b', 'nft', [rules]);
      assert.equal(done.status, 0, done.stderr);
      await ping(namespaces, 100, '-Q', '0xba');
      const requests = (await frames.take(2)).filter(([type]) => type === '8');
      // AF11 is 0x28 (RFC 2597 §6), congestion experienced is 3.
      assert.deepEqual(requests, [['8', '0x2b']]);
      const lost = await namespaces.runAsync('a', 'ping', ['-c', '1', '-W', '1', '-Q', '0xb8', INNER[1]]);
      assert.equal(lost.status, 1);
      assert.equal((await b.counters()).counters.dataPlane.drops['ecn-not-capable'], 1);
    },
  );

/** Two gateways with ESP in UDP between them; they and their namespaces go when the test ends. */
async function pair(context: TestContext, family: 4 | 6, given: Partial<KeyedGatewaySettings>) {
  const namespaces = joinedNamespaces(`outer${String.fromCharCode(97 + count++)}`);
  const gateways: KeyedGateway[] = [];
  context.after(async () => {
    for (const gateway of gateways) await gateway.stop();
    namespaces.remove();
  });
  const ends = family === 4 ? [OUTER.a, OUTER.b] : [OUTER.a6, OUTER.b6];
  for (const side of [0, 1] as const)
    gateways.push(
      await KeyedGateway.start(namespaces, side === 0 ? 'a' : 'b', {
        side,
        local: ends[side] ?? '',
        remote: ends[1 - side] ?? '',
        encapsulation: 'udp',
        encryption: 'aes-256-gcm',
        integrity: 'none',
        extendedSequenceNumbers: false,
        tunnels: [{ name: 'st0.0', addresses: [`${INNER[side]}/30`], routes: [] }],
        offload: 'tcp-and-udp',
        without: [],
        ...given,
      }),
    );
  const [a, b] = gateways;
  assert.ok(a && b);
  return { namespaces, a, b };
}

async function ping(namespaces: Namespaces, size: number, ...args: readonly string[]): Promise<void> {
  const done = await namespaces.runAsync('a', 'ping', ['-c', '1', '-w', '10', '-s', `${size}`, ...args, INNER[1]]);
  assert.equal(done.status, 0, `${done.stdout}${done.stderr}`);
}

/** What tshark sees on an interface, packets on their way out of it left aside. */
class Capture {
  readonly #lines: string[] = [];

  static async start(
    namespaces: Namespaces,
    namespace: string,
    name: string,
    fields: readonly string[],
  ): Promise<Capture> {
    const capture = new Capture();
    const what = name === 'wire' ? 'inbound and udp port 4500' : 'icmp';
    const args = ['-l', '-i', name, '-f', what, '-T', 'fields', ...fields.flatMap((field) => ['-e', field])];
    const child = namespaces.spawn(namespace, 'tshark', args, { stdio: ['ignore', 'pipe', 'ignore'] });
    assert.ok(child.stdout);
    createInterface({ input: child.stdout }).on('line', (line) => capture.#lines.push(line));
    // tshark says that it has begun some time before it sees anything: it is shown pings until it does.
    for (let attempt = 0; attempt < 50 && capture.#lines.length === 0; attempt++) {
      await namespaces.runAsync('a', 'ping', ['-c', '1', '-W', '1', INNER[1]]);
      await sleep(200);
    }
    // On a busy machine it tells of the last of them late.
    do {
      capture.#lines.length = 0;
      await sleep(1000);
    } while (capture.#lines.length > 0);
    return capture;
  }

  /** The fields of so many packets, once they have come. */
  async take(wanted: number): Promise<readonly (readonly string[])[]> {
    for (let attempt = 0; attempt < 100 && this.#lines.length < wanted; attempt++) await sleep(50);
    assert.ok(this.#lines.length >= wanted, `${this.#lines.length} of ${wanted} packets`);
    return this.#lines.splice(0).map((line) => line.split('\t'));
  }
}

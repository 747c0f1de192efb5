import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Namespaces } from '../../../lab/namespaces.ts';
import { namespaceTestSkip } from '../test-namespace.fixture.ts';
import type { KeyedGatewaySettings } from './keyed-gateway.fixture.ts';
import { joinedNamespaces, KeyedGateway, OUTER } from './keyed-pair.fixture.ts';

// SALLYPORT_TRANSFER_MEGABYTES=1024 makes each of them a gigabyte.
const MEGABYTES = Number(process.env['SALLYPORT_TRANSFER_MEGABYTES'] ?? 24);
const REKEYS = 10;
const NFT = '/usr/sbin/nft';
const ETHTOOL = '/usr/sbin/ethtool';
const INNER = { a: '10.9.0.1', b: '10.9.0.2' };
const forwarder = new URL('./disturbing-forwarder.fixture.js', import.meta.url).pathname;
const program = new URL('./transfer.fixture.js', import.meta.url).pathname;

const KEYED = {
  encapsulation: 'udp',
  encryption: 'aes-256-gcm',
  integrity: 'none',
  extendedSequenceNumbers: true,
  offload: 'tcp-and-udp',
  without: [],
} as const;

test('ten rekeys in the middle of a transfer lose no packet, and every octet arrives', {
  skip: namespaceTestSkip(),
}, async () => {
  await withPair({}, async (namespaces, a, b) => {
    await runTransfer(namespaces, rekeyAll(a, b));
    for (const gateway of [a, b]) {
      const { counters } = await gateway.counters();
      assert.equal(counters.dataPlane.discarded, 0, JSON.stringify(counters.dataPlane.drops));
    }
  });
});

async function rekeyAll(a: KeyedGateway, b: KeyedGateway): Promise<void> {
  for (let generation = 1; generation <= REKEYS; generation++) {
    // As Quick Mode does it: both can receive under the new keys before either sends under them.
    await b.rekey('receive', generation);
    await a.rekey('receive', generation);
    await a.rekey('send', generation);
    await b.rekey('send', generation);
    await sleep(200);
    await a.rekey('forget', generation - 1);
    await b.rekey('forget', generation - 1);
  }
}

for (const [name, change] of Object.entries({
  'super-packets and messages split by the kernel': {},
  'no help from the kernel': { offload: 'none', without: ['udp-segmentation', 'udp-receive-offload'] },
  'protocol 50, AES-CBC with HMAC': { encapsulation: 'raw', encryption: 'aes-256-cbc', integrity: 'hmac-sha-256-128' },
} satisfies Readonly<Record<string, Partial<KeyedGatewaySettings>>>))
  test(`one packet in two hundred lost both ways: every octet arrives (${name})`, {
    skip: namespaceTestSkip() || (existsSync(NFT) ? false : 'needs nft, to lose packets'),
  }, async () => {
    await withPair(change, async (namespaces, a) => {
      for (const side of ['a', 'b']) losePackets(namespaces, side);
      await runTransfer(namespaces);
      const { counters } = await a.counters();
      assert.equal(counters.dataPlane.espAuthenticationFailures, 0);
    });
  });

test('packets lost, doubled and out of order while ten rekeys go on: every octet arrives, and no packet is refused but the doubled ones', {
  skip: namespaceTestSkip(),
}, async (context) => {
  const namespaces = new Namespaces('disturbed');
  try {
    namespaces.add('a', 'middle', 'b');
    const wires = { a: { own: '192.0.2.1', far: '192.0.2.9' }, b: { own: '198.51.100.1', far: '198.51.100.9' } };
    for (const side of ['a', 'b'] as const)
      namespaces.connect(
        { namespace: side, interface: 'wire', address: `${wires[side].own}/24` },
        { namespace: 'middle', interface: `to-${side}`, address: `${wires[side].far}/24` },
      );
    const middle = namespaces.spawn(
      'middle',
      process.execPath,
      ['--enable-source-maps', forwarder, wires.a.far, wires.b.far, wires.a.own, wires.b.own],
      { stdio: ['pipe', 'pipe', 'inherit'] },
    );
    const said = linesOf(middle);
    assert.equal((await said.next()).value, 'forwarding');
    const start = (side: 'a' | 'b') =>
      KeyedGateway.start(namespaces, side, {
        ...settingsOf(side === 'a' ? 0 : 1),
        local: wires[side].own,
        remote: wires[side].far,
      });
    const [a, b] = [await start('a'), await start('b')];
    await runTransfer(namespaces, rekeyAll(a, b));
    middle.stdin?.end();
    const done: { passed: number; lost: number; doubled: number; delayed: number } = JSON.parse(
      (await said.next()).value ?? '{}',
    );
    context.diagnostic(JSON.stringify(done));
    assert.ok(Math.min(done.lost, done.doubled, done.delayed) > 10, JSON.stringify(done));
    for (const gateway of [a, b]) {
      const { drops } = (await gateway.counters()).counters.dataPlane;
      assert.ok(drops.replayed > 0 && drops.replayed <= done.doubled, `${drops.replayed} of ${done.doubled}`);
      assert.deepEqual({ ...drops, replayed: 0 }, Object.fromEntries(Object.keys(drops).map((name) => [name, 0])));
      await gateway.stop();
    }
  } finally {
    namespaces.remove();
  }
});

test('where interfaces are told not to help (ethtool), packets are read and sent one by one, and every octet arrives', {
  skip: namespaceTestSkip() || (existsSync(ETHTOOL) ? false : 'needs ethtool, to refuse help'),
}, async () => {
  await withPair({}, async (namespaces, a) => {
    const read = async () => {
      const { engine, dataPlane } = (await a.counters()).counters;
      return { frames: engine['tunnel-read'], packets: dataPlane.espEncryptedPackets };
    };
    const before = await read();
    await runTransfer(namespaces);
    const helped = await read();
    for (const side of ['a', 'b']) {
      refuseHelp(namespaces, side, 'st0.0', 'tx', 'sg', 'tso', 'gso', 'gro');
      refuseHelp(namespaces, side, 'wire', 'tx', 'tx-udp-segmentation', 'gso', 'gro');
    }
    await runTransfer(namespaces);
    const alone = await read();
    const framesHelped = helped.frames - before.frames;
    assert.ok(framesHelped * 2 < helped.packets - before.packets, 'the kernel hands over many packets at once');
    assert.ok(alone.frames - helped.frames >= alone.packets - helped.packets, 'and now it does not');
    const { engine } = (await a.counters()).counters;
    assert.equal(engine['socket-send-refused'] + engine['tunnel-write-refused'], 0);
  });
});

test('what the outer network is too narrow for goes in fragments: every octet arrives', {
  skip: namespaceTestSkip(),
}, async () => {
  await withPair({}, async (namespaces, a) => {
    // The kernel splits no message into datagrams longer than the interface carries: they leave one by one.
    for (const side of ['a', 'b']) namespaces.ip(side, 'link', 'set', 'wire', 'mtu', '1300');
    await runTransfer(namespaces);
    const { counters } = await a.counters();
    assert.equal(counters.engine['socket-too-big'] + counters.engine['socket-send-refused'], 0);
  });
});

async function withPair(
  change: Partial<KeyedGatewaySettings>,
  use: (namespaces: Namespaces, a: KeyedGateway, b: KeyedGateway) => Promise<void>,
): Promise<void> {
  const namespaces = joinedNamespaces('transfer');
  try {
    const a = await KeyedGateway.start(namespaces, 'a', { ...settingsOf(0), ...change });
    const b = await KeyedGateway.start(namespaces, 'b', { ...settingsOf(1), ...change });
    await use(namespaces, a, b);
    await a.stop();
    await b.stop();
  } finally {
    namespaces.remove();
  }
}

function settingsOf(side: 0 | 1): KeyedGatewaySettings {
  const [own, far] = side === 0 ? (['a', 'b'] as const) : (['b', 'a'] as const);
  const tunnels = [{ name: 'st0.0', addresses: [`${INNER[own]}/30`], routes: [] }];
  return { ...KEYED, side, local: OUTER[own], remote: OUTER[far], tunnels };
}

/** Without the interface's segmentation offload, since else one loss would take a whole message of 45 packets. */
function losePackets(namespaces: Namespaces, side: string): void {
  namespaces.run(side, 'ethtool', ['-K', 'wire', 'tx-udp-segmentation', 'off']);
  const rule = 'iif wire meta l4proto { udp, esp } numgen random mod 200 0 drop';
  const script = `table inet loss { chain input { type filter hook prerouting priority -300; ${rule}; }; }`;
  const done = namespaces.run(side, '/bin/sh', ['-c', `echo '${script}' | ${NFT} -f -`]);
  assert.equal(done.status, 0, done.stderr);
}

function refuseHelp(namespaces: Namespaces, side: string, device: string, ...features: readonly string[]): void {
  const options = features.flatMap((feature) => [feature, 'off']);
  const done = namespaces.run(side, ETHTOOL, ['-K', device, ...options]);
  assert.equal(done.status, 0, done.stderr);
}

/** Sends until `until` has resolved, and compares the digests of what left and what arrived. */
async function runTransfer(namespaces: Namespaces, until: Promise<void> = Promise.resolve()): Promise<void> {
  const server = namespaces.spawn('b', process.execPath, [program, 'serve', INNER.b], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const arrived = linesOf(server);
  assert.equal((await arrived.next()).value, 'listening');
  const sender = namespaces.spawn('a', process.execPath, [program, 'send', INNER.b, String(MEGABYTES)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const left = linesOf(sender);
  await until;
  sender.stdin?.end();
  const digest = (await left.next()).value;
  assert.match(digest ?? '', /^[0-9a-f]{64}$/);
  assert.equal((await arrived.next()).value, digest);
}

function linesOf(child: ChildProcess): AsyncIterator<string> {
  if (!child.stdout) throw new Error('the program has no output');
  return createInterface({ input: child.stdout })[Symbol.asyncIterator]();
}

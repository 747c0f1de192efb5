import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Namespaces } from '../../../lab/namespaces.ts';
import { namespaceTestSkip } from '../test-namespace.fixture.ts';
import type { KeyedGatewaySettings } from './keyed-gateway.fixture.ts';
import { joinedNamespaces, KeyedGateway, OUTER } from './keyed-pair.fixture.ts';

// SALLYPORT_TRANSFER_MEGABYTES=1024 makes each of them a gigabyte.
const MEGABYTES = Number(process.env['SALLYPORT_TRANSFER_MEGABYTES'] ?? 24);
const REKEYS = 10;
const NFT = '/usr/sbin/nft';
const INNER = { a: '10.9.0.1', b: '10.9.0.2' };
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

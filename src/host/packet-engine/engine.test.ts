import assert from 'node:assert/strict';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { namespaceTestSkip } from '../test-namespace.fixture.ts';
import type { KeyedGatewaySettings } from './keyed-gateway.fixture.ts';
import { joinedNamespaces, KeyedGateway, OUTER } from './keyed-pair.fixture.ts';

type Variant = Pick<
  KeyedGatewaySettings,
  'encapsulation' | 'encryption' | 'integrity' | 'extendedSequenceNumbers' | 'without'
>;

const GCM: Variant = {
  encapsulation: 'udp',
  encryption: 'aes-256-gcm',
  integrity: 'none',
  extendedSequenceNumbers: false,
  without: [],
};
const VARIANTS: Readonly<Record<string, Variant & { readonly outer?: 6; readonly inner?: 6 }>> = {
  'AES-GCM in UDP': GCM,
  'AES-GCM in protocol 50': { ...GCM, encapsulation: 'raw' },
  'AES-GCM in protocol 50 over IPv6, extended sequence numbers': {
    ...GCM,
    encapsulation: 'raw',
    extendedSequenceNumbers: true,
    outer: 6,
  },
  'AES-GCM in UDP on a bare system': {
    ...GCM,
    without: ['udp-segmentation', 'udp-receive-offload', 'udp-traffic-class', 'vectors', 'openssl'],
  },
  'AES-GCM in UDP over IPv6, with IPv6 inside': { ...GCM, outer: 6, inner: 6 },
  'AES-CBC with HMAC in UDP': { ...GCM, encryption: 'aes-256-cbc', integrity: 'hmac-sha-256-128' },
  'ChaCha20-Poly1305 in UDP': { ...GCM, encryption: 'chacha20-poly1305' },
};

for (const offload of ['none', 'tcp', 'tcp-and-udp'] as const)
  for (const [name, variant] of Object.entries(VARIANTS).filter(([, one]) => offload === 'tcp-and-udp' || one === GCM))
    test(`the engine carries pings of every size and back: ${name}, TUN offload ${offload}`, {
      skip: namespaceTestSkip(),
    }, async () => {
      const namespaces = joinedNamespaces('engine');
      const { outer, inner, ...keyed } = variant;
      const [outerA, outerB] = outer === 6 ? [OUTER.a6, OUTER.b6] : [OUTER.a, OUTER.b];
      const [innerA, innerB] = inner === 6 ? ['fd09::1', 'fd09::2'] : ['10.9.0.1', '10.9.0.2'];
      const length = inner === 6 ? 64 : 30;
      try {
        const common = { ...keyed, offload };
        const tunnel = (own: string) => [{ name: 'st0.0', addresses: [`${own}/${length}`], routes: [] }];
        const a = await KeyedGateway.start(namespaces, 'a', {
          ...common,
          side: 0,
          local: outerA,
          remote: outerB,
          tunnels: tunnel(innerA),
        });
        const b = await KeyedGateway.start(namespaces, 'b', {
          ...common,
          side: 1,
          local: outerB,
          remote: outerA,
          tunnels: tunnel(innerB),
        });
        for (const size of [0, 3, 56, 1350, 4000]) {
          const ping = await namespaces.runAsync('a', 'ping', [
            '-c',
            '3',
            '-i',
            '0.05',
            // Not -W: once an answer has come, ping waits only two round trips for the rest. With -w it goes on asking until three have
            // come, and says with its status whether they have.
            '-w',
            '30',
            '-s',
            `${size}`,
            innerB,
          ]);
          assert.equal(ping.status, 0, `${size} octets: ${ping.stdout}${ping.stderr}`);
        }
        const { counters } = await b.counters();
        assert.equal(counters.dataPlane.discarded, 0);
        await a.stop();
        await b.stop();
      } finally {
        namespaces.remove();
      }
    });

test('IKE and keepalives on port 4500 arrive while more ESP comes in than can be opened', {
  skip: namespaceTestSkip(),
}, async () => {
  const namespaces = joinedNamespaces('flood');
  const sender = new URL('./flood.fixture.js', import.meta.url).pathname;
  try {
    const b = await KeyedGateway.start(namespaces, 'b', {
      ...GCM,
      offload: 'tcp-and-udp',
      side: 1,
      local: OUTER.b,
      remote: OUTER.a,
      tunnels: [{ name: 'st0.0', addresses: ['10.9.0.2/30'], routes: [] }],
    });
    const flood = namespaces.spawn('a', process.execPath, [sender, OUTER.b], { stdio: ['ignore', 'pipe', 'inherit'] });
    if (!flood.stdout) throw new Error('the flood has no output');
    const lines = createInterface({ input: flood.stdout })[Symbol.asyncIterator]();
    assert.equal((await lines.next()).value, 'started');
    // While the gateway is held, its buffer for ESP must overflow, whatever this machine can do.
    process.kill(b.processId ?? process.pid, 'SIGSTOP');
    assert.equal((await lines.next()).value, 'enough');
    process.kill(b.processId ?? process.pid, 'SIGCONT');
    const sent = JSON.parse((await lines.next()).value ?? '{}');
    await sleep(200);
    const { counters, ikeCount } = await b.counters();
    assert.equal(ikeCount, sent.ike);
    const received = counters.engine['socket-received'];
    assert.ok(
      received < sent.esp,
      `of ${sent.esp} ESP packets ${received} came in: the flood was more than the buffer holds`,
    );
    await b.stop();
  } finally {
    namespaces.remove();
  }
});

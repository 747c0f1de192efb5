// Two gateways with a router between them whose link is narrower than everybody thinks, and a LAN behind each (RFC 4301 §8.2).

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Namespaces } from '../../lab/namespaces.ts';
import { transfer } from '../../lab/offices.ts';
import type { KeyedGatewaySettings } from './packet-engine/keyed-gateway.fixture.ts';
import { KeyedGateway } from './packet-engine/keyed-pair.fixture.ts';
import { namespaceTestSkip } from './test-namespace.fixture.ts';

const NARROW = 1300;
/** Of a gateway's own link. */
const NARROW_LINK = 1400;
const FAR_HOST = '10.2.0.10';
const GATEWAY_ADDRESSES = { 4: ['192.0.2.1', '198.51.100.1'], 6: ['2001:db8:1::1', '2001:db8:2::1'] } as const;

/** What is left of 1300 octets: outer IP header, UDP header, ESP header, IV and ICV go off, then a multiple of four less two (RFC 4303 §2.4). */
const VARIANTS = [
  { encapsulation: 'raw', family: 4, innerMtu: 1246 },
  { encapsulation: 'raw', family: 6, innerMtu: 1226 },
  { encapsulation: 'udp', family: 4, innerMtu: 1238 },
  { encapsulation: 'udp', family: 6, innerMtu: 1218 },
] as const;

for (const { encapsulation, family, innerMtu } of VARIANTS)
  test(`RFC 4301 §8.2: a router's "too big" about ${encapsulation} ESP over IPv${family} reaches the inner sender, and TCP then loses nothing`, {
    skip: namespaceTestSkip(),
  }, async () => {
    const namespaces = narrowNetwork(`mtu${encapsulation}${family === 4 ? 'four' : 'six'}`);
    try {
      const a = await KeyedGateway.start(namespaces, 'a', gatewaySettings(0, encapsulation, family));
      const b = await KeyedGateway.start(namespaces, 'b', gatewaySettings(1, encapsulation, family));
      await waitForTunnel(namespaces);
      // The first one that is too big tells the gateway, and only the next one is answered with what fits.
      assert.match((await ping(namespaces, 1300)).stdout, /100% packet loss/);
      assert.match((await ping(namespaces, 1300)).stdout, new RegExp(`mtu = ${innerMtu}\\)`));
      assert.match(namespaces.ip('lan-a', 'route', 'get', FAR_HOST), new RegExp(`mtu ${innerMtu}\\b`));
      assert.equal((await ping(namespaces, innerMtu - 28)).status, 0, 'what fits exactly passes');

      const before = await countersOf(a, b);
      const report = await transfer(namespaces, program, { from: 'lan-a', to: 'lan-b', address: FAR_HOST }, 500);
      assert.ok(report.octets > 100_000, `${report.octets} octets`);
      const after = await countersOf(a, b);
      assert.equal(after.sent - before.sent, after.received - before.received, 'what was sent arrived');
      assert.deepEqual([after.refused, after.discarded], [before.refused, before.discarded]);
      await a.stop();
      await b.stop();
    } finally {
      namespaces.remove();
    }
  });

for (const { encapsulation, family, innerMtu } of VARIANTS)
  test(`RFC 4301 §8.2.2: where the link itself is narrow, ${encapsulation} ESP over IPv${family} fits from the first packet on`, {
    skip: namespaceTestSkip(),
  }, async () => {
    const namespaces = narrowNetwork(`link${encapsulation}${family === 4 ? 'four' : 'six'}`);
    try {
      for (const gateway of ['a', 'b']) narrowLink(namespaces, gateway);
      namespaces.ip('router', 'link', 'set', 'to-b', 'mtu', `${NARROW_LINK}`);
      const a = await KeyedGateway.start(namespaces, 'a', gatewaySettings(0, encapsulation, family));
      const b = await KeyedGateway.start(namespaces, 'b', gatewaySettings(1, encapsulation, family));
      await waitForTunnel(namespaces);
      const fitting = innerMtu + NARROW_LINK - NARROW;
      assert.match((await ping(namespaces, fitting - 27)).stdout, new RegExp(`mtu = ${fitting}\\)`));
      assert.equal((await ping(namespaces, fitting - 28)).status, 0, 'what fits exactly passes');
      const before = await countersOf(a, b);
      const report = await transfer(namespaces, program, { from: 'lan-a', to: 'lan-b', address: FAR_HOST }, 500);
      assert.ok(report.octets > 100_000, `${report.octets} octets`);
      const after = await countersOf(a, b);
      assert.equal(after.sent - before.sent, after.received - before.received, 'what was sent arrived');
      assert.deepEqual([after.refused, after.discarded], [before.refused, before.discarded]);
      await a.stop();
      await b.stop();
    } finally {
      namespaces.remove();
    }
  });

// ESP in UDP over IPv6 is left out: the kernel cuts it to fit by itself.
for (const { encapsulation, family, innerMtu } of VARIANTS.slice(0, 3))
  test(`a link that becomes narrower under ${encapsulation} ESP over IPv${family} costs one packet, and then inner senders are told`, {
    skip: namespaceTestSkip(),
  }, async () => {
    const namespaces = narrowNetwork(`late${encapsulation}${family === 4 ? 'four' : 'six'}`);
    try {
      namespaces.ip('router', 'link', 'set', 'to-b', 'mtu', '1500');
      const a = await KeyedGateway.start(namespaces, 'a', gatewaySettings(0, encapsulation, family));
      const b = await KeyedGateway.start(namespaces, 'b', gatewaySettings(1, encapsulation, family));
      await waitForTunnel(namespaces);
      const fitting = innerMtu + NARROW_LINK - NARROW;
      assert.equal((await ping(namespaces, fitting - 27)).status, 0, 'the link is wide');
      narrowLink(namespaces, 'a');
      assert.match((await ping(namespaces, fitting - 27)).stdout, /100% packet loss/);
      assert.equal((await a.counters()).counters.engine['socket-too-big'], 1);
      assert.match((await ping(namespaces, fitting - 27)).stdout, new RegExp(`mtu = ${fitting}\\)`));
      assert.equal((await ping(namespaces, fitting - 28)).status, 0, 'what fits exactly passes');
      assert.equal((await a.counters()).counters.engine['socket-too-big'], 1);
      await a.stop();
      await b.stop();
    } finally {
      namespaces.remove();
    }
  });

/** IPv6 takes its time to find its neighbors on a new link: asks once a second until an answer comes. */
async function waitForTunnel(namespaces: Namespaces): Promise<void> {
  const answer = await namespaces.runAsync('lan-a', 'ping', ['-c', '1', '-w', '8', FAR_HOST]);
  assert.equal(answer.status, 0, 'the tunnel works');
}

function ping(namespaces: Namespaces, size: number) {
  return namespaces.runAsync('lan-a', 'ping', ['-M', 'do', '-c', '1', '-W', '2', '-s', `${size}`, FAR_HOST]);
}

function narrowLink(namespaces: Namespaces, gateway: string): void {
  namespaces.ip(gateway, 'link', 'set', 'wire', 'mtu', `${NARROW_LINK}`);
  namespaces.ip('router', 'link', 'set', `to-${gateway}`, 'mtu', `${NARROW_LINK}`);
}

/** lan-a - a - router - b - lan-b; the router's link to `b` is the narrow one. */
function narrowNetwork(label: string): Namespaces {
  const namespaces = new Namespaces(label);
  namespaces.add('lan-a', 'a', 'router', 'b', 'lan-b');
  for (const [side, gateway] of (['a', 'b'] as const).entries()) {
    namespaces.connect(
      { namespace: gateway, interface: 'wire', address: `${GATEWAY_ADDRESSES[4][side]}/24` },
      { namespace: 'router', interface: `to-${gateway}`, address: `${['192.0.2.254', '198.51.100.254'][side]}/24` },
    );
    namespaces.ip(gateway, 'address', 'add', `${GATEWAY_ADDRESSES[6][side]}/64`, 'dev', 'wire', 'nodad');
    namespaces.ip('router', 'address', 'add', `2001:db8:${side + 1}::fe/64`, 'dev', `to-${gateway}`, 'nodad');
    namespaces.ip(gateway, 'route', 'add', 'default', 'via', `${['192.0.2.254', '198.51.100.254'][side]}`);
    namespaces.ip(gateway, 'route', 'add', 'default', 'via', `2001:db8:${side + 1}::fe`);
    namespaces.connect(
      { namespace: `lan-${gateway}`, interface: 'eth0', address: `10.${side + 1}.0.10/24` },
      { namespace: gateway, interface: 'lan', address: `10.${side + 1}.0.1/24` },
    );
    namespaces.ip(`lan-${gateway}`, 'route', 'add', 'default', 'via', `10.${side + 1}.0.1`);
    namespaces.enableForwarding(gateway);
  }
  namespaces.enableForwarding('router');
  namespaces.ip('router', 'link', 'set', 'to-b', 'mtu', `${NARROW}`);
  return namespaces;
}

function gatewaySettings(side: 0 | 1, encapsulation: 'raw' | 'udp', family: 4 | 6): KeyedGatewaySettings {
  const [local, remote] = side === 0 ? GATEWAY_ADDRESSES[family] : GATEWAY_ADDRESSES[family].toReversed();
  return {
    side,
    local: `${local}`,
    remote: `${remote}`,
    encapsulation,
    encryption: 'aes-256-gcm',
    integrity: 'none',
    extendedSequenceNumbers: false,
    dfBit: 'set',
    tunnels: [{ name: 'st0.0', addresses: [`10.9.0.${side + 1}/30`], routes: [`10.${2 - side}.0.0/24`] }],
    offload: 'tcp-and-udp',
    without: [],
  };
}

/** What `a` sent and had to refuse as too big, and what came to `b`. */
async function countersOf(a: KeyedGateway, b: KeyedGateway) {
  const sender = (await a.counters()).counters;
  const receiver = (await b.counters()).counters;
  return {
    sent: sender.dataPlane.espEncryptedPackets,
    refused: sender.dataPlane.drops['exceeds-mtu'] + sender.engine['socket-too-big'],
    received: receiver.dataPlane.espDecryptedPackets,
    // Less what the host itself says into a new tunnel: it looks for IPv6 routers and multicast listeners.
    discarded: receiver.dataPlane.discarded - receiver.dataPlane.drops['outside-selectors'],
  };
}

function program(name: string): string {
  return fileURLToPath(new URL(`../../lab/${name}.js`, import.meta.url));
}

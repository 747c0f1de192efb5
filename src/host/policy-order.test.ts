// Policies without a tunnel interface, on a real device: discard, bypass and protect, each where it stands in the order (RFC 4301 §4.4.1).

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Namespaces } from '../../lab/namespaces.ts';
import { joinedNamespaces, KeyedGateway, OUTER } from './packet-engine/keyed-pair.fixture.ts';
import { namespaceTestSkip } from './test-namespace.fixture.ts';

const LAN = ['10.1.0', '10.2.0'] as const;
const LAN6 = ['2001:db8:a1:', '2001:db8:a2:'] as const;

test('RFC 4301 §4.4.1: of the policies of the host’s stack, the first that matches discards, lets pass in clear, or protects', {
  skip: namespaceTestSkip(),
}, async () => {
  const namespaces = twoLans();
  try {
    const a = await start(namespaces, 'a');
    const b = await start(namespaces, 'b');
    const ping = async (address: string, size = 56) =>
      (await namespaces.runAsync('lan-a', 'ping', ['-c', '1', '-W', '1', '-s', `${size}`, address])).status;
    const [before] = await totals(a, b);
    assert.equal(await ping('10.2.0.10'), 0, 'protected');
    const [protectedOnly] = await totals(a, b);
    assert.deepEqual(changes(before, protectedOnly), { protected: 1, opened: 1, bypassed: 0, discarded: 0 });
    assert.equal(await ping('10.2.0.66'), 1, 'discarded');
    assert.equal(await ping('10.2.0.77'), 0, 'let pass');
    assert.equal(await ping('2001:db8:a2::77'), 0, 'let pass over IPv6');
    const [passed, passedBack] = await totals(a, b);
    assert.deepEqual(changes(protectedOnly, passed), { protected: 0, opened: 0, bypassed: 2, discarded: 1 });
    assert.equal(passedBack.bypassed, 2, 'and so were the answers');
    assert.equal(await ping('10.2.0.77', 4000), 0, 'in fragments');
    assert.equal(await ping('10.2.0.88'), 0, 'the policy that lets it pass stands behind the one that protects it');
    const [last] = await totals(a, b);
    // Three fragments from the host, of which the device's MTU makes five.
    assert.deepEqual(changes(passed, last), { protected: 1, opened: 1, bypassed: 5, discarded: 0 });
    await a.stop();
    await b.stop();
  } finally {
    namespaces.remove();
  }
});

/** lan-a - a - b - lan-b, with several hosts in each LAN. */
function twoLans(): Namespaces {
  const namespaces = joinedNamespaces('order');
  namespaces.add('lan-a', 'lan-b');
  for (const [side, gateway] of (['a', 'b'] as const).entries()) {
    const [lan, other, lan6] = [LAN[side] ?? '', LAN[1 - side] ?? '', LAN6[side] ?? ''];
    namespaces.connect(
      { namespace: `lan-${gateway}`, interface: 'eth0', address: `${lan}.10/24` },
      { namespace: gateway, interface: 'lan', address: `${lan}.1/24` },
    );
    for (const host of ['.66', '.77', '.88'])
      namespaces.ip(`lan-${gateway}`, 'address', 'add', `${lan}${host}/24`, 'dev', 'eth0');
    namespaces.ip(`lan-${gateway}`, 'address', 'add', `${lan6}:77/64`, 'dev', 'eth0', 'nodad');
    namespaces.ip(gateway, 'address', 'add', `${lan6}:1/64`, 'dev', 'lan', 'nodad');
    namespaces.ip(`lan-${gateway}`, 'route', 'add', 'default', 'via', `${lan}.1`);
    namespaces.ip(`lan-${gateway}`, 'route', 'add', 'default', 'via', `${lan6}:1`);
    // The way in clear, which the routes into the device hide.
    namespaces.ip(gateway, 'route', 'add', `${other}.0/24`, 'via', side === 0 ? OUTER.b : OUTER.a);
    namespaces.ip(gateway, 'route', 'add', `${LAN6[1 - side]}:/64`, 'via', side === 0 ? OUTER.b6 : OUTER.a6);
    namespaces.enableForwarding(gateway);
  }
  return namespaces;
}

function start(namespaces: Namespaces, gateway: 'a' | 'b'): Promise<KeyedGateway> {
  const side = gateway === 'a' ? 0 : 1;
  const of = (host: string) => {
    const [near, far] = ['10.1.0.0/24', `10.2.0.${host}/32`] as const;
    return side === 0 ? { local: near, remote: far } : { local: far, remote: near };
  };
  return KeyedGateway.start(namespaces, gateway, {
    side,
    local: side === 0 ? OUTER.a : OUTER.b,
    remote: side === 0 ? OUTER.b : OUTER.a,
    encapsulation: 'raw',
    encryption: 'aes-256-gcm',
    integrity: 'none',
    extendedSequenceNumbers: false,
    tunnels: [{ name: 'policy-vpn', addresses: [], routes: [`${LAN[1 - side]}.0/24`, `${LAN6[1 - side]}:/64`] }],
    unprotected: [
      { order: -3, action: 'discard', ...of('66') },
      { order: -2, action: 'bypass', ...of('77') },
      { order: -1, action: 'bypass', local: `${LAN6[side]}:/64`, remote: `${LAN6[1 - side]}:/64` },
      { order: 1, action: 'bypass', ...of('88') },
    ],
    offload: 'tcp-and-udp',
    without: [],
  });
}

interface Totals {
  readonly protected: number;
  readonly opened: number;
  readonly bypassed: number;
  readonly discarded: number;
}

async function totals(...gateways: readonly KeyedGateway[]): Promise<readonly [Totals, Totals]> {
  const [a, b] = await Promise.all(
    gateways.map(async (gateway) => {
      const { dataPlane } = (await gateway.counters()).counters;
      return {
        protected: dataPlane.espEncryptedPackets,
        opened: dataPlane.espDecryptedPackets,
        bypassed: dataPlane.bypassedPackets,
        discarded: dataPlane.drops['discard-policy'],
      };
    }),
  );
  if (!a || !b) throw new Error('two gateways were asked');
  return [a, b];
}

function changes(before: Totals, after: Totals): Totals {
  return {
    protected: after.protected - before.protected,
    opened: after.opened - before.opened,
    bypassed: after.bypassed - before.bypassed,
    discarded: after.discarded - before.discarded,
  };
}

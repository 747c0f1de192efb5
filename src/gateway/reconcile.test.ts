import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { seconds } from '../lib/time.ts';
import { parsePrefix } from '../model/address.ts';
import type { SecurityPolicy } from '../model/data-plane.ts';
import type { GatewayConfig, VpnConfig } from '../model/gateway-config.ts';
import type { PolicyId } from '../model/ipsec-sa.ts';
import { selectorFromPrefix } from '../model/traffic-selector.ts';
import { type OfficeParameters, officeConfig } from '../simulation/two-offices.ts';
import { type PolicyTable, reconcilePolicies } from './reconcile.ts';

const OFFICES: OfficeParameters = {
  mode: 'main',
  encryption: 'aes-256-cbc',
  hash: 'sha-256',
  dhGroup: 'group19',
  protocol: 'esp',
  ipsecEncryption: 'aes-128-gcm',
  ipsecIntegrity: 'none',
  ikeLifetime: seconds(28_800),
  ipsecLifetime: seconds(3600),
  deadPeerDetection: { mode: 'optimized', interval: seconds(10), threshold: 5 },
  establishMain: 'immediately',
  establishBranch: 'on-traffic',
  isBranchBehindNat: false,
  selectorCount: 1,
};
const PLAIN = officeConfig('main', OFFICES);
const NOTHING: PolicyTable = new Map();

interface VpnSketch {
  readonly name: string;
  readonly bindInterface?: string;
  readonly remote: string;
}

test('a first configuration puts every policy, in the order of the operator', () => {
  const config = withVpns(sketch('a'), sketch('b'), sketch('c'));
  const { puts, deletes } = reconcilePolicies(NOTHING, config);
  assert.deepEqual(
    puts.map((policy) => policy.id),
    ['a', 'b', 'c'],
  );
  assert.deepEqual(deletes, []);
  assert.deepEqual(inOrder(puts), ['a', 'b', 'c']);
});

test('policies without a tunnel interface stand in the order of the security policies, not in that of their VPNs', () => {
  const config = withVpns(sketch('wide'), sketch('narrow'));
  const positions = new Map([
    ['wide', 1],
    ['narrow', 0],
  ]);
  const vpns = config.vpns.map(({ bindInterface: _, ...vpn }) => ({
    ...vpn,
    selectors: vpn.selectors.map((selector) => ({ ...selector, position: positions.get(vpn.name) ?? 0 })),
  }));
  assert.deepEqual(inOrder(reconcilePolicies(NOTHING, { ...config, vpns }).puts), ['narrow', 'wide']);
});

test('the same configuration again changes nothing', () => {
  const { table } = reconcilePolicies(NOTHING, withVpns(sketch('a'), sketch('b')));
  const again = reconcilePolicies(table, withVpns(sketch('a'), sketch('b')));
  assert.deepEqual([again.puts, again.deletes], [[], []]);
});

test('a VPN inserted among a thousand is one change', () => {
  const before = Array.from({ length: 1000 }, (_, index) => sketch(`vpn${index}`));
  const { table } = reconcilePolicies(NOTHING, withVpns(...before));
  const after = [...before.slice(0, 500), sketch('new'), ...before.slice(500)];
  const changes = reconcilePolicies(table, withVpns(...after));
  assert.deepEqual(
    changes.puts.map((policy) => policy.id),
    ['new'],
  );
  assert.deepEqual(
    inOrder([...changes.table.values()]),
    after.map((vpn) => vpn.name),
  );
});

test('a VPN taken out is one change, and nobody moves up', () => {
  const { table } = reconcilePolicies(NOTHING, withVpns(sketch('a'), sketch('b'), sketch('c')));
  const changes = reconcilePolicies(table, withVpns(sketch('a'), sketch('c')));
  assert.deepEqual([changes.puts, changes.deletes], [[], ['b']]);
});

test('a changed selector is one change', () => {
  const { table } = reconcilePolicies(NOTHING, withVpns(sketch('a'), sketch('b')));
  const changes = reconcilePolicies(table, withVpns(sketch('a'), { ...sketch('b'), remote: '10.9.0.0/16' }));
  assert.deepEqual(
    changes.puts.map((policy) => policy.id),
    ['b'],
  );
  assert.equal(changes.puts[0]?.selectors.remote.addresses.first, '10.9.0.0');
});

test('a change of the tunnel interface reaches the policy: MTU and segment size', () => {
  const { table } = reconcilePolicies(NOTHING, PLAIN);
  const [tunnel] = PLAIN.tunnelInterfaces;
  assert.ok(tunnel);
  const changed = { ...PLAIN, tunnelInterfaces: [{ ...tunnel, mtu: 1300 }], tcpMss: 1200 };
  const [policy] = reconcilePolicies(table, changed).puts;
  assert.deepEqual([policy?.mtu, policy?.tcpMss], [1300, 1200]);
});

test('a wish for padding and dummies reaches the policy, and so does its end', () => {
  const { table } = reconcilePolicies(NOTHING, PLAIN);
  const [vpn] = PLAIN.vpns;
  assert.ok(vpn);
  const changed = { ...PLAIN, vpns: [{ ...vpn, tfcPadding: 1400, dummyInterval: seconds(10) }] };
  const changes = reconcilePolicies(table, changed);
  assert.deepEqual([changes.puts[0]?.tfcPadding, changes.puts[0]?.dummyInterval], [1400, 10]);
  const [back] = reconcilePolicies(changes.table, PLAIN).puts;
  assert.ok(back);
  assert.deepEqual([back.tfcPadding, back.dummyInterval], [undefined, undefined]);
});

test('VPNs on different interfaces do not compete: reordering them changes nothing', () => {
  const a = { ...sketch('a'), bindInterface: 'st0.1' };
  const b = { ...sketch('b'), bindInterface: 'st0.2' };
  const { table } = reconcilePolicies(NOTHING, withVpns(a, b));
  assert.deepEqual(reconcilePolicies(table, withVpns(b, a)).puts, []);
});

test('whatever was configured before, the table is as if it had not been, and the data plane agrees with it', () => {
  const list = fc.uniqueArray(
    fc.record({ name: fc.constantFrom(...'abcdefgh'), net: fc.integer({ min: 0, max: 2 }) }),
    {
      selector: (vpn) => vpn.name,
      maxLength: 8,
    },
  );
  fc.assert(
    fc.property(fc.array(list, { minLength: 1, maxLength: 8 }), (history) => {
      let table: PolicyTable = NOTHING;
      const dataPlane = new Map<PolicyId, SecurityPolicy>();
      for (const vpns of history) {
        const config = withVpns(...vpns.map((vpn) => ({ name: vpn.name, remote: `10.${vpn.net}.0.0/16` })));
        const changes = reconcilePolicies(table, config);
        for (const policy of changes.puts) dataPlane.set(policy.id, policy);
        for (const id of changes.deletes) dataPlane.delete(id);
        table = changes.table;
        assert.deepEqual(
          inOrder([...dataPlane.values()]),
          vpns.map((vpn) => vpn.name),
        );
        for (const vpn of vpns) {
          const policy = [...dataPlane.values()].find((candidate) => candidate.id === vpn.name);
          assert.equal(policy?.selectors.remote.addresses.first, `10.${vpn.net}.0.0`);
        }
      }
    }),
  );
});

function sketch(name: string): VpnSketch {
  return { name, remote: '10.2.0.0/16' };
}

/** Policy-based VPNs (no interface) unless the sketch names one: those compete with each other. */
function withVpns(...sketches: readonly VpnSketch[]): GatewayConfig {
  const [template] = PLAIN.vpns;
  const [selector] = template?.selectors ?? [];
  assert.ok(template && selector);
  const { bindInterface: _unused, ...policyBased } = template;
  const vpns = sketches.map((vpn): VpnConfig => {
    const prefix = parsePrefix(vpn.remote);
    assert.ok(prefix);
    const bound = vpn.bindInterface === undefined ? {} : { bindInterface: vpn.bindInterface };
    return {
      ...policyBased,
      ...bound,
      name: vpn.name,
      selectors: [{ ...selector, remote: selectorFromPrefix(prefix) }],
    };
  });
  return { ...PLAIN, vpns };
}

function inOrder(policies: readonly SecurityPolicy[]): readonly string[] {
  return [...policies].sort((a, b) => a.order - b.order).map((policy) => policy.id);
}

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assignEngines, defaultEngineCount, type TunnelBindings } from './engine-assignment.ts';
import { POLICY_INTERFACE } from './network-plan.ts';

const NONE = new Map<string, number>();

test('one engine on up to three processors, then one for every two, and no more than eight', () => {
  assert.deepEqual([1, 2, 3, 4, 8, 16, 128].map(defaultEngineCount), [1, 1, 1, 2, 4, 8, 8]);
});

test('devices of different peers are spread, those of one peer stay together', () => {
  const engines = assignEngines(bindings('a st0.0', 'b st0.1', 'b st0.2', 'c st0.3', 'd st0.4'), NONE, 2);
  assert.equal(engines.get('st0.1'), engines.get('st0.2'));
  const loads = [0, 1].map((engine) => [...engines.values()].filter((each) => each === engine).length);
  assert.deepEqual(
    loads.sort((a, b) => a - b),
    [2, 3],
  );
});

test('peers that share a device, however indirectly, are one engine’s, and so are all policy-based VPNs', () => {
  const chain = assignEngines(bindings('a st0.0', 'a st0.1', 'b st0.2', 'b st0.3', 'c st0.3', 'c st0.0'), NONE, 4);
  assert.equal(new Set(chain.values()).size, 1);
  const policies = assignEngines(bindings('a', 'b', 'c', 'c st0.0', 'd st0.1'), NONE, 4);
  assert.equal(policies.get('st0.0'), policies.get(POLICY_INTERFACE));
  assert.notEqual(policies.get('st0.1'), policies.get(POLICY_INTERFACE));
});

test('a device keeps its engine through every change of configuration, and new ones go where there are fewest VPNs', () => {
  const before = assignEngines(bindings('a st0.0', 'b st0.1', 'c st0.2'), NONE, 3);
  const after = assignEngines(bindings('a st0.0', 'b st0.1', 'a st0.1', 'a st0.3', 'd st0.4'), before, 3);
  for (const name of ['st0.0', 'st0.1']) assert.equal(after.get(name), before.get(name));
  assert.ok([before.get('st0.0'), before.get('st0.1')].includes(after.get('st0.3')), 'with its peer');
  assert.equal(after.get('st0.4'), before.get('st0.2'), 'nothing is left there');
});

test('a device without a VPN has an engine too', () => {
  assert.equal(assignEngines({ vpns: [], tunnelInterfaces: [{ name: 'st0.7' }] }, NONE, 2).get('st0.7'), 0);
});

/** VPNs as `gateway device`; policy-based without a device. */
function bindings(...vpns: readonly string[]): TunnelBindings {
  return {
    vpns: vpns.map((text) => {
      const [gateway = '', bindInterface] = text.split(' ');
      return { gateway, ...(bindInterface === undefined ? {} : { bindInterface }) };
    }),
    tunnelInterfaces: [],
  };
}

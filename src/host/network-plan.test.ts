import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatPrefix } from '../model/address.ts';
import { DROP_METRIC, planNetwork, TABLE_FIRST } from './network-plan.ts';
import { networkConfig, tunnel } from './test-namespace.fixture.ts';

test('beside every route into a tunnel lies one that drops, in the same table, with a worse metric', () => {
  const plan = planNetwork(networkConfig([tunnel('st0.0', '10.9.0.1/30')], ['10.2.0.0/16 st0.0', '::/0 st0.0']));
  const drops = plan.routes.filter((route) => route.tunnel === undefined);
  const tunnels = plan.routes.filter((route) => route.tunnel !== undefined);
  assert.deepEqual(
    tunnels.map((route) => formatPrefix(route.prefix)).sort((a, b) => (a < b ? -1 : 1)),
    ['10.2.0.0/16', '10.9.0.0/30', '::/0'],
  );
  for (const route of tunnels) {
    const drop = drops.find((one) => formatPrefix(one.prefix) === formatPrefix(route.prefix));
    assert.equal(drop?.table, route.table);
    assert.equal(drop?.metric, DROP_METRIC);
    assert.ok(route.metric < DROP_METRIC);
  }
});

test('the rules ask for longer prefixes first, in main and in our tables by turns', () => {
  const plan = planNetwork(
    networkConfig([tunnel('st0.0')], ['0.0.0.0/0 st0.0', '10.2.0.0/16 st0.0', '10.3.0.0/16 st0.0']),
  );
  const rules = [...plan.rules].sort((a, b) => a.priority - b.priority);
  assert.deepEqual(
    rules.map((rule) => [rule.table, rule.suppressLength]),
    [
      [254, 16],
      [TABLE_FIRST + 16, undefined],
      [254, 0],
      [TABLE_FIRST, undefined],
    ],
  );
});

test('a configuration without tunnels leaves no routes and no rules', () => {
  const plan = planNetwork(networkConfig([], []));
  assert.deepEqual(plan, { tunnels: [], routes: [], rules: [] });
});

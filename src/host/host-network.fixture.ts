// Run by host-network.test.ts in a namespace of its own. Prints one JSON object of what it saw.

import { execFileSync } from 'node:child_process';
import { HostNetwork, removeDropRoutes } from './host-network.ts';
import { planNetwork } from './network-plan.ts';
import { NetworkSettings } from './network-settings.ts';
import { OWN_MARK } from './own-mark.ts';
import { networkConfig, tunnel } from './test-namespace.fixture.ts';

const settings = new NetworkSettings();
run('link', 'set', 'lo', 'up');
run('link', 'add', 'lan', 'type', 'veth', 'peer', 'name', 'wire');
run('link', 'set', 'wire', 'up');
run('addr', 'add', '192.168.1.1/24', 'dev', 'lan');
run('link', 'set', 'lan', 'up');
run('route', 'add', 'default', 'via', '192.168.1.254');
run('route', 'add', '10.2.7.0/24', 'via', '192.168.1.253');

const plan = planNetwork(
  networkConfig(
    [tunnel('st0.0', '10.9.0.1/30', 'fd09::1/64'), tunnel('st0.1')],
    ['0.0.0.0/0 st0.0', '10.2.0.0/16 st0.1', 'fd02::/32 st0.1'],
  ),
);
const network = new HostNetwork(settings, 'none');
network.apply(plan);
const up = routes();
const marked = device('8.8.8.8', 'mark', String(OWN_MARK));
network.apply(plan);
const again = routes();
// The kernel closes a crashed process' descriptors in the same way.
network.removeTunnels();
const down = routes();

// A second start, with a smaller configuration, finds the rules and routes of the first.
const second = new HostNetwork(settings, 'none');
second.apply(planNetwork(networkConfig([tunnel('st0.1')], ['10.2.0.0/16 st0.1'])));
const smaller = routes();
second.removeTunnels();
const removed = removeDropRoutes(settings);
const clean = routes();
const rules = execFileSync('ip', ['rule'], { encoding: 'utf8' }).trim().split('\n').length;
process.stdout.write(JSON.stringify({ up, again, marked, down, smaller, removed, clean, rules }));

function routes(): Record<string, string> {
  const targets = ['8.8.8.8', '10.2.1.1', '10.2.7.1', '192.168.1.9', '10.9.0.2', 'fd02::1', 'fd09::2'];
  return Object.fromEntries(targets.map((target) => [target, device(target)]));
}

function device(target: string, ...more: readonly string[]): string {
  try {
    const found = execFileSync('ip', ['route', 'get', target, ...more], { encoding: 'utf8', stdio: 'pipe' });
    return / dev (\S+)/.exec(found)?.[1] ?? found.trim();
  } catch (error) {
    return error instanceof Error && /unreachable|No route/.test(error.message) ? 'unreachable' : String(error);
  }
}

function run(...parameters: readonly string[]): void {
  execFileSync('ip', parameters);
}

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Secret } from '../lib/secret.ts';
import { address } from '../model/address.ts';
import type { IkeGatewayConfig } from '../model/gateway-config.ts';
import { AddressLeases } from './address-leases.ts';
import { officeConfig } from './v1/two-endpoints.fixture.ts';

const ORIGIN = { path: 'access profile dial-in', line: 9 };

test('users have different addresses, and each the same again', () => {
  const leases = new AddressLeases(() => true);
  const gateway = dialInGateway('sales');
  assert.deepEqual(
    ['alice', 'carol', 'alice'].map((user) => leases.lease(gateway, user)),
    ['10.9.0.10', '10.9.0.11', '10.9.0.10'],
  );
  assert.equal(leases.lease(gateway, 'dave'), undefined, 'the pool holds two');
});

test('a gateway that is changed forgets its own users only: no address is given twice', () => {
  const leases = new AddressLeases(() => true);
  leases.lease(dialInGateway('sales'), 'alice');
  leases.lease(dialInGateway('support'), 'carol');
  leases.forget('support');
  assert.equal(leases.lease(dialInGateway('support'), 'dave'), '10.9.0.11');
});

test('a pool without a free address takes that of the user who has been away longest, and never one in use', () => {
  const present = new Set(['alice', 'carol']);
  const leases = new AddressLeases((_, user) => present.has(user));
  const gateway = dialInGateway('sales');
  leases.lease(gateway, 'alice');
  leases.lease(gateway, 'carol');
  assert.equal(leases.lease(gateway, 'dave'), undefined, 'both are there');
  present.clear();
  leases.noteSeen('sales', 'carol');
  leases.noteSeen('sales', 'alice');
  assert.equal(leases.lease(gateway, 'carol'), '10.9.0.11', 'whoever comes back first has the same address');
  assert.equal(leases.lease(gateway, 'dave'), '10.9.0.10', 'alice was seen before carol came back');
  present.add('carol').add('dave');
  assert.equal(leases.lease(gateway, 'alice'), undefined);
  present.delete('carol');
  assert.equal(leases.lease(gateway, 'alice'), '10.9.0.11');
});

function dialInGateway(name: string): IkeGatewayConfig {
  const pool = {
    network: { address: address('10.9.0.0'), length: 24 },
    ...{ first: address('10.9.0.10'), last: address('10.9.0.11') },
    ...{ dnsServers: [], winsServers: [], splitInclude: [] },
  };
  const users = ['alice', 'carol', 'dave'].map((user) => ({ name: user, password: new Secret(new Uint8Array(1)) }));
  const [gateway] = officeConfig('responder', {
    gateway: { name, xauth: { role: 'server', origin: ORIGIN, users, pool } },
  }).gateways;
  assert.ok(gateway);
  return gateway;
}

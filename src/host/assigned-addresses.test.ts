import assert from 'node:assert/strict';
import { test } from 'node:test';
import { officeConfig } from '../ike/v1/two-endpoints.fixture.ts';
import { Secret } from '../lib/secret.ts';
import { address } from '../model/address.ts';
import type { IkeSaStatus, IpsecSaStatus } from '../model/ike-event.ts';
import { policyId, spi } from '../model/ipsec-sa.ts';
import { selectorFromAddress } from '../model/traffic-selector.ts';
import { assignedAddresses, describeAssignment } from './assigned-addresses.ts';

const ORIGIN = { path: 'test', line: 0 };
const GIVEN = address('10.8.0.1');
const PATH = {
  local: { address: address('192.0.2.1'), port: 500 },
  remote: { address: address('198.51.100.1'), port: 500 },
};
const NOBODY = officeConfig('initiator');
const CLIENT = officeConfig('initiator', {
  gateway: { xauth: { role: 'client', origin: ORIGIN, username: 'a', password: new Secret(new Uint8Array(1)) } },
});
const ON_ST0 = [{ gateway: 'peer', tunnel: 'st0.0', address: GIVEN }];

test('an address that a server has given is on the interface of each VPN of its gateway, while the IKE SA is up', () => {
  assert.deepEqual(assignedAddresses(CLIENT, [], [ikeSa('up')], []), ON_ST0);
  assert.deepEqual(assignedAddresses(CLIENT, [], [ikeSa('down')], []), []);
  assert.deepEqual(assignedAddresses(CLIENT, ON_ST0, [], []), []);
});

test('an address that we have given to a client is not ours', () => {
  assert.deepEqual(assignedAddresses(NOBODY, [], [ikeSa('up')], [ipsecSa()]), []);
});

test('an address stays while IPsec SAs carry it, and is not taken from them', () => {
  assert.deepEqual(assignedAddresses(CLIENT, ON_ST0, [], [ipsecSa()]), ON_ST0);
  assert.deepEqual(assignedAddresses(CLIENT, [], [], [ipsecSa()]), []);
});

test('what changed is said in a line each', () => {
  assert.deepEqual(describeAssignment(ON_ST0, ON_ST0), []);
  assert.deepEqual(describeAssignment([], ON_ST0), ['gateway peer has given us 10.8.0.1, now on st0.0']);
  assert.deepEqual(describeAssignment(ON_ST0, []), ['10.8.0.1 of gateway peer is taken from st0.0']);
});

function ikeSa(state: IkeSaStatus['state']): IkeSaStatus {
  return {
    ...{ id: '1:2', index: 1, gateway: 'peer', role: 'initiator', state, mode: 'main', path: PATH },
    ...{ initiatorCookie: '1', responderCookie: '2', assignedAddress: GIVEN },
    nat: { isLocalBehindNat: false, isRemoteBehindNat: false },
    traffic: { inputOctets: 0, outputOctets: 0, inputPackets: 0, outputPackets: 0 },
    ...{ ipsecSasCreated: 0, ipsecSasDeleted: 0, phase2InProgress: 0 },
  };
}

function ipsecSa(): IpsecSaStatus {
  return {
    ...{ vpn: 'office', policy: policyId('office'), gateway: 'peer', inboundSpi: spi(300), outboundSpi: spi(301) },
    ...{ protocol: 'esp', mode: 'tunnel', encryption: 'aes-128-cbc', integrity: 'hmac-sha-256-128', path: PATH },
    selectors: { local: selectorFromAddress(GIVEN), remote: selectorFromAddress(address('10.2.0.1')) },
    ...{ isUdpEncapsulated: false, hardLifetimeRemainingSeconds: 1, softLifetimeRemainingSeconds: 1 },
    ...{ replayWindow: 64, isCurrent: true },
  };
}

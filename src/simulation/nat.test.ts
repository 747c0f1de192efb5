import assert from 'node:assert/strict';
import { test } from 'node:test';
import { instant, milliseconds } from '../lib/time.ts';
import { address, type UdpEndpoint } from '../model/address.ts';
import { Chance } from './chance.ts';
import { Nat, type NatFiltering } from './nat.ts';

const HOST: UdpEndpoint = { address: address('192.168.7.2'), port: 500 };
const PEER: UdpEndpoint = { address: address('198.51.100.1'), port: 500 };
const PEER_4500: UdpEndpoint = { ...PEER, port: 4500 };
const STRANGER: UdpEndpoint = { address: address('192.0.2.66'), port: 500 };
const NOW = instant(1000);

test('RFC 4787 §4.1 REQ-1: one inside endpoint has one outside endpoint, whoever it talks to', () => {
  const nat = makeNat('address-dependent');
  const first = nat.translateOutbound(NOW, HOST, PEER);
  assert.deepEqual(nat.translateOutbound(NOW, HOST, STRANGER), first);
  assert.equal(first.address, '203.0.113.1');
});

test('RFC 4787 §5: who may answer depends on the filtering', () => {
  const admitted = (filtering: NatFiltering): boolean[] => {
    const nat = makeNat(filtering);
    const outside = nat.translateOutbound(NOW, HOST, PEER);
    return [PEER, PEER_4500, STRANGER].map((source) => nat.translateInbound(NOW, source, outside) !== undefined);
  };
  assert.deepEqual(admitted('endpoint-independent'), [true, true, true]);
  assert.deepEqual(admitted('address-dependent'), [true, true, false]);
  assert.deepEqual(admitted('address-and-port-dependent'), [true, false, false]);
});

test('RFC 4787 §4.3 REQ-6: a mapping lives on with packets from inside, and only with those', () => {
  const nat = makeNat('endpoint-independent');
  const outside = nat.translateOutbound(instant(0), HOST, PEER);
  nat.translateOutbound(instant(50_000), HOST, PEER);
  assert.ok(nat.translateInbound(instant(100_000), PEER, outside));
  assert.equal(nat.translateInbound(instant(110_000), PEER, outside), undefined);
});

test('two hosts behind one translator have ports of their own, even if both ask for the same', () => {
  const other: UdpEndpoint = { address: address('192.168.7.3'), port: 500 };
  const nat = makeNat('endpoint-independent', true);
  const first = nat.translateOutbound(NOW, HOST, PEER);
  const second = nat.translateOutbound(NOW, other, PEER);
  assert.equal(first.port, 500);
  assert.notEqual(second.port, 500);
  assert.deepEqual(nat.translateInbound(NOW, PEER, second), other);
  assert.deepEqual(nat.translateInbound(NOW, PEER, first), HOST);
});

test('after a rebinding the old outside port is dead and the host appears under another', () => {
  const nat = makeNat('endpoint-independent');
  const before = nat.translateOutbound(NOW, HOST, PEER);
  nat.rebind();
  assert.equal(nat.translateInbound(NOW, PEER, before), undefined);
  assert.notEqual(nat.translateOutbound(NOW, HOST, PEER).port, before.port);
});

function makeNat(filtering: NatFiltering, preservesPorts = false): Nat {
  const options = {
    outside: address('203.0.113.1'),
    filtering,
    mappingTimeout: milliseconds(60_000),
    preservesPorts,
  };
  return new Nat(options, new Chance(1));
}

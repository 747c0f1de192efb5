import assert from 'node:assert/strict';
import test from 'node:test';
import { fromUtf8, toHex } from '../lib/bytes.ts';
import { formatPrefix } from '../model/address.ts';
import type { GatewayConfig, VpnConfig } from '../model/gateway-config.ts';
import { formatIdentity } from '../model/identity.ts';
import { formatSelector } from '../model/traffic-selector.ts';
import { loadConfiguration } from './load.ts';

const BASE = `
set interfaces ge-0/0/0 unit 0 family inet address 192.0.2.1/24
set interfaces ge-0/0/0 unit 0 family inet6 address fe80::1/64
set interfaces ge-0/0/0 unit 0 family inet6 address 2001:db8::1/64
set interfaces st0 unit 0 family inet
set security ike policy p proposal-set standard
set security ike policy p pre-shared-key ascii-text "correct horse"
set security ike gateway g ike-policy p
set security ike gateway g address 192.0.2.77
set security ike gateway g external-interface ge-0/0/0
set security ipsec policy p proposal-set standard
set security ipsec vpn v bind-interface st0
set security ipsec vpn v ike gateway g
set security ipsec vpn v ike ipsec-policy p
`;

function compile(...commands: readonly string[]): GatewayConfig {
  const { config, diagnostics } = loadConfiguration(`${BASE}${commands.join('\n')}\n`);
  assert.ok(config, JSON.stringify(diagnostics.filter((found) => found.severity === 'error')));
  return config;
}

function gateway(...commands: readonly string[]) {
  const [found] = compile(...commands).gateways;
  assert.ok(found);
  return found;
}

function vpn(...commands: readonly string[]): VpnConfig {
  const [found] = compile(...commands).vpns;
  assert.ok(found);
  return found;
}

function selectors(config: VpnConfig): string[] {
  return config.selectors.map(
    ({ name, local, remote }) => `${name ?? '-'}: ${formatSelector(local)} > ${formatSelector(remote)}`,
  );
}

test('predefined sets are expanded in their order, with the group that the set brings', () => {
  const found = gateway();
  assert.deepEqual(
    found.policy.proposals.map(({ encryption, hash, dhGroup, lifetime }) => [encryption, hash, dhGroup, lifetime]),
    [
      ['3des-cbc', 'sha1', 'group2', 28_800],
      ['aes-128-cbc', 'sha1', 'group2', 28_800],
    ],
  );
  assert.equal(found.policy.proposals[0]?.origin.path, 'security ike policy p proposal-set');
  assert.equal(vpn().pfsGroup, 'group2');
  assert.equal(vpn('set security ipsec policy p perfect-forward-secrecy keys group20').pfsGroup, 'group20');
  assert.deepEqual(
    vpn('set security ipsec policy p proposal-set compatible').proposals.map(({ encryption, integrity }) => [
      encryption,
      integrity,
    ]),
    [
      ['3des-cbc', 'hmac-sha1-96'],
      ['3des-cbc', 'hmac-md5-96'],
      ['des-cbc', 'hmac-sha1-96'],
      ['des-cbc', 'hmac-md5-96'],
    ],
  );
  assert.equal(vpn('set security ipsec policy p proposal-set basic').pfsGroup, undefined);
});

test('units that are not said are 0, for the external interface and for st0', () => {
  assert.equal(gateway().externalInterface, 'ge-0/0/0.0');
  assert.equal(vpn().bindInterface, 'st0.0');
});

test('the local address is that of the external interface in the family of the peer, unless it is said', () => {
  assert.equal(gateway().localAddress, '192.0.2.1');
  assert.equal(
    gateway('delete security ike gateway g address', 'set security ike gateway g address 2001:db8::77').localAddress,
    '2001:db8::1',
  );
  assert.equal(gateway('set security ike gateway g local-address 192.0.2.9').localAddress, '192.0.2.9');
  assert.equal(
    gateway('set interfaces ge-0/0/0 unit 0 family inet address 192.0.2.0/24').localAddress,
    '192.0.2.0',
    'the lowest',
  );
  assert.equal(
    gateway('set interfaces ge-0/0/0 unit 0 family inet address 192.0.3.1/24 primary').localAddress,
    '192.0.3.1',
  );
  assert.equal(gateway('delete interfaces ge-0/0/0').localAddress, undefined, 'the host must find it');
});

test('peers: a primary with backups, names, and dynamic ones', () => {
  const several = gateway('set security ike gateway g address [ b.example 192.0.2.79 ]');
  assert.deepEqual(several.remoteAddresses, ['192.0.2.77', '192.0.2.79']);
  assert.deepEqual(several.remoteHostNames, ['b.example']);
  const dynamic = gateway(
    'set security ike policy p mode aggressive',
    'set security ike gateway g dynamic hostname b.example',
  );
  assert.equal(dynamic.isDynamic, true);
  assert.deepEqual(dynamic.remoteAddresses, [], 'dynamic replaces address: they exclude each other');
  assert.deepEqual(dynamic.remoteIdentity, { kind: 'fqdn', name: 'b.example' });
  assert.equal(gateway('set security ike gateway g general-ikeid').acceptsAnyIdentity, true);
});

test('identities of each kind', () => {
  const local = (words: string) => {
    const { localIdentity } = gateway(`set security ike gateway g local-identity ${words}`);
    return localIdentity && `${localIdentity.kind} ${formatIdentity(localIdentity)}`;
  };
  assert.equal(local('inet 198.51.100.1'), 'address 198.51.100.1');
  assert.equal(local('inet6 2001:DB8::9'), 'address 2001:db8::9');
  assert.equal(local('hostname a.example'), 'fqdn a.example');
  assert.equal(local('user-at-hostname "u@a.example"'), 'user-fqdn u@a.example');
  assert.equal(local('key-id branch-7'), 'key-id branch-7');
  assert.equal(gateway().localIdentity, undefined);
  assert.equal(gateway('set security ike gateway g remote-identity hostname b.example').remoteIdentity?.kind, 'fqdn');
});

test('keys as text, as hexadecimal digits, and as $9$ of either', () => {
  const key = (words: string) =>
    gateway(`set security ike policy p pre-shared-key ${words}`).policy.preSharedKey?.reveal() ?? new Uint8Array();
  assert.equal(fromUtf8(key('ascii-text "kühl"')), 'kühl');
  assert.equal(toHex(key('hexadecimal 0xC0FFEE')), 'c0ffee');
  assert.equal(fromUtf8(key('ascii-text "$9$LbHX-wg4Z"')), 'lc');
});

test('dead peer detection is off unless it is said, and then optimized, every 10 seconds, 5 times', () => {
  assert.equal(gateway().deadPeerDetection, undefined);
  assert.deepEqual(gateway('set security ike gateway g dead-peer-detection').deadPeerDetection, {
    mode: 'optimized',
    interval: 10,
    threshold: 5,
  });
  assert.deepEqual(
    gateway('set security ike gateway g dead-peer-detection always-send threshold 2 interval 20').deadPeerDetection,
    {
      mode: 'always-send',
      interval: 20,
      threshold: 2,
    },
  );
});

test('NAT traversal, keepalives and fragments', () => {
  const found = gateway(
    'set security ike gateway g no-nat-traversal nat-keepalive 7',
    'set security ike gateway g fragmentation size 800',
  );
  assert.equal(found.natTraversal, false);
  assert.equal(found.natKeepalive, 7);
  assert.equal(found.fragmentSize, 800);
  assert.equal(gateway().fragmentSize, undefined);
  assert.equal(gateway('set security ike gateway g fragmentation disable').fragmentSize, undefined);
});

test('XAUTH: users and a pool where we ask, credentials where we are asked', () => {
  const server = gateway(
    'set security ike gateway g xauth access-profile users',
    'set access profile users client ann firewall-user password "a secret"',
    'set access profile users address-assignment pool pool',
    'set access address-assignment pool pool family inet network 10.77.0.0/24',
    'set access address-assignment pool pool family inet range r low 10.77.0.10',
    'set access address-assignment pool pool family inet range r high 10.77.0.20',
    'set access address-assignment pool pool family inet xauth-attributes primary-dns 10.0.0.53/32',
  ).xauth;
  assert.ok(server?.role === 'server');
  assert.deepEqual(
    server.users.map(({ name }) => name),
    ['ann'],
  );
  assert.equal(fromUtf8(server.users[0]?.password.reveal() ?? new Uint8Array()), 'a secret');
  assert.deepEqual(server.pool && [server.pool.first, server.pool.last, server.pool.dnsServers], [
    '10.77.0.10',
    '10.77.0.20',
    ['10.0.0.53'],
  ]);
  const client = gateway(
    'set security ike gateway g xauth client username bob',
    'set security ike gateway g xauth client password "b secret"',
  ).xauth;
  assert.ok(client?.role === 'client');
  assert.equal(client.username, 'bob');
});

test('what a VPN carries: everything, the proxy identity, or its traffic selectors with routes of their own', () => {
  assert.deepEqual(selectors(vpn()), ['-: 0.0.0.0/0 > 0.0.0.0/0']);
  const proxy = vpn('set security ipsec vpn v ike proxy-identity local 10.1.0.0/16 remote 10.2.0.0/16 service any');
  assert.deepEqual(selectors(proxy), ['-: 10.1.0.0/16 > 10.2.0.0/16']);
  const named = compile(
    'set security ipsec vpn v traffic-selector a local-ip 10.1.0.0/16 remote-ip 10.2.0.0/16',
    'set security ipsec vpn v traffic-selector b local-ip 10.1.0.0/16 remote-ip 10.3.0.0/16 protocol tcp destination-port 443',
    'set security ipsec vpn v traffic-selector c local-ip 10.1.0.0/16 remote-ip 0.0.0.0/0 metric 9',
  );
  const [found] = named.vpns;
  assert.deepEqual(found && selectors(found), [
    'a: 10.1.0.0/16 > 10.2.0.0/16',
    'b: 10.1.0.0/16 proto 6 > 10.3.0.0/16 proto 6 port 443',
    'c: 10.1.0.0/16 > 0.0.0.0/0',
  ]);
  assert.deepEqual(
    named.routes.map(({ prefix, tunnelInterface, metric }) => `${formatPrefix(prefix)} ${tunnelInterface} ${metric}`),
    ['10.2.0.0/16 st0.0 5', '10.3.0.0/16 st0.0 5'],
  );
  const ipv6 = vpn('delete interfaces st0 unit 0 family inet', 'set interfaces st0 unit 0 family inet6');
  assert.deepEqual(selectors(ipv6), ['-: ::/0 > ::/0']);
});

test('the macro `sallyport` asks for padding and dummies; other macros, and none, ask for nothing', () => {
  const found = vpn(
    'set security ipsec vpn v apply-macro sallyport tfc-padding 1300',
    'set security ipsec vpn v apply-macro sallyport tfc-padding 1400',
    'set security ipsec vpn v apply-macro sallyport dummy-interval 10',
  );
  assert.deepEqual([found.tfcPadding, found.dummyInterval], [1400, 10], 'the last one said holds');
  const other = vpn('set security ipsec vpn v apply-macro mine tfc-padding 1300');
  assert.deepEqual([other.tfcPadding, other.dummyInterval], [undefined, undefined]);
});

test('a policy-based VPN carries what the security policies send through it, seen from this side', () => {
  const found = vpn(
    'delete security ipsec vpn v bind-interface',
    'set security zones security-zone untrust interfaces ge-0/0/0.0',
    'set security zones security-zone untrust host-inbound-traffic system-services ike',
    'set security zones security-zone trust address-book address lan 10.1.0.0/16',
    'set security address-book global address dmz 10.9.0.0/24',
    'set security address-book global address hq-a 10.2.0.0/16',
    'set security address-book global address hq-b range-address 10.3.0.1 to 10.3.0.9',
    'set security address-book global address-set hq address hq-a',
    'set security address-book global address-set hq address hq-b',
    'set security policies from-zone trust to-zone untrust policy out match source-address lan',
    'set security policies from-zone trust to-zone untrust policy out match destination-address hq',
    'set security policies from-zone trust to-zone untrust policy out match application any',
    'set security policies from-zone trust to-zone untrust policy out then permit tunnel ipsec-vpn v',
    'set security policies from-zone trust to-zone untrust policy out then permit tunnel pair-policy in',
    'set security policies from-zone untrust to-zone trust policy in match source-address hq',
    'set security policies from-zone untrust to-zone trust policy in match destination-address lan',
    'set security policies from-zone untrust to-zone trust policy in then permit tunnel ipsec-vpn v',
    'set security policies from-zone untrust to-zone trust policy in then permit tunnel pair-policy out',
  );
  assert.equal(found.bindInterface, undefined);
  assert.deepEqual(
    found.selectors.map(({ position }) => position),
    [0, 0],
  );
  assert.deepEqual(selectors(found), ['-: 10.1.0.0/16 > 10.2.0.0/16', 'policy-2: 10.1.0.0/16 > 10.3.0.1-10.3.0.9']);
});

test('routes into tunnels of both families, from the main table and from instances; no other route is ours', () => {
  const { routes } = compile(
    'set routing-options static route 0.0.0.0/0 next-hop 192.0.2.254',
    'set routing-options static route 10.0.0.0/8 next-hop st0.0 preference 7',
    'set routing-options static route 10.5.0.0/16 qualified-next-hop st0.0 metric 3',
    'set routing-options rib inet6.0 static route 2001:db8:9::/48 next-hop st0.0',
    'set routing-instances vr routing-options static route 10.6.0.1/16 next-hop st0',
  );
  assert.deepEqual(
    routes.map(({ prefix, metric }) => `${formatPrefix(prefix)} ${metric}`),
    ['10.0.0.0/8 7', '10.5.0.0/16 3', '2001:db8:9::/48 5', '10.6.0.0/16 5'],
  );
});

test('options of a VPN', () => {
  const found = vpn(
    'set security ipsec vpn v df-bit copy copy-outer-dscp',
    'set security ipsec vpn v ike no-anti-replay idle-time 600 install-interval 0',
    'set security ipsec vpn v establish-tunnels responder-only',
  );
  assert.equal(found.dfBit, 'copy');
  assert.equal(found.copyOuterDscp, true);
  assert.equal(found.antiReplayWindow, 0);
  assert.equal(found.idleTime, 600);
  assert.equal(found.installInterval, 0);
  assert.equal(found.establishTunnels, 'responder-only');
  assert.equal(vpn('set security ipsec anti-replay-window-size 512').antiReplayWindow, 512);
  assert.equal(
    vpn('set security ipsec anti-replay-window-size 512', 'set security ipsec vpn v ike anti-replay-window-size 128')
      .antiReplayWindow,
    128,
  );
});

test('settings for all tunnels', () => {
  const none = compile();
  assert.equal(none.tcpMss, undefined);
  assert.equal(none.respondBadSpi, undefined);
  assert.equal(none.halfOpenMax, undefined);
  const all = compile(
    'set security flow tcp-mss ipsec-vpn',
    'set security ike respond-bad-spi',
    'set security ike session half-open max-count 50',
  );
  assert.equal(all.tcpMss, 1320);
  assert.equal(all.respondBadSpi, 5);
  assert.equal(all.halfOpenMax, 50);
  assert.equal(compile('set security flow tcp-mss ipsec-vpn mss 1350').tcpMss, 1350);
  assert.equal(compile('set interfaces st0 unit 0 family inet mtu 1436').tunnelInterfaces[0]?.mtu, 1436);
});

test('inactive statements do not count, and groups do, the nearest first', () => {
  assert.equal(
    gateway('set security ike gateway g nat-keepalive 50', 'deactivate security ike gateway g nat-keepalive')
      .natKeepalive,
    20,
  );
  const grouped = gateway(
    'set groups far security ike gateway <*> nat-keepalive 50',
    'set groups far security ike gateway <g*> dead-peer-detection interval 30',
    'set groups near security ike gateway <*> nat-keepalive 60',
    'set apply-groups far',
    'set security ike apply-groups near',
  );
  assert.equal(grouped.natKeepalive, 60);
  assert.equal(grouped.deadPeerDetection?.interval, 30);
  const kept = gateway(
    'set groups far security ike gateway <*> nat-keepalive 50',
    'set groups far security ike gateway <*> dynamic hostname x.example',
    'set apply-groups far',
    'set security ike gateway g nat-keepalive 5',
  );
  assert.equal(kept.natKeepalive, 5, 'what is said here is not overruled');
  assert.equal(kept.isDynamic, false, 'a choice that is made is not overruled');
  const member = compile('set groups node0 system host-name first', `set apply-groups "${'$'}{node}"`);
  assert.equal(member.hostName, 'first', 'alone, we are the first member of a cluster');
  const whole = compile(
    'set groups all security ipsec vpn w bind-interface st0.1',
    'set groups all security ipsec vpn w ike gateway g',
    'set groups all security ipsec vpn w ike ipsec-policy p',
    'set groups all security ipsec vpn w ike proxy-identity remote 10.0.0.0/8',
    'set apply-groups all',
  );
  assert.deepEqual(
    whole.vpns.map(({ name }) => name),
    ['v', 'w'],
  );
});

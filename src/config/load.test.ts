import assert from 'node:assert/strict';
import test from 'node:test';
import { fromUtf8 } from '../lib/bytes.ts';
import type { GatewayConfig } from '../model/gateway-config.ts';
import { formatSelector } from '../model/traffic-selector.ts';
import { type LoadedConfiguration, loadConfiguration } from './load.ts';

const SITE = `
## Last commit: 2024-05-01 10:00:00 UTC by admin
version 21.4R3;
system {
    host-name main-office;
    services { ssh; }
}
security {
    ike {
        proposal strong {
            authentication-method pre-shared-keys;
            dh-group group14;
            authentication-algorithm sha-256;
            encryption-algorithm aes-256-cbc;
        }
        policy to-branch {
            proposals strong;
            pre-shared-key ascii-text "correct horse"; ## SECRET-DATA
        }
        gateway branch {
            ike-policy to-branch;
            address 198.51.100.2;
            external-interface ge-0/0/0.0;
        }
    }
    ipsec {
        proposal strong {
            protocol esp;
            authentication-algorithm hmac-sha-256-128;
            encryption-algorithm aes-256-cbc;
        }
        policy strong {
            perfect-forward-secrecy { keys group14; }
            proposals strong;
        }
        vpn branch {
            bind-interface st0.0;
            ike {
                gateway branch;
                ipsec-policy strong;
            }
            establish-tunnels immediately;
        }
    }
}
interfaces {
    ge-0/0/0 { unit 0 { family inet { address 192.0.2.1/24; } } }
    st0 { unit 0 { family inet { address 10.255.0.1/30; } } }
}
routing-options {
    static {
        route 0.0.0.0/0 next-hop 192.0.2.254;
        route 10.2.0.0/16 next-hop st0.0;
    }
}
`;

const SITE_AS_SET = `
set system host-name main-office
set security ike proposal strong authentication-method pre-shared-keys
set security ike proposal strong dh-group group14
set security ike proposal strong authentication-algorithm sha-256
set security ike proposal strong encryption-algorithm aes-256-cbc
set security ike policy to-branch proposals strong
set security ike policy to-branch pre-shared-key ascii-text "correct horse"
set security ike gateway branch ike-policy to-branch
set security ike gateway branch address 198.51.100.2
set security ike gateway branch external-interface ge-0/0/0.0
set security ipsec proposal strong protocol esp
set security ipsec proposal strong authentication-algorithm hmac-sha-256-128
set security ipsec proposal strong encryption-algorithm aes-256-cbc
set security ipsec policy strong perfect-forward-secrecy keys group14
set security ipsec policy strong proposals [ strong ]
set security ipsec vpn branch bind-interface st0.0
set security ipsec vpn branch ike gateway branch
set security ipsec vpn branch ike ipsec-policy strong
set security ipsec vpn branch establish-tunnels immediately
set interfaces ge-0/0/0 unit 0 family inet address 192.0.2.1/24
set interfaces st0 unit 0 family inet address 10.255.0.1/30
set routing-options static route 0.0.0.0/0 next-hop 192.0.2.254
set routing-options static route 10.2.0.0/16 next-hop st0.0
`;

/** The configuration of a text that must have no errors. */
function load(text: string): GatewayConfig {
  const loaded = loadConfiguration(text);
  assert.deepEqual(errors(loaded), []);
  assert.ok(loaded.config);
  return loaded.config;
}

/** The line of a text, from 1, without its indentation. */
function lineOf(text: string, line: number | undefined): string | undefined {
  return text.split('\n')[(line ?? 0) - 1]?.trim();
}

function errors(loaded: LoadedConfiguration): string[] {
  return loaded.diagnostics
    .filter((diagnostic) => diagnostic.severity === 'error')
    .map((diagnostic) => `${diagnostic.line} [${diagnostic.path}] ${diagnostic.message}`);
}

for (const [form, text] of [
  ['braces', SITE],
  ['set commands', SITE_AS_SET],
] as const) {
  test(`a plain route-based site-to-site VPN in ${form} compiles, with Junos' defaults`, () => {
    const config = load(text);
    assert.equal(config.hostName, 'main-office');
    const [gateway] = config.gateways;
    assert.ok(gateway);
    assert.equal(gateway.version, 'v1-only');
    assert.deepEqual(gateway.remoteAddresses, ['198.51.100.2']);
    assert.equal(gateway.localAddress, '192.0.2.1');
    assert.equal(gateway.externalInterface, 'ge-0/0/0.0');
    assert.equal(gateway.natTraversal, true);
    assert.equal(gateway.natKeepalive, 20);
    assert.equal(gateway.deadPeerDetection, undefined);
    assert.equal(gateway.policy.mode, 'main');
    assert.equal(fromUtf8(gateway.policy.preSharedKey?.reveal() ?? new Uint8Array()), 'correct horse');
    const [proposal] = gateway.policy.proposals;
    assert.equal(proposal?.lifetime, 28_800);
    assert.equal(proposal?.dhGroup, 'group14');
    const [vpn] = config.vpns;
    assert.ok(vpn);
    assert.equal(vpn.bindInterface, 'st0.0');
    assert.equal(vpn.pfsGroup, 'group14');
    assert.equal(vpn.establishTunnels, 'immediately');
    assert.equal(vpn.dfBit, 'clear');
    assert.equal(vpn.antiReplayWindow, 64);
    assert.equal(vpn.installInterval, 1);
    assert.equal(vpn.proposals[0]?.lifetime, 3600);
    assert.deepEqual(
      vpn.selectors.map((selector) => [formatSelector(selector.local), formatSelector(selector.remote)]),
      [['0.0.0.0/0', '0.0.0.0/0']],
    );
    assert.deepEqual(
      config.tunnelInterfaces.map(({ name, addresses, mtu }) => ({ name, addresses, mtu })),
      [{ name: 'st0.0', addresses: [{ address: '10.255.0.1', length: 30 }], mtu: 1400 }],
    );
    assert.deepEqual(
      config.routes.map(({ prefix, tunnelInterface, metric }) => ({ prefix, tunnelInterface, metric })),
      [{ prefix: { address: '10.2.0.0', length: 16 }, tunnelInterface: 'st0.0', metric: 5 }],
    );
  });
}

test('each element names the statement that it came from', () => {
  const config = load(SITE);
  const [gateway] = config.gateways;
  assert.equal(gateway?.origin.path, 'security ike gateway branch');
  assert.equal(lineOf(SITE, gateway?.origin.line), 'gateway branch {');
  assert.equal(gateway?.policy.proposals[0]?.origin.path, 'security ike proposal strong');
  assert.equal(config.routes[0]?.origin.path, 'routing-options static route 10.2.0.0/16');
});

test('what does not concern VPNs is kept and listed as ignored', () => {
  const loaded = loadConfiguration(SITE);
  assert.deepEqual(loaded.ignored, [{ path: 'system services', line: 6 }]);
  assert.ok(loaded.tree.root.find('system', 'services', 'ssh'));
});

test('an unknown statement inside a hierarchy that is modelled whole is an error with path, line and column', () => {
  const loaded = loadConfiguration(SITE.replace('dh-group group14', 'dhgroup group14'));
  const first = loaded.diagnostics.find((diagnostic) => diagnostic.column !== undefined);
  assert.equal(first?.severity, 'error');
  assert.equal(first?.path, 'security ike proposal strong');
  assert.equal(lineOf(SITE, first?.line), 'dh-group group14;');
  assert.equal(first?.column, 13);
  assert.match(first?.message ?? '', /unknown statement 'dhgroup'; did you mean 'dh-group'\?/);
  assert.equal(loaded.config, undefined);
});

test('a reference to nothing is an error that names the nearest definition', () => {
  const loaded = loadConfiguration(SITE.replace('ike-policy to-branch', 'ike-policy to-brnach'));
  assert.deepEqual(errors(loaded), [
    "21 [security ike gateway branch ike-policy] 'to-brnach' is not defined under [security ike policy]; did you mean 'to-branch'?",
  ]);
});

test('a missing mandatory statement is named as Junos names it', () => {
  const loaded = loadConfiguration(SITE.replace('ipsec-policy strong;', ''));
  assert.deepEqual(errors(loaded), ["38 [security ipsec vpn branch ike] Missing mandatory statement: 'ipsec-policy'"]);
});

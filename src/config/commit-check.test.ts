import assert from 'node:assert/strict';
import test from 'node:test';
import type { Diagnostic } from './diagnostic.ts';
import { loadConfiguration } from './load.ts';
import { parseText } from './text-parser.ts';

/** A configuration without anything to say about it; each test spoils one thing. */
const GOOD = `
set interfaces ge-0/0/0 unit 0 family inet address 192.0.2.1/24
set interfaces st0 unit 0 family inet
set security ike proposal p authentication-method pre-shared-keys
set security ike proposal p dh-group group14
set security ike proposal p authentication-algorithm sha-256
set security ike proposal p encryption-algorithm aes-256-cbc
set security ike policy p proposals p
set security ike policy p pre-shared-key ascii-text "correct horse"
set security ike gateway g ike-policy p
set security ike gateway g address 192.0.2.77
set security ike gateway g external-interface ge-0/0/0.0
set security ipsec proposal p protocol esp
set security ipsec proposal p encryption-algorithm aes-256-gcm
set security ipsec policy p perfect-forward-secrecy keys group14
set security ipsec policy p proposals p
set security ipsec vpn v bind-interface st0.0
set security ipsec vpn v ike gateway g
set security ipsec vpn v ike ipsec-policy p
set routing-options static route 10.9.0.0/16 next-hop st0.0
set security zones security-zone untrust interfaces ge-0/0/0.0
set security zones security-zone untrust host-inbound-traffic system-services ike
set security zones security-zone vpn interfaces st0.0
`;

function check(...commands: readonly string[]): readonly Diagnostic[] {
  return loadConfiguration(`${GOOD}${commands.join('\n')}\n`).diagnostics;
}

/** One diagnostic about the change, with everything an operator needs. */
function assertSays(
  commands: readonly string[],
  severity: Diagnostic['severity'],
  path: string,
  message: RegExp,
): void {
  const found = check(...commands).find((diagnostic) => message.test(diagnostic.message));
  assert.ok(found, `${commands.join('; ')}: ${JSON.stringify(check(...commands))}`);
  assert.equal(found.severity, severity, found.message);
  assert.equal(found.path, path);
  if (severity === 'error') assert.equal(loadConfiguration(`${GOOD}${commands.join('\n')}\n`).config, undefined);
  if (found.fix?.includes('<') === false) {
    assert.deepEqual(
      parseText(`${found.fix}\n`, loadConfiguration(GOOD + commands.join('\n')).tree).diagnostics,
      [],
      found.fix,
    );
  }
}

test('a sound configuration is left in peace', () => {
  assert.deepEqual(check(), []);
});

/** Commands that spoil the configuration, the path that is named, and what is said. */
type Case = readonly [commands: readonly string[], path: string, message: RegExp];

const ERRORS: readonly Case[] = [
  [['delete security ike gateway g address'], 'security ike gateway g', /address is required/],
  [
    ['set security ike gateway g ike-policy q'],
    'security ike gateway g ike-policy',
    /'q' is not defined under \[security ike policy\]/,
  ],
  [['set security ipsec vpn v ike gateway h'], 'security ipsec vpn v ike gateway', /'h' is not defined/],
  [
    ['delete security ipsec vpn v ike ipsec-policy'],
    'security ipsec vpn v ike',
    /Missing mandatory statement: 'ipsec-policy'/,
  ],
  [['delete security ipsec vpn v ike'], 'security ipsec vpn v', /Missing mandatory statement: 'ike'/],
  [['delete security ike proposal p dh-group'], 'security ike proposal p', /Missing mandatory statement: 'dh-group'/],
  [['delete security ike policy p pre-shared-key'], 'security ike policy p', /pre-shared-key is required/],
  [
    [
      'set security ike proposal p encryption-algorithm aes-256-gcm',
      'delete security ike proposal p authentication-algorithm',
    ],
    'security ike proposal p encryption-algorithm',
    /in phase 1 requires IKEv2/,
  ],
  [
    ['set security ike proposal p encryption-algorithm chacha20-poly1305'],
    'security ike proposal p encryption-algorithm',
    /in phase 1 requires IKEv2/,
  ],
  [
    ['set security ipsec proposal p encryption-algorithm chacha20-poly1305'],
    'security ipsec proposal p encryption-algorithm',
    /requires IKEv2/,
  ],
  [
    ['set security ipsec proposal p authentication-algorithm hmac-sha-256-128'],
    'security ipsec proposal p authentication-algorithm',
    /must not be configured with aes-256-gcm/,
  ],
  [
    ['set security ipsec proposal p protocol ah'],
    'security ipsec proposal p encryption-algorithm',
    /AH does not encrypt/,
  ],
  [
    ['set security ike gateway g dynamic hostname b.example'],
    'security ike gateway g dynamic',
    /needs aggressive mode/,
  ],
  [['set security ike gateway g version v2-only'], 'security ike gateway g version', /IKEv2 is not spoken yet/],
  [
    ['set security ike proposal p authentication-method rsa-signatures'],
    'security ike proposal p authentication-method',
    /certificates is not supported/,
  ],
  [
    ['set security ike gateway g xauth access-profile users'],
    'security ike gateway g xauth access-profile',
    /^Missing xauth access profile for IKE gateway g for ipsec_vpn v$/,
  ],
  [
    [
      'set security ipsec vpn w bind-interface st0.0',
      'set security ipsec vpn w ike gateway g',
      'set security ipsec vpn w ike ipsec-policy p',
      'set security ipsec vpn w ike proxy-identity remote 10.9.0.0/16',
    ],
    'security ipsec vpn w bind-interface',
    /st0.0 is bound to vpn v already/,
  ],
  [
    [
      'set security ipsec vpn w bind-interface st0.1',
      'set security ipsec vpn w ike gateway g',
      'set security ipsec vpn w ike ipsec-policy p',
    ],
    'security ipsec vpn w',
    /same gateway and proxy-identity/,
  ],
  [
    ['set security ipsec vpn v bind-interface ge-0/0/0.0'],
    'security ipsec vpn v bind-interface',
    /not a tunnel interface/,
  ],
  [
    ['set security ike gateway g external-interface st0.0'],
    'security ike gateway g external-interface',
    /through a tunnel interface/,
  ],
  [
    [
      'delete interfaces st0 unit 0 family',
      'set interfaces st0 unit 0 description x',
      'set security ipsec vpn v traffic-selector t local-ip 10.1.0.0/16',
      'set security ipsec vpn v traffic-selector t remote-ip 10.9.0.0/16',
    ],
    'interfaces st0 unit 0',
    /requires family inet/,
  ],
  [
    ['set security ipsec vpn v traffic-selector t remote-ip 10.9.0.0/16'],
    'security ipsec vpn v traffic-selector t',
    /Missing mandatory statement: 'local-ip'/,
  ],
  [
    [
      'set security ipsec vpn v ike proxy-identity local 10.0.0.0/8',
      'set security ipsec vpn v traffic-selector t remote-ip 10.9.0.0/16',
      'set security ipsec vpn v traffic-selector t local-ip 10.1.0.0/16',
    ],
    'security ipsec vpn v ike proxy-identity',
    /exclude each other/,
  ],
  [['delete security ipsec vpn v bind-interface'], 'security ipsec vpn v', /nothing goes through this VPN/],
  [
    ['set security policies from-zone a to-zone b policy x then permit tunnel ipsec-vpn v'],
    'security policies from-zone a to-zone b policy x',
    /has a bind-interface/,
  ],
  [['set security ipsec vpn v udp-encapsulate'], 'security ipsec vpn v udp-encapsulate', /not supported yet/],
  [['set apply-groups nothing'], 'apply-groups', /group 'nothing' is not defined/],
  [
    ['set security ike gateway g address [ 192.0.2.2 192.0.2.3 192.0.2.4 192.0.2.5 192.0.2.6 ]'],
    'security ike gateway g address',
    /more than 5 entries/,
  ],
  [
    ['set security ike gateway g local-address 2001:db8::1'],
    'security ike gateway g local-address',
    /different families/,
  ],
];

test('what cannot work stops a commit', () => {
  for (const [commands, path, message] of ERRORS) assertSays(commands, 'error', path, message);
});

const WARNINGS: readonly Case[] = [
  [['delete security zones security-zone vpn'], 'security ipsec vpn v bind-interface', /st0.0 is in no security zone/],
  [
    ['delete security zones security-zone untrust interfaces'],
    'security ike gateway g external-interface',
    /ge-0\/0\/0.0 is in no security zone/,
  ],
  [
    ['delete security zones security-zone untrust host-inbound-traffic'],
    'security zones security-zone untrust',
    /lacks ike/,
  ],
  [
    ['set security zones security-zone untrust interfaces ge-0/0/0.0 host-inbound-traffic system-services ssh'],
    'security zones security-zone untrust',
    /lacks ike/,
  ],
  [['delete routing-options'], 'security ipsec vpn v bind-interface', /no static route leads into st0.0/],
  [
    ['set routing-options static route 192.0.2.77/32 next-hop st0.0'],
    'routing-options static route 192.0.2.77/32',
    /reached through st0.0/,
  ],
  [['delete interfaces st0'], 'security ipsec vpn v bind-interface', /st0.0 is not configured/],
  [['delete interfaces ge-0/0/0'], 'security ike gateway g external-interface', /is not configured under interfaces/],
  [['set security ipsec vpn v vpn-monitor optimized'], 'security ipsec vpn v vpn-monitor', /without effect here/],
  [
    [
      'set security ike policy p mode aggressive',
      'set security ike gateway g dynamic hostname b.example',
      'set security ipsec vpn v establish-tunnels immediately',
    ],
    'security ipsec vpn v establish-tunnels',
    /only the peer can start/,
  ],
  [
    [
      'delete security ipsec proposal p encryption-algorithm',
      'set security ipsec proposal p authentication-algorithm hmac-sha-256-128',
    ],
    'security ipsec proposal p',
    /everybody can read them/,
  ],
  [
    [
      'set security nat source rule-set r from zone trust',
      'set security nat source rule-set r to zone vpn',
      'set security nat source rule-set r rule all then source-nat interface',
    ],
    'security nat source rule-set r rule all',
    /source NAT into zone vpn/,
  ],
  [
    [
      'set security ike gateway h ike-policy p',
      'set security ike gateway h address 192.0.2.77',
      'set security ike gateway h external-interface ge-0/0/0.0',
    ],
    'security ike gateway h',
    /same peer 192.0.2.77 as gateway g/,
  ],
  [
    ['set security ipsec policy p proposal-set prime-128'],
    'security ipsec policy p proposal-set',
    /could not be verified/,
  ],
];

test('what an SRX would do otherwise, or what will surprise, is a warning', () => {
  for (const [commands, path, message] of WARNINGS) assertSays(commands, 'warning', path, message);
});

const ADVICE: readonly Case[] = [
  [['delete security ipsec policy p perfect-forward-secrecy'], 'security ipsec policy p', /no perfect-forward-secrecy/],
  [
    ['set security ike proposal p encryption-algorithm 3des-cbc'],
    'security ike proposal p encryption-algorithm',
    /weak: 3DES/,
  ],
  [['set security ike proposal p dh-group group2'], 'security ike proposal p dh-group', /weak: 1024-bit/],
  [
    ['set security ike policy p proposal-set standard'],
    'security ike policy p proposal-set',
    /is weak: 3des-cbc, group2/,
  ],
  [['set security ike policy p mode aggressive'], 'security ike policy p mode', /aggressive mode with a preshared key/],
  [
    [
      'set security ipsec vpn v traffic-selector t local-ip 10.0.0.0/8',
      'set security ipsec vpn v traffic-selector t remote-ip 0.0.0.0/0',
    ],
    'security ipsec vpn v traffic-selector t',
    /Remote-ip 0.0.0.0\/0 in traffic-selector is not supported/,
  ],
  [
    [
      'set security ike gateway h ike-policy p',
      'set security ike gateway h address 192.0.2.78',
      'set security ike gateway h external-interface ge-0/0/0.0',
    ],
    'security ike gateway h',
    /no vpn uses this gateway/,
  ],
];

test('what is weaker than it looks is advice, and does not stop a commit', () => {
  for (const [commands, path, message] of ADVICE) {
    assertSays(commands, 'advice', path, message);
    assert.ok(loadConfiguration(`${GOOD}${commands.join('\n')}\n`).config, commands.join('; '));
  }
});

test('statements that do nothing here are said once, however many VPNs have them', () => {
  const more = Array.from({ length: 3 }, (_, index) => `set security ipsec vpn v${index} vpn-monitor`);
  const said = check('set security ipsec vpn v vpn-monitor', ...more).filter((found) =>
    /without effect/.test(found.message),
  );
  assert.equal(said.length, 1);
});

test('a setting of the macro `sallyport` that is unknown or without effect is a warning, one out of range an error', () => {
  const macro = 'set security ipsec vpn v apply-macro sallyport';
  const path = 'security ipsec vpn v apply-macro sallyport';
  assertSays([`${macro} compression 1`], 'warning', `${path} compression`, /tfc-padding and dummy-interval/);
  assert.deepEqual(check('set security ipsec vpn v apply-macro other compression 1'), []);
  assert.deepEqual(check(`${macro} tfc-padding 1400`, `${macro} dummy-interval 10`), []);
  for (const wrong of [
    'tfc-padding 0',
    'tfc-padding much',
    'tfc-padding 65536',
    'dummy-interval 0',
    'dummy-interval -1',
  ]) {
    const { config, diagnostics } = loadConfiguration(`${GOOD}${macro} ${wrong}\n`);
    assert.equal(config, undefined, wrong);
    assert.ok(
      diagnostics.some(({ severity, path: at }) => severity === 'error' && at.startsWith(path)),
      wrong,
    );
  }
  const ah = [
    'set security ipsec proposal p protocol ah',
    'set security ipsec proposal p authentication-algorithm hmac-sha-256-128',
  ];
  assertSays([...ah, `${macro} tfc-padding 1400`], 'warning', `${path} tfc-padding`, /AH conceals nothing/);
});

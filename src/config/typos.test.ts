import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { sharedFile } from '../../test/shared.ts';
import { formatDiagnostic } from './diagnostic.ts';
import { loadConfiguration } from './load.ts';
import { parseText } from './text-parser.ts';

/** What somebody types, the word that the caret must stand under, and the line that the answer must propose (none if it cannot know). */
const TYPOS: readonly (readonly [typed: string, caret: string, fix: string | undefined])[] = [
  ['set securty ike proposal p dh-group group14', 'securty', 'set security ike proposal p dh-group group14'],
  ['set security ipsce proposal p protocol esp', 'ipsce', 'set security ipsec proposal p protocol esp'],
  ['set security ike propsal p dh-group group14', 'propsal', 'set security ike proposal p dh-group group14'],
  [
    'set security ike proposal p authentcation-method pre-shared-keys',
    'authentcation-method',
    'set security ike proposal p authentication-method pre-shared-keys',
  ],
  [
    'set security ike proposal p authentication algorithm sha1',
    'authentication',
    'set security ike proposal p authentication-algorithm sha1',
  ],
  ['set security ike proposal p authentication-method psk', 'psk', undefined],
  [
    'set security ike proposal p authentication-algorithm sha256',
    'sha256',
    'set security ike proposal p authentication-algorithm sha-256',
  ],
  [
    'set security ike proposal p authentication-algorithm hmac-sha-256-128',
    'hmac-sha-256-128',
    'set security ike proposal p authentication-algorithm sha-256',
  ],
  [
    'set security ike proposal p encryption-algorithm aes256-cbc',
    'aes256-cbc',
    'set security ike proposal p encryption-algorithm aes-256-cbc',
  ],
  [
    'set security ike proposal p encryption-algorithm aes-256',
    'aes-256',
    'set security ike proposal p encryption-algorithm aes-256-cbc',
  ],
  ['set security ike proposal p dhgroup group14', 'dhgroup', 'set security ike proposal p dh-group group14'],
  ['set security ike proposal p dh-group 14', '14', 'set security ike proposal p dh-group group14'],
  ['set security ike proposal p dh-group group17', 'group17', undefined],
  [
    'set security ike proposal p lifetime-secnods 3600',
    'lifetime-secnods',
    'set security ike proposal p lifetime-seconds 3600',
  ],
  ['set security ike proposal p lifetime-seconds 60', '60', undefined],
  ['set security ike proposal p lifetime-seconds 8h', '8h', undefined],
  ['set security ike policy p mode agressive', 'agressive', 'set security ike policy p mode aggressive'],
  [
    'set security ike policy p preshared-key ascii-text foo',
    'preshared-key',
    'set security ike policy p pre-shared-key ascii-text foo',
  ],
  ['set security ike policy p proposal p', 'proposal', 'set security ike policy p proposals p'],
  ['set security ike gateway g adress 192.0.2.1', 'adress', 'set security ike gateway g address 192.0.2.1'],
  ['set security ike gateway g address 192.0.2.256', '192.0.2.256', undefined],
  ['set security ike gateway g dpd always-send', 'dpd', 'set security ike gateway g dead-peer-detection always-send'],
  [
    'set security ike gateway g local-identity fqdn a.example',
    'fqdn',
    'set security ike gateway g local-identity hostname a.example',
  ],
  ['set security ike gateway g nat-keep-alive 20', 'nat-keep-alive', 'set security ike gateway g nat-keepalive 20'],
  [
    'set security ike gateway g external-interfaces ge-0/0/0',
    'external-interfaces',
    'set security ike gateway g external-interface ge-0/0/0',
  ],
  ['set security ike gateway g no-nat-travers4l', 'no-nat-travers4l', 'set security ike gateway g no-nat-traversal'],
  [
    'set security ipsec proposal p authentication-algorithm sha-256',
    'sha-256',
    'set security ipsec proposal p authentication-algorithm hmac-sha-256-128',
  ],
  ['set security ipsec proposal p protcol esp', 'protcol', 'set security ipsec proposal p protocol esp'],
  [
    'set security ipsec policy p perfect-forwad-secrecy keys group5',
    'perfect-forwad-secrecy',
    'set security ipsec policy p perfect-forward-secrecy keys group5',
  ],
  ['set security ipsec vpn v bind-inteface st0.0', 'bind-inteface', 'set security ipsec vpn v bind-interface st0.0'],
  ['set security ipsec vpn v ike ipsec-polcy p', 'ipsec-polcy', 'set security ipsec vpn v ike ipsec-policy p'],
  ['set security ipsec vpn v ike proxy-identity local 10.0.0.0', '10.0.0.0', undefined],
  [
    'set security ipsec vpn v establish-tunnels immediatly',
    'immediatly',
    'set security ipsec vpn v establish-tunnels immediately',
  ],
  [
    'set security ipsec vpn v traffic-selector t local_ip 10.0.0.0/8',
    'local_ip',
    'set security ipsec vpn v traffic-selector t local-ip 10.0.0.0/8',
  ],
  ['set security ipsec vpn v traffic-selector t remote-ip 10.0.0/8', '10.0.0/8', undefined],
  ['set security ipsec vnp v df-bit copy', 'vnp', 'set security ipsec vpn v df-bit copy'],
  ['set security flow tcp-mss ipsec-vpn msss 1350', 'msss', 'set security flow tcp-mss ipsec-vpn mss 1350'],
  [
    'set routing-options statc route 10.0.0.0/8 next-hop st0.0',
    'statc',
    'set routing-options static route 10.0.0.0/8 next-hop st0.0',
  ],
];

test('a mistyped statement gets a caret under the word and the line to type, in both forms', () => {
  for (const [typed, word, fix] of TYPOS) {
    const [diagnostic, ...more] = parseText(`${typed}\n`).diagnostics;
    assert.ok(diagnostic, typed);
    assert.deepEqual(more, [], typed);
    assert.equal(diagnostic.severity, 'error', typed);
    assert.equal(diagnostic.fix, fix, typed);
    assert.equal(typed.slice((diagnostic.column ?? 1) - 1).startsWith(word), true, `${typed}: ${diagnostic.column}`);
    const [, shown, caret] = formatDiagnostic(diagnostic, typed).split('\n');
    assert.equal(shown?.slice(caret?.indexOf('^')).startsWith(word), true, typed);

    const [top, ...rest] = typed.split(' ').slice(1);
    if (top === word) continue;
    const inBraces = parseText(`${top} {\n    ${rest.join(' ')};\n}\n`).diagnostics[0];
    assert.equal(inBraces?.message, diagnostic.message, typed);
    assert.equal(inBraces?.fix, fix, typed);
  }
});

test('keywords may be cut short at a prompt as long as they are unique, and are shown in full', () => {
  const { tree, diagnostics } = parseText(
    'set secu ipsec vpn v estab imm\nset security zone security-zone z interf st0.0\ndelete security ipsec vpn v establish\n',
  );
  assert.deepEqual(diagnostics, []);
  assert.ok(tree.root.find('security', 'ipsec', 'vpn', 'v'));
  assert.ok(tree.root.find('security', 'zones', 'security-zone', 'z', 'interfaces', 'st0.0'));
  assert.equal(tree.root.find('security', 'ipsec', 'vpn', 'v', 'establish-tunnels'), undefined);
  assert.equal(
    parseText('set security ike gateway g local\n').diagnostics.length,
    1,
    'local-address or local-identity?',
  );
});

test('missing words and punctuation are named where they are missing', () => {
  const first = (text: string) => {
    const [diagnostic] = parseText(text).diagnostics;
    return `${diagnostic?.line}:${diagnostic?.column} ${diagnostic?.message}`;
  };
  assert.equal(
    first('security {\n  ike {\n    proposal p {\n      dh-group group14\n      lifetime-seconds 3600;\n    }\n  }\n}'),
    '4:23 syntax error: `;` expected at the end of the statement',
  );
  assert.equal(
    first('security {\n  ike {\n    proposal p {\n      dh-group group14;\n'),
    '1:10 syntax error: the block that starts here has no `}`',
  );
  assert.equal(first('security { ike; } }'), '1:19 syntax error: a `}` without `{`');
  assert.equal(
    first('set security ike proposal p dh-group'),
    '1:29 missing argument: group1 | group2 | group5 | group14 | group15 | group16 | group19 | group20 | group21 | group24',
  );
  assert.equal(first('set security ike gateway'), '1:18 missing argument: a name for the gateway');
  assert.equal(
    first('system { host-name "open; }'),
    '1:20 syntax error: the string that starts here has no closing quote',
  );
  assert.equal(
    first('security { ike { proposal p { dh-group { } } } }'),
    "1:31 syntax error: 'dh-group' takes no block",
  );
});

test('secrets that were taken out of a text, and placeholders, are called that', () => {
  const message = (text: string) =>
    loadConfiguration(text)
      .diagnostics.map((diagnostic) => diagnostic.message)
      .join('\n');
  const policy =
    'set security ike policy p proposal-set standard\nset security ike gateway g ike-policy p\nset security ike gateway g external-interface ge-0/0/0\nset security ike gateway g address 192.0.2.1\n';
  assert.match(
    message(`${policy}set security ike policy p pre-shared-key ascii-text "<SCRUBBED>"\n`),
    /taken out of this text/,
  );
  assert.match(
    message(`${policy}set security ike policy p pre-shared-key ascii-text "$9$x"\n`),
    /\$9\$ secret is damaged/,
  );
  assert.match(
    message(`${policy}set security ike policy p pre-shared-key hexadecimal 123\n`),
    /even number of hexadecimal digits/,
  );
  assert.match(message('set security ike gateway g external-interface <your-interface>\n'), /placeholder/);
});

test('a set command that goes on on the next line, and a piece without its hierarchy, are explained', () => {
  const said = (text: string) =>
    parseText(text).diagnostics.map(({ line, message, fix }) => `${line} ${message}${fix ? ` => ${fix}` : ''}`);
  const goesOn = 'syntax error: every set command must say the whole path; this line goes on with the one before';
  assert.deepEqual(
    said('set security ike proposal p\n    dh-group group14\n    lifetime-seconds 600\nset system host-name a\n'),
    [
      `2 ${goesOn} => set security ike proposal p dh-group group14`,
      `3 ${goesOn} => set security ike proposal p lifetime-seconds 600`,
    ],
  );
  assert.match(
    said('vpn v {\n    df-bit copy;\n}\n')[0] ?? '',
    /'vpn' does not stand at the top; .* \[edit security ipsec\]/,
  );
});

test('what users really posted with mistakes gets an error at each of them', (t) => {
  const file = sharedFile('reference/junos/corpus/91-NEGATIVE-user-typos.conf');
  if (file === undefined) return t.skip('../shared is absent: the corpus of configurations is there');
  const errors = parseText(readFileSync(file, 'utf8')).diagnostics.filter(({ severity }) => severity === 'error');
  assert.deepEqual([...new Set(errors.map(({ line }) => line))].slice(0, 6), [2, 3, 5, 6, 8, 10]);
  assert.ok(errors.every(({ message }) => message.length > 20));
});

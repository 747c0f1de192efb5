import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { sharedFile } from '../../test/shared.ts';
import { type ConfigNode, treesEqual } from './config-node.ts';
import { printBraces } from './print-braces.ts';
import { printJson } from './print-json.ts';
import { printSet } from './print-set.ts';
import { printXml } from './print-xml.ts';
import { parseText } from './text-parser.ts';

const CORPUS = sharedFile('reference/junos/corpus');
/** Templates and a style sheet in UTF-16: refused as a whole. */
const NOT_CONFIGURATION = /^(15|16|17|43|44)-/;

function parse(text: string): ConfigNode {
  return parseText(text).tree.root;
}

/** The words of a text that are values, for whatever form it is in. */
function values(text: string): Set<string> {
  return new Set(text.match(/[A-Za-z0-9_.:/$@-]{3,}/g) ?? []);
}

test('every configuration of others reaches a fixed point: braces to set to braces, and set to braces to set', (t) => {
  if (CORPUS === undefined) return t.skip('../shared is absent: the corpus of configurations is there');
  for (const name of readdirSync(CORPUS)) {
    if (NOT_CONFIGURATION.test(name)) continue;
    const parsed = parseText(readFileSync(join(CORPUS, name), 'utf8'));
    const tree = parsed.tree.root;
    assert.ok(!tree.isLeaf, `${name} holds statements`);
    const braces = printBraces(tree);
    const set = printSet(tree);
    assert.equal(printBraces(parse(braces)), braces, `${name}: braces stay as they are`);
    assert.equal(printSet(parse(set)), set, `${name}: set commands stay as they are`);
    assert.equal(printSet(parse(braces)), set, `${name}: braces say the same as set commands`);
    assert.equal(printSet(parse(printBraces(parse(set)))), set, `${name}: set commands survive braces`);
    JSON.parse(printJson(tree));
    // A word that is no statement may be no name of an element either.
    if (parsed.diagnostics.length > 0) continue;
    const fromXml = parse(printXml(tree));
    for (const hierarchy of ['ike', 'ipsec', 'zones', 'policies', 'address-book']) {
      const said = tree.find('security', hierarchy);
      const again = fromXml.find('security', hierarchy);
      if (said) assert.equal(again && printSet(again), printSet(said), `${name}: security ${hierarchy} survives XML`);
    }
  }
});

test('no value of any configuration is lost', (t) => {
  if (CORPUS === undefined) return t.skip('../shared is absent: the corpus of configurations is there');
  // These hold what operational commands printed too, or are XML; the statements in them are covered by the fixed points.
  const mixed = /^(15|16|17|32|34|43|44|56|91)-/;
  for (const name of readdirSync(CORPUS)) {
    if (mixed.test(name)) continue;
    const text: string = readFileSync(join(CORPUS, name), 'utf8')
      .split('\n')
      .filter((line) => !/^\s*(#|\w+@\S+>|commit|exit)/.test(line))
      .map((line) => line.replace(/##.*$/, ''))
      .join('\n')
      .replaceAll(/\/\*[\s\S]*?\*\//g, '');
    const shown = values(printSet(parse(text)));
    const isCommand = /^(inactive:|protect:|deactivate)$/;
    const lost: string[] = [...values(text)].filter(
      (value) => !isCommand.test(value) && ![...shown].some((word) => word.startsWith(value)),
    );
    // A leaf that was set twice keeps what was said last: those configurations are tests of another parser.
    if (!/^(01|06)-/.test(name)) assert.deepEqual(lost, [], name);
  }
});

test('templates and other formats are refused with one sentence', (t) => {
  if (CORPUS === undefined) return t.skip('../shared is absent: the corpus of configurations is there');
  for (const name of readdirSync(CORPUS)) {
    if (!NOT_CONFIGURATION.test(name)) continue;
    const { diagnostics } = parseText(readFileSync(join(CORPUS, name), 'utf8'));
    assert.equal(diagnostics.length, 1, name);
    assert.match(diagnostics[0]?.message ?? '', /template|UTF-8/, name);
  }
});

test('marks and comments survive both forms', () => {
  const text = [
    '/* the branch */',
    'inactive: protect: apply-groups common;',
    'security {',
    '    ike {',
    '        inactive: proposal old {',
    '            inactive: dh-group group2;',
    '        }',
    '        /* two lines',
    '           of comment */',
    '        gateway g {',
    '            inactive: address [ 192.0.2.1 192.0.2.2 ];',
    '        }',
    '    }',
    '}',
    'chassis {',
    '    inactive: cluster reth-count 2;',
    '    protect: alarm {',
    '        management-ethernet link-down ignore;',
    '    }',
    '}',
    '',
  ].join('\n');
  const tree = parse(text);
  assert.ok(tree.find('security', 'ike', 'proposal', 'old')?.isInactive);
  assert.ok(tree.find('security', 'ike', 'proposal', 'old', 'dh-group')?.isInactive);
  assert.equal(tree.find('apply-groups')?.annotation, 'the branch');
  assert.match(tree.find('security', 'ike', 'gateway', 'g')?.annotation ?? '', /^two lines\n\s+of comment$/);
  assert.ok(treesEqual(parse(printBraces(tree)), tree));
  assert.ok(treesEqual(parse(printSet(tree)), tree));
  assert.match(printSet(tree), /^deactivate security ike proposal old dh-group$/m);
  assert.match(printSet(tree), /^protect chassis alarm$/m);
});

test('what people paste is understood: prompts, banners, page breaks, last-commit lines', () => {
  const text = [
    '{primary:node0}',
    'admin@srx> show configuration security ike | no-more ',
    '## Last commit: 2024-01-01 00:00:00 UTC by admin',
    'proposal p {',
    '    dh-group group14;',
    '---(more 40%)---',
    '    authentication-algorithm sha-256;',
    '}',
    '',
    '[edit security ike]',
    'admin@srx# set proposal p lifetime-seconds 3600',
    '',
    '[edit]',
    'admin@srx# show security ipsec ',
    'vpn v {',
    '    df-bit copy;',
    '}',
    '[edit]',
    'admin@srx# run show security ike sa',
    'Index   State  Initiator cookie  Responder cookie  Mode           Remote Address',
    '5 UP 1234567890abcdef fedcba0987654321 Main 192.0.2.1',
    '',
    '[edit]',
    'admin@srx# ',
  ].join('\n');
  const parsed = parseText(text);
  assert.deepEqual(parsed.diagnostics, []);
  assert.equal(
    printSet(parsed.tree.root),
    [
      'set security ike proposal p dh-group group14',
      'set security ike proposal p authentication-algorithm sha-256',
      'set security ike proposal p lifetime-seconds 3600',
      'set security ipsec vpn v df-bit copy',
      '',
    ].join('\n'),
  );
});

test('XML from a device is read into the same tree as its braces', () => {
  const text =
    'security { ike { gateway g { address [ a.example b.example ]; local-identity hostname me.example; } } }';
  const tree = parse(text);
  assert.ok(treesEqual(parse(printXml(tree)), tree));
  assert.match(printXml(tree), /<hostname>\s*<identity-hostname>me.example<\/identity-hostname>\s*<\/hostname>/);
});

test('a macro has the form that Junos gives it: data with names and values', () => {
  const lines = ['sallyport tfc-padding 1400', 'sallyport dummy-interval 10', 'mine owner "net team"', 'mine bare'];
  const text = lines.map((line) => `set security ipsec vpn v apply-macro ${line}\n`).join('');
  const tree = parse(text);
  assert.equal(printSet(tree), text);
  assert.match(printBraces(tree), /apply-macro sallyport \{\n +tfc-padding 1400;\n +dummy-interval 10;\n +\}/);
  assert.ok(treesEqual(parse(printBraces(tree)), tree));
  assert.match(printXml(tree), /<data>\s*<name>tfc-padding<\/name>\s*<value>1400<\/value>\s*<\/data>/);
  assert.ok(treesEqual(parse(printXml(tree)), tree));
  assert.ok(printJson(tree).replaceAll(/\s/g, '').includes('"data":[{"name":"tfc-padding","value":"1400"},'));
});

test('JSON has lists as arrays of objects with a name, and [null] for a statement without value', () => {
  const tree = parse('security { ike { gateway g { no-nat-traversal; nat-keepalive 30; inactive: general-ikeid; } } }');
  assert.deepEqual(JSON.parse(printJson(tree)), {
    configuration: {
      security: {
        ike: {
          gateway: [
            {
              name: 'g',
              'no-nat-traversal': [null],
              'nat-keepalive': 30,
              'general-ikeid': [null],
              '@general-ikeid': { inactive: 'inactive' },
            },
          ],
        },
      },
    },
  });
});

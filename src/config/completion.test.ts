import assert from 'node:assert/strict';
import test from 'node:test';
import { completions } from './completion.ts';
import { emptyTree } from './config-node.ts';
import { parseText } from './text-parser.ts';

const words = (text: string, start = '', tree = emptyTree()) =>
  completions(tree, text.split(' ').filter(Boolean), start).map(({ word }) => word);

test('the next word is offered with its help: statements, values, ranges', () => {
  assert.deepEqual(words('security ike proposal p', 'auth'), ['authentication-method', 'authentication-algorithm']);
  assert.deepEqual(words('security ike proposal p dh-group', 'group1'), [
    'group1',
    'group14',
    'group15',
    'group16',
    'group19',
  ]);
  const [lifetime] = completions(emptyTree(), ['security', 'ike', 'proposal', 'p', 'lifetime-seconds']);
  assert.deepEqual(lifetime, { word: '<lifetime-seconds>', help: '180..86400 seconds' });
  const [keepalive] = completions(emptyTree(), ['security', 'ike', 'gateway', 'g'], 'nat-keepalive');
  assert.match(keepalive?.help ?? '', /\(default 20\)$/);
});

test('after a value, the statements beside it are offered again', () => {
  assert.ok(words('security ipsec vpn v df-bit copy').includes('bind-interface'));
  assert.ok(words('security ike gateway g no-nat-traversal').includes('address'));
});

test('names are offered where something refers to them, and where they are defined', () => {
  const { tree } = parseText('set security ike policy strong mode main\nset security ike policy weak mode main\n');
  assert.deepEqual(words('security ike gateway g ike-policy', '', tree), ['strong', 'weak']);
  assert.deepEqual(words('security ike policy', 'w', tree), ['weak', '<policy>']);
});

test('keywords that are cut short lead on; unknown ones lead nowhere', () => {
  assert.ok(words('secu ipsec vpn v ike').includes('ipsec-policy'));
  assert.deepEqual(words('security nothing'), []);
});

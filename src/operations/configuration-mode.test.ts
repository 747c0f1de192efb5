import assert from 'node:assert/strict';
import test from 'node:test';
import { SeededRandom } from '../lib/random.ts';
import { ok } from '../lib/result.ts';
import { instant } from '../lib/time.ts';
import { ConfigurationDatabase } from './configuration-database.ts';
import { ConfigurationMode } from './configuration-mode.ts';
import { Session } from './session.ts';

function mode(): (line: string) => ReturnType<ConfigurationMode['execute']> {
  const files = new Map<string, string>();
  const storage = {
    read: (name: string) => ok(files.get(name)),
    replace: (name: string, text: string) => {
      files.set(name, text);
      return ok(undefined);
    },
    remove: (name: string) => {
      files.delete(name);
      return ok(undefined);
    },
    names: () => ok([...files.keys()]),
  };
  const opened = ConfigurationDatabase.open(storage, () => undefined, 'start');
  assert.ok(opened.ok);
  const session = new Session(opened.value, 'admin', new SeededRandom(1));
  const found = new ConfigurationMode(session, opened.value);
  return (line) => found.execute(instant(0), 'now', line);
}

test('a script sees the words it looks for', () => {
  const type = mode();
  assert.equal(type('set system host-name a').text, '');
  assert.equal(type('show | compare').text, '[edit]\n+   system {\n+       host-name a;\n+   }\n');
  assert.equal(type('commit check').text, 'configuration check succeeds\n');
  assert.equal(type('commit comment "first one"').text, 'commit complete\n');
  assert.match(type('show system commit').text, /^0 {3}now by admin via cli\n {4}first one\n/);
  assert.equal(type('show | compare').text, '');
  assert.equal(type('set system host-name b').ok, true);
  assert.equal(
    type('commit confirmed').text,
    'commit confirmed will be automatically rolled back in 10 minutes unless confirmed\ncommit complete\n',
  );
  assert.equal(type('rollback 1').text, 'load complete\n');
  assert.equal(type('show system | display set').text, 'set system host-name a\n');
  assert.equal(type('rollback 7').text, 'error: rollback 7 does not exist\n');
  assert.equal(type('frobnicate').text.includes('unknown command.'), true);
  assert.deepEqual(type('commit and-quit'), {
    ok: true,
    text: 'commit complete\nExiting configuration mode\n',
    isOver: true,
  });
});

test('show goes to a file where it is told to', () => {
  const type = mode();
  type('set system host-name a');
  assert.deepEqual(type('show | display set | save backup.set'), {
    ok: true,
    text: 'set system host-name a\n',
    isOver: false,
    saveTo: 'backup.set',
  });
});

test('load waits for its text; other sources are refused', () => {
  const type = mode();
  assert.equal(type('load merge terminal').expectsText, 'merge');
  assert.equal(type('load merge /etc/passwd').ok, false);
  assert.equal(type('load everything terminal').ok, false);
});

test('a question mark says what may come next, at the level that edit moved to', () => {
  const type = mode();
  type('edit security ike');
  assert.match(
    type('set gateway hq nat?').text,
    /^Possible completions:\n {2}nat-keepalive {2}Time between keepalives/,
  );
  assert.match(type('set proposal p dh-group ?').text, /\n {2}group14 {2}2048-bit MODP\n/);
  assert.equal(type('set nothing ?').text, 'No valid completions\n');
});

test('exit goes up to the top, then out, with a word about what was not committed', () => {
  const type = mode();
  type('edit security ike');
  type('set proposal p dh-group group14');
  assert.equal(type('exit').isOver, false);
  const left = type('exit');
  assert.equal(left.isOver, true);
  assert.equal(left.text, 'The configuration has been changed but not committed\nExiting configuration mode\n');
});

test('commit refuses words that it does not know, and a time that is none', () => {
  const type = mode();
  assert.equal(type('commit now').ok, false);
  assert.equal(type('commit confirmed 0').ok, false);
});

import assert from 'node:assert/strict';
import test from 'node:test';
import { SeededRandom } from '../lib/random.ts';
import { err, ok } from '../lib/result.ts';
import { after, instant, milliseconds, NEVER } from '../lib/time.ts';
import type { GatewayConfig } from '../model/gateway-config.ts';
import { ACTIVE_FILE, ConfigurationDatabase } from './configuration-database.ts';
import type { ConfigurationStorage } from './configuration-storage.ts';
import { parsePipes } from './pipe.ts';
import { Session } from './session.ts';

const START = instant(0);
const SITE = `
security {
    ike {
        proposal p { dh-group group14; authentication-algorithm sha-256; encryption-algorithm aes-256-cbc; }
        policy p { proposals p; pre-shared-key ascii-text "correct horse"; }
        gateway hq { ike-policy p; address 192.0.2.1; external-interface ge-0/0/0.0; }
    }
    ipsec {
        proposal p { encryption-algorithm aes-256-gcm; }
        policy p { perfect-forward-secrecy { keys group14; } proposals p; }
        vpn hq { bind-interface st0.0; ike { gateway hq; ipsec-policy p; } }
    }
}
interfaces {
    ge-0/0/0 { unit 0 { family inet { address 198.51.100.1/24; } } }
    st0 { unit 0 { family inet; } }
}
routing-options { static { route 10.0.0.0/8 next-hop st0.0; } }
`;

/** Files in memory; `failAt` counts down calls that change something, and fails the one at zero. */
class MemoryStorage implements ConfigurationStorage {
  readonly files = new Map<string, string>();
  failAt = Number.POSITIVE_INFINITY;

  read(name: string) {
    return ok(this.files.get(name));
  }

  replace(name: string, text: string) {
    if (this.failAt-- === 0) return err('no space left on device');
    this.files.set(name, text);
    return ok(undefined);
  }

  remove(name: string) {
    if (this.failAt-- === 0) return err('no such device');
    this.files.delete(name);
    return ok(undefined);
  }

  names() {
    return ok([...this.files.keys()]);
  }
}

interface Lab {
  readonly storage: MemoryStorage;
  readonly database: ConfigurationDatabase;
  readonly applied: GatewayConfig[];
  session(user: string): Session;
}

function lab(storage = new MemoryStorage()): Lab {
  const applied: GatewayConfig[] = [];
  const opened = ConfigurationDatabase.open(storage, (config) => applied.push(config), 'at the start');
  assert.ok(opened.ok);
  const database = opened.value;
  return { storage, database, applied, session: (user) => new Session(database, user, new SeededRandom(1)) };
}

let minute = 0;
function commit(session: Session, more: { comment?: string; confirmMinutes?: number } = {}, now = START) {
  return session.commit(now, { stamp: `minute ${++minute}`, ...more });
}

test('load, compare, check, commit: the gateway gets the new configuration, and show never prints the key', () => {
  const { session, applied, storage } = lab();
  const editor = session('admin');
  assert.equal(editor.load('merge', SITE).text, 'load complete\n');
  assert.match(editor.compare(), /^\[edit\]\n\+ {3}security \{/);
  assert.equal(editor.commitCheck().text.split('\n').at(-2), 'configuration check succeeds');
  assert.equal(applied.length, 0);
  const outcome = commit(editor, { comment: 'first tunnel' });
  assert.equal(outcome.text.split('\n').at(-2), 'commit complete');
  assert.equal(applied.length, 1);
  assert.equal(applied[0]?.vpns[0]?.name, 'hq');
  assert.equal(editor.compare(), '');
  const saved = storage.files.get(ACTIVE_FILE) ?? '';
  assert.doesNotMatch(saved, /correct horse/);
  assert.match(saved, /pre-shared-key ascii-text "\$9\$/);
  assert.equal(new TextDecoder().decode(applied[0]?.gateways[0]?.policy.preSharedKey?.reveal()), 'correct horse');
  assert.match(editor.history(), /^0 {3}minute \d+ by admin via cli\n {4}first tunnel\n/);
});

test('the elements of a committed configuration carry the lines of the saved file', () => {
  const { session, applied, storage } = lab();
  const editor = session('admin');
  editor.load('merge', SITE);
  commit(editor);
  const lines = (storage.files.get(ACTIVE_FILE) ?? '').split('\n');
  const [config] = applied;
  assert.equal(lines[(config?.gateways[0]?.origin.line ?? 0) - 1]?.trim(), 'gateway hq {');
  assert.equal(lines[(config?.routes[0]?.origin.line ?? 0) - 1]?.trim(), 'route 10.0.0.0/8 next-hop st0.0;');
});

test('a configuration with an error is not committed; what is active stays', () => {
  const { session, applied, database } = lab();
  const editor = session('admin');
  editor.load('merge', SITE);
  commit(editor);
  editor.run('delete security ipsec vpn hq ike ipsec-policy');
  const outcome = commit(editor);
  assert.equal(outcome.ok, false);
  assert.match(outcome.text, /Missing mandatory statement: 'ipsec-policy'/);
  assert.match(outcome.text, /error: configuration check-out failed\n$/);
  assert.equal(applied.length, 1);
  assert.ok(database.active.root.find('security', 'ipsec', 'vpn', 'hq', 'ike', 'ipsec-policy'));
});

test('commands work at the level that edit moved to, and say what was wrong with a caret', () => {
  const editor = lab().session('admin');
  editor.load('merge', SITE);
  editor.run('edit security ike gateway hq');
  assert.equal(editor.banner, '[edit security ike gateway hq]');
  assert.equal(editor.run('set dead-peer-detection interval 20').text, '');
  const wrong = editor.run('set dead-peer-detecton');
  assert.equal(wrong.ok, false);
  assert.match(
    wrong.text,
    /unknown statement 'dead-peer-detecton'; did you mean 'dead-peer-detection'\?\n {4}set dead-peer-detecton\n {8}\^/,
  );
  editor.run('delete dead-peer-detecton');
  editor.run('rename address 192.0.2.1 to address 192.0.2.9');
  assert.equal(editor.run('delete nothing').text.includes('statement not found'), true);
  assert.match(editor.compare(), /\[edit\]/);
  assert.match(editor.show().text, /dead-peer-detection \{\n {4}interval 20;\n\}/);
  editor.run('up 2');
  assert.equal(editor.banner, '[edit security ike]');
  editor.run('top');
  assert.equal(editor.banner, '[edit]');
  assert.equal(editor.run('sett security').text.includes('unknown command.'), true);
});

test('pipes filter from left to right', () => {
  const editor = lab().session('admin');
  editor.load('merge', SITE);
  const show = (path: string, pipes: string): string => {
    const parsed = parsePipes(pipes);
    assert.ok(parsed.ok);
    return editor.show(path.split(' ').filter(Boolean), parsed.value).text;
  };
  assert.equal(show('security ipsec vpn', 'display set | match IKE | count'), 'Count: 2 lines\n');
  assert.equal(show('security ipsec vpn hq ike', 'display set relative'), 'set gateway hq\nset ipsec-policy p\n');
  assert.equal(
    show('interfaces', 'display set | except st0 | last 1 | no-more'),
    'set interfaces ge-0/0/0 unit 0 family inet address 198.51.100.1/24\n',
  );
  assert.match(
    show('', 'display set | find routing'),
    /^set routing-options static route 10.0.0.0\/8 next-hop st0.0\n$/,
  );
  assert.match(show('security ike', 'display xml'), /<gateway>\s*<name>hq<\/name>/);
  assert.equal(JSON.parse(show('routing-options', 'display json')).configuration.static.route[0].name, '10.0.0.0/8');
  assert.equal(parsePipes('display set | match "a|b"').ok, true);
  assert.equal(parsePipes('match "("').ok, false);
  assert.equal(parsePipes('frobnicate').ok, false);
});

test('display inheritance shows what groups bring in, and from which', () => {
  const editor = lab().session('admin');
  editor.load(
    'set',
    [
      'set groups dpd security ike gateway <*> dead-peer-detection interval 20',
      'set groups dpd security ike gateway <*> dead-peer-detection always-send',
      'set apply-groups dpd',
      'set security ike gateway a dead-peer-detection optimized',
      'set security ike gateway b apply-groups-except dpd',
      '',
    ].join('\n'),
  );
  const pipes = parsePipes('display inheritance');
  assert.ok(pipes.ok);
  const text = editor.show(['security', 'ike'], pipes.value).text;
  assert.match(
    text,
    /gateway a \{\n {4}dead-peer-detection \{\n {8}optimized;\n {8}##\n {8}## inherited from group 'dpd'\n {8}##\n {8}interval 20;\n {4}\}\n\}/,
  );
  assert.match(text, /gateway b \{\n {4}apply-groups-except dpd;\n\}/);
});

test('commit confirmed rolls back by itself, unless another commit comes in time', () => {
  const { session, database, applied } = lab();
  const editor = session('admin');
  editor.load('merge', SITE);
  commit(editor);
  editor.run('set security ike gateway hq address 203.0.113.9');
  const outcome = commit(editor, { confirmMinutes: 10 });
  assert.match(
    outcome.text,
    /commit confirmed will be automatically rolled back in 10 minutes unless confirmed\ncommit complete\n$/,
  );
  const due = database.nextTimeout();
  assert.equal(due, after(START, milliseconds(600_000)));
  assert.ok(database.handleTimeout(instant(due - 1), 'too early').ok);
  assert.equal(applied.at(-1)?.gateways[0]?.remoteAddresses.length, 2);
  assert.ok(database.handleTimeout(due, 'later').ok);
  assert.deepEqual(applied.at(-1)?.gateways[0]?.remoteAddresses, ['192.0.2.1']);
  assert.equal(database.nextTimeout(), NEVER);
  assert.equal(editor.compare(), '');

  editor.run('set security ike gateway hq address 203.0.113.9');
  commit(editor, { confirmMinutes: 1 });
  assert.equal(commit(editor).ok, true);
  assert.equal(database.nextTimeout(), NEVER);
  assert.equal(applied.at(-1)?.gateways[0]?.remoteAddresses.length, 2);
});

test('a commit that waited for its confirmation when the process ended is rolled back at the next start', () => {
  const first = lab();
  const editor = first.session('admin');
  editor.load('merge', SITE);
  commit(editor);
  editor.run('set system host-name doomed');
  commit(editor, { confirmMinutes: 5 });
  const second = lab(first.storage);
  assert.equal(second.database.active.root.find('system', 'host-name'), undefined);
  assert.ok(second.database.active.root.find('security', 'ipsec', 'vpn', 'hq'));
});

test('rollback 0 to 49 are kept, in order, and no more', () => {
  const { session, storage } = lab();
  const editor = session('admin');
  editor.load('merge', SITE);
  commit(editor);
  for (let number = 1; number <= 60; number++) {
    editor.run(`set system host-name h${number}`);
    commit(editor);
  }
  assert.equal(storage.files.size, 50);
  assert.equal(editor.rollback(7).text, 'load complete\n');
  assert.match(editor.show(['system']).text, /host-name h53;/);
  assert.match(editor.compare(), /- {4}host-name h60;\n\+ {4}host-name h53;/);
  assert.equal(editor.rollback(0).ok, true);
  assert.equal(editor.compare(), '');
  assert.equal(editor.rollback(49).ok, true);
  assert.match(editor.show(['system']).text, /host-name h11;/);
  assert.equal(editor.rollback(50).ok, false);
  assert.equal(editor.history().split('\n').length, 51);
});

test('a lock keeps other editors out, and gives back what was not committed', () => {
  const { session } = lab();
  const alice = session('alice');
  const bob = session('bob');
  assert.equal(alice.lock().ok, true);
  assert.equal(alice.run('set system host-name a').ok, true);
  assert.match(bob.run('set system host-name b').text, /error: configuration database locked by:\n {2}alice/);
  assert.equal(bob.lock().ok, false);
  assert.equal(commit(bob).ok, false);
  assert.equal(bob.load('merge', 'system { host-name b; }').ok, false);
  alice.close();
  assert.equal(bob.compare(), '');
  bob.run('set system host-name b');
  assert.match(alice.lock().text, /configuration database modified/);
});

test('load replace takes what is marked as it is; load override takes everything; load patch what compare printed', () => {
  const { session } = lab();
  const editor = session('admin');
  editor.load('merge', SITE);
  editor.load('replace', 'security { ike { replace: proposal p { dh-group group19; } } }');
  assert.equal(editor.show(['security', 'ike', 'proposal', 'p']).text, 'dh-group group19;\n');
  const patch = editor.compare();
  assert.equal(editor.load('override', 'system { host-name alone; }').text, 'load complete\n');
  assert.equal(editor.show().text, 'system {\n    host-name alone;\n}\n');
  editor.rollback(0);
  assert.equal(editor.load('patch', patch).text, 'load complete\n');
  assert.equal(editor.compare(), patch);
  assert.match(
    editor.load('set', 'set security ike proposal p dh-group group99\n').text,
    /load complete \(1 errors\)\n$/,
  );
});

test('protected statements cannot be deleted; inserted ones stand where they were put', () => {
  const { session } = lab();
  const editor = session('admin');
  editor.load('set', 'set security ike policy p proposals [ a b c ]\nprotect security ike policy p\n');
  assert.equal(editor.run('delete security ike policy p').text.includes('is protected'), true);
  editor.run('unprotect security ike policy p');
  editor.run('insert security ike policy p proposals c before a');
  assert.equal(editor.show(['security', 'ike', 'policy', 'p']).text, 'proposals [ c a b ];\n');
  editor.run('copy security ike policy p to policy q');
  editor.run('rename security ike policy p to r');
  assert.match(editor.show(['security', 'ike']).text, /policy r \{[^}]*\}\npolicy q/);
  assert.equal(editor.run('rename security ike policy r to q').ok, false);
});

test('replace pattern and wildcard delete reach every name and value from the level down', () => {
  const { session } = lab();
  const editor = session('admin');
  editor.load('merge', SITE);
  assert.equal(editor.run('replace pattern hq with head-office').ok, true);
  assert.match(editor.show(['security']).text, /vpn head-office \{\n[^}]*gateway head-office;/);
  assert.equal(editor.run('replace pattern "(" with x').ok, false);
  editor.load(
    'set',
    'set security ike proposal old-1 dh-group group2\nset security ike proposal old-2 dh-group group2\n',
  );
  editor.run('edit security ike');
  assert.equal(editor.run('wildcard delete proposal ^old-').ok, true);
  assert.equal(editor.show(['proposal']).text.includes('old-'), false);
  assert.match(editor.show(['proposal']).text, /^p \{/);
});

test('whatever write fails, the old or the new configuration is active and whole, and the session says which', () => {
  for (let failAt = 0; failAt < 4; failAt++) {
    const { session, storage, database } = lab();
    const editor = session('admin');
    editor.load('merge', SITE);
    commit(editor);
    editor.run('set system host-name next');
    storage.failAt = failAt;
    const outcome = commit(editor);
    const again = lab(storage);
    const name = again.database.active.root.find('system', 'host-name')?.firstWord;
    assert.equal(name, outcome.ok ? 'next' : undefined, `fault at write ${failAt}`);
    assert.equal(database.active.root.find('system', 'host-name')?.firstWord, name);
    assert.ok(again.database.active.root.find('security', 'ipsec', 'vpn', 'hq'));
  }
});

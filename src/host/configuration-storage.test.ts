import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { SeededRandom } from '../lib/random.ts';
import { instant } from '../lib/time.ts';
import { ConfigurationDatabase } from '../operations/configuration-database.ts';
import { Session } from '../operations/session.ts';
import { type FileCalls, FolderStorage } from './configuration-storage.ts';

/** In the child: do a commit, and end at the system call of this number. */
const END_AT = process.env['SALLYPORT_TEST_END_AT'];
const FOLDER = process.env['SALLYPORT_TEST_FOLDER'];

if (END_AT !== undefined && FOLDER !== undefined) commitUntil(FOLDER, Number(END_AT));
else runTests();

function runTests(): void {
  test('the process may be killed at any system call of a commit: the old or the new configuration is there, whole', () => {
    const folder = mkdtempSync(join(tmpdir(), `sallyport-${process.pid}-`));
    try {
      for (let call = 0, isOver = false; !isOver; call++) {
        rmSync(folder, { recursive: true });
        prepare(folder);
        const child = spawnSync(process.execPath, [fileURLToPath(import.meta.url)], {
          env: { ...process.env, SALLYPORT_TEST_END_AT: String(call), SALLYPORT_TEST_FOLDER: folder },
        });
        isOver = child.status === 0;
        assert.ok(isOver || child.signal === 'SIGKILL', `the child ended at call ${call}: ${child.stderr}`);
        const name = readHostName(folder);
        assert.ok(name === 'old' || name === 'new', `after the end at call ${call}: ${name}`);
        if (isOver) assert.equal(name, 'new');
        if (call === 0) assert.equal(name, 'old');
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test('a fault of fsync, rename or write is told, and leaves what was there', () => {
    const folder = mkdtempSync(join(tmpdir(), `sallyport-${process.pid}-`));
    try {
      for (const call of ['openSync', 'writeSync', 'fsyncSync', 'renameSync'] as const) {
        writeFileSync(join(folder, 'a'), 'old');
        const storage = new FolderStorage(folder, { ...fs, [call]: () => fail(call) });
        const outcome = storage.replace('a', 'new');
        assert.equal(outcome.ok, false);
        assert.equal(readFileSync(join(folder, 'a'), 'utf8'), 'old', call);
        assert.deepEqual(storage.names(), { ok: true, value: ['a'] });
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test('a write that is cut short goes on where it stopped; a folder that is not there is empty', () => {
    const folder = mkdtempSync(join(tmpdir(), `sallyport-${process.pid}-`));
    try {
      const oneByOne: FileCalls = {
        ...fs,
        writeSync: (descriptor: number, data: Uint8Array, offset: number) => fs.writeSync(descriptor, data, offset, 1),
      };
      const storage = new FolderStorage(join(folder, 'made'), oneByOne);
      assert.deepEqual(storage.names(), { ok: true, value: [] });
      assert.deepEqual(storage.read('a'), { ok: true, value: undefined });
      assert.deepEqual(storage.replace('a', 'three words — ü'), { ok: true, value: undefined });
      assert.deepEqual(storage.read('a'), { ok: true, value: 'three words — ü' });
      assert.equal(fs.statSync(join(folder, 'made', 'a')).mode & 0o777, 0o600);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
}

function fail(call: string): never {
  throw new Error(`${call} failed`);
}

function open(folder: string, calls?: FileCalls): ConfigurationDatabase {
  const opened = ConfigurationDatabase.open(new FolderStorage(folder, calls), () => undefined, 'at the start');
  assert.ok(opened.ok);
  return opened.value;
}

function commitName(database: ConfigurationDatabase, name: string): void {
  const session = new Session(database, 'admin', new SeededRandom(1));
  session.run(`set system host-name ${name}`);
  assert.equal(session.commit(instant(0), { stamp: name }).ok, true);
}

/** A folder with as many rollbacks as there can be, so that the next commit also removes one. */
function prepare(folder: string): void {
  const database = open(folder);
  for (let number = 0; number < 3; number++) commitName(database, `h${number}`);
  commitName(database, 'old');
}

function readHostName(folder: string): string | undefined {
  return open(folder).active.root.find('system', 'host-name')?.firstWord;
}

function commitUntil(folder: string, endAt: number): void {
  let calls = 0;
  const counted = <A extends unknown[], R>(call: (...parameters: A) => R): ((...parameters: A) => R) => {
    return (...parameters) => {
      if (calls++ === endAt) process.kill(process.pid, 'SIGKILL');
      return call(...parameters);
    };
  };
  commitName(
    open(folder, {
      mkdirSync: counted(fs.mkdirSync),
      openSync: counted(fs.openSync),
      writeSync: counted((descriptor: number, data: Uint8Array, offset: number) =>
        fs.writeSync(descriptor, data, offset),
      ),
      fsyncSync: counted(fs.fsyncSync),
      closeSync: counted(fs.closeSync),
      renameSync: counted(fs.renameSync),
      rmSync: counted(fs.rmSync),
    }),
    'new',
  );
}

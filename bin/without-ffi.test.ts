// What Sallyport does where no native function can be called: koffi is not installed, or has no binary for the machine.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { PACKAGE_ROOT } from './version.ts';

const SALLYPORT = fileURLToPath(new URL('./sallyport.js', import.meta.url));
const MAIN_OFFICE = join(PACKAGE_ROOT, 'lab/main-office.conf');
/** Loaded before the program: there is no koffi. */
const WITHOUT_KOFFI = `data:text/javascript,${encodeURIComponent(`
  import module from 'node:module';
  const resolve = module._resolveFilename;
  module._resolveFilename = (name, ...rest) => {
    if (name === 'koffi') throw new Error('Cannot find module koffi');
    return resolve(name, ...rest);
  };
`)}`;

test('without FFI, everything works that needs no system call of its own', () => {
  for (const words of [['version'], ['check', MAIN_OFFICE], ['convert', MAIN_OFFICE, '--to', 'braces']]) {
    const { status, stderr } = sallyport(...words);
    assert.equal(status, 0, `${words.join(' ')}: ${stderr}`);
  }
});

test('without FFI, the lab says so once and runs in one process', () => {
  const { status, stdout, stderr } = sallyport('lab', '--once', '--json');
  assert.equal(status, 0, stderr);
  assert.equal(JSON.parse(stdout).substrate, 'in-process');
  assert.match(stderr, /^no real network here: [^\n]*\n$/);
});

test('without FFI, a gateway does not start, and says once what it lacks', () => {
  const { status, stderr } = sallyport('run', '-c', MAIN_OFFICE, '--log-level', 'error');
  assert.equal(status, 1);
  assert.equal(stderr.match(/koffi does not load/g)?.length, 1, stderr);
});

function sallyport(...words: readonly string[]) {
  return spawnSync(process.execPath, ['--import', WITHOUT_KOFFI, SALLYPORT, ...words], { encoding: 'utf8' });
}

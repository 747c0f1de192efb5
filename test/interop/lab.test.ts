// What a user types first, from the outside: the lab, and a gateway that is started, stopped, crashed and started again.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { GatewayProcess } from '../../lab/gateway-process.ts';
import { Namespaces, removeStaleNamespaces, whyNoNamespaces } from '../../lab/namespaces.ts';
import { REPOSITORY_ROOT } from '../shared.ts';

const SALLYPORT = fileURLToPath(new URL('../../bin/sallyport.js', import.meta.url));
const MAIN_OFFICE = join(REPOSITORY_ROOT, 'lab/main-office.conf');

const options = { skip: whyNoNamespaces() ?? false, timeout: 120_000 };

test('sallyport lab --once --json proves a tunnel on the wire, and leaves nothing behind', options, () => {
  const { status, stdout, stderr } = sallyport('lab', '--once', '--json');
  assert.equal(status, 0, stdout + stderr);
  const report = JSON.parse(stdout);
  assert.equal(report.tunnel, 'up');
  assert.deepEqual(report.ike, { mode: 'main', datagrams: 6 });
  assert.deepEqual(report.quick, { datagrams: 3 });
  assert.equal(report.ping.received, report.ping.sent);
  assert.ok(report.throughputBitsPerSecond > 1_000_000, stdout);
  assert.ok(report.wire.esp > 10);
  assert.equal(report.wire.cleartext, 0);
  assert.deepEqual(report.heldDown, { received: 0, cleartext: 0 });
  assert.equal(report.substrate, 'namespaces');
  assert.doesNotMatch(spawnSync('ip', ['netns', 'list'], { encoding: 'utf8' }).stdout, /lab-main-gw/);
});

test('sallyport lab without root says so, and runs the same gateways in one process', { timeout: 120_000 }, () => {
  const isRoot = process.getuid?.() === 0;
  const { status, stdout, stderr } = isRoot
    ? spawnSync(
        'setpriv',
        ['--reuid=65534', '--clear-groups', process.execPath, SALLYPORT, 'lab', '--once', '--json'],
        {
          encoding: 'utf8',
        },
      )
    : sallyport('lab', '--once', '--json');
  assert.match(stderr, /no real network here: .*in-process/);
  assert.equal(status, 0, stdout + stderr);
  const report = JSON.parse(stdout);
  assert.equal(report.substrate, 'in-process');
  assert.deepEqual(report.ike, { mode: 'main', datagrams: 6 });
  assert.equal(report.wire.cleartext, 0);
});

test('a lab that is killed is cleaned up by the next', options, async () => {
  const lab = spawn(process.execPath, [SALLYPORT, 'lab'], { stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise((resolve) => lab.stdout.once('data', resolve));
  const ended = new Promise((resolve) => lab.once('exit', resolve));
  lab.kill('SIGKILL');
  await ended;
  const removed = removeStaleNamespaces();
  assert.equal(removed.filter((name) => name.startsWith(`sp${lab.pid}lab-`)).length, 4);
  assert.doesNotMatch(spawnSync('ip', ['netns', 'list'], { encoding: 'utf8' }).stdout, new RegExp(`sp${lab.pid}lab-`));
});

test(
  'a stop removes the tunnel interface and leaves the routes that drop; cleanup removes those too',
  options,
  async (context) => {
    const { namespaces, start } = office(context);
    const gateway = await start();
    assert.match(namespaces.ip('gw', 'link', 'show'), /st0\.0/);
    assert.equal(await gateway.stop(), 0, gateway.log());
    assert.doesNotMatch(namespaces.ip('gw', 'link', 'show'), /st0\.0/);
    assert.match(namespaces.ip('gw', 'route', 'show', 'table', 'all'), /unreachable|prohibit|blackhole/);
    const cleaned = namespaces.run('gw', process.execPath, [SALLYPORT, 'cleanup']);
    assert.equal(cleaned.status, 0, cleaned.stderr);
    assert.doesNotMatch(namespaces.ip('gw', 'route', 'show', 'table', 'all'), /unreachable|prohibit|blackhole/);
  },
);

test('after a crash, what belongs into the tunnel is dropped, and a second start works', options, async (context) => {
  const { namespaces, start } = office(context);
  const crashed = await start();
  crashed.kill();
  await new Promise((resolve) => setTimeout(resolve, 300));
  const ping = namespaces.run('gw', 'ping', ['-c', '1', '-W', '1', '10.2.0.10']);
  assert.notEqual(ping.status, 0);
  assert.match(ping.stdout + ping.stderr, /nreachable|no route|prohibited|not permitted/i, ping.stdout + ping.stderr);
  const again = await start();
  assert.match(namespaces.ip('gw', 'link', 'show'), /st0\.0/);
  assert.equal(await again.stop(), 0);
});

test(
  'an address that the host does not have stops the start, and says which statement asks for it',
  options,
  (context) => {
    const { namespaces } = office(context, '192.0.2.77/24');
    const done = namespaces.run('gw', process.execPath, [SALLYPORT, 'run', '-c', MAIN_OFFICE]);
    assert.equal(done.status, 1);
    assert.match(done.stderr, /external-interface ge-0\/0\/0\.0.*198\.51\.100\.1/);
  },
);

test('a configuration error stops the start with path and line, and no secret is printed', {
  timeout: 60_000,
}, (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-cli-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'wrong.conf');
  writeFileSync(
    path,
    'set security ike gateway hq ike-policy nowhere\nset security ike policy p pre-shared-key ascii-text "hush-hush"\n',
  );
  const done = sallyport('run', '-c', path);
  assert.equal(done.status, 1);
  assert.match(done.stderr, /line 1: .*security ike gateway hq/);
  assert.doesNotMatch(done.stdout + done.stderr, /hush-hush/);
});

test('a gateway without root says what it needs', { timeout: 60_000 }, (context) => {
  if (process.getuid?.() !== 0) return context.skip('this test gives root up, which it does not have');
  const done = spawnSync(
    'setpriv',
    ['--reuid=65534', '--clear-groups', process.execPath, SALLYPORT, 'run', '-c', MAIN_OFFICE],
    {
      encoding: 'utf8',
    },
  );
  assert.equal(done.status, 1);
  assert.match(done.stderr, /CAP_NET_(ADMIN|RAW)/);
});

test('a command line that makes no sense ends with status 2', { timeout: 60_000 }, () => {
  for (const words of [
    ['nonsense'],
    ['run'],
    ['show', 'nothing'],
    ['simulate'],
    ['convert', 'x', '--to', 'prose'],
    ['check', 'nowhere.conf'],
  ])
    assert.equal(sallyport(...words).status, 2, words.join(' '));
});

function sallyport(...words: readonly string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, ['--enable-source-maps', SALLYPORT, ...words], { encoding: 'utf8' });
}

/** A namespace `gw` with the main office's outer address, and a gateway to start in it. */
function office(
  context: TestContext,
  address = '198.51.100.1/24',
): { namespaces: Namespaces; start(): Promise<GatewayProcess> } {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-office-'));
  const namespaces = new Namespaces('cli');
  context.after(() => {
    namespaces.remove();
    rmSync(folder, { recursive: true });
  });
  namespaces.add('gw', 'world');
  namespaces.connect({ namespace: 'gw', interface: 'wan', address }, { namespace: 'world', interface: 'wan' });
  return {
    namespaces,
    start: () =>
      GatewayProcess.start({ namespaces, namespace: 'gw', program: SALLYPORT, configuration: MAIN_OFFICE, folder }),
  };
}

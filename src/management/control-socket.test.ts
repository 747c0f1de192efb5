import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { IkeEvent } from '../model/ike-event.ts';
import type { GatewayView } from '../operations/gateway-view.ts';
import { ControlClient } from './control-client.ts';
import { LineSplitter, parseRequest, REQUEST_LENGTH_MAX } from './control-protocol.ts';
import { ControlServer } from './control-server.ts';

const NOTICE: IkeEvent = { kind: 'notice', severity: 'info', text: 'hello' };

test('a client gets the output of its command, and only the commands of the grammar', async () => {
  await withServer(async (path) => {
    const client = await ControlClient.connect(path);
    const { text } = await client.command('show security ipsec security-associations');
    assert.match(text, /Total active tunnels: 0/);
    await assert.rejects(client.command('show secrets'), /secrets: unknown; expected security/);
    client.close();
  });
});

test('a subscriber gets every event, others get none', async () => {
  await withServer(async (path, server) => {
    const subscriber = await ControlClient.connect(path);
    const arrived = new Promise<IkeEvent>((resolve) => void subscriber.subscribe(resolve));
    await subscriber.command('show security ike security-associations');
    server.publish(NOTICE);
    assert.deepEqual(await arrived, NOTICE);
    subscriber.close();
  });
});

test('the socket is closed to other users, and a dead gateway’s socket does not stop the next', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-test-'));
  const path = join(folder, 'control');
  const server = await ControlServer.listen(path, VIEW);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  await assert.rejects(ControlServer.listen(path, VIEW), /another gateway already listens/);
  await server.close();
  rmSync(folder, { recursive: true });
});

test('what is not a request is answered, and an endless line ends the connection', async () => {
  await withServer(async (path) => {
    const socket = connect(path).setEncoding('utf8');
    socket.write('{"id":1}\n');
    const answer = await new Promise<string>((resolve) => socket.once('data', resolve));
    assert.match(answer, /not a request/);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.on('error', () => {});
    socket.write('x'.repeat(REQUEST_LENGTH_MAX + 2));
    await closed;
  });
});

test('requests are taken only in their exact form', () => {
  assert.deepEqual(parseRequest('{"id":1,"kind":"command","words":["show"]}'), {
    id: 1,
    kind: 'command',
    words: ['show'],
  });
  for (const line of ['', '1', 'null', '[]', '{"id":"1","kind":"subscribe"}', '{"id":1,"kind":"command","words":[1]}'])
    assert.equal(parseRequest(line), undefined, line);
});

test('lines are put together from pieces', () => {
  const splitter = new LineSplitter(10);
  assert.deepEqual(splitter.push('ab'), []);
  assert.deepEqual(splitter.push('c\nd\n\ne'), ['abc', 'd']);
  assert.equal(splitter.push('0123456789'), undefined);
});

const VIEW: GatewayView = {
  ikeSas: () => [],
  ipsecSas: () => [],
  policies: () => [],
  tunnelEvents: () => [],
  statistics: () => {
    throw new Error('not asked for in this test');
  },
  clearIke: () => 0,
  clearIpsec: () => 0,
};

async function withServer(body: (path: string, server: ControlServer) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-test-'));
  const path = join(folder, 'control');
  const server = await ControlServer.listen(path, VIEW);
  try {
    await body(path, server);
  } finally {
    await server.close();
    rmSync(folder, { recursive: true });
  }
}

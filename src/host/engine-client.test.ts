import assert from 'node:assert/strict';
import { test } from 'node:test';
import { policyId, spi } from '../model/ipsec-sa.ts';
import { EngineClient } from './engine-client.ts';
import { namespaceTestSkip } from './test-namespace.fixture.ts';

test('the engine is idle only when it has carried out every command, so that a datagram can wait for the SA that it tells of', {
  skip: namespaceTestSkip(),
}, async () => {
  const failures: unknown[] = [];
  const engine = new EngineClient([], {
    handleDatagram: () => {},
    handleEvent: () => {},
    handleNotice: () => {},
    handleFailure: (error) => failures.push(error),
  });
  await engine.settle();
  assert.equal(engine.isIdle, true);
  for (let round = 0; round < 3; round++) {
    engine.command({ kind: 'use-outbound', policy: policyId('none'), spi: spi(0x1000 + round) });
    assert.equal(engine.isIdle, false, 'asked, not sent');
    await Promise.resolve();
    await engine.settle();
    assert.equal(engine.isIdle, true);
  }
  await engine.stop();
  assert.deepEqual(failures, []);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DataPlaneCommand } from '../model/data-plane.ts';
import { policyId, spi } from '../model/ipsec-sa.ts';
import { PacketEngines } from './packet-engines.ts';
import { namespaceTestSkip } from './test-namespace.fixture.ts';

for (const engines of [1, 3])
  test(`with ${engines === 1 ? 'one engine' : `${engines} engines`}, there is rest only when every command has been carried out, so that a datagram can wait for the SA that it tells of`, {
    skip: namespaceTestSkip(),
  }, async () => {
    const failures: unknown[] = [];
    const engine = new PacketEngines(
      [],
      {
        handleDatagram: () => {},
        handleEvent: () => {},
        handleNotice: () => {},
        handleFailure: (error) => failures.push(error),
      },
      { engines },
    );
    await engine.settle();
    assert.equal(engine.isIdle, true);
    for (let round = 0; round < 6; round++) {
      engine.command(commandOf(round));
      assert.equal(engine.isIdle, false, 'asked, not sent');
      await Promise.resolve();
      await engine.settle();
      assert.equal(engine.isIdle, true);
    }
    await engine.stop();
    assert.deepEqual(failures, []);
  });

/** For one engine, whichever it is, and for all of them. */
function commandOf(round: number): DataPlaneCommand {
  if (round % 2 === 0) return { kind: 'remove', direction: 'inbound', spi: spi(0x1000 + round) };
  return { kind: 'delete-policy', id: policyId('none') };
}

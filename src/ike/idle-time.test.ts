import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seconds } from '../lib/time.ts';
import { type SideOptions, TestPair } from './v1/two-endpoints.fixture.ts';

const IDLE: SideOptions = { vpn: { idleTime: seconds(60) } };

test('a pair of IPsec SAs that carries nothing for idle-time is deleted, and the peer told; the next packet brings it back', () => {
  const lab = new TestPair({ initiator: IDLE });
  lab.establish();
  for (let second = 0; second < 58; second++) lab.advance('1s', true);
  assert.equal(lab.initiator.endpoint.ipsecSas(lab.now).length, 1);
  for (let second = 0; second < 4; second++) lab.advance('1s', true);
  assert.equal(lab.initiator.endpoint.ipsecSas(lab.now).length, 0);
  assert.equal(lab.responder.endpoint.ipsecSas(lab.now).length, 0);
  assert.deepEqual(reasons(lab.initiator), ['idle']);
  assert.deepEqual(reasons(lab.responder), ['peer-deleted']);
  const used = lab.initiator.commands.find((command) => command.kind === 'use-outbound');
  assert.ok(used?.kind === 'use-outbound');
  const acquire = { kind: 'acquire', policy: used.policy } as const;
  lab.initiator.endpoint.handleDataPlaneEvent(lab.now, acquire, lab.initiator.out);
  lab.run();
  assert.equal(lab.initiator.endpoint.ipsecSas(lab.now).length, 1);
  lab.expectSameKeys();
});

for (const direction of ['inbound', 'outbound'] as const)
  test(`traffic that is ${direction} only keeps a pair of IPsec SAs from being idle`, () => {
    const lab = new TestPair({ initiator: IDLE });
    lab.establish();
    for (let second = 0; second < 300; second++) {
      lab.advance('1s', true);
      if (second % 50 !== 0) continue;
      const [pair] = lab.initiator.endpoint.ipsecSas(lab.now);
      assert.ok(pair, `after ${second} s`);
      const spi = direction === 'inbound' ? pair.inboundSpi : pair.outboundSpi;
      const event = { kind: `${direction}-traffic`, spi, policy: pair.policy } as const;
      lab.initiator.endpoint.handleDataPlaneEvent(lab.now, event, lab.initiator.out);
    }
    assert.deepEqual(reasons(lab.initiator), []);
  });

function reasons(side: TestPair['initiator']): readonly string[] {
  return side.ofKind('ipsec-sa-deleted').map(({ reason }) => reason);
}

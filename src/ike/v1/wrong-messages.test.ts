import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '../../lib/bytes.ts';
import { Secret } from '../../lib/secret.ts';
import type { XauthConfig } from '../../model/gateway-config.ts';
import { describeFlight, type Flight, type PairOptions, TestPair } from './two-endpoints.fixture.ts';

const ORIGIN = { path: 'test', line: 0 };
const PASSWORD = new Secret(utf8('open sesame'));
const SERVER: XauthConfig = { role: 'server', origin: ORIGIN, users: [{ name: 'carol', password: PASSWORD }] };
const CLIENT: XauthConfig = { role: 'client', origin: ORIGIN, username: 'carol', password: PASSWORD };

const SCRIPTS: Readonly<Record<string, PairOptions>> = {
  'Main Mode and Quick Mode with PFS': { both: { vpn: { pfsGroup: 'group19' } } },
  'Aggressive Mode and Quick Mode': { both: { policy: { mode: 'aggressive' } } },
  'Main Mode with XAUTH and Mode Config': {
    initiator: { gateway: { xauth: CLIENT } },
    responder: { gateway: { xauth: SERVER } },
  },
};

for (const [name, options] of Object.entries(SCRIPTS)) {
  test(`${name}: in each state, every message that is not due, and all of another pair's, leave the state as it was`, () => {
    const recorded = record({ ...options, seed: 1 });
    const foreign = record({ ...options, seed: 2 });
    for (let step = 0; step <= recorded.length; step++) {
      const lab = new TestPair({ ...options, seed: 1 });
      lab.initiator.initiate();
      for (const flight of recorded.slice(0, step)) lab.expect(describeFlight(flight));
      const pending = [...lab.flights];
      const before = [lab.initiator.snapshot(), lab.responder.snapshot()];
      for (const flight of [...wrong(recorded, step, isUp(lab)), ...later(foreign)]) lab.deliver(flight);
      assert.deepEqual([lab.initiator.snapshot(), lab.responder.snapshot()], before, `after ${step} messages`);
      // What duplicates were answered with is what had been sent before.
      const known = new Set(recorded.map(({ bytes }) => bytes.join()));
      for (const { bytes } of lab.flights.slice(pending.length))
        assert.ok(known.has(bytes.join()), `after ${step} messages`);
      lab.flights.splice(0, lab.flights.length, ...pending);
      lab.run();
      lab.expectEstablished();
    }
  });
}

/** Everything but what each side waits for next: that would rightly be taken. */
function wrong(recorded: readonly Flight[], step: number, takesQuickMode: boolean): readonly Flight[] {
  const due = (['initiator', 'responder'] as const).map((from) => {
    return recorded.findIndex((flight, index) => index >= step && flight.from === from);
  });
  // Mode Config is optional: a responder that is up takes Quick Mode in its place.
  const quick = recorded.findIndex(({ event }) => event?.exchange === 'quick');
  return recorded.filter((_, index) => !due.includes(index) && !(takesQuickMode && index === quick && step <= quick));
}

function isUp(lab: TestPair): boolean {
  return lab.responder.endpoint.ikeSas(lab.now).some(({ state }) => state === 'up');
}

/** A first message of another pair rightly begins another exchange; the later ones belong to nobody here. */
function later(recorded: readonly Flight[]): readonly Flight[] {
  return recorded.slice(1);
}

function record(options: PairOptions): readonly Flight[] {
  const lab = new TestPair(options);
  lab.initiator.initiate();
  lab.run();
  lab.expectEstablished();
  return [...lab.delivered];
}

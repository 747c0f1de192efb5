import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { instant, NEVER } from '../lib/time.ts';
import { Agenda } from './agenda.ts';

test('the agenda agrees with a plain map about what is due next, whatever is set, moved, deleted and taken', () => {
  const operation = fc.oneof(
    fc.record({ kind: fc.constant('set' as const), item: fc.nat(20), at: fc.nat(1000) }),
    fc.record({ kind: fc.constant('delete' as const), item: fc.nat(20), at: fc.nat(1000) }),
    fc.record({ kind: fc.constant('take' as const), item: fc.nat(20), at: fc.nat(1000) }),
    fc.record({ kind: fc.constant('never' as const), item: fc.nat(20), at: fc.nat(1000) }),
  );
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 400 }), (operations) => {
      const agenda = new Agenda<number>();
      const plain = new Map<number, number>();
      for (const { kind, item, at } of operations) {
        if (kind === 'set') {
          agenda.set(item, instant(at));
          plain.set(item, at);
        } else if (kind === 'take') {
          const taken = agenda.takeDue(instant(at));
          const earliest = Math.min(...plain.values());
          if (taken === undefined) assert.ok(earliest > at);
          else assert.equal(plain.get(taken), earliest);
          if (taken !== undefined) plain.delete(taken);
        } else {
          if (kind === 'never') agenda.set(item, NEVER);
          else agenda.delete(item);
          plain.delete(item);
        }
        assert.equal(agenda.nextTimeout(), plain.size === 0 ? NEVER : Math.min(...plain.values()));
      }
    }),
  );
});

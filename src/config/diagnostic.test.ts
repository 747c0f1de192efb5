import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatDiagnostic } from './diagnostic.ts';

test('what was pasted is shown and not obeyed: no control character reaches the terminal, and the caret stays in place', () => {
  const typed = 'set\tsecurity \u001b[2Jike gate\u202eway hq';
  const column = typed.indexOf('hq') + 1;
  const text = formatDiagnostic(
    {
      severity: 'error',
      path: 'security \u0007ike',
      line: 3,
      message: 'no \u009b31m here\r',
      fix: 'set x\u007f',
      column,
    },
    typed,
  );
  const lines = text.split('\n');
  assert.equal(lines[0], 'error: line 3: [security <U+0007>ike]: no <U+009B>31m here<U+000D>');
  assert.equal(lines[1], '    set security <U+001B>[2Jike gate<U+202E>way hq');
  assert.equal(lines[2]?.indexOf('^'), lines[1]?.indexOf('hq'));
  assert.equal(lines[3], '    fix: set x<U+007F>');
});

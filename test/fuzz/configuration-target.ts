// The configuration language under anything that an editor or a paste may bring.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadConfiguration } from '../../src/config/load.ts';
import { fromUtf8, utf8 } from '../../src/lib/bytes.ts';
import { REPOSITORY_ROOT } from '../shared.ts';
import type { FuzzTarget } from './fuzzer.ts';

const LAB = join(REPOSITORY_ROOT, 'lab');
const EXAMPLES = readdirSync(LAB)
  .filter((name) => name.endsWith('.conf'))
  .map((name) => new Uint8Array(readFileSync(join(LAB, name))));
const SET_FORM = `set security ike proposal p authentication-method pre-shared-keys
set security ike policy p mode main
set security ike policy p pre-shared-key ascii-text "a b"
set security ike gateway g address 192.0.2.1
set security ipsec vpn v ike gateway g
deactivate security ipsec vpn v
`;

export const CONFIGURATION_TARGET: FuzzTarget = {
  name: 'configuration',
  shortRuns: 600,
  seeds: () => [...EXAMPLES, utf8(SET_FORM)],
  run: (input) => {
    const { config, diagnostics } = loadConfiguration(fromUtf8(input));
    const hasErrors = diagnostics.some(({ severity }) => severity === 'error');
    assert.equal(config === undefined, hasErrors, 'a configuration comes without errors, and errors without one');
    for (const { line, message } of diagnostics) assert.ok(line >= 0 && message.length > 0);
  },
};

// ike-scan, which fingerprints gateways, and psk-crack beside it, which guesses pre-shared keys from what Aggressive Mode gives away.

import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { whyNoNamespaces } from '../../lab/namespaces.ts';
import { OUR_ADDRESS, OUR_LAN, Scenario, THEIR_ADDRESS, THEIR_LAN } from './scenario.ts';
import { srxConfiguration } from './srx-configuration.ts';

const SECRET = 'correcthorse';

/** The transform that the gateway is configured for, in ike-scan's words: AES-128, SHA-1, pre-shared key, group 2. */
const TRANSFORM = '--trans=(1=7,14=128,2=2,3=1,4=2)';

const skip = whyNoNamespaces() ?? (existsSync('/usr/bin/ike-scan') ? false : 'ike-scan is not installed');

test('ike-scan gets a proper answer to Main Mode', { skip, timeout: 60_000 }, async (context) => {
  const scenario = await open(new Scenario(context), 'main');
  const { stdout } = scan(scenario, '-M', TRANSFORM);
  assert.match(stdout, /Main Mode Handshake returned/, `${stdout}\n${scenario.logs()}`);
  assert.match(stdout, /Enc=AES KeyLength=128 Hash=SHA1 Auth=PSK Group=2:modp1024/, stdout);
});

test('ike-scan is refused when it offers nothing that we take', { skip, timeout: 60_000 }, async (context) => {
  const scenario = await open(new Scenario(context), 'main');
  const { stdout } = scan(scenario, '-M', '--trans=(1=1,2=1,3=1,4=1)');
  assert.doesNotMatch(stdout, /Handshake returned/, stdout);
  assert.match(stdout, /NO-PROPOSAL-CHOSEN/, `${stdout}\n${scenario.logs()}`);
});

test('Aggressive Mode answers ike-scan with a hash that psk-crack proves to be right', {
  skip,
  timeout: 60_000,
}, async (context) => {
  const scenario = await open(new Scenario(context), 'aggressive');
  const capture = `${scenario.folder}/hash.psk`;
  const { stdout } = scan(
    scenario,
    '-M',
    '-A',
    '--id=theirs.example',
    '--idtype=2',
    '--dhgroup=2',
    TRANSFORM,
    `--pskcrack=${capture}`,
  );
  assert.match(stdout, /Aggressive Mode Handshake returned/, `${stdout}\n${scenario.logs()}`);
  assert.match(stdout, /Hash\(20 bytes\)/, stdout);
  writeFileSync(`${scenario.folder}/words`, `wrong\n${SECRET}\n`);
  const cracked = scenario.namespaces.run('theirs', 'psk-crack', [`--dictionary=${scenario.folder}/words`, capture]);
  assert.match(cracked.stdout, new RegExp(`key "${SECRET}" matches`), cracked.stdout + cracked.stderr);
});

function scan(scenario: Scenario, ...args: readonly string[]): { readonly stdout: string } {
  return scenario.namespaces.run('theirs', 'ike-scan', ['--sport=0', '--retry=2', ...args, OUR_ADDRESS]);
}

async function open(scenario: Scenario, mode: 'main' | 'aggressive'): Promise<Scenario> {
  await scenario.startOurs(
    srxConfiguration({
      mode,
      ...{ encryption: 'aes-128-cbc', hash: 'sha1', group: 'group2', espEncryption: 'aes-256-gcm', secret: SECRET },
      ...{ localAddress: OUR_ADDRESS, remoteAddress: THEIR_ADDRESS, localLan: OUR_LAN, remoteLan: THEIR_LAN },
      ...(mode === 'aggressive'
        ? { localIdentity: 'hostname ours.example', remoteIdentity: 'hostname theirs.example' }
        : {}),
    }),
  );
  return scenario;
}

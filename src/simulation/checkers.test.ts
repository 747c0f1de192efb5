// A checker that never complains proves nothing: here each one is shown what it is there to see.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { computeDiffieHellman } from '../crypto/diffie-hellman.ts';
import { nodePacketCrypto } from '../crypto/node-packet-provider.ts';
import { nodeCrypto } from '../crypto/node-provider.ts';
import type { PacketCryptoProvider } from '../crypto/provider.ts';
import { seconds } from '../lib/time.ts';
import { address } from '../model/address.ts';
import { type IpsecSa, policyId, spi } from '../model/ipsec-sa.ts';
import { selectorFromAddress } from '../model/traffic-selector.ts';
import { SaChecker, StateBoundChecker, watchIkeCrypto, watchPacketCrypto } from './checkers.ts';
import type { SimulationCrypto } from './simulated-host.ts';
import { runSimulation } from './simulation.ts';
import type { SimulationReport } from './simulation-report.ts';

const CRYPTO: SimulationCrypto = { crypto: nodeCrypto, packetCrypto: nodePacketCrypto, compute: computeDiffieHellman };
const SEEDS = 12;
const ANYTHING = selectorFromAddress(address('192.0.2.1'));
const SA: IpsecSa = {
  direction: 'inbound',
  protocol: 'esp',
  spi: spi(0x1000),
  mode: 'tunnel',
  policy: policyId('vpn'),
  localAddress: address('192.0.2.1'),
  remoteAddress: address('192.0.2.2'),
  encryption: 'aes-128-gcm',
  encryptionKey: new Uint8Array(20),
  integrity: 'none',
  integrityKey: new Uint8Array(0),
  selectors: { local: ANYTHING, remote: ANYTHING },
  extendedSequenceNumbers: false,
  replayWindow: 64,
  lifetime: {},
};

test('an initialization vector that is used twice with one key is noticed, across SAs', () => {
  const complaints: string[] = [];
  const watched = watchPacketCrypto(nodePacketCrypto, (violation) => complaints.push(violation));
  const key = new Uint8Array(20);
  const iv = new Uint8Array(8);
  watched.aead('aes-128-gcm', key).seal(iv, new Uint8Array(8), new Uint8Array(32), 0, 16);
  assert.deepEqual(complaints, []);
  watched.aead('aes-128-gcm', key).seal(iv, new Uint8Array(8), new Uint8Array(32), 0, 16);
  assert.deepEqual(complaints, ['an initialization vector was used twice with one aes-128-gcm key']);
});

test('two messages of IKE under one key and vector are noticed, the same message twice is not', () => {
  const complaints: string[] = [];
  const watched = watchIkeCrypto(nodeCrypto, (violation) => complaints.push(violation));
  const key = new Uint8Array(16);
  const iv = new Uint8Array(16);
  watched.encryptCbc('aes-128-cbc', key, iv, new Uint8Array(16));
  watched.encryptCbc('aes-128-cbc', key, iv, new Uint8Array(16));
  assert.deepEqual(complaints, []);
  watched.encryptCbc('aes-128-cbc', key, iv, new Uint8Array(16).fill(1));
  assert.equal(complaints.length, 1);
});

test('packets that leave as they came are seen on the wire', () => {
  const violations = violationsOf({ ...CRYPTO, packetCrypto: withoutEncryption(nodePacketCrypto) });
  assert.ok(
    violations.some((violation) => violation.includes('sent an inner packet in clear')),
    violations.join('\n'),
  );
});

test('a data plane that takes any packet for authentic is found out by what comes out of it', () => {
  const violations = violationsOf({ ...CRYPTO, packetCrypto: withoutVerification(nodePacketCrypto) });
  assert.ok(
    violations.some((violation) => violation.includes('out of the tunnel')),
    violations.join('\n'),
  );
});

test('a tunnel that cannot come up misses its deadline', () => {
  const compute: SimulationCrypto['compute'] = () => ({ kind: 'invalid-public-value' });
  const { violations } = run(1, { ...CRYPTO, compute });
  assert.match(violations[0] ?? '', /nothing came from main to branch/);
});

test('an exception inside a gateway is a violation with its stack, and not the end of the program', () => {
  const crypto = {
    ...nodeCrypto,
    hmac: () => {
      throw new Error('invariant broken: on purpose');
    },
  };
  assert.match(run(1, { ...CRYPTO, crypto }).violations[0] ?? '', /invariant broken: on purpose/);
});

test('more SAs than rekeys explain are noticed once', () => {
  const complaints: string[] = [];
  const checker = new StateBoundChecker((violation) => complaints.push(violation));
  for (const count of [3, 4, 5]) checker.look('main', count, 1, { ikeSas: 3, pairs: 3 });
  assert.deepEqual(complaints, ['main holds 4 IKE SAs and 1 IPsec SA pairs']);
});

test('an SPI that is removed may be used again, and one that is not may not', () => {
  const complaints: string[] = [];
  const checker = new SaChecker((violation) => complaints.push(violation));
  const add = { kind: 'add-inbound', sa: { ...SA, direction: 'inbound' } } as const;
  checker.start('main');
  checker.command('main', add);
  checker.command('main', { kind: 'remove', direction: 'inbound', spi: SA.spi });
  checker.command('main', add);
  assert.deepEqual(complaints, []);
  checker.command('main', add);
  assert.deepEqual(complaints, ['main has two inbound SAs esp 1000']);
});

test('keys that serve a second SA are noticed, at whichever host', () => {
  const complaints: string[] = [];
  const checker = new SaChecker((violation) => complaints.push(violation));
  const add = { kind: 'add-outbound', sa: { ...SA, direction: 'outbound' } } as const;
  checker.command('main', add);
  checker.command('branch', add);
  assert.deepEqual(complaints, ['branch sends under keys that were used before']);
});

/** What several seeds find, as far as they find it soon. */
function violationsOf(crypto: SimulationCrypto): readonly string[] {
  return Array.from({ length: SEEDS }, (_, index) => run(index + 1, crypto).violations).flat();
}

function run(seed: number, crypto: SimulationCrypto): SimulationReport {
  return runSimulation({ seed, seconds: seconds(60), calmSeconds: seconds(10) }, crypto);
}

function withoutEncryption(provider: PacketCryptoProvider): PacketCryptoProvider {
  return {
    ...provider,
    integrity: (algorithm, key) => provider.integrity(algorithm, key),
    aead: () => ({ seal: () => undefined, open: () => true }),
    cipher: () => ({ encrypt: () => undefined, decrypt: () => undefined }),
  };
}

function withoutVerification(provider: PacketCryptoProvider): PacketCryptoProvider {
  return {
    aead: (algorithm, key) => {
      const aead = provider.aead(algorithm, key);
      return {
        seal: (...given) => aead.seal(...given),
        open: (...given) => {
          aead.open(...given);
          return true;
        },
      };
    },
    cipher: (algorithm, key) => provider.cipher(algorithm, key),
    integrity: (algorithm, key) => {
      const integrity = provider.integrity(algorithm, key);
      return { compute: (...given) => integrity.compute(...given), verify: () => true };
    },
  };
}

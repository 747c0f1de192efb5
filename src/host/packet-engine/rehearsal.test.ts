import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodePacketCrypto } from '../../crypto/node-packet-provider.ts';
import { instant } from '../../lib/time.ts';
import { Arena } from './arena.ts';
import { createPacketCrypto } from './openssl-packet-crypto.ts';
import { createPacketArithmetic } from './packet-arithmetic.ts';
import { rehearse } from './rehearsal.ts';

const ARENA_LENGTH = 4 * 1024 * 1024;

test('every packet of a rehearsal arrives, split ones in pieces, with OpenSSL and without', () => {
  for (const isFast of [true, false]) {
    const arena = new Arena(ARENA_LENGTH);
    const crypto = isFast ? createPacketCrypto(arena) : nodePacketCrypto;
    const arithmetic = createPacketArithmetic(arena, isFast ? [] : ['vectors']);
    const { sent, arrived } = rehearse(instant(5), { arena, crypto, arithmetic, outputRing: undefined });
    assert.ok(sent >= 100, `only ${sent} packets`);
    assert.equal(arrived, sent);
  }
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodePacketCrypto } from '../crypto/node-packet-provider.ts';
import { SeededRandom } from '../lib/random.ts';
import type { IpsecSa } from '../model/ipsec-sa.ts';
import { Counters } from './counters.ts';
import { Inbound } from './inbound.ts';
import { Outbound } from './outbound.ts';
import { InboundSa, OutboundSa } from './security-association.ts';
import { SecurityAssociationDatabase } from './security-association-database.ts';
import { SecurityPolicyDatabase } from './security-policy-database.ts';
import { createTransform, type Transform } from './transform.ts';
import { innerPacket, policy, RecordingOutbox, START, saPair } from './two-planes.fixture.ts';

const SUBSPACE = 2 ** 32;

for (const isExtended of [false, true])
  test(`RFC 4303 §3.3.3: an SA with ${isExtended ? 'extended' : '32-bit'} sequence numbers stops at the last one instead of wrapping`, () => {
    const { outbound } = saPair('aes-128-gcm', 'none', { extendedSequenceNumbers: isExtended });
    const ends = new Ends(outbound, isExtended ? Number.MAX_SAFE_INTEGER - 2 : SUBSPACE - 3);
    for (let count = 0; count < 4; count++) ends.send();
    assert.equal(ends.fromWest.ip.length, 2);
    assert.equal(ends.westCounters.snapshot().drops['sequence-exhausted'], 1);
    assert.deepEqual(ends.fromWest.kinds(), ['outbound-traffic', 'hard-expired', 'acquire']);
  });

for (const [encryption, integrity] of [
  ['aes-128-gcm', 'none'],
  ['aes-128-cbc', 'hmac-sha-256-128'],
] as const)
  test(`RFC 4303 §2.2.1: with ${encryption}, extended numbers pass 2^32 although only their low half is sent, in order or not`, () => {
    const { outbound, inbound } = saPair(encryption, integrity, { extendedSequenceNumbers: true });
    const ends = new Ends(outbound, SUBSPACE - 21, inbound);
    for (let count = 0; count < 40; count++) ends.send();
    const packets = ends.fromWest.ip.splice(0);
    for (let index = 0; index < packets.length; index += 4)
      packets.splice(index, 4, ...packets.slice(index, index + 4).reverse());
    for (const packet of packets) ends.receive(packet);
    assert.equal(ends.fromEast.delivered.length, 40);
    for (const packet of packets) ends.receive(packet);
    assert.equal(ends.eastCounters.snapshot().replayErrors, 40);
    assert.equal(ends.eastCounters.snapshot().discarded, 40);
  });

/** Two ends of one SA whose counter has come far already, which no command can say. */
class Ends {
  readonly fromWest = new RecordingOutbox();
  readonly fromEast = new RecordingOutbox();
  readonly westCounters = new Counters();
  readonly eastCounters = new Counters();
  readonly #west: Outbound;
  readonly #east: Inbound;

  constructor(sa: IpsecSa, sequence: number, inbound?: IpsecSa) {
    const policies = new SecurityPolicyDatabase();
    policies.put(policy());
    const outbound = new OutboundSa(START, sa, transformOf(sa));
    outbound.resumeAfter(sequence);
    const entry = policies.get(sa.policy);
    assert.ok(entry);
    entry.outbound = outbound;
    this.#west = new Outbound(policies, this.westCounters, new SeededRandom(1));
    const associations = new SecurityAssociationDatabase();
    this.#east = new Inbound(associations, policies, this.eastCounters, this.#west);
    if (!inbound) return;
    const receiving = new InboundSa(START, inbound, transformOf(inbound));
    receiving.window.accept(sequence);
    associations.addInbound(receiving);
  }

  send(): void {
    const inner = innerPacket();
    this.#west.handlePacket(START, 'st0.0', inner, 0, inner.length, this.fromWest);
  }

  receive(packet: Uint8Array): void {
    this.#east.handleIpPacket(START, packet.slice(), this.fromEast);
  }
}

function transformOf(sa: IpsecSa): Transform {
  const transform = createTransform(nodePacketCrypto, sa);
  assert.ok(transform.ok);
  return transform.value;
}

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { nodePacketCrypto } from '../crypto/node-packet-provider.ts';
import type { PacketCryptoProvider } from '../crypto/provider.ts';
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

for (const [name, encryption, given] of [
  ['AES-GCM', 'aes-128-gcm', {}],
  ['AES-CBC with HMAC', 'aes-128-cbc', { integrity: 'hmac-sha-256-128' }],
  ['AH', 'null', { integrity: 'hmac-sha-256-128', protocol: 'ah' }],
] as const) {
  const { integrity = 'none', ...more } = { integrity: undefined, ...given };
  const pairOf = (replayWindow: number) =>
    saPair(encryption, integrity, { ...more, extendedSequenceNumbers: true, replayWindow });

  test(`RFC 4303 Appendix A3: with ${name}, after any loss of up to 16 x 2^32 packets, sixty-four more are lost, and then none`, () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5 * SUBSPACE }),
        fc.integer({ min: 1, max: 16 }),
        fc.integer({ min: 0, max: 10_000 }),
        fc.constantFrom(0, 64, 1024),
        (reached, subspaces, beyond, replayWindow) => {
          const { outbound, inbound } = pairOf(replayWindow);
          const ends = new Ends(outbound, reached, inbound);
          ends.send();
          const old = ends.fromWest.ip.splice(0);
          for (const packet of old) ends.receive(packet);
          ends.lose(subspaces * SUBSPACE + beyond + replayWindow - 1);
          for (let count = 0; count < 67; count++) ends.send();
          const packets = ends.fromWest.ip.splice(0);
          for (const packet of packets) ends.receive(packet);
          assert.equal(ends.fromEast.delivered.length, 1 + 3);
          if (replayWindow === 0) return;
          for (const packet of [...packets.slice(64), ...old]) ends.receive(packet);
          assert.equal(ends.fromEast.delivered.length, 4, 'and nothing old is taken for new');
        },
      ),
      { numRuns: 30 },
    );
  });

  test(`RFC 4303 Appendix A3.2: with ${name}, the search ends: a greater loss is not made good`, () => {
    const { outbound, inbound } = pairOf(64);
    const ends = new Ends(outbound, 7, inbound);
    ends.lose(17 * SUBSPACE + 100);
    for (let count = 0; count < 100; count++) ends.send();
    for (const packet of ends.fromWest.ip.splice(0)) ends.receive(packet);
    assert.equal(ends.fromEast.delivered.length, 0);
    assert.equal(ends.eastCounters.snapshot().drops['bad-icv'], 100);
  });
}

test('RFC 4303 Appendix A3: a flood of forgeries is tried again ten times a second at most, with sixteen high halves each', () => {
  const { outbound, inbound } = saPair('aes-128-gcm', 'none', { extendedSequenceNumbers: true });
  let opened = 0;
  const counting: PacketCryptoProvider = {
    ...nodePacketCrypto,
    aead: (algorithm, key) => {
      const aead = nodePacketCrypto.aead(algorithm, key);
      return {
        seal: (...args) => aead.seal(...args),
        open: (...args) => {
          opened++;
          return aead.open(...args);
        },
      };
    },
  };
  const ends = new Ends(outbound, 7, inbound, counting);
  for (let count = 0; count < 1000; count++) ends.send();
  for (const packet of ends.fromWest.ip) {
    packet[packet.length - 1] = (packet.at(-1) ?? 0) ^ 1;
    ends.receive(packet);
  }
  assert.equal(opened, 1000 + 10 * 16);
  assert.equal(ends.eastCounters.snapshot().drops['bad-icv'], 1000);
  ends.fromWest.ip.length = 0;
  ends.send();
  for (const packet of ends.fromWest.ip) ends.receive(packet);
  assert.equal(ends.fromEast.delivered.length, 1, 'and a genuine one passes as ever');
});

/** Two ends of one SA whose counter has come far already, which no command can say. */
class Ends {
  readonly fromWest = new RecordingOutbox();
  readonly fromEast = new RecordingOutbox();
  readonly westCounters = new Counters();
  readonly eastCounters = new Counters();
  readonly #west: Outbound;
  readonly #sender: OutboundSa;
  readonly #east: Inbound;

  constructor(sa: IpsecSa, sequence: number, inbound?: IpsecSa, eastCrypto = nodePacketCrypto) {
    const policies = new SecurityPolicyDatabase();
    policies.put(policy());
    const outbound = new OutboundSa(START, sa, transformOf(sa));
    outbound.resumeAfter(sequence);
    this.#sender = outbound;
    const entry = policies.get(sa.policy);
    assert.ok(entry);
    entry.outbound = outbound;
    this.#west = new Outbound(policies, this.westCounters, nodePacketCrypto, new SeededRandom(1));
    const associations = new SecurityAssociationDatabase();
    this.#east = new Inbound(associations, policies, this.eastCounters, this.#west);
    if (!inbound) return;
    const receiving = new InboundSa(START, inbound, transformOf(inbound, eastCrypto));
    receiving.window.accept(sequence);
    associations.addInbound(receiving);
  }

  send(): void {
    const inner = innerPacket();
    this.#west.handlePacket(START, 'st0.0', inner, 0, inner.length, this.fromWest);
  }

  /** So many packets are sent and never come. */
  lose(packets: number): void {
    this.#sender.resumeAfter(this.#sender.sequence + packets);
  }

  receive(packet: Uint8Array): void {
    this.#east.handleIpPacket(START, packet.slice(), 0, packet.length, this.fromEast);
  }
}

function transformOf(sa: IpsecSa, crypto = nodePacketCrypto): Transform {
  const transform = createTransform(crypto, sa);
  assert.ok(transform.ok);
  return transform.value;
}

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { IkeProposalConfig } from '../../model/gateway-config.ts';
import { ISAKMP_HEADER_LENGTH } from '../../wire/isakmp-header.ts';
import { type Flight, type PairOptions, TestPair } from './two-endpoints.fixture.ts';

const MAIN = [
  '--> HDR, SA, VID',
  '<-- HDR, SA, VID',
  '--> HDR, KE, Ni, NAT-D, NAT-D',
  '<-- HDR, KE, Nr, NAT-D, NAT-D',
  '--> HDR*, IDii, HASH_I, N(INITIAL-CONTACT)',
  '<-- HDR*, IDir, HASH_R, N(INITIAL-CONTACT)',
];
const AGGRESSIVE = [
  '--> HDR, SA, KE, Ni, IDii, VID',
  '<-- HDR, SA, KE, Nr, IDir, HASH_R, NAT-D, NAT-D, VID',
  '--> HDR*, HASH_I, NAT-D, NAT-D, N(INITIAL-CONTACT)',
];
/** Two block lengths, and hashes of three lengths, so that the last block begins in different places. */
const SUITES: readonly Partial<IkeProposalConfig>[] = [
  { encryption: 'aes-128-cbc', hash: 'sha-256' },
  { encryption: 'aes-256-cbc', hash: 'sha1' },
  { encryption: '3des-cbc', hash: 'md5' },
  { encryption: '3des-cbc', hash: 'sha-256' },
];
const SCRIPTS: readonly {
  readonly ladder: readonly string[];
  readonly index: number;
  readonly options: PairOptions;
}[] = SUITES.flatMap((ikeProposal) => [
  { ladder: MAIN, index: 4, options: { both: { ikeProposal } } },
  { ladder: MAIN, index: 5, options: { both: { ikeProposal } } },
  { ladder: AGGRESSIVE, index: 2, options: { both: { ikeProposal, policy: { mode: 'aggressive' } } } },
]);

for (const { ladder, index, options } of SCRIPTS) {
  const { encryption, hash } = options.both?.ikeProposal ?? {};
  const title = `message ${index + 1} of ${ladder.length} with ${encryption} and ${hash}`;

  test(`RFC 2409 Appendix B: ${title}: damage where no hash covers it costs a repetition, not the exchange`, () => {
    const blockLength = encryption === '3des-cbc' ? 8 : 16;
    for (let back = 1; back <= 3 * blockLength; back += 3) {
      const lab = new TestPair(options);
      const flight = upTo(lab, ladder, index);
      lab.deliver(flight, altered(flight, back));
      lab.advance('7s', true);
      lab.expectEstablished();
      const failures = [lab.initiator, lab.responder].flatMap((side) => side.ofKind('negotiation-failed'));
      // Damage that the hash covers is told once, as the probable mistake that it looks like; nothing ends by it.
      assert.ok(failures.every(({ isFinal }) => !isFinal));
      for (const side of [lab.initiator, lab.responder]) assert.equal(side.ofKind('ike-sa-established').length, 1);
    }
  });
}

test('a sender who pads as it likes is believed when it repeats itself', () => {
  for (const { ladder, index, options } of SCRIPTS.slice(0, 3)) {
    const lab = new TestPair(options);
    const flight = upTo(lab, ladder, index);
    const peculiar = altered(flight, 1);
    const receiver = lab.side(flight.from === 'initiator' ? 'responder' : 'initiator');
    const isUp = (): boolean => receiver.endpoint.ikeSas(lab.now).some(({ state }) => state === 'up');
    lab.deliver(flight, peculiar);
    assert.equal(isUp(), false);
    assert.ok(receiver.ofKind('message-dropped').some(({ fault }) => fault === 'doubtful'));
    lab.deliver(flight, peculiar);
    assert.equal(isUp(), true);
  }
});

/** Plays the script up to this message, which is taken and not delivered. */
function upTo(lab: TestPair, ladder: readonly string[], index: number): Flight {
  lab.initiator.initiate();
  for (const line of ladder.slice(0, index)) lab.expect(line);
  return lab.take(ladder[index] ?? '');
}

/** The same message with one bit changed, so many octets before its end. */
function altered({ bytes }: Flight, back: number): Uint8Array {
  const copy = bytes.slice();
  const at = copy.length - back;
  assert.ok(at >= ISAKMP_HEADER_LENGTH);
  copy[at] = (copy[at] ?? 0) ^ 0x40;
  return copy;
}

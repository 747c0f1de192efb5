// Plays an exchange on the bench, and before each of its messages arrives tries everything that is not due there: no state may change.

import assert from 'node:assert/strict';
import { toHex } from '../../src/lib/bytes.ts';
import { EXCHANGE_TYPE, ISAKMP_HEADER_LENGTH } from '../../src/wire/isakmp-header.ts';
import { headerOf } from './forged-messages.fixture.ts';
import { type BenchOptions, type InFlight, type Side, type TwoGateways, twoGateways } from './two-gateways.ts';

/** An exchange in the RFC's notation, and what it begins from. */
export interface Script {
  readonly options: BenchOptions;
  /** Brings the two to where the exchange begins; all that is sent arrives. Without it they have nothing. */
  readonly prepare?: (lab: TwoGateways) => void;
  readonly begin: (lab: TwoGateways) => void;
  readonly ladder: readonly string[];
  /** What the exchange has led to, once it is over. */
  readonly expectEnd: (lab: TwoGateways) => void;
}

/** Where a message is before it arrives, and another that may come in its place. */
interface Attempt {
  readonly name: string;
  readonly to: Side;
  readonly message: InFlight;
  readonly datagram: Uint8Array;
}

const FOREIGN_SEED = 500;
const EXCHANGES: readonly number[] = [
  EXCHANGE_TYPE['identity-protection'],
  EXCHANGE_TYPE.aggressive,
  EXCHANGE_TYPE.informational,
  EXCHANGE_TYPE.quick,
];

/** Plays the script once, undisturbed. */
export function play(script: Script): void {
  const lab = prepared(script, script.options);
  script.begin(lab);
  for (const line of script.ladder) lab.expect(line);
  lab.settle();
  script.expectEnd(lab);
}

/**
 * Plays the script, and before each message tries every other one of the record, all of another pair's, and this one altered, under
 * other message IDs and exchange types, and sent back; at most duplicates and errors in the clear are answered.
 */
export function tryEverythingAtEachStep(script: Script): void {
  const record = [...recordOf(script, script.options)];
  const foreign = recordOf(script, { ...script.options, seed: FOREIGN_SEED });
  const known = new Set(record.map(({ datagram }) => toHex(datagram)));
  const first = record.length - script.ladder.length;
  const lab = prepared(script, script.options);
  script.begin(lab);
  for (const [index, line] of script.ladder.entries()) {
    const entry = lab.drop(line);
    // Answers to what came wrongly have drawn on randomness: from then on, this run's octets are others than the record's.
    record[first + index] = entry;
    known.add(toHex(entry.datagram));
    const waiting = lab.inFlight.length;
    const others = record.filter((message, other) => !isDue(lab, record, first + index, message, other));
    const before = snapshot(lab);
    for (const attempt of attempts(lab, entry, others, foreign)) {
      lab.inject(attempt.to, pathTo(attempt.message, attempt.to === attempt.message.from), attempt.datagram);
      assert.ok(snapshot(lab) === before, `${line}: ${attempt.name} has changed something`);
      for (const answer of lab.inFlight.splice(waiting)) {
        const isExpected = known.has(toHex(answer.datagram)) || answer.notation.startsWith('HDR, N(');
        assert.ok(isExpected, `${line}: ${attempt.name} is answered ${answer.notation}`);
      }
    }
    lab.deliver(entry);
  }
  lab.settle();
  script.expectEnd(lab);
}

/** What its receiver waits for now, or may rightly get: the next message of each side, and one that opens an exchange of its own. */
function isDue(lab: TwoGateways, record: readonly InFlight[], at: number, message: InFlight, index: number): boolean {
  const { office } = message.from;
  if (index >= at && index === record.findIndex((other, place) => place >= at && other.from.office === office))
    return true;
  const sas = receiverOf(lab, message).gateway.ikeSas(lab.now);
  const { initiatorCookie, exchangeType } = headerOf(message.datagram);
  if (isFirst(message)) return sas.every((sa) => sa.initiatorCookie !== toHex(initiatorCookie));
  const opensQuickMode = exchangeType === EXCHANGE_TYPE.quick && message.notation.includes('HASH(1)');
  return opensQuickMode && index > at && sas.some(({ state }) => state === 'up');
}

function isFirst({ datagram }: InFlight): boolean {
  return headerOf(datagram).responderCookie.every((octet) => octet === 0);
}

function* attempts(
  lab: TwoGateways,
  entry: InFlight,
  others: readonly InFlight[],
  foreign: readonly InFlight[],
): Generator<Attempt> {
  for (const message of others) {
    yield { name: `again ${message.notation}`, to: receiverOf(lab, message), message, datagram: message.datagram };
  }
  for (const message of foreign) {
    // A first message rightly begins another exchange.
    if (isFirst(message)) continue;
    yield { name: `foreign ${message.notation}`, to: receiverOf(lab, message), message, datagram: message.datagram };
  }
  const to = receiverOf(lab, entry);
  yield { name: 'sent back', to: entry.from, message: entry, datagram: entry.datagram };
  for (const datagram of alterations(entry, others)) yield { name: 'altered', to, message: entry, datagram };
}

/** The message as one of another exchange, cut short, and, where it is protected, with a bit changed. */
function* alterations({ datagram }: InFlight, others: readonly InFlight[]): Generator<Uint8Array> {
  const header = headerOf(datagram);
  for (const exchangeType of EXCHANGES) {
    if (exchangeType !== header.exchangeType) yield withOctets(datagram, 18, [exchangeType]);
  }
  const messageIds = new Set(others.map((other) => toHex(other.datagram.subarray(20, 24))));
  messageIds.delete(toHex(datagram.subarray(20, 24)));
  for (const messageId of messageIds) yield withOctets(datagram, 20, [...Buffer.from(messageId, 'hex')]);
  for (let length = 0; length < datagram.length; length += 7) yield datagram.subarray(0, length);
  if (!header.flags.encryption) return;
  yield withOctets(datagram, 19, [0]);
  for (let at = ISAKMP_HEADER_LENGTH; at < ISAKMP_HEADER_LENGTH + 16; at++) {
    yield withOctets(datagram, at, [(datagram[at] ?? 0) ^ 1]);
  }
}

function withOctets(datagram: Uint8Array, at: number, octets: readonly number[]): Uint8Array {
  const copy = datagram.slice();
  copy.set(octets, at);
  return copy;
}

function prepared(script: Script, options: BenchOptions): TwoGateways {
  const lab = twoGateways(options);
  script.prepare?.(lab);
  lab.settle();
  return lab;
}

/** Everything that arrives on the way to the end of the script, what prepares it included. */
function recordOf(script: Script, options: BenchOptions): readonly InFlight[] {
  const record: InFlight[] = [];
  const lab = twoGateways(options);
  const deliver = lab.deliver.bind(lab);
  lab.deliver = (entry, datagram): void => {
    record.push(entry);
    deliver(entry, datagram);
  };
  script.prepare?.(lab);
  lab.settle();
  script.begin(lab);
  for (const line of script.ladder) lab.expect(line);
  return record;
}

function receiverOf(lab: TwoGateways, message: InFlight): Side {
  return message.from.office === lab.initiator.office ? lab.responder : lab.initiator;
}

function pathTo(message: InFlight, isSentBack: boolean): InFlight['path'] {
  return isSentBack ? message.path : { local: message.path.remote, remote: message.path.local };
}

/** All that a peer can see or change at either end. */
function snapshot(lab: TwoGateways): string {
  const sides = [lab.initiator, lab.responder].map(({ gateway, commands }) => ({
    ike: gateway.ikeSas(lab.now).map((sa) => ({ ...sa, traffic: undefined })),
    ipsec: gateway.ipsecSas(lab.now),
    commands: commands.length,
  }));
  return JSON.stringify(sides);
}

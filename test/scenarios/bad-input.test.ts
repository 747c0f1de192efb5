import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fromHex } from '../../src/lib/bytes.ts';
import type { UdpPath } from '../../src/model/address.ts';
import { officeAddresses } from '../../src/simulation/two-offices.ts';
import { sharedFile } from '../shared.ts';
import {
  AGGRESSIVE_MODE_LADDER,
  type BenchOptions,
  type InFlight,
  MAIN_MODE_LADDER,
  QUICK_MODE_LADDER,
  type Side,
  type TwoGateways,
  twoGateways,
} from './two-gateways.ts';

const LADDER = [...MAIN_MODE_LADDER, ...QUICK_MODE_LADDER];
const NEGOTIATIONS: readonly {
  readonly title: string;
  readonly ladder: readonly string[];
  readonly options: BenchOptions;
}[] = [
  { title: 'Main Mode', ladder: LADDER, options: { mode: 'main' } },
  {
    title: 'Aggressive Mode',
    ladder: [...AGGRESSIVE_MODE_LADDER, ...QUICK_MODE_LADDER],
    options: { mode: 'aggressive' },
  },
];
const MAIN = officeAddresses('main', { isBranchBehindNat: false }).gateway;
const BRANCH = officeAddresses('branch', { isBranchBehindNat: false }).gateway;

interface RecordedPacket {
  readonly sport: number;
  readonly dport: number;
  readonly kind: string;
  readonly payload: string;
  readonly non_esp_marker: boolean;
}

for (const { title, ladder, options } of NEGOTIATIONS) {
  test(`${title}: each message cut short at each length: nothing changes, and the whole message is still welcome`, () => {
    const lab = twoGateways(options);
    lab.initiate();
    for (const line of ladder) {
      const entry = lab.drop(line);
      const waiting = lab.inFlight.length;
      for (let length = 0; length < entry.datagram.length; length++) {
        lab.deliver(entry, entry.datagram.subarray(0, length));
        assert.equal(lab.inFlight.length, waiting, `${line} cut to ${length} octets was answered`);
      }
      lab.deliver(entry);
    }
    lab.expectSilence();
    lab.expectEstablished();
  });

  test(`${title}: each encrypted message with each octet changed: nothing changes, and the true one is still welcome`, () => {
    const lab = twoGateways(options);
    lab.initiate();
    for (const line of ladder) {
      const entry = lab.drop(line);
      const waiting = lab.inFlight.length;
      if (line.includes('HDR*')) {
        forEachFlip(entry.datagram, (changed) => {
          lab.deliver(entry, changed);
          lab.inFlight.length = waiting;
        });
      }
      lab.deliver(entry);
    }
    lab.settle();
    lab.expectEstablished();
  });

  test(`${title}: each message in clear with each octet changed: at most this negotiation is lost, the next one succeeds`, () => {
    for (const [index, line] of ladder.entries()) {
      if (line.includes('HDR*')) continue;
      forEachFlip(upTo(index, ladder, options).entry.datagram, (changed, position) => {
        const { lab, entry } = upTo(index, ladder, options);
        lab.deliver(entry, changed);
        // Every octet is tried; whether the gateways get over it is looked at for some of them, since that is a whole negotiation.
        if (position % 7 !== index) return;
        lab.settle();
        lab.advance('200s');
        lab.settle();
        lab.initiate();
        lab.settle();
        lab.expectEstablished();
      });
    }
  });
}

test('each message of another negotiation, cut and changed, leaves an established tunnel as it is', () => {
  const lab = established();
  const before = standing(lab);
  const strangers = messagesOfNegotiation(77);
  for (const entry of strangers) {
    for (const side of [lab.initiator, lab.responder]) {
      batter(lab, side, entry.datagram, 500);
      assert.deepEqual(standing(lab), before, entry.notation);
    }
  }
  lab.expectEstablished();
});

test('a negotiation of its own that is played back afterwards, whole, cut and changed, leaves the tunnel as it is', () => {
  const lab = twoGateways();
  lab.initiate();
  const entries = LADDER.map((line) => lab.expect(line));
  const before = standing(lab);
  for (const entry of entries) {
    lab.deliver(entry);
    for (let length = 0; length < entry.datagram.length; length++)
      lab.deliver(entry, entry.datagram.subarray(0, length));
    forEachFlip(entry.datagram, (changed) => lab.deliver(entry, changed));
    lab.inFlight.length = 0;
    assert.deepEqual(standing(lab), before, entry.notation);
  }
  lab.expectEstablished();
});

const RECORDINGS = sharedFile('vectors/strongswan-live');

test('each message that strongSwan was recorded with, cut and changed, leaves an established tunnel as it is', {
  skip: RECORDINGS === undefined ? 'the recordings are not here' : false,
}, () => {
  assert.ok(RECORDINGS !== undefined);
  const lab = established();
  const before = standing(lab);
  let messageCount = 0;
  for (const file of readdirSync(RECORDINGS).filter((name) => name.endsWith('.json'))) {
    const recording: { readonly packets: readonly RecordedPacket[] } = JSON.parse(
      readFileSync(join(RECORDINGS, file), 'utf8'),
    );
    for (const packet of recording.packets.filter(({ kind }) => kind === 'ike')) {
      const marker = packet.non_esp_marker ? '00000000' : '';
      batter(lab, lab.responder, fromHex(marker + packet.payload), packet.dport === 4500 ? 4500 : 500);
      assert.deepEqual(standing(lab), before, file);
      messageCount++;
    }
  }
  assert.ok(messageCount > 100);
  lab.expectEstablished();
});

test('on port 4500 a datagram without the marker is not IKE, whatever follows', () => {
  const lab = twoGateways();
  lab.initiate();
  const { datagram } = lab.drop('-->  HDR, SA, VID');
  lab.inject(lab.responder, pathTo(lab.responder, 4500), datagram);
  lab.expectSilence();
  const { dropped } = lab.responder.gateway.counters();
  assert.deepEqual(dropped, { 'esp-outside-data-plane': 1 });
});

test('on port 500 a datagram with the marker is not IKE', () => {
  const lab = twoGateways();
  lab.initiate();
  const { datagram } = lab.drop('-->  HDR, SA, VID');
  lab.inject(lab.responder, pathTo(lab.responder, 500), Uint8Array.of(0, 0, 0, 0, ...datagram));
  assert.deepEqual(lab.responder.received(), []);
});

/** Hands a side one datagram in every shape: cut at each length, and with each octet changed, as from its peer's address. */
function batter(lab: TwoGateways, side: Side, datagram: Uint8Array, port: number): void {
  const path = pathTo(side, port);
  for (let length = 0; length < datagram.length; length++) lab.inject(side, path, datagram.subarray(0, length));
  forEachFlip(datagram, (changed) => lab.inject(side, path, changed));
  // What it made the side say is lost.
  lab.inFlight.length = 0;
}

function forEachFlip(datagram: Uint8Array, action: (changed: Uint8Array, position: number) => void): void {
  for (let position = 0; position < datagram.length; position++) {
    const changed = datagram.slice();
    changed[position] = (changed[position] ?? 0) ^ 0xff;
    action(changed, position);
  }
}

function pathTo(side: Side, port: number): UdpPath {
  const remote = side.address === MAIN ? BRANCH : MAIN;
  return { local: { address: side.address, port }, remote: { address: remote, port } };
}

/** A negotiation that stands before its message number `index`, from 0. */
function upTo(
  index: number,
  ladder: readonly string[],
  options: BenchOptions,
): { readonly lab: TwoGateways; readonly entry: InFlight } {
  const lab = twoGateways(options);
  lab.initiate();
  for (const line of ladder.slice(0, index)) lab.expect(line);
  return { lab, entry: lab.drop(ladder[index] ?? '') };
}

function messagesOfNegotiation(seed: number): readonly InFlight[] {
  const lab = twoGateways({ seed });
  lab.initiate();
  return LADDER.map((line) => lab.expect(line));
}

function established(): TwoGateways {
  const lab = twoGateways();
  lab.initiate();
  lab.settle();
  lab.expectEstablished();
  return lab;
}

/** What must not change: the SAs that are up. */
function standing(lab: TwoGateways): unknown {
  return [lab.initiator, lab.responder].map((side) => ({
    ike: side.gateway
      .ikeSas(lab.now)
      .filter((sa) => sa.state === 'up')
      .map((sa) => sa.id),
    ipsec: side.gateway.ipsecSas(lab.now).map((pair) => [pair.inboundSpi, pair.outboundSpi, pair.isCurrent, pair.path]),
  }));
}

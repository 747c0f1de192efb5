// Datagrams in an input of a gateway's fuzz target, and what is asked of two gateways there.

import assert from 'node:assert/strict';
import { concat } from '../../src/lib/bytes.ts';
import { address, type UdpPath } from '../../src/model/address.ts';
import {
  type BenchOptions,
  type InFlight,
  type Side,
  type TwoGateways,
  twoGateways,
} from '../scenarios/two-gateways.ts';

/** In the first octet of a frame. */
export const FLAG = { toResponder: 1, onPort4500: 2, fromStranger: 4 } as const;

const STRANGER = address('203.0.113.66');
const IKE_PORT = 500;
const NAT_TRAVERSAL_PORT = 4500;
const MARKER_LENGTH = 4;
const TALK_MAX = 1000;

/** Two gateways with a tunnel between them. */
export function established(options: BenchOptions = {}): TwoGateways {
  const lab = twoGateways(options);
  lab.initiate();
  lab.settle();
  lab.expectEstablished();
  return lab;
}

/** One negotiation from end to end, message by message. */
export function recordNegotiation(options: BenchOptions = {}): readonly InFlight[] {
  const lab = twoGateways(options);
  const sent: InFlight[] = [];
  lab.initiate();
  for (let entry = lab.inFlight.shift(); entry; entry = lab.inFlight.shift()) {
    sent.push(entry);
    lab.deliver(entry);
  }
  lab.expectEstablished();
  return sent;
}

/** Whether both have one IKE SA, and one pair of IPsec SAs in use that fit together. */
export function isEstablished(lab: TwoGateways): boolean {
  const pairs = [lab.initiator, lab.responder].map(({ gateway }) => {
    const up = gateway.ikeSas(lab.now).filter(({ state }) => state === 'up');
    const current = gateway.ipsecSas(lab.now).filter(({ isCurrent }) => isCurrent);
    return up.length === 1 && current.length === 1 ? current[0] : undefined;
  });
  const [near, far] = pairs;
  if (near === undefined || far === undefined) return false;
  return near.outboundSpi === far.inboundSpi && far.outboundSpi === near.inboundSpi;
}

/** Lets what is in flight from one gateway to the other arrive, and what that causes; what goes to strangers is theirs. */
export function settleBetweenGateways(lab: TwoGateways): void {
  for (let count = 0; lab.inFlight.length > 0; count++) {
    assert.ok(count < TALK_MAX, 'the two gateways do not stop talking');
    const entry = lab.inFlight.shift();
    if (entry && entry.path.remote.address !== STRANGER) lab.deliver(entry);
  }
}

/** Octets in front of an ISAKMP header. */
export function markerLength(flags: number): number {
  return flags & FLAG.onPort4500 ? MARKER_LENGTH : 0;
}

export function flagsOf(entry: InFlight): number {
  const toResponder = entry.from.office === 'main' ? FLAG.toResponder : 0;
  return toResponder | (entry.path.local.port === NAT_TRAVERSAL_PORT ? FLAG.onPort4500 : 0);
}

export function sideFor(lab: TwoGateways, flags: number): Side {
  return flags & FLAG.toResponder ? lab.responder : lab.initiator;
}

export function pathTo(lab: TwoGateways, flags: number): UdpPath {
  const to = sideFor(lab, flags);
  const from = to === lab.initiator ? lab.responder : lab.initiator;
  const port = flags & FLAG.onPort4500 ? NAT_TRAVERSAL_PORT : IKE_PORT;
  return {
    local: { address: to.address, port },
    remote: { address: flags & FLAG.fromStranger ? STRANGER : from.address, port },
  };
}

/** One datagram in an input: flags, length, octets. */
export function frame(flags: number, datagram: Uint8Array): Uint8Array {
  return concat(Uint8Array.of(flags, datagram.length >> 8, datagram.length & 0xff), datagram);
}

export function* frames(input: Uint8Array): Iterable<{ flags: number; datagram: Uint8Array }> {
  for (let offset = 0; offset < input.length; ) {
    const [flags = 0, high = 0, low = 0] = input.subarray(offset, offset + 3);
    const datagram = input.slice(offset + 3, offset + 3 + ((high << 8) | low));
    offset += 3 + datagram.length;
    yield { flags, datagram };
  }
}

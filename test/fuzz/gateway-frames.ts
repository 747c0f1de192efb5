// Datagrams in an input of a gateway's fuzz target, and what is asked of two gateways there.

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

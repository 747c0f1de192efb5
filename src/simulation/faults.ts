// What goes wrong on the way, as rules for the fabric.

import { type Instant, type Milliseconds, milliseconds } from '../lib/time.ts';
import type { IpAddress } from '../model/address.ts';
import type { Chance } from './chance.ts';
import { type DeliveredCopy, type FabricRule, PASS, type WirePacket } from './fabric.ts';

/** How bad the network is. Probabilities are for each packet, from 0 to 1. */
export interface LinkQuality {
  readonly loss: number;
  readonly duplication: number;
  /** One octet, chosen by chance, differs; as if the checksum had missed it. */
  readonly corruption: number;
  /** Packets that take `lateDelay` longer, and so arrive out of order. */
  readonly reordering: number;
  readonly delay: Milliseconds;
  /** Added to the delay, evenly distributed from 0. */
  readonly jitter: Milliseconds;
  readonly lateDelay: Milliseconds;
}

/** A network that loses nothing and keeps the order. */
export const CALM: LinkQuality = {
  loss: 0,
  duplication: 0,
  corruption: 0,
  reordering: 0,
  delay: milliseconds(20),
  jitter: milliseconds(0),
  lateDelay: milliseconds(0),
};

/** From `from` until `until` nothing gets through from one address to another. */
export interface Partition {
  readonly from: Instant;
  readonly until: Instant;
  readonly source: IpAddress;
  readonly destination: IpAddress;
}

/** Applies a quality that may change while the simulation runs; what `isSpared` is not corrupted. */
export function qualityRule(
  quality: () => LinkQuality,
  chance: Chance,
  isSpared: (packet: WirePacket) => boolean = () => false,
): FabricRule {
  return (_now, packet) => {
    const { loss, duplication, ...rest } = isSpared(packet) ? { ...quality(), corruption: 0 } : quality();
    if (chance.happens(loss)) return { kind: 'drop', reason: 'lost' };
    const copies = [copyOf(packet, rest, chance)];
    if (chance.happens(duplication)) copies.push(copyOf(packet, rest, chance));
    return { kind: 'deliver', copies };
  };
}

export function partitionRule(partitions: readonly Partition[]): FabricRule {
  return (now, packet) => {
    const { source, destination } = addressesOf(packet);
    const isCut = partitions.some(
      (cut) => cut.from <= now && now < cut.until && cut.source === source && cut.destination === destination,
    );
    return isCut ? { kind: 'drop', reason: 'partitioned' } : PASS;
  };
}

function copyOf(packet: WirePacket, quality: Omit<LinkQuality, 'loss' | 'duplication'>, chance: Chance): DeliveredCopy {
  const late = chance.happens(quality.reordering) ? quality.lateDelay : 0;
  const delay = milliseconds(quality.delay + Math.floor(chance.between(0, quality.jitter)) + late);
  if (packet.octets.length === 0 || !chance.happens(quality.corruption)) return { delay };
  const octets = packet.octets.slice();
  const index = chance.integer(0, octets.length - 1);
  octets[index] = (octets[index] ?? 0) ^ chance.integer(1, 255);
  return { delay, octets };
}

function addressesOf(packet: WirePacket): { readonly source: IpAddress; readonly destination: IpAddress } {
  if (packet.kind === 'ip') return packet;
  return { source: packet.source.address, destination: packet.destination.address };
}

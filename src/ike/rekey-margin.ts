// How long before an SA expires its successor is asked for (RFC 2408 §4.1 leaves it to us).

import { type RandomSource, randomBelow } from '../lib/random.ts';
import { type Milliseconds, milliseconds } from '../lib/time.ts';
import type { IkeRole } from '../model/ike-event.ts';

/** Bounds of a share, in thousandths. */
export interface ShareBounds {
  readonly least: number;
  readonly most: number;
}

/**
 * At least so long, in milliseconds: if the ISAKMP SA has been lost over there, half a minute passes until that is known, and then
 * phase 1 has to come first. The initiator's is longer, so that both sides seldom start at once.
 */
const ENOUGH = { initiator: 65_000, responder: 45_000 } as const;

/** A share of the lifetime, drawn between the bounds, or enough time, whichever is longer; of a short lifetime about a third. */
export function rekeyMargin(
  share: ShareBounds,
  role: IkeRole,
  lifetime: Milliseconds,
  random: RandomSource,
): Milliseconds {
  const drawn = (share.least + randomBelow(random, share.most - share.least)) / 1000;
  const enough = ENOUGH[role] * (0.9 + drawn);
  return milliseconds(Math.ceil(Math.min(Math.max(lifetime * drawn, enough), lifetime * (0.25 + drawn / 2))));
}

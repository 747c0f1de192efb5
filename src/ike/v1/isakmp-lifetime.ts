// When an ISAKMP SA is replaced, and when it ends (RFC 2409 Appendix A: life type and duration).

import type { RandomSource } from '../../lib/random.ts';
import { after, earliest, elapsed, type Instant, type Milliseconds, milliseconds, NEVER } from '../../lib/time.ts';
import type { IkeRole } from '../../model/ike-event.ts';
import { rekeyMargin } from '../rekey-margin.ts';

/**
 * Rekeying begins when this share of the lifetime is left, drawn anew for each SA (in thousandths): the initiator first, so that both
 * sides seldom start at once; the responder is there in case that fails.
 */
const REKEY_MARGIN = { initiator: { least: 100, most: 200 }, responder: { least: 40, most: 80 } } as const;
/** A successor that does not come is asked for again. */
const REKEY_AGAIN = milliseconds(30_000);

/** What a lifetime asks for now. */
export type LifetimeAction = 'none' | 'rekey' | 'expired' | 'retired';

/** When an ISAKMP SA needs a successor, and when it ends: by its lifetime, or because the successor is there. */
export class IsakmpLifetime {
  #softExpiresAt: Instant;
  readonly #hardExpiresAt: Instant;
  #retiresAt: Instant = NEVER;

  constructor(now: Instant, lifetime: Milliseconds, role: IkeRole, random: RandomSource) {
    this.#hardExpiresAt = after(now, lifetime);
    const margin = rekeyMargin(REKEY_MARGIN[role], role, lifetime, random);
    this.#softExpiresAt = after(now, milliseconds(lifetime - margin));
  }

  /** The successor is there: this SA goes by then. */
  retire(at: Instant): void {
    this.#retiresAt = earliest(this.#retiresAt, at);
    this.#softExpiresAt = NEVER;
  }

  remaining(now: Instant): Milliseconds {
    return elapsed(now, this.#hardExpiresAt);
  }

  nextTimeout(): Instant {
    return earliest(this.#softExpiresAt, this.#hardExpiresAt, this.#retiresAt);
  }

  handleTimeout(now: Instant): LifetimeAction {
    if (now >= this.#hardExpiresAt) return 'expired';
    if (now >= this.#retiresAt) return 'retired';
    if (now < this.#softExpiresAt) return 'none';
    this.#softExpiresAt = after(now, REKEY_AGAIN);
    return 'rekey';
  }
}

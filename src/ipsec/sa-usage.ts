import { after, type Instant, milliseconds, NEVER, seconds, toMilliseconds } from '../lib/time.ts';
import type { SaCounters } from '../model/data-plane.ts';
import type { SaLifetime } from '../model/ipsec-sa.ts';
import {
  countSaDrop,
  type DropCause,
  readSaCounters,
  SA_COUNTER_CELLS,
  SA_OCTETS_CELL,
  SA_PACKETS_CELL,
} from './counters.ts';

const KILOBYTE = 1024; // RFC 2407 §4.5: lifetimes in kilobytes are of 1024 octets
const EVENT_INTERVAL = milliseconds(1000);

/** Which limit was reached: `soft` asks for a rekey, `hard` ends the SA. */
export type LifetimeLimit = 'soft' | 'hard';

/**
 * What an SA has carried, and when that, or its age, wears it out (RFC 4301 §4.4.2.1). Its counters, SA_COUNTER_CELLS of them, may lie where
 * another thread reads them: nobody else writes them.
 */
export class SaUsage {
  readonly #cells: Float64Array;
  readonly #lifetime: SaLifetime;
  readonly #softAt: Instant;
  readonly #hardAt: Instant;
  #isSoftExpired = false;
  #isHardExpired = false;
  #nextPackets: number;
  #nextOctets: number;
  #trafficEventDueAt: Instant;
  #pathEventDueAt: Instant;
  #dummyPackets = 0;
  #dummyOctets = 0;

  constructor(now: Instant, lifetime: SaLifetime, cells: Float64Array = new Float64Array(SA_COUNTER_CELLS)) {
    this.#cells = cells;
    this.#lifetime = lifetime;
    this.#softAt = instantAfter(now, lifetime.softSeconds);
    this.#hardAt = instantAfter(now, lifetime.hardSeconds);
    this.#nextPackets = Math.min(limitOf(lifetime.softPackets), limitOf(lifetime.hardPackets));
    this.#nextOctets = Math.min(limitOf(lifetime.softKilobytes), limitOf(lifetime.hardKilobytes)) * KILOBYTE;
    this.#trafficEventDueAt = now;
    this.#pathEventDueAt = now;
  }

  get isHardExpired(): boolean {
    return this.#isHardExpired;
  }

  /** When age will next reach a limit. */
  get nextTimeout(): Instant {
    if (this.#isHardExpired) return NEVER;
    return this.#isSoftExpired || this.#hardAt <= this.#softAt ? this.#hardAt : this.#softAt;
  }

  /** Counts a packet that was dropped after it had found this SA. */
  drop(cause: DropCause): void {
    countSaDrop(this.#cells, cause);
  }

  /** What has been counted, as plain data. */
  counters(): SaCounters {
    return readSaCounters(this.#cells);
  }

  /** Counts one packet; says so when a limit is reached, once for each. */
  count(octets: number): LifetimeLimit | undefined {
    const cells = this.#cells;
    const packets = (cells[SA_PACKETS_CELL] ?? 0) + 1;
    const total = (cells[SA_OCTETS_CELL] ?? 0) + octets;
    cells[SA_PACKETS_CELL] = packets;
    cells[SA_OCTETS_CELL] = total;
    return packets < this.#nextPackets && total < this.#nextOctets ? undefined : this.#reachVolumeLimit();
  }

  /** Counts a dummy of so many octets: it carries nothing, but wears the key out as any packet does (RFC 4301 §4.4.2.1). */
  countDummy(octets: number): LifetimeLimit | undefined {
    this.#dummyPackets += 1;
    this.#dummyOctets += octets;
    this.#nextPackets -= 1;
    this.#nextOctets -= octets;
    const { packets, octets: total } = this.#volume();
    return packets < this.#nextPackets && total < this.#nextOctets ? undefined : this.#reachVolumeLimit();
  }

  /** Ends the SA before its time, as a sequence number counter that is used up does; `false` if it had ended already. */
  end(): boolean {
    return this.#expire('hard') !== undefined;
  }

  /** Whether age has reached a limit that was not reported yet. */
  checkAge(now: Instant): LifetimeLimit | undefined {
    if (now >= this.#hardAt) return this.#expire('hard');
    if (now >= this.#softAt) return this.#expire('soft');
    return undefined;
  }

  /** Whether a traffic event is due; at most one a second. */
  isTrafficEventDue(now: Instant): boolean {
    if (now < this.#trafficEventDueAt) return false;
    this.#trafficEventDueAt = after(now, EVENT_INTERVAL);
    return true;
  }

  /** Whether a moved path may be reported; at most once a second, while the control plane thinks about it. */
  isPathEventDue(now: Instant): boolean {
    if (now < this.#pathEventDueAt) return false;
    this.#pathEventDueAt = after(now, EVENT_INTERVAL);
    return true;
  }

  #reachVolumeLimit(): LifetimeLimit | undefined {
    const { softPackets, hardPackets, softKilobytes, hardKilobytes } = this.#lifetime;
    const volume = this.#volume();
    const packets = volume.packets + this.#dummyPackets;
    const octets = volume.octets + this.#dummyOctets;
    const isHard = packets >= limitOf(hardPackets) || octets >= limitOf(hardKilobytes) * KILOBYTE;
    if (isHard) return this.#expire('hard');
    const isSoft = packets >= limitOf(softPackets) || octets >= limitOf(softKilobytes) * KILOBYTE;
    this.#nextPackets = limitOf(hardPackets) - this.#dummyPackets;
    this.#nextOctets = limitOf(hardKilobytes) * KILOBYTE - this.#dummyOctets;
    return isSoft ? this.#expire('soft') : undefined;
  }

  #volume(): { readonly packets: number; readonly octets: number } {
    return { packets: this.#cells[SA_PACKETS_CELL] ?? 0, octets: this.#cells[SA_OCTETS_CELL] ?? 0 };
  }

  #expire(limit: LifetimeLimit): LifetimeLimit | undefined {
    if (limit === 'soft') {
      if (this.#isSoftExpired || this.#isHardExpired) return undefined;
      this.#isSoftExpired = true;
      return 'soft';
    }
    if (this.#isHardExpired) return undefined;
    this.#isHardExpired = true;
    return 'hard';
  }
}

function limitOf(value: number | undefined): number {
  return value ?? Number.POSITIVE_INFINITY;
}

function instantAfter(now: Instant, duration: number | undefined): Instant {
  return duration === undefined ? NEVER : after(now, toMilliseconds(seconds(duration)));
}

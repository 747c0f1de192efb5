declare const unit: unique symbol;

/** A point on a monotonic clock, in milliseconds since an arbitrary start. Only the host and the simulator make one. */
export type Instant = number & { readonly [unit]: 'instant' };
/** A duration in milliseconds. */
export type Milliseconds = number & { readonly [unit]: 'milliseconds' };
/** A duration in seconds, the unit of Junos and of IKE's lifetimes. */
export type Seconds = number & { readonly [unit]: 'seconds' };

/** Later than every instant: nothing is due. */
export const NEVER = Number.POSITIVE_INFINITY as Instant;

export function instant(milliseconds: number): Instant {
  return milliseconds as Instant;
}

export function milliseconds(count: number): Milliseconds {
  return count as Milliseconds;
}

export function seconds(count: number): Seconds {
  return count as Seconds;
}

export function toMilliseconds(duration: Seconds): Milliseconds {
  return (duration * 1000) as Milliseconds;
}

export function after(start: Instant, delay: Milliseconds): Instant {
  return (start + delay) as Instant;
}

/** Milliseconds from `start` to `end`. */
export function elapsed(start: Instant, end: Instant): Milliseconds {
  return (end - start) as Milliseconds;
}

export function earliest(...instants: readonly Instant[]): Instant {
  let first = NEVER;
  for (const candidate of instants) if (candidate < first) first = candidate;
  return first;
}

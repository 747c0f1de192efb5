import { err, ok, type Result } from './result.ts';

/** A fact about somebody's bytes: which field was wrong, and how many octets were left there. Not an Error: it has no stack trace. */
export class Malformed {
  readonly field: string;
  readonly remaining: number;

  constructor(field: string, remaining: number) {
    this.field = field;
    this.remaining = remaining;
  }

  toString(): string {
    return `malformed ${this.field} (${this.remaining} octets left)`;
  }
}

/** Runs a decoder; the only place that catches `Malformed`. */
export function catchMalformed<T>(decode: () => T): Result<T, Malformed> {
  try {
    return ok(decode());
  } catch (fault) {
    if (fault instanceof Malformed) return err(fault);
    throw fault;
  }
}

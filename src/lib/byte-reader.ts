import { catchMalformed, Malformed } from './malformed.ts';
import type { Result } from './result.ts';

/** Reads big-endian fields; each is named once, and running out of octets throws `Malformed` with that name. Never reads short. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get offset(): number {
    return this.#offset;
  }

  get remaining(): number {
    return this.#bytes.length - this.#offset;
  }

  uint8(field: string): number {
    return this.#view.getUint8(this.#advance(1, field));
  }

  uint16(field: string): number {
    return this.#view.getUint16(this.#advance(2, field));
  }

  uint32(field: string): number {
    return this.#view.getUint32(this.#advance(4, field));
  }

  /** A view of the next `length` octets: it shares the caller's buffer. */
  bytes(length: number, field: string): Uint8Array {
    const start = this.#advance(length, field);
    return this.#bytes.subarray(start, start + length);
  }

  /** A view of everything that is left. */
  rest(): Uint8Array {
    return this.bytes(this.remaining, 'rest');
  }

  /** A reader of the next `length` octets that cannot see past them. */
  sub(length: number, field: string): ByteReader {
    return new ByteReader(this.bytes(length, field));
  }

  expectEnd(field: string): void {
    if (this.remaining > 0) throw new Malformed(field, this.remaining);
  }

  #advance(length: number, field: string): number {
    if (length < 0 || length > this.remaining) throw new Malformed(field, this.remaining);
    const start = this.#offset;
    this.#offset += length;
    return start;
  }
}

export function decodeWith<T>(bytes: Uint8Array, decode: (reader: ByteReader) => T): Result<T, Malformed> {
  return catchMalformed(() => decode(new ByteReader(bytes)));
}

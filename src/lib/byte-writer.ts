/** Where a writer writes until it is finished. */
interface Scratch {
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

const SCRATCH_LENGTH = 1024;
/** As many writers as are ever at work at a time, one inside the other. */
const IDLE_MAX = 8;
/** Used again and again: to make a buffer takes longer than to write a message. */
const idle: Scratch[] = [];

/** Writes big-endian fields into a buffer that grows. */
export class ByteWriter {
  #scratch: Scratch;
  #length = 0;

  /** `capacity` is a hint. */
  constructor(capacity = SCRATCH_LENGTH) {
    this.#scratch = (capacity <= SCRATCH_LENGTH ? idle.pop() : undefined) ?? newScratch(capacity);
  }

  get length(): number {
    return this.#length;
  }

  uint8(value: number): this {
    const offset = this.#reserve(1);
    this.#scratch.view.setUint8(offset, value);
    return this;
  }

  uint16(value: number): this {
    const offset = this.#reserve(2);
    this.#scratch.view.setUint16(offset, value);
    return this;
  }

  uint32(value: number): this {
    const offset = this.#reserve(4);
    this.#scratch.view.setUint32(offset, value);
    return this;
  }

  bytes(value: Uint8Array): this {
    const offset = this.#reserve(value.length);
    this.#scratch.bytes.set(value, offset);
    return this;
  }

  /** Overwrites two octets written before, such as a length known only at the end. */
  patchUint16(offset: number, value: number): void {
    this.#scratch.view.setUint16(offset, value);
  }

  patchUint8(offset: number, value: number): void {
    this.#scratch.view.setUint8(offset, value);
  }

  patchUint32(offset: number, value: number): void {
    this.#scratch.view.setUint32(offset, value);
  }

  /** What was written, as a copy that the caller owns. The writer is empty afterwards. */
  finish(): Uint8Array {
    const { bytes } = this.#scratch;
    const written = bytes.slice(0, this.#length);
    // Passwords are written too: nothing of them stays for the next one to find.
    bytes.fill(0, 0, this.#length);
    if (bytes.length === SCRATCH_LENGTH && idle.length < IDLE_MAX) idle.push(this.#scratch);
    this.#scratch = NOTHING;
    this.#length = 0;
    return written;
  }

  /** Makes room first: growing replaces the view, so it must not be looked up before. */
  #reserve(count: number): number {
    const start = this.#length;
    this.#length += count;
    if (this.#length > this.#scratch.bytes.length) {
      const larger = newScratch(Math.max(this.#length, this.#scratch.bytes.length * 2));
      larger.bytes.set(this.#scratch.bytes);
      this.#scratch = larger;
    }
    return start;
  }
}

const NOTHING: Scratch = { bytes: new Uint8Array(0), view: new DataView(new ArrayBuffer(0)) };

function newScratch(capacity: number): Scratch {
  const bytes = new Uint8Array(Math.max(capacity, SCRATCH_LENGTH));
  return { bytes, view: new DataView(bytes.buffer) };
}

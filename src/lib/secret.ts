/** Key material. It prints as a length only, and is wiped when its owner goes. */
export class Secret {
  readonly #bytes: Uint8Array;

  /** Takes ownership of `bytes`: `wipe` overwrites them. */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get length(): number {
    return this.#bytes.length;
  }

  /** The octets themselves, still owned by the secret. Each caller is a place to review. */
  reveal(): Uint8Array {
    return this.#bytes;
  }

  wipe(): void {
    this.#bytes.fill(0);
  }

  toString(): string {
    return `[secret, ${this.#bytes.length} octets]`;
  }

  toJSON(): string {
    return this.toString();
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString();
  }
}

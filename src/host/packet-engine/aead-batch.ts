// Packets for OpenSSL to seal or to open, many in one native call. What one packet needs lies in a slot of its own: its part of one list
// of calls, and their small arguments. Of a slot that serves the same key again, only what is about the packet is written.

import { invariant } from '../../lib/invariant.ts';
import type { Arena } from './arena.ts';
import type { CallRunner } from './call-runner.ts';
import { NativeCalls } from './native-calls.ts';
import type { CipherContext } from './native-crypto.ts';
import { PARAMETER_DATA, PARAMETER_SIZE, writeParameter } from './openssl.ts';

// In a slot's room for small arguments:
const NONCE_LENGTH = 12;
const OUT_LENGTH = 16;
const ADDITIONAL = 32;
const TAG = 48;
const SLOT_LENGTH = 128;

// The calls of one packet; only sealing has the last.
const INIT = 0;
const ADDITIONAL_DATA = 1;
const DATA = 2;
const FINAL = 3;
const GET_TAG = 4;
const CALLS_PER_PACKET = { seal: 5, open: 4 } as const;

/** One SA's key in one direction: a context that has it, and the salt in front of each IV (RFC 4106 §4, RFC 7634 §2). */
export interface AeadKey {
  readonly context: CipherContext;
  readonly salt: Uint8Array;
  readonly icvLength: number;
}

/** An engine's packets under way in one direction; each stays where it is, the octets of its ICV included, until `run`. */
export class AeadBatch {
  readonly #arena: Arena;
  readonly #direction: 'seal' | 'open';
  readonly #callsPerPacket: number;
  readonly #calls: NativeCalls;
  readonly #slots: number;
  readonly #keys: (AeadKey | undefined)[];
  readonly #offsets: Uint32Array;
  readonly #lengths: Uint32Array;
  readonly #authentic: Uint8Array;
  #count = 0;
  // Of what has been run, which packets nobody has taken the result of yet:
  #next = 0;
  #end = 0;

  /** There is room for `capacity` packets. */
  constructor(arena: Arena, run: CallRunner, direction: 'seal' | 'open', capacity: number) {
    this.#arena = arena;
    this.#direction = direction;
    this.#callsPerPacket = CALLS_PER_PACKET[direction];
    this.#calls = new NativeCalls(arena, run, new Array(capacity * this.#callsPerPacket).fill([]));
    this.#slots = arena.reserve(capacity * SLOT_LENGTH);
    this.#keys = new Array(capacity).fill(undefined);
    this.#offsets = new Uint32Array(capacity);
    this.#lengths = new Uint32Array(capacity);
    this.#authentic = new Uint8Array(capacity);
    const { memory } = arena;
    const name = arena.reserve('tag'.length + 1);
    memory.bytes.set(Buffer.from('tag\0'), name);
    for (let slot = 0; slot < capacity; slot++)
      writeParameter(memory, this.#slots + slot * SLOT_LENGTH + TAG, memory.address + name, 'octets', 0, 0);
  }

  /** Whether packets have been put since the last `run`. */
  get isEmpty(): boolean {
    return this.#count === 0;
  }

  get isFull(): boolean {
    return this.#count === this.#keys.length;
  }

  /** Puts a packet: so many octets at `offset` in the arena, behind which the ICV lies, or will. The other arguments are copied. */
  put(key: AeadKey, iv: Uint8Array, additionalData: Uint8Array, offset: number, length: number): void {
    const slot = this.#count++;
    this.#offsets[slot] = offset;
    this.#lengths[slot] = length;
    const small = this.#slots + slot * SLOT_LENGTH;
    if (this.#keys[slot] !== key) this.#prepare(slot, small, key);
    const { bytes } = this.#arena.memory;
    const from = small + NONCE_LENGTH - iv.length;
    for (let index = 0; index < iv.length; index++) bytes[from + index] = iv[index] ?? 0;
    const additional = additionalData.length;
    for (let index = 0; index < additional; index++) bytes[small + ADDITIONAL + index] = additionalData[index] ?? 0;
    const calls = this.#calls;
    const first = slot * this.#callsPerPacket;
    calls.putSmall(first + ADDITIONAL_DATA, 3, additional);
    calls.putSmall(first + ADDITIONAL_DATA, 5, additional);
    calls.putOffset(first + DATA, 1, offset);
    calls.putSmall(first + DATA, 3, length);
    calls.putOffset(first + DATA, 4, offset);
    calls.putSmall(first + DATA, 5, length);
    this.#arena.memory.putAddress(small + TAG + PARAMETER_DATA, offset + length);
  }

  /** Seals or opens what was put; `take` then tells what came out, until more is put. */
  run(): void {
    const count = this.#count;
    const each = this.#callsPerPacket;
    this.#count = 0;
    this.#next = 0;
    this.#end = count;
    for (let packet = 0; packet < count; packet++) {
      const done = this.#calls.run(packet * each, (count - packet) * each);
      const failing = packet + Math.floor(done / each);
      for (; packet < failing; packet++) this.#authentic[packet] = 1;
      if (packet === count) return;
      invariant(done % each === FINAL && this.#direction === 'open', 'OpenSSL does what it has been keyed for');
      this.#authentic[packet] = 0;
    }
  }

  /**
   * Whether the packet that was opened at this place under this key is authentic with this additional data; `undefined` if none was. Each is
   * told once, in the order in which they were put; those before it are forgotten.
   */
  take(key: AeadKey, additionalData: Uint8Array, offset: number, length: number): boolean | undefined {
    for (let slot = this.#next; slot < this.#end; slot++) {
      if (this.#offsets[slot] !== offset) continue;
      this.#next = slot + 1;
      const isSame = this.#keys[slot] === key && this.#lengths[slot] === length;
      return isSame && this.#authentic[slot] === 1 && this.#hasAdditional(slot, additionalData);
    }
    return undefined;
  }

  /** Forgets what was put and what came out of it: other packets may lie in those places now. */
  forget(): void {
    this.#count = 0;
    this.#next = this.#end;
  }

  #hasAdditional(slot: number, additionalData: Uint8Array): boolean {
    const { bytes } = this.#arena.memory;
    const from = this.#slots + slot * SLOT_LENGTH + ADDITIONAL;
    for (let index = 0; index < additionalData.length; index++)
      if (bytes[from + index] !== additionalData[index]) return false;
    return true;
  }

  /** Writes what packets under one key have in common. */
  #prepare(slot: number, small: number, key: AeadKey): void {
    const { memory } = this.#arena;
    const { salt, icvLength } = key;
    const { cipher, direction, address } = key.context;
    const calls = this.#calls;
    const first = slot * this.#callsPerPacket;
    this.#keys[slot] = key;
    memory.bytes.set(salt, small);
    memory.view.setUint32(small + TAG + PARAMETER_SIZE, icvLength, true);
    const at = (place: number): number => memory.address + small + place;
    const update = cipher.address('update');
    const tag = at(TAG);
    const parameters = this.#direction === 'seal' ? 0 : tag;
    calls.set(first + INIT, [cipher.address(direction), address, 0, 0, at(0), NONCE_LENGTH, parameters]);
    calls.set(first + ADDITIONAL_DATA, [update, address, 0, at(OUT_LENGTH), 0, at(ADDITIONAL), 0]);
    calls.set(first + DATA, [update, address, 0, at(OUT_LENGTH), 0, 0, 0]);
    calls.set(first + FINAL, [cipher.address('final'), address, at(OUT_LENGTH), at(OUT_LENGTH), 0]);
    if (this.#direction === 'seal') calls.set(first + GET_TAG, [cipher.address('getParameters'), address, tag]);
  }
}

// What the CLI and a running gateway say to each other: JSON, one object a line, over a Unix socket that only its owner may open.

import type { IkeEvent } from '../model/ike-event.ts';

/** A client's line. `id` comes back in the answer. */
export type ControlRequest =
  | { readonly id: number; readonly kind: 'command'; readonly words: readonly string[] }
  /** From now on, every event of the gateway comes too, until the client hangs up. */
  | { readonly id: number; readonly kind: 'subscribe' };

/** A gateway's line. */
export type ControlMessage =
  | { readonly id: number; readonly kind: 'output'; readonly text: string; readonly value: unknown }
  | { readonly id: number; readonly kind: 'error'; readonly error: string }
  | { readonly kind: 'event'; readonly event: IkeEvent };

/** Longest line that a client may send, in characters; a longer one ends the connection. */
export const REQUEST_LENGTH_MAX = 16_384;

/** Reads a client's line; `undefined` if it is not a request. */
export function parseRequest(line: string): ControlRequest | undefined {
  const value = parseJson(line);
  if (typeof value !== 'object' || value === undefined || value === null) return undefined;
  if (!('id' in value && typeof value.id === 'number' && 'kind' in value)) return undefined;
  const { id, kind } = value;
  if (kind === 'subscribe') return { id, kind };
  if (kind !== 'command' || !('words' in value) || !Array.isArray(value.words)) return undefined;
  const words: readonly unknown[] = value.words;
  return words.every((word) => typeof word === 'string') ? { id, kind, words: words.map(String) } : undefined;
}

/** Splits a stream of text into lines; holds at most `limit` characters of an unfinished one. */
export class LineSplitter {
  readonly #limit: number;
  #rest = '';

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** The lines that are complete now; `undefined` once an unfinished one is too long. */
  push(text: string): readonly string[] | undefined {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    return this.#rest.length > this.#limit ? undefined : lines.filter((line) => line !== '');
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

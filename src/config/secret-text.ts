// `$9$`: how Junos shows secrets that it must be able to read back. It hides them from a glance, not from anyone who wants to know.
// Each octet becomes three or two characters, each a distance in a fixed alphabet from the character before it, weighted by position.

import { type RandomSource, randomBelow } from '../lib/random.ts';

const MAGIC = '$9$';
/** The alphabet in four families: the family of the first character says how many characters of noise follow it. */
const FAMILIES = ['QzF3n6/9CAtpu0O', 'B1IREhcSyrleKvMW8LXx', '7N-dVbwsY2g4oaJZGUDj', 'iHkq.mPf5T'] as const;
const ALPHABET = FAMILIES.join('');
const POSITION: ReadonlyMap<string, number> = new Map([...ALPHABET].map((letter, index) => [letter, index]));
const NOISE: ReadonlyMap<string, number> = new Map(
  FAMILIES.flatMap((family, index) => [...family].map((letter) => [letter, FAMILIES.length - 1 - index] as const)),
);
const WEIGHTS: readonly (readonly number[])[] = [
  [1, 4, 32],
  [1, 16, 32],
  [1, 8, 32],
  [1, 64],
  [1, 32],
  [1, 4, 16, 128],
  [1, 32, 64],
];

export function isEncodedSecret(text: string): boolean {
  return text.startsWith(MAGIC);
}

/** The secret behind `$9$` text; `undefined` if the text is damaged. */
export function decodeSecret(text: string): string | undefined {
  const [first, ...rest] = text.slice(MAGIC.length);
  const noise = first === undefined ? undefined : NOISE.get(first);
  if (!isEncodedSecret(text) || first === undefined || noise === undefined || rest.length < noise) return undefined;
  let previous = first;
  let secret = '';
  for (let at = noise; at < rest.length; ) {
    const weights = weightsAt(secret.length);
    let octet = 0;
    for (const weight of weights) {
      const letter = rest[at++];
      const distance = letter === undefined ? undefined : distanceBetween(previous, letter);
      if (letter === undefined || distance === undefined) return undefined;
      octet += distance * weight;
      previous = letter;
    }
    secret += String.fromCharCode(octet % 256);
  }
  return secret;
}

/** `$9$` text for a secret of characters up to U+00FF; others cannot be written this way and throw a RangeError. */
export function encodeSecret(secret: string, random: RandomSource): string {
  const letter = (): string => ALPHABET[randomBelow(random, ALPHABET.length)] ?? 'Q';
  const first = letter();
  let previous = first;
  let text = MAGIC + first;
  for (let count = NOISE.get(first) ?? 0; count > 0; count--) text += letter();
  for (const [index, character] of [...secret].entries()) {
    let rest = character.charCodeAt(0);
    if (rest > 0xff || character.length > 1) throw new RangeError('a $9$ secret holds characters up to U+00FF only');
    const distances: number[] = [];
    for (const weight of weightsAt(index).toReversed()) {
      distances.unshift(Math.floor(rest / weight));
      rest %= weight;
    }
    for (const distance of distances) {
      previous = ALPHABET[((POSITION.get(previous) ?? 0) + distance + 1) % ALPHABET.length] ?? previous;
      text += previous;
    }
  }
  return text;
}

function weightsAt(index: number): readonly number[] {
  return WEIGHTS[index % WEIGHTS.length] ?? [];
}

function distanceBetween(from: string, to: string): number | undefined {
  const start = POSITION.get(from);
  const end = POSITION.get(to);
  if (start === undefined || end === undefined) return undefined;
  return ((end - start + ALPHABET.length) % ALPHABET.length) - 1;
}

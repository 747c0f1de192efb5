/** What people call things that Junos calls otherwise. */
const SYNONYMS: ReadonlyMap<string, string> = new Map([
  ['fqdn', 'hostname'],
  ['user-fqdn', 'user-at-hostname'],
  ['email', 'user-at-hostname'],
  ['asn1dn', 'distinguished-name'],
  ['psk', 'pre-shared-key'],
  ['dpd', 'dead-peer-detection'],
  ['pfs', 'perfect-forward-secrecy'],
  ['peer', 'address'],
  ['remote-address', 'address'],
  ['hash', 'authentication-algorithm'],
  ['integrity', 'authentication-algorithm'],
  ['encryption', 'encryption-algorithm'],
  ['lifetime', 'lifetime-seconds'],
  ['group', 'dh-group'],
  ['interface', 'bind-interface'],
  ['proxy-id', 'proxy-identity'],
  ['ts', 'traffic-selector'],
]);

/** The word that was most likely meant: a synonym, a few edits away (one in short words), or the only one it abbreviates. */
export function nearestWord(typed: string, candidates: Iterable<string>): string | undefined {
  const word = typed.toLowerCase();
  const names = [...candidates];
  const synonym = SYNONYMS.get(word);
  if (synonym !== undefined && names.includes(synonym)) return synonym;
  let bestDistance = limitOf(word);
  let best: string[] = [];
  for (const name of names) {
    const distance = isRespelling(word, name) ? 0 : editDistance(word, name, bestDistance + 1);
    if (distance < bestDistance) best = [];
    if (distance <= bestDistance && distance < limitOf(word)) {
      best.push(name);
      bestDistance = distance;
    }
  }
  // Names that differ in a number alone (`group17` is near `group14` and `group16`) were not mistyped but do not exist.
  const [first] = best;
  if (first !== undefined)
    return best.length > 1 && best.every((name) => sameButDigits(name, first)) ? undefined : first;
  const ending = names.filter((name) => name.endsWith(word));
  const starting = word.length >= 2 ? names.filter((name) => name.startsWith(word)) : [];
  for (const found of [ending, starting]) if (found.length === 1) return found[0];
  return word.length < 3 ? undefined : names.find((name) => name.includes(word) || word.includes(name));
}

/** Whether a word is one slip of the finger away from a name: enough to doubt that it is another one. */
export function isMistyped(typed: string, name: string): boolean {
  return typed.length >= 4 && editDistance(typed, name, 2) === 1;
}

function limitOf(word: string): number {
  return word.length <= 3 ? 2 : word.length <= 12 ? 3 : 4;
}

function sameButDigits(a: string, b: string): boolean {
  return a.replaceAll(/\d+/g, '') === b.replaceAll(/\d+/g, '');
}

/** `sha256` for `sha-256`, `aes256-cbc` for `aes-256-cbc`, `pre_shared_keys`: same letters, other punctuation. */
function isRespelling(word: string, candidate: string): boolean {
  const letters = (text: string) => text.replaceAll(/[^a-z0-9]/g, '');
  return letters(word) === letters(candidate);
}

/** Damerau-Levenshtein distance with adjacent transpositions, or `limit` if it is at least that. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let twoBack: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const substitution = (previous[column - 1] ?? 0) + (a[row - 1] === b[column - 1] ? 0 : 1);
      let cost = Math.min(substitution, (previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1);
      const isSwap = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      if (isSwap) cost = Math.min(cost, (twoBack[column - 2] ?? 0) + 1);
      current.push(cost);
    }
    twoBack = previous;
    previous = current;
  }
  return Math.min(previous[b.length] ?? limit, limit);
}

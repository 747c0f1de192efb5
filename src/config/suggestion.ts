/** The word that was most likely meant: at most two edits away (one in short words), or the only one it abbreviates. */
export function nearestWord(typed: string, candidates: Iterable<string>): string | undefined {
  const word = typed.toLowerCase();
  let best: string | undefined;
  let bestDistance = word.length <= 3 ? 2 : word.length <= 12 ? 3 : 4;
  const abbreviated: string[] = [];
  for (const candidate of candidates) {
    if (candidate.startsWith(word) && word.length >= 2) abbreviated.push(candidate);
    const distance = isRespelling(word, candidate) ? 1 : editDistance(word, candidate, bestDistance);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best ?? (abbreviated.length === 1 ? abbreviated[0] : containing(word, candidates));
}

/** `sha256` for `sha-256`, `aes256-cbc` for `aes-256-cbc`, `pre_shared_keys`: same letters, other punctuation. */
function isRespelling(word: string, candidate: string): boolean {
  const letters = (text: string) => text.replaceAll(/[^a-z0-9]/g, '');
  return letters(word) === letters(candidate);
}

/** IKE and IPsec spell the same algorithm differently: `sha-256` is part of `hmac-sha-256-128`. */
function containing(word: string, candidates: Iterable<string>): string | undefined {
  if (word.length < 3) return undefined;
  for (const candidate of candidates) if (candidate.includes(word) || word.includes(candidate)) return candidate;
  return undefined;
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

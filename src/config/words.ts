/** Words that need no quotes: what Junos itself prints bare. */
const BARE = /^[A-Za-z0-9_.:/+*<>@,=%^~?!'`-]+$/;
const TAG = /^(?:inactive|protect|replace|delete):$/;

/** A word as it is written, quoted where it must be. */
export function quoteWord(word: string): string {
  if (BARE.test(word) && !word.startsWith('/*') && !TAG.test(word)) return word;
  return `"${word.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n').replaceAll('\t', '\\t')}"`;
}

export function quoteWords(words: readonly string[]): string {
  return words.map(quoteWord).join(' ');
}

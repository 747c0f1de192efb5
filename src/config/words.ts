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

/** The words of one line, quotes taken off. */
export function splitWords(line: string): string[] {
  const words = line.match(/"(?:[^"\\]|\\.)*"|\S+/g) ?? [];
  return words.map((word) =>
    word.startsWith('"') && word.endsWith('"') && word.length > 1 ? unquote(word.slice(1, -1)) : word,
  );
}

function unquote(text: string): string {
  return text.replaceAll(/\\(.)/g, (_, character: string) =>
    character === 'n' ? '\n' : character === 't' ? '\t' : character,
  );
}

/** The word as a key of the table, if it is one: how words of the configuration become algorithms. */
export function member<T extends object>(table: T, word: string | undefined): (keyof T & string) | undefined {
  return word !== undefined && isKey(table, word) ? word : undefined;
}

function isKey<T extends object>(table: T, word: string): word is keyof T & string {
  return Object.hasOwn(table, word);
}

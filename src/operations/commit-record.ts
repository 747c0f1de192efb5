/** What is known of a commit besides the configuration. Saved in the first lines of the file. */
export interface CommitRecord {
  /** Counts commits; the highest one is active. */
  readonly sequence: number;
  /** When, in words, such as `2024-05-01 10:00:00 UTC`: the caller has the clock. */
  readonly stamp: string;
  readonly user: string;
  /** How: `cli`, `netconf`, `other`. */
  readonly client: string;
  readonly comment?: string;
  /** Minutes until this commit is rolled back unless it is confirmed. */
  readonly confirmMinutes?: number;
}

const MARK = '## commit ';

/** The text of a saved configuration. */
export function formatSaved(record: CommitRecord, braces: string): string {
  const { stamp, user, client } = record;
  return `## Last commit: ${stamp} by ${user} via ${client}\n${MARK}${JSON.stringify(record)}\n${braces}`;
}

/** The record in a saved text. One that was written by hand has none: it counts as the first. */
export function readRecord(text: string): CommitRecord {
  const line = text.split('\n', 3).find((candidate) => candidate.startsWith(MARK));
  const initial: CommitRecord = { sequence: 0, stamp: 'unknown', user: 'root', client: 'other' };
  if (line === undefined) return initial;
  try {
    return { ...initial, ...plainRecord(JSON.parse(line.slice(MARK.length))) };
  } catch {
    // Somebody edited the line: the configuration below it counts all the same.
    return initial;
  }
}

/** `show system commit`: the newest first, as Junos prints it. */
export function formatHistory(records: readonly CommitRecord[]): string {
  return records
    .map(({ stamp, user, client, comment, confirmMinutes }, index) => {
      const confirm = confirmMinutes === undefined ? '' : ` commit confirmed, rollback in ${confirmMinutes}mins`;
      const said = comment === undefined ? '' : `    ${comment}\n`;
      return `${String(index).padEnd(4)}${stamp} by ${user} via ${client}${confirm}\n${said}`;
    })
    .join('');
}

function plainRecord(value: unknown): Partial<CommitRecord> {
  if (typeof value !== 'object' || value === null) return {};
  const found = new Map<string, unknown>(Object.entries(value));
  const text = (name: string): string | undefined => {
    const word = found.get(name);
    return typeof word === 'string' ? word : undefined;
  };
  const count = (name: string): number | undefined => {
    const number = found.get(name);
    return typeof number === 'number' && Number.isSafeInteger(number) && number >= 0 ? number : undefined;
  };
  const sequence = count('sequence');
  const confirmMinutes = count('confirmMinutes');
  const [stamp, user, client, comment] = [text('stamp'), text('user'), text('client'), text('comment')];
  return {
    ...(sequence !== undefined && { sequence }),
    ...(stamp !== undefined && { stamp }),
    ...(user !== undefined && { user }),
    ...(client !== undefined && { client }),
    ...(comment !== undefined && { comment }),
    ...(confirmMinutes !== undefined && { confirmMinutes }),
  };
}

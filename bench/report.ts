// What a benchmark has found, as Markdown: printed by the benchmark itself, and handed to `main.ts`, which makes one report of all.

import type { Spread } from './measure.ts';

export interface Table {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export interface Goal {
  /** What is compared with what. */
  readonly what: string;
  /** What came out; a ratio where it can be one. */
  readonly found: string;
  /** What was wanted, in words; empty where the figure only has to be stated. */
  readonly wanted: string;
  /** As `verdict` says it; absent where nobody can say. */
  readonly verdict?: string;
}

export interface Section {
  readonly title: string;
  readonly tables: readonly Table[];
  readonly goals: readonly Goal[];
  /** Sentences: how it was measured, what was left out. */
  readonly notes: readonly string[];
}

/** Prints the section, and hands it over where somebody collects sections. */
export function submit(section: Section): void {
  console.log(`\n${sectionText(section)}${section.goals.length === 0 ? '' : `\n${goalsText(section.goals)}`}`);
  process.send?.(section);
}

export function sectionText(section: Section): string {
  const notes = section.notes.length === 0 ? '' : `${section.notes.join('\n')}\n`;
  return [`### ${section.title}\n`, ...section.tables.map(tableText), notes].filter((part) => part !== '').join('\n');
}

export function goalsText(goals: readonly Goal[]): string {
  const rows = goals.map(({ what, found, wanted, verdict }) => [
    what,
    found,
    verdict === undefined ? wanted : `${wanted}: ${verdict}`,
  ]);
  return tableText({ columns: ['', 'ratio', 'goal'], rows });
}

/** Whether a goal is met, as it stands in a table. */
export function verdict(isMet: boolean): string {
  return isMet ? 'met' : '**missed**';
}

/** `3.12 (2.44 to 3.20)`: median, lowest and highest. */
export function spreadText({ median, lowest, highest }: Spread, digits: number): string {
  const [middle, low, high] = [median, lowest, highest].map((value) => numberText(value, digits));
  return `${middle} (${low} to ${high})`;
}

/** With a comma between thousands. */
export function numberText(value: number, digits = 0): string {
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function tableText({ columns, rows }: Table): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |\n`;
  return `${line(columns)}|${'---|'.repeat(columns.length)}\n${rows.map(line).join('')}`;
}

// What people paste is what a terminal showed: prompts, banners and page breaks stand between the statements.

import { findChild } from './abbreviation.ts';
import { JUNOS_SCHEMA } from './junos-schema.ts';
import type { SchemaNode } from './schema-node.ts';
import { splitWords } from './words.ts';

/** A line of the text with what is not configuration taken out. */
export interface SourceLine {
  /** From 1. */
  readonly number: number;
  /** Columns are those of the original line. */
  readonly text: string;
  /** The hierarchy that the statements from here on stand in: `[edit security ike]`, or `user@host# show interfaces`. */
  readonly context?: readonly string[];
}

const BANNER = /^\s*\[edit(?:\s+(.*))?\]\s*$/;
const PAGER = /^-*\(more(?: \d+%)?\)-*/;
const CLUSTER = /^\{(?:primary|secondary|master|backup|line|linecard)[^}]*\}$/;
const PROMPT =
  /^(?:[\w.-]+@[\w.:-]+)?[>#%]\s+(?=(?:show|set|delete|deactivate|activate|edit|run|configure|commit|top|up|exit|quit|load|rollback)\b)/;
const PROMPT_ALONE = /^[\w.-]+@[\w.:-]+[>#%]\s*/;
const CHATTER =
  /^(?:Entering configuration mode|Exiting configuration mode|commit complete|commit check succeeds|configuration check succeeds|load complete.*|The configuration has been changed but not committed|Users currently editing the configuration:?|Last login: .*|--- JUNOS .*|#\*+|\[sudo\].*)\s*$/i;
/** A reader of pasted text must not fail on the byte order mark of an editor. */
const BYTE_ORDER_MARK = '\ufeff';

/** The lines that hold configuration, in order. */
export function readPastedText(text: string): SourceLine[] {
  const reader = new PasteReader();
  const lines: SourceLine[] = [];
  const raw = (text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text).split(/\r?\n/);
  for (const [index, line] of raw.entries()) lines.push(reader.read(line, index + 1));
  return lines;
}

class PasteReader {
  #level: readonly string[] = [];
  /** The lines are what an operational command printed. */
  #isOutput = false;

  read(raw: string, number: number): SourceLine {
    const line = raw.replace(PAGER, (found) => ' '.repeat(found.length));
    const banner = BANNER.exec(line);
    if (banner) {
      this.#level = splitWords(banner[1] ?? '');
      this.#isOutput = false;
      return { number, text: '', context: this.#level };
    }
    if (CLUSTER.test(line.trim()) || CHATTER.test(line.trim())) return { number, text: '' };
    const prompt = PROMPT.exec(line) ?? PROMPT_ALONE.exec(line);
    if (prompt) return this.#readCommand(line, prompt[0].length, number);
    return { number, text: this.#isOutput ? '' : line };
  }

  /** What somebody typed behind a prompt: an editing command counts, `show` says what the next lines are. */
  #readCommand(line: string, promptLength: number, number: number): SourceLine {
    const command = line.slice(promptLength);
    const [verb = '', ...rest] = splitWords(command.replace(/\s*\|.*$/, ''));
    const isConfiguration = rest[0] === 'configuration';
    const path = isConfiguration ? rest.slice(1) : [...this.#level, ...rest];
    this.#isOutput = verb === 'run' || (verb === 'show' && !isConfiguration && !mayBeStatement(path));
    if (verb === 'show' || verb === 'run') return { number, text: '', context: this.#isOutput ? [] : path };
    const isEdit = /^(?:set|delete|deactivate|activate|edit|top|up)$/.test(verb);
    return { number, text: isEdit ? ' '.repeat(promptLength) + command : '' };
  }
}

/** Whether a path can lead to statements: `show security ike sa` does not, it prints something else. */
function mayBeStatement(path: readonly string[]): boolean {
  let schema: SchemaNode | undefined = JUNOS_SCHEMA;
  for (let index = 0; index < path.length && schema !== undefined; index++) {
    const child: SchemaNode | undefined = findChild(schema, path[index] ?? '', true);
    if (child === undefined) return !schema.isWhole;
    schema = child;
    if (child.kind === 'list') index++;
  }
  return true;
}

// Configuration mode, line by line: what is typed at `[edit]`, with the answers that scripts look for.

import { type Completion, completions } from '../config/completion.ts';
import { splitWords } from '../config/words.ts';
import type { Instant } from '../lib/time.ts';
import type { ConfigurationDatabase } from './configuration-database.ts';
import { type PipedText, parsePipes, pipeText } from './pipe.ts';
import { CONFIRM_MINUTES_DEFAULT, type LoadAction, type Outcome, type Session } from './session.ts';

export interface ModeAnswer {
  readonly ok: boolean;
  readonly text: string;
  /** The text goes to this file instead of to the operator (`| save`). */
  readonly saveTo?: string;
  /** The operator leaves configuration mode. */
  readonly isOver: boolean;
  /** The operator will now send a text for this `load`, up to an end of file; it goes to `Session.load`. */
  readonly expectsText?: LoadAction;
}

const LOAD_ACTIONS: readonly LoadAction[] = ['merge', 'override', 'replace', 'set', 'patch'];

/** The commands of configuration mode over a session. */
export class ConfigurationMode {
  readonly #session: Session;
  readonly #database: ConfigurationDatabase;

  constructor(session: Session, database: ConfigurationDatabase) {
    this.#session = session;
    this.#database = database;
  }

  /** Carries out one line. `stamp` is the time in words, for commits. */
  execute(now: Instant, stamp: string, line: string): ModeAnswer {
    const typed = line.trim();
    if (typed.endsWith('?')) return answer(true, this.#help(typed.slice(0, -1)));
    const [command = '', ...pipes] = splitAtPipe(typed);
    const [verb = '', ...words] = splitWords(command);
    switch (verb) {
      case '':
        return answer(true, '');
      case 'show':
        return this.#show(words, pipes.join('|'));
      case 'commit':
        return this.#commit(now, stamp, words);
      case 'rollback':
        return fromOutcome(this.#session.rollback(Number(words[0] ?? '0')));
      case 'load':
        return load(words);
      case 'exit':
      case 'quit':
        return this.#exit(verb, words);
      default:
        return fromOutcome(this.#session.run(typed));
    }
  }

  #show(words: readonly string[], pipes: string): ModeAnswer {
    const parsed = parsePipes(pipes);
    if (!parsed.ok) return answer(false, `${parsed.error}\n`);
    const isHistory = words.join(' ') === 'system commit';
    const piped: PipedText = isHistory
      ? pipeText(this.#session.history(), parsed.value)
      : this.#session.show(words, parsed.value);
    return { ...answer(true, piped.text), ...(piped.saveTo !== undefined && { saveTo: piped.saveTo }) };
  }

  /** `commit [check] [confirmed [MINUTES]] [comment TEXT] [and-quit]`. */
  #commit(now: Instant, stamp: string, words: readonly string[]): ModeAnswer {
    const rest = [...words];
    let comment: string | undefined;
    let confirmMinutes: number | undefined;
    let [isCheck, andQuit] = [false, false];
    for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
      if (word === 'check') isCheck = true;
      else if (word === 'and-quit') andQuit = true;
      else if (word === 'comment' && rest.length > 0) comment = rest.shift();
      else if (word === 'confirmed') {
        const minutes = /^\d{1,5}$/.test(rest[0] ?? '') ? Number(rest.shift()) : CONFIRM_MINUTES_DEFAULT;
        if (minutes < 1 || minutes > 65_535) return answer(false, 'error: value must be 1..65535 minutes\n');
        confirmMinutes = minutes;
      } else return answer(false, `syntax error: unknown word '${word}' behind commit\n`);
    }
    if (isCheck) return fromOutcome(this.#session.commitCheck());
    const outcome = this.#session.commit(now, {
      stamp,
      ...(comment !== undefined && { comment }),
      ...(confirmMinutes !== undefined && { confirmMinutes }),
    });
    const isOver = andQuit && outcome.ok;
    if (isOver) this.#session.close();
    return { ok: outcome.ok, text: isOver ? `${outcome.text}Exiting configuration mode\n` : outcome.text, isOver };
  }

  /** One level up from where `edit` led; out of configuration mode from the top. */
  #exit(verb: string, words: readonly string[]): ModeAnswer {
    const leaves = verb === 'quit' || words[0] === 'configuration-mode' || this.#session.banner === '[edit]';
    if (!leaves) return fromOutcome(this.#session.run('top'));
    const warning = this.#database.isModified ? 'The configuration has been changed but not committed\n' : '';
    this.#session.close();
    return { ok: true, text: `${warning}Exiting configuration mode\n`, isOver: true };
  }

  /** `set security ike ?`: what may come next. */
  #help(typed: string): string {
    const [verb = '', ...words] = splitWords(typed);
    const start = typed.endsWith(' ') ? '' : (words.pop() ?? '');
    const isStatement = ['set', 'delete', 'edit', 'show', 'activate', 'deactivate'].includes(verb);
    if (!isStatement) return 'Possible completions:\n  set delete edit show commit rollback load up top exit\n';
    const level = this.#session.level;
    return formatCompletions(completions(this.#database.candidate, [...level, ...words], start));
  }
}

function formatCompletions(offers: readonly Completion[]): string {
  if (offers.length === 0) return 'No valid completions\n';
  const width = Math.max(...offers.map(({ word }) => word.length));
  return `Possible completions:\n${offers.map(({ word, help }) => `  ${word.padEnd(width)}  ${help}\n`).join('')}`;
}

function load(words: readonly string[]): ModeAnswer {
  const [verb, source] = words;
  const action = LOAD_ACTIONS.find((known) => known === verb);
  if (action === undefined || source !== 'terminal') {
    return answer(false, `syntax error: load ${LOAD_ACTIONS.join('|')} terminal\n`);
  }
  return { ...answer(true, '[Type ^D at a new line to end input]\n'), expectsText: action };
}

function splitAtPipe(text: string): string[] {
  return text.match(/(?:"(?:[^"\\]|\\.)*"|[^|"])+/g) ?? [];
}

function fromOutcome(outcome: Outcome): ModeAnswer {
  return answer(outcome.ok, outcome.text);
}

function answer(ok: boolean, text: string): ModeAnswer {
  return { ok, text, isOver: false };
}

// What one operator does in configuration mode. Scripts drive it; an interactive shell can be built on it.

import { compareTrees } from '../config/compare.ts';
import { type ConfigTree, emptyTree } from '../config/config-node.ts';
import { type Diagnostic, formatDiagnostic, hasErrors } from '../config/diagnostic.ts';
import { applyPatch } from '../config/patch.ts';
import { concealSecrets } from '../config/secret-leaves.ts';
import { parseText } from '../config/text-parser.ts';
import { mergeTree, replaceAt } from '../config/tree-merge.ts';
import { quoteWords, splitWords } from '../config/words.ts';
import type { RandomSource } from '../lib/random.ts';
import type { Instant } from '../lib/time.ts';
import { formatHistory } from './commit-record.ts';
import type { ConfigurationDatabase } from './configuration-database.ts';
import { type Pipe, type PipedText, pipeConfiguration } from './pipe.ts';

export type LoadAction = 'merge' | 'override' | 'replace' | 'set' | 'patch';

export interface CommitOptions {
  /** When, in words: the caller has the clock. */
  readonly stamp: string;
  readonly comment?: string;
  /** Roll back after so many minutes unless another commit confirms. */
  readonly confirmMinutes?: number;
}

/** What an operator sees, and whether it was what he wanted. */
export interface Outcome {
  readonly ok: boolean;
  /** In Junos' words where scripts look for them. Lines end in a line feed. */
  readonly text: string;
  readonly diagnostics: readonly Diagnostic[];
}

/** Junos' default for `commit confirmed`. */
export const CONFIRM_MINUTES_DEFAULT = 10;

/** One editor of the candidate configuration. */
export class Session {
  readonly user: string;
  readonly #database: ConfigurationDatabase;
  readonly #random: RandomSource;
  readonly #client: string;
  #level: readonly string[] = [];

  /** `random` salts `$9$` secrets; `client` says how the operator came, such as `cli`. */
  constructor(database: ConfigurationDatabase, user: string, random: RandomSource, client = 'cli') {
    this.user = user;
    this.#database = database;
    this.#random = random;
    this.#client = client;
  }

  /** Where in the hierarchy the session is. */
  get level(): readonly string[] {
    return this.#level;
  }

  /** The same as a banner: `[edit security ike]`. */
  get banner(): string {
    return this.#level.length === 0 ? '[edit]' : `[edit ${quoteWords(this.#level)}]`;
  }

  /** Nobody else may edit until `close`. */
  lock(): Outcome {
    const locked = this.#database.lock(this.user);
    return locked.ok ? done('') : failed(locked.error);
  }

  /** Leaves configuration mode; a locked session's uncommitted changes go with it. */
  close(): void {
    this.#database.unlock(this.user);
  }

  /** One command line such as `set security ike proposal p dh-group group14`, or `edit`, `top` and `up`. */
  run(line: string): Outcome {
    const [verb = '', ...words] = splitWords(line);
    const isMove = verb === 'edit' || verb === 'up' || (verb === 'top' && words.length === 0);
    if (isMove) return this.#move(verb, words);
    return this.#change(
      (tree) => {
        const { diagnostics, usedSetCommands } = parseText(`${line}\n`, tree, this.#level);
        return usedSetCommands ? diagnostics : [{ severity: 'error', path: '', line: 1, message: 'unknown command.' }];
      },
      line,
      [...this.#level, ...words],
    );
  }

  /** `load`: what cannot be read is reported and left out, as in Junos. */
  load(action: LoadAction, text: string): Outcome {
    const outcome = this.#change((tree) => load(tree, action, text), text);
    if (outcome.text.startsWith('error: configuration database')) return outcome;
    const count = outcome.diagnostics.filter((diagnostic) => diagnostic.severity === 'error').length;
    return { ...outcome, text: `${outcome.text}load complete${count === 0 ? '' : ` (${count} errors)`}\n` };
  }

  /** `show`, from the level that the session is at. */
  show(path: readonly string[] = [], pipes: readonly Pipe[] = []): PipedText {
    return pipeConfiguration(this.#database.candidate, [...this.#level, ...path], pipes, (rollback) =>
      this.compare(rollback),
    );
  }

  /** `show | compare`: empty if nothing has changed. */
  compare(rollback = 0): string {
    const before = this.#database.rollback(rollback);
    return before.ok ? compareTrees(before.value.root, this.#database.candidate.root) : `${before.error}\n`;
  }

  rollback(number: number): Outcome {
    const tree = this.#database.rollback(number);
    if (!tree.ok) return failed(tree.error);
    return this.#change((candidate) => {
      candidate.root.clear();
      for (const child of tree.value.root.children) candidate.root.append(child.clone());
      return [];
    }, '').ok
      ? done('load complete\n')
      : failed('error: rollback failed');
  }

  commitCheck(): Outcome {
    const diagnostics = this.#database.check();
    if (hasErrors(diagnostics)) return { ok: false, text: refusal(diagnostics), diagnostics };
    return { ok: true, text: `${describe(diagnostics)}configuration check succeeds\n`, diagnostics };
  }

  commit(now: Instant, options: CommitOptions): Outcome {
    const free = this.#database.checkLock(this.user);
    if (!free.ok) return failed(free.error);
    const outcome = this.#database.commit(now, { ...options, user: this.user, client: this.#client });
    if (outcome.kind === 'failed') return failed(`error: could not save the configuration: ${outcome.message}`);
    const { diagnostics } = outcome;
    if (outcome.kind === 'refused') return { ok: false, text: refusal(diagnostics), diagnostics };
    const { confirmMinutes } = options;
    const announcement =
      confirmMinutes === undefined
        ? ''
        : `commit confirmed will be automatically rolled back in ${confirmMinutes} minutes unless confirmed\n`;
    return { ok: true, text: `${describe(diagnostics)}${announcement}commit complete\n`, diagnostics };
  }

  /** `show system commit`. */
  history(): string {
    const records = this.#database.history();
    return records.ok ? formatHistory(records.value) : `${records.error}\n`;
  }

  #move(verb: string, words: readonly string[]): Outcome {
    if (verb === 'top') this.#level = [];
    else if (verb === 'up') this.#level = this.#level.slice(0, -Math.max(1, Number(words[0] ?? '1') || 1));
    else this.#level = [...this.#level, ...words];
    return done('');
  }

  /** Changes the candidate below `path`, or nothing if somebody else holds the lock. */
  #change(change: (tree: ConfigTree) => readonly Diagnostic[], source: string, path: readonly string[] = []): Outcome {
    const free = this.#database.checkLock(this.user);
    if (!free.ok) return failed(free.error);
    const diagnostics = change(this.#database.candidate);
    concealSecrets(this.#database.candidate.root, this.#random, path);
    return { ok: !hasErrors(diagnostics), text: describe(diagnostics, source), diagnostics };
  }
}

function load(candidate: ConfigTree, action: LoadAction, text: string): readonly Diagnostic[] {
  if (action === 'patch') return applyPatch(candidate, text);
  if (action === 'set') return parseText(text, candidate).diagnostics;
  const parsed = parseText(text, emptyTree());
  if (action === 'override') candidate.root.clear();
  if (action === 'replace') for (const path of parsed.replaced) replaceAt(candidate.root, parsed.tree.root, path);
  mergeTree(candidate.root, parsed.tree.root);
  return parsed.diagnostics;
}

function refusal(diagnostics: readonly Diagnostic[]): string {
  return `${describe(diagnostics)}error: configuration check-out failed\n`;
}

function describe(diagnostics: readonly Diagnostic[], source?: string): string {
  const lines = source?.split('\n');
  return diagnostics.map((diagnostic) => `${formatDiagnostic(diagnostic, lines?.[diagnostic.line - 1])}\n`).join('');
}

function done(text: string): Outcome {
  return { ok: true, text, diagnostics: [] };
}

function failed(text: string): Outcome {
  return { ok: false, text: `${text}\n`, diagnostics: [] };
}

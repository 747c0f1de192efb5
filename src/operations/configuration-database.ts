// The committed configurations: which one is active, which ones came before, and how a new one takes its place.
//
// A commit, step by step. A crash between any two leaves the old or the new configuration active, whole:
// 1. the active text is copied to `rollback-<its sequence>`;  2. the new text replaces the active file: from here on it counts;
// 3. the copies beyond the 49th are removed.

import { type ConfigTree, emptyTree, treesEqual } from '../config/config-node.ts';
import type { Diagnostic } from '../config/diagnostic.ts';
import { compileTree } from '../config/load.ts';
import { printBraces } from '../config/print-braces.ts';
import { TOP } from '../config/statement-view.ts';
import { parseText } from '../config/text-parser.ts';
import { err, ok, type Result } from '../lib/result.ts';
import { after, type Instant, milliseconds, NEVER } from '../lib/time.ts';
import type { GatewayConfig } from '../model/gateway-config.ts';
import { type CommitRecord, formatSaved, readRecord } from './commit-record.ts';
import type { ConfigurationStorage } from './configuration-storage.ts';

export const ACTIVE_FILE = 'sallyport.conf';
/** Junos keeps the active configuration and 49 before it. */
const ROLLBACK_MAX = 49;
const ROLLBACK_NAME = /^rollback-(\d{1,15})\.conf$/;
const MINUTE = 60_000;

export interface CommitRequest {
  readonly stamp: string;
  readonly user: string;
  readonly client: string;
  readonly comment?: string;
  readonly confirmMinutes?: number;
}

/** Takes over a configuration that was committed, or to which the gateway fell back. Cannot fail. */
export type ApplyConfiguration = (config: GatewayConfig, record: CommitRecord) => void;

interface Committed {
  readonly record: CommitRecord;
  readonly text: string;
  readonly tree: ConfigTree;
}

/** One for each gateway; sessions work on it. */
export class ConfigurationDatabase {
  readonly #storage: ConfigurationStorage;
  readonly #apply: ApplyConfiguration;
  #active: Committed;
  #rollBackAt: Instant = NEVER;
  #lockedBy: string | undefined;
  /** The candidate that all editors share. */
  candidate: ConfigTree;

  private constructor(storage: ConfigurationStorage, apply: ApplyConfiguration, active: Committed) {
    this.#storage = storage;
    this.#apply = apply;
    this.#active = active;
    this.candidate = { root: active.tree.root.clone() };
  }

  /**
   * Opens what is stored; an empty store is an empty configuration. A commit that was waiting for its confirmation when the process
   * ended is rolled back. Does not apply anything: the caller compiles `active` and starts with it.
   */
  static open(
    storage: ConfigurationStorage,
    apply: ApplyConfiguration,
    stamp: string,
  ): Result<ConfigurationDatabase, string> {
    const text = storage.read(ACTIVE_FILE);
    if (!text.ok) return text;
    const database = new ConfigurationDatabase(storage, apply, committed(text.value ?? ''));
    if (database.#active.record.confirmMinutes === undefined) return ok(database);
    const previous = database.rollback(1);
    if (!previous.ok) return previous;
    const saved = database.#save(previous.value, printSaved(previous.value), {
      stamp,
      user: 'root',
      client: 'other',
      comment: 'not confirmed before restart',
    });
    return saved.ok ? ok(database) : saved;
  }

  get active(): ConfigTree {
    return this.#active.tree;
  }

  get record(): CommitRecord {
    return this.#active.record;
  }

  get lockedBy(): string | undefined {
    return this.#lockedBy;
  }

  /** Whether the candidate differs from what is active. */
  get isModified(): boolean {
    return !treesEqual(this.candidate.root, this.#active.tree.root);
  }

  lock(owner: string): Result<undefined, string> {
    if (this.#lockedBy !== undefined && this.#lockedBy !== owner) return err(lockedMessage(this.#lockedBy));
    if (this.#lockedBy === undefined && this.isModified) return err('error: configuration database modified');
    this.#lockedBy = owner;
    return ok(undefined);
  }

  /** Gives the lock back; uncommitted changes go, as in Junos. */
  unlock(owner: string): void {
    if (this.#lockedBy !== owner) return;
    this.#lockedBy = undefined;
    this.candidate = { root: this.#active.tree.root.clone() };
  }

  /** Whether `owner` may change the candidate and commit. */
  checkLock(owner: string): Result<undefined, string> {
    const isFree = this.#lockedBy === undefined || this.#lockedBy === owner;
    return isFree ? ok(undefined) : err(lockedMessage(this.#lockedBy ?? ''));
  }

  check(): readonly Diagnostic[] {
    printSaved(this.candidate);
    return compileTree(this.candidate).diagnostics;
  }

  /** Makes the candidate active. `config` in the answer is absent if an error stopped it; nothing has changed then. */
  commit(now: Instant, request: CommitRequest): CommitOutcome {
    // Printing comes first: it gives the statements the lines that they have in the saved file.
    const braces = printSaved(this.candidate);
    const { diagnostics, config } = compileTree(this.candidate);
    if (config === undefined) return { kind: 'refused', diagnostics };
    const isConfirmation = this.#rollBackAt !== NEVER && request.confirmMinutes === undefined;
    const hasNews = this.isModified || isConfirmation || request.confirmMinutes !== undefined;
    if (hasNews) {
      const saved = this.#save(this.candidate, braces, request);
      if (!saved.ok) return { kind: 'failed', message: saved.error };
    }
    const { confirmMinutes } = request;
    this.#rollBackAt = confirmMinutes === undefined ? NEVER : after(now, milliseconds(confirmMinutes * MINUTE));
    this.#apply(config, this.#active.record);
    return { kind: 'committed', diagnostics, config };
  }

  nextTimeout(): Instant {
    return this.#rollBackAt;
  }

  /** Rolls back a commit that nobody confirmed in time. */
  handleTimeout(now: Instant, stamp: string): Result<undefined, string> {
    if (now < this.#rollBackAt) return ok(undefined);
    this.#rollBackAt = NEVER;
    const previous = this.rollback(1);
    if (!previous.ok) return previous;
    const saved = this.#save(previous.value, printSaved(previous.value), {
      stamp,
      user: 'root',
      client: 'other',
      comment: 'commit was not confirmed',
    });
    if (!saved.ok) return saved;
    this.candidate = { root: this.#active.tree.root.clone() };
    const { config } = compileTree(this.#active.tree);
    if (config) this.#apply(config, this.#active.record);
    return ok(undefined);
  }

  /** An earlier configuration; 0 is the active one. */
  rollback(number: number): Result<ConfigTree, string> {
    if (number === 0) return ok({ root: this.#active.tree.root.clone() });
    const names = this.#archives();
    if (!names.ok) return names;
    const name = names.value[number - 1];
    if (name === undefined || number > ROLLBACK_MAX) return err(`error: rollback ${number} does not exist`);
    const text = this.#storage.read(name);
    return text.ok ? ok(parseText(text.value ?? '').tree) : text;
  }

  /** The newest first. */
  history(): Result<readonly CommitRecord[], string> {
    const names = this.#archives();
    if (!names.ok) return names;
    const records = [this.#active.record];
    for (const name of names.value.slice(0, ROLLBACK_MAX)) {
      const text = this.#storage.read(name);
      if (!text.ok) return text;
      records.push(readRecord(text.value ?? ''));
    }
    return ok(records);
  }

  #save(tree: ConfigTree, braces: string, request: CommitRequest): Result<undefined, string> {
    const sequence = this.#active.record.sequence + 1;
    const text = formatSaved({ ...request, sequence }, braces);
    if (this.#active.text !== '') {
      const archived = this.#storage.replace(archiveName(this.#active.record.sequence), this.#active.text);
      if (!archived.ok) return archived;
    }
    const replaced = this.#storage.replace(ACTIVE_FILE, text);
    if (!replaced.ok) {
      // The fault may have come after the name led to the new text: then that is what counts after a restart, and so it does now.
      const there = this.#storage.read(ACTIVE_FILE);
      if (!there.ok || there.value !== text) return replaced;
    }
    this.#active = { record: { ...request, sequence }, text, tree: { root: tree.root.clone() } };
    this.#removeOldArchives();
    return ok(undefined);
  }

  #removeOldArchives(): void {
    const names = this.#archives();
    if (!names.ok) return;
    // A copy too many does no harm: one that cannot be removed is removed by a later commit.
    for (const name of names.value.slice(ROLLBACK_MAX)) this.#storage.remove(name);
  }

  /** Copies of what was active before, the newest first. One as new as the active file was left by a commit that did not happen. */
  #archives(): Result<readonly string[], string> {
    const names = this.#storage.names();
    if (!names.ok) return names;
    const numbers = names.value
      .flatMap((name) => ROLLBACK_NAME.exec(name)?.[1] ?? [])
      .map(Number)
      .filter((sequence) => sequence < this.#active.record.sequence);
    return ok(numbers.toSorted((a, b) => b - a).map(archiveName));
  }
}

export type CommitOutcome =
  | { readonly kind: 'committed'; readonly diagnostics: readonly Diagnostic[]; readonly config: GatewayConfig }
  /** The configuration has errors. */
  | { readonly kind: 'refused'; readonly diagnostics: readonly Diagnostic[] }
  /** It could not be saved; what was active still is. */
  | { readonly kind: 'failed'; readonly message: string };

function committed(text: string): Committed {
  return { record: readRecord(text), text, tree: text === '' ? emptyTree() : parseText(text).tree };
}

/** The configuration as it is saved, below the two lines that say who committed it. */
function printSaved(tree: ConfigTree): string {
  return printBraces(tree.root, TOP, { firstLine: 3 });
}

function archiveName(sequence: number): string {
  return `rollback-${String(sequence).padStart(6, '0')}.conf`;
}

function lockedMessage(owner: string): string {
  return `error: configuration database locked by:\n  ${owner}`;
}

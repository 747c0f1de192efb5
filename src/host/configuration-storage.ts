import * as fs from 'node:fs';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { err, ok, type Result } from '../lib/result.ts';
import type { ConfigurationStorage } from '../operations/configuration-storage.ts';

/** The system calls that change something, so that a test can fail each of them, or end the process at it. */
export interface FileCalls {
  mkdirSync(path: string, options: { readonly recursive: true; readonly mode: number }): unknown;
  openSync(path: string, flags: string, mode?: number): number;
  writeSync(descriptor: number, data: Uint8Array, offset: number): number;
  fsyncSync(descriptor: number): void;
  closeSync(descriptor: number): void;
  renameSync(from: string, to: string): void;
  rmSync(path: string, options: { readonly force: true }): void;
}

const TEMPORARY = '.new';
/** Secrets in a configuration can be read back: nobody else may read the file. */
const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;

/**
 * Configurations in a folder of the file system. A file is replaced in four steps: write another one, flush it to the disk, rename it
 * over the old one, flush the folder. Whatever step the machine stops at, the name leads to the old text or to the new one.
 */
export class FolderStorage implements ConfigurationStorage {
  readonly #folder: string;
  readonly #calls: FileCalls;

  /** The folder is made if it is not there. */
  constructor(folder: string, calls: FileCalls = fs) {
    this.#folder = folder;
    this.#calls = calls;
  }

  read(name: string): Result<string | undefined, string> {
    try {
      return ok(readFileSync(join(this.#folder, name), 'utf8'));
    } catch (error) {
      return isMissing(error) ? ok(undefined) : err(reason(error));
    }
  }

  replace(name: string, text: string): Result<undefined, string> {
    const path = join(this.#folder, name);
    const temporary = path + TEMPORARY;
    try {
      this.#calls.mkdirSync(this.#folder, { recursive: true, mode: FOLDER_MODE });
      this.#writeDurably(temporary, text);
      this.#calls.renameSync(temporary, path);
      this.#flushFolder();
      return ok(undefined);
    } catch (error) {
      return err(reason(error));
    }
  }

  remove(name: string): Result<undefined, string> {
    try {
      this.#calls.rmSync(join(this.#folder, name), { force: true });
      return ok(undefined);
    } catch (error) {
      return err(reason(error));
    }
  }

  names(): Result<readonly string[], string> {
    try {
      // What a crash left half written is not there.
      return ok(readdirSync(this.#folder).filter((name) => !name.endsWith(TEMPORARY)));
    } catch (error) {
      return isMissing(error) ? ok([]) : err(reason(error));
    }
  }

  #writeDurably(path: string, text: string): void {
    const descriptor = this.#calls.openSync(path, 'w', FILE_MODE);
    try {
      const bytes = Buffer.from(text, 'utf8');
      // A write may be cut short, by a full disk for one.
      for (let offset = 0; offset < bytes.length; ) {
        const written = this.#calls.writeSync(descriptor, bytes, offset);
        if (written <= 0) throw new Error('nothing was written');
        offset += written;
      }
      this.#calls.fsyncSync(descriptor);
    } finally {
      this.#calls.closeSync(descriptor);
    }
  }

  #flushFolder(): void {
    const descriptor = this.#calls.openSync(this.#folder, 'r');
    try {
      this.#calls.fsyncSync(descriptor);
    } finally {
      this.#calls.closeSync(descriptor);
    }
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
